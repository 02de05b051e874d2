"""What is known of each volume's backups, and whether that is good enough."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from snapback.core.leases.lease import Kind, Lent, expiry, marks
from snapback.core.model import Consistency, Instance, Place, Snapshot, Volume
from snapback.core.status.health import Limits, Severity, judge
from snapback.core.status.history import Standing
from snapback.errors import SnapbackError
from snapback.report.pages import page_of_status
from snapback.report.prometheus import metrics_text
from snapback.report.statuses import check_line, check_report, status_report
from snapback.status import Status
from snapback.words import Word
from tests.unit.builders import (
    REGION,
    an_instance,
    at,
    record,
    seen,
    snapshot,
    status_of,
    vol,
)

OTHER = "eu-west-1"
HOUR = timedelta(hours=1)


def replica(taken: str = "2026-11-24T03:00", volume: str = "a", **others: Any) -> Snapshot:
    """Answer a replica in the other region of a snapshot in the first."""
    fields: dict[str, Any] = {
        "place": Place(OTHER),
        "record": record(taken, volume),
        "volume_id": "vol-ffffffff",
    }
    return snapshot(taken, region=OTHER, **{**fields, **others})


def replicated(
    *replicas: Snapshot, natives: tuple[Snapshot, ...] = (), web: Instance | None = None
) -> Status:
    """Answer the status of one volume that should have replicas in the other region."""
    return status_of(
        seen([web or an_instance("web", "a")], natives or (snapshot(),)),
        seen(region=OTHER, snapshots=replicas),
        destinations={REGION: [OTHER]},
    )


def texts(status: Status) -> list[str]:
    """Answer all that is wrong, in words."""
    return [finding.text for one in status.judged for finding in one.findings]


# The survey.


def test_a_volume_has_its_own_snapshots_oldest_first() -> None:
    ours = [snapshot("2026-11-24T03:00", name="new"), snapshot("2026-11-23T03:00", name="old")]
    status = status_of(seen([an_instance("web", "a")], [*ours, snapshot(volume="b")]))
    history = status.earmarked[0].history
    assert [s.snapshot_id for s in history.completed] == ["old", "new"]
    assert history.name == "web"
    assert history.is_root


def test_pending_broken_and_foreign_ones_are_not_counted_as_kept() -> None:
    status = status_of(
        seen(
            [an_instance("web", "a")],
            [
                snapshot("2026-11-24T01:00", state="pending", name="p"),
                snapshot("2026-11-24T02:00", state="error", name="e"),
                snapshot("2026-11-24T03:00", record=None, name="foreign"),
                snapshot("2026-11-24T04:00", tags={"dlm:managed": "true"}, name="dlm"),
                snapshot("2026-11-25T04:00", name="of tomorrow"),
            ],
        )
    )
    history = status.earmarked[0].history
    assert history.completed == ()
    assert [s.snapshot_id for s in history.pending] == ["p"]
    assert [s.snapshot_id for s in history.broken] == ["e"]


def test_what_wants_to_be_looked_at_comes_first() -> None:
    no_tag = an_instance("former", "c", tags={"Name": "former"})
    status = status_of(
        seen(
            [an_instance("fine", "a"), an_instance("missing", "b"), no_tag],
            [snapshot(), snapshot(volume="c"), snapshot(volume="d"), snapshot(volume="e")],
            volumes=[Volume(place=Place(REGION), volume_id=vol("d"))],
        )
    )
    assert [(one.history.volume_id, one.history.standing) for one in status.judged] == [
        (vol("b"), Standing.EARMARKED),
        (vol("d"), Standing.NO_LONGER),
        (vol("c"), Standing.NO_LONGER),
        (vol("e"), Standing.ORPHAN),
        (vol("a"), Standing.EARMARKED),
    ]
    subjects = [outcome.subject for outcome in status_report(status).outcomes]
    assert subjects[0] == vol("b")
    assert subjects[-2:] == ["volumes that are gone", vol("a")]


@pytest.mark.parametrize(
    ("tags", "volumes", "why"),
    [
        ({"Name": "web"}, {}, "its instance has no tag Earmarking=production"),
        (None, {"snapback:exclude": "scratch"}, "left out by the tag snapback:exclude"),
    ],
)
def test_why_a_volume_is_no_longer_backed_up(
    tags: dict[str, str] | None, volumes: dict[str, str], why: str
) -> None:
    web = an_instance("web", "a") if tags is None else an_instance("web", "a", tags=tags)
    volume = Volume(place=Place(REGION), volume_id=vol("a"), tags=volumes)
    (one,) = status_of(seen([web], [snapshot()], volumes=[volume])).judged
    assert one.history.why_no_longer == why
    assert one.findings == ()


def test_an_orphan_is_one_only_where_its_region_was_read() -> None:
    there = seen(region=OTHER, snapshots=[replica()])
    assert status_of(there).judged == ()
    (one,) = status_of(seen(), there).judged
    assert one.history.standing is Standing.ORPHAN
    (row,) = status_report(status_of(seen(), there)).outcomes
    assert "1 volume gone: 1 snapshot" in row.explanation


def test_the_same_volume_id_in_two_regions_is_two_volumes() -> None:
    status = status_of(
        seen([an_instance("web", "a")], [snapshot(name="here")]),
        seen([an_instance("web", "a", region=OTHER)], [], region=OTHER),
    )
    by_region = {one.history.place.region: one.history for one in status.judged}
    assert len(by_region[REGION].completed) == 1
    assert by_region[OTHER].completed == ()
    assert by_region[OTHER].replicas == ()


def test_what_a_run_left_is_told_with_its_age() -> None:
    left = Volume(
        place=Place(REGION),
        volume_id=vol("f"),
        tags=marks("run-1", "destination", "token", at("2026-11-24T08:00")),
        created_at=at("2026-11-24T07:00"),
    )
    rows = status_report(status_of(seen(volumes=[left]))).outcomes
    assert rows[0].explanation == "destination of run-1, 5 h old, has expired: run fab sweep"
    assert rows[0].word is Word.WARNING
    used = replace(left, tags=marks("run-1", "destination", "token", at("2026-11-24T13:00")))
    rows = status_report(status_of(seen(volumes=[used]))).outcomes
    assert rows[0].explanation == "destination of run-1, 5 h old, in use"
    assert rows[0].word is Word.OK


def test_what_else_a_run_left_is_as_old_as_the_run() -> None:
    tags = marks("run-20261124T020000-0123ab", "SSH of helpers", "x", at("2026-11-24T08:00"))
    group = Lent(place=Place(REGION), kind=Kind.SECURITY_GROUP, resource_id="sg-1", tags=tags)
    later = {**tags, **expiry(at("2026-11-24T13:00"))}
    claims = [
        Lent(place=Place(REGION), kind=Kind.KEY_PAIR, resource_id=name, tags=said)
        for name, said in (("held", later), ("left", tags))
    ]
    rows = status_report(status_of(seen(lent=[group, *claims]))).outcomes
    assert [row.subject for row in rows] == ["sg-1", "left"]
    assert rows[0].explanation == (
        "SSH of helpers of run-20261124T020000-0123ab, 10 h old, has expired: run fab sweep"
    )
    assert replace(group, tags={}).run_began_at is None


# The judgement.

LATE = Limits(max_age=5 * HOUR)


@pytest.mark.parametrize(
    ("snapshots", "limits", "severity", "said"),
    [
        ([snapshot()], Limits(), None, ""),
        ([], Limits(), Severity.CRITICAL, "no snapshot"),
        ([snapshot(state="pending")], Limits(), Severity.CRITICAL, "no snapshot; one is pending"),
        ([snapshot()], LATE, Severity.CRITICAL, "last snapshot is 9 h old, at most 5 h allowed"),
        ([snapshot()], Limits(max_age=9 * HOUR), None, ""),
        ([snapshot()], Limits(min_kept=2), Severity.WARNING, "1 kept, at least 2 wanted"),
        (
            [snapshot(), snapshot("2026-11-24T02:00", state="error", name="e")],
            Limits(),
            Severity.WARNING,
            "1 in error (e: EC2 gives no reason)",
        ),
        (
            [
                snapshot(),
                snapshot("2026-11-24T04:00", state="error", state_message="key", name="e"),
            ],
            Limits(),
            Severity.CRITICAL,
            "1 in error (e: key)",
        ),
        (
            [snapshot(), snapshot("2026-11-24T04:00", state="pending", name="p", progress="7%")],
            Limits(max_pending=7 * HOUR),
            Severity.WARNING,
            "a snapshot is stuck: p pending for 8 h (7%)",
        ),
        ([snapshot(), snapshot("2026-11-24T04:00", state="pending")], Limits(), None, ""),
        (
            [snapshot()],
            Limits(consistency=Consistency.FILESYSTEM),
            Severity.CRITICAL,
            "crash-consistent at best, filesystem is required",
        ),
        (
            [snapshot(), snapshot("2026-11-24T00:00", consistency=Consistency.STOPPED)],
            Limits(consistency=Consistency.FILESYSTEM),
            None,
            "",
        ),
        (
            [snapshot(), snapshot("2026-11-21T00:00", consistency=Consistency.APPLICATION)],
            Limits(consistency=Consistency.FILESYSTEM),
            Severity.CRITICAL,
            "crash-consistent at best, filesystem is required",
        ),
    ],
)
def test_one_volume_by_its_limits(
    snapshots: list[Snapshot], limits: Limits, severity: Severity | None, said: str
) -> None:
    (one,) = status_of(seen([an_instance("web", "a")], snapshots), limits=limits).judged
    if severity is None:
        assert one.findings == ()
    else:
        assert said in [f.text for f in one.findings if f.severity is severity]
        assert one.severity is severity


def test_no_consistency_is_demanded_of_a_root_that_is_left_out() -> None:
    status = status_of(seen([an_instance("web", "a", "b")], [snapshot(), snapshot(volume="b")]))
    limits = Limits(consistency=Consistency.FILESYSTEM)
    found = {
        one.history.volume_id: judge(one.history, limits, root_is_frozen=False)
        for one in status.judged
    }
    assert found[vol("a")] == []
    assert len(found[vol("b")]) == 1


@pytest.mark.parametrize(
    ("replicas", "said"),
    [
        ((replica(),), []),
        ((), ["no replica in eu-west-1"]),
        ((replica(state="pending"),), ["no replica in eu-west-1; being replicated"]),
        (
            (replica("2026-11-22T03:00"), replica(state="pending")),
            ["replica in eu-west-1 is 2 days old, at most 26 h allowed"],
        ),
        (
            (replica("2026-11-23T09:30"),),
            ["replica in eu-west-1 is over 26 h old, at most 26 h allowed"],
        ),
        (
            (replica(), replica("2026-11-24T05:00", state="error", state_message="key", name="e")),
            ["1 replica in eu-west-1 in error (e: key)"],
        ),
        (
            (replica(), replica(state="pending", started_at=at("2026-11-22T03:00"), name="p")),
            ["a replica in eu-west-1 is stuck: p pending for 2 days (0%)"],
        ),
    ],
)
def test_replicas_by_the_age_of_their_data(replicas: tuple[Snapshot, ...], said: list[str]) -> None:
    assert texts(replicated(*replicas)) == said


def test_a_replica_is_as_old_as_its_data_however_late_it_was_copied() -> None:
    late = replica("2026-11-22T03:00", started_at=at("2026-11-24T11:00"))
    assert "2 days old" in texts(replicated(late))[0]


def test_a_destination_that_could_not_be_read_is_unknown() -> None:
    status = status_of(
        seen([an_instance("web", "a")], [snapshot()]),
        destinations={REGION: [OTHER]},
        unread={Place(OTHER): SnapbackError("no permission")},
    )
    assert status.severity is Severity.UNKNOWN
    assert texts(status) == ["replicas in eu-west-1 unknown: it could not be read"]


# The line for a monitor.


def test_all_is_well_in_a_line() -> None:
    line = check_line(status_of(seen([an_instance("web", "a")], [snapshot()])))
    assert line == (
        "SNAPBACK OK - 1 volume backed up, all as it should be | volumes=1;;1:;0 critical=0;;0;0 "
        "warning=0;0;;0 unknown=0;;;0 oldest_backup=32400s;;93600;0 oldest_replica=U "
        "pending=0;;;0 errors=0;;;0"
    )


PERFORMANCE = re.compile(r"('[^'=]+'|[^\s'=]+)=(U|\d+(s|%|B|c)?(;(\d*:?\d*)?){0,2}(;\d*){0,2})")


def test_whatever_names_hold_it_is_one_line_with_proper_performance_data() -> None:
    nasty = an_instance("web", "a", tags={"Name": "a|b\nc=1 'x'", "Earmarking": "production"})
    line = check_line(replicated(replica("2026-11-22T03:00"), web=nasty))
    text, _, performance = line.partition(" | ")
    assert "\n" not in line
    assert "a/b\\nc=1 'x'" in text
    labels = [PERFORMANCE.fullmatch(word) for word in performance.split(" ")]
    assert all(labels), performance
    assert "oldest_replica=205200s;;93600;0" in performance


def test_the_gravest_come_first_and_not_all_are_named() -> None:
    letters = "abcdef"
    status = status_of(seen([an_instance(f"w|{x}", x) for x in letters[:6]], [snapshot()]))
    line = check_line(status)
    assert line.count("no snapshot") == 5
    assert line.count("|") == 1
    assert "\n" not in line
    status = status_of(
        seen([an_instance("fine", "a"), an_instance("bad", "b")], [snapshot()]),
        limits=Limits(min_kept=2),
    )
    assert check_line(status).index("bad") < check_line(status).index("fine")


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: status_of(seen([an_instance("web", "a")], [snapshot()])), 0),
        (lambda: status_of(seen([an_instance("web", "a")], [snapshot()]), limits=LATE), 2),
        (
            lambda: status_of(
                seen([an_instance("web", "a")], [snapshot()]), limits=Limits(min_kept=5)
            ),
            1,
        ),
        (lambda: status_of(seen()), 2),
        (lambda: status_of(seen([an_instance("web")])), 1),
        (lambda: status_of(unread={Place(REGION): SnapbackError("why")}), 3),
        (
            lambda: status_of(
                seen([an_instance("web", "a")]),
                unread={Place(OTHER): SnapbackError("critical counts more")},
            ),
            2,
        ),
    ],
)
def test_exit_codes_are_those_of_nagios(make: Callable[[], Status], code: int) -> None:
    assert check_report(make()).exit_code == code


# Metrics.


def test_metrics_escape_what_names_may_hold() -> None:
    web = an_instance("web", "a", tags={"Name": 'a"b\\c\nd', "Earmarking": "production"})
    text = metrics_text(status_of(seen([web], [snapshot()])), 1000.0)
    assert r'name="a\"b\\c\nd"' in text
    assert text.endswith("\n")
    assert "snapback_last_reading_timestamp_seconds 1000\n" in text


def test_metrics_tell_times_not_ages() -> None:
    text = metrics_text(replicated(replica()), 1.0)
    taken = f"{at('2026-11-24T03:00').timestamp():.0f}"
    labels = f'account="",region="{REGION}",volume="{vol("a")}"'
    assert f"snapback_last_snapshot_timestamp_seconds{{{labels}}} {taken}\n" in text
    assert (
        f'snapback_last_replica_timestamp_seconds{{{labels},destination="{OTHER}"}} {taken}\n'
        in text
    )


def test_a_wanted_replica_that_is_missing_shows_in_the_metrics() -> None:
    assert f'destination="{OTHER}"}} 0\n' in metrics_text(replicated(), 1.0)


LABEL = r'[a-z_]+="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"(snapback_[a-z_]+)(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\d+(?:\.\d+)?)")


def test_metrics_are_what_promtool_would_take() -> None:
    nasty = an_instance("web", "a", "b", tags={"Name": 'a"b\\c\nd', "Earmarking": "production"})
    more = [snapshot(volume="d"), replica("2026-11-23T03:00")]
    text = metrics_text(replicated(replica(), *more, web=nasty), 1.5)
    described, of, seen_series = [], "", set()
    for line in text.splitlines():
        if line.startswith("#"):
            _, word, name, said = line.split(" ", 3)
            assert said[0].isupper() and said.endswith(".") if word == "HELP" else said == "gauge"
            described.append((word, name))
            of = name
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample, line
        assert sample[1] == of, "samples stand behind their own HELP and TYPE"
        assert (sample[1], sample[2]) not in seen_series, "no series comes twice"
        seen_series.add((sample[1], sample[2]))
    names = [name for word, name in described if word == "HELP"]
    assert described == [(word, name) for name in names for word in ("HELP", "TYPE")]
    assert len(set(names)) == len(names)
    for name in names:
        assert not name.endswith(("_total", "_count", "_sum", "_bucket"))
        assert ("timestamp" not in name) or name.endswith("_timestamp_seconds")
        assert ("size" not in name) or name.endswith("_bytes")


# Replicas that ended in error.


@pytest.mark.parametrize("destinations", [{}, {REGION: [OTHER]}])
@pytest.mark.parametrize(
    ("good", "severity"),
    [
        ([], Severity.CRITICAL),
        ([replica("2026-11-23T20:00")], Severity.CRITICAL),
        ([replica("2026-11-24T05:00")], Severity.WARNING),
    ],
)
def test_a_replica_in_error_is_as_bad_as_a_snapshot_in_error_wherever_it_lies(
    good: list[Snapshot], severity: Severity, destinations: dict[str, list[str]]
) -> None:
    broken = replica("2026-11-24T03:00", state="error", state_message="key", name="e")
    status = status_of(
        seen([an_instance("web", "a")], [snapshot()]),
        seen(region=OTHER, snapshots=[broken, *good]),
        destinations=destinations,
    )
    assert "1 replica in eu-west-1 in error (e: key)" in texts(status)
    assert status.severity is severity
    assert check_report(status).exit_code == {Severity.CRITICAL: 2, Severity.WARNING: 1}[severity]
    assert "in error (e: key)" in check_line(status)
    assert " errors=1;" in check_line(status)
    assert (
        f'destination="{OTHER}"}} 1\n'
        in metrics_text(status, 1.0).partition("snapback_replicas_in_error")[2]
    )
    assert status_report(status).outcomes[-1].word in (Word.WARNING, Word.CRITICAL)


@pytest.mark.parametrize("kind", ["no longer backed up", "volume gone"])
@pytest.mark.parametrize(
    ("left", "said"),
    [
        (replica(state="error", name="e"), "1 replica in eu-west-1 in error (e: EC2 gives no reas"),
        (snapshot(state="error", name="e"), "1 in error (e: EC2 gives no reason)"),
        (
            replica(state="pending", started_at=at("2026-11-22T03:00"), name="e"),
            "a replica in eu-west-1 is stuck: e pending for 2 days (0%)",
        ),
    ],
)
def test_what_is_left_of_other_volumes_warns_where_it_is_no_backup(
    kind: str, left: Snapshot, said: str
) -> None:
    fine = an_instance("fine", "b")
    former = [an_instance("old", "a", tags={"Name": "old"})] if kind.startswith("no") else []
    natives = [snapshot(volume="b")] + [left] * (left.place == Place(REGION))
    others = [left] * (left.place != Place(REGION))
    status = status_of(seen([fine, *former], natives), seen(region=OTHER, snapshots=others))
    assert status.severity is Severity.WARNING
    assert check_report(status).exit_code == 1
    assert said in check_line(status)
    report = status_report(status)
    (row,) = [one for one in report.outcomes if one.word is Word.WARNING]
    assert said in row.explanation
    assert "1 volume no longer backed up: what is left needs attention" in report.summary
    page = page_of_status(status, at("2026-11-24T12:00"))
    assert page.verdict == "all 1 volumes are well, but not all that is left of others"
    assert [said in row.why for row in page.rows if row.state == "warning"] == [True]


@pytest.mark.parametrize("turned", [False, True])
def test_a_shared_volume_is_judged_by_any_of_its_instances(turned: bool) -> None:
    a, b = an_instance("a", "r", "x"), an_instance("b", "s", "x", tags={"Name": "b"})

    def judged(*instances: Instance) -> dict[str, tuple[str, str, str]]:
        order = instances[::-1] if turned else instances
        status = status_of(seen(order, [snapshot(volume="x"), snapshot(volume="r")]))
        return {
            h.volume_id: (h.standing.name, h.instance_id, h.why_no_longer)
            for h in (one.history for one in status.judged)
        }

    assert judged(a, b)[vol("x")] == ("EARMARKED", "i-a", "")
    marked = replace(b, tags=a.tags)
    assert judged(replace(a, tags={}), marked)[vol("x")] == ("EARMARKED", "i-b", "")
    assert judged(a, marked)[vol("x")] == ("EARMARKED", "i-a", "")
    why = "its instances have no tag Earmarking=production"
    assert judged(replace(a, tags={}), b)[vol("x")] == ("NO_LONGER", "i-a", why)
