"""Archived snapshots are kept, and can't be restored at once."""

from __future__ import annotations

from dataclasses import replace

from snapback.core.model import Consistency, Place
from snapback.core.status.health import Limits
from snapback.report.statuses import check_report, facts_of
from tests.unit.builders import an_instance, seen, snapshot, status_of

ARCHIVED = {"storage_tier": "archive"}
WEB = an_instance("web", "a")


def test_what_is_archived_is_no_backup_of_last_night() -> None:
    last = snapshot("2026-11-24T03:00", name="last", **ARCHIVED)
    before = snapshot("2026-11-20T03:00", name="before")
    (judged,) = status_of(seen([WEB], [before, last])).judged
    assert [finding.text for finding in judged.findings] == [
        "last snapshot is 4 days old, at most 26 h allowed; last is newer, but archived"
    ]
    assert judged.history.last == before
    facts = facts_of(judged.history)
    assert (facts["kept"], facts["archived"], facts["last"]["snapshot"]) == (2, 1, "before")
    (judged,) = status_of(seen([WEB], [last])).judged
    assert [finding.text for finding in judged.findings] == [
        "no snapshot that can be restored at once: 1 archived"
    ]
    (judged,) = status_of(seen([WEB], [replace(last, storage_tier="standard")])).judged
    assert judged.findings == ()


def test_an_archived_replica_is_none_to_restore_from() -> None:
    last = snapshot("2026-11-24T03:00", name="last")
    replica = replace(last, place=Place("eu-west-1"), snapshot_id="replica", **ARCHIVED)
    places = seen([WEB], [last]), seen([], [replica], region="eu-west-1")
    status = status_of(*places, destinations={"us-east-1": ["eu-west-1"]})
    (judged,) = status.judged
    assert [finding.text for finding in judged.findings] == [
        "no replica in eu-west-1 that can be restored at once: 1 archived"
    ]
    assert check_report(status).verdict == 2


def test_an_archived_one_is_not_consistent_enough_and_still_counts_as_kept() -> None:
    limits = Limits(consistency=Consistency.FILESYSTEM, min_kept=2)
    good = snapshot("2026-11-24T02:00", consistency=Consistency.FILESYSTEM, **ARCHIVED)
    last = snapshot("2026-11-24T03:00", name="last")
    (judged,) = status_of(seen([WEB], [good, last]), limits=limits).judged
    assert [finding.text for finding in judged.findings] == [
        "crash-consistent at best, filesystem is required"
    ]
