"""What status and check make of verdicts."""

from __future__ import annotations

from datetime import timedelta

from snapback.core.model import Snapshot
from snapback.core.status.health import Limits, Severity, judge
from tests.unit.builders import an_instance, seen, shot, status_of


def findings(snapshots: list[Snapshot], **limits) -> list[tuple[Severity, str]]:
    found = status_of(seen([an_instance("web", "a")], snapshots, now="2026-11-25T12:00"))
    (history,) = [one.history for one in found.judged]
    given = Limits(max_age=timedelta(days=999), **limits)
    return [(one.severity, one.text) for one in judge(history, given)]


def test_that_nothing_was_verified_matters_only_where_it_is_demanded() -> None:
    some = [shot("2026-11-24T03:00")]
    assert findings(some) == []
    assert findings(some, max_verified_age=timedelta(days=7)) == [
        (Severity.CRITICAL, "no snapshot was ever verified")
    ]


def test_a_verification_ages() -> None:
    some = [shot("2026-11-24T03:00", "good", "2026-11-15T12:00")]
    assert findings(some, max_verified_age=timedelta(days=11)) == []
    ((severity, text),) = findings(some, max_verified_age=timedelta(days=9))
    assert severity is Severity.CRITICAL
    assert text == "last verification is 10 days old, at most 9 days allowed"


def test_a_corrupt_one_is_critical_until_a_newer_one_is_good() -> None:
    bad = shot("2026-11-23T03:00", "corrupt")
    ((severity, text),) = findings([bad, shot("2026-11-24T03:00")])
    assert severity is Severity.CRITICAL
    assert text == "snap-2026-11-23T03:00 was found corrupt: x"
    assert findings([bad, shot("2026-11-24T03:00", "good")]) == []
