"""The brake: which timelines it stops, which it lets go, and what it keeps with them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from snapback.core.model import Place, Snapshot, Timeline
from snapback.core.trim.brake import Brake, is_policy_wrong, timelines_that_share_sets
from snapback.core.trim.policy import Policy
from snapback.core.trim.retention import Protection
from snapback.core.trim.trim_plan import TrimPlan, plan_trim
from tests.unit.builders import REGION, at, policy, record, snapshot, timeline, vol

NOW = at("2026-11-24T12:00")
A, B, C = map(timeline, "abc")


def planned(
    snapshots: list[Snapshot],
    brake: Brake | int = 50,
    by: Policy | None = None,
    protection: Protection | None = None,
    now: datetime = NOW,
) -> TrimPlan:
    chosen = brake if isinstance(brake, Brake) else Brake(percent=brake)
    retention = by or policy(daily=5)
    return plan_trim(
        Place(REGION), snapshots, lambda _: retention, now, protection or Protection(), chosen
    )


def days(count: int, **more: Any) -> list[Snapshot]:
    """A snapshot a day, up to now."""
    return [snapshot(NOW - timedelta(days=number), **more) for number in range(count)]


def sets(count: int, volumes: str) -> list[Snapshot]:
    """A set of some volumes a day, up to now."""
    return [
        snapshot(NOW - timedelta(days=number), volume=letter, set_id=f"set-{volumes}-{number}")
        for number in range(count)
        for letter in volumes
    ]


def stopped(plan: TrimPlan) -> set[Timeline]:
    return {one.timeline for one in plan.stopped}


@pytest.mark.parametrize(
    ("count", "percent", "stops"),
    [
        pytest.param(20, 0, False, id="20 days are not over 20"),
        pytest.param(21, 75, True, id="16 of 21 days: 76 percent"),
        pytest.param(21, 76, True, id="and a little more than 76"),
        pytest.param(21, 77, False, id="not over 77"),
        pytest.param(21, 100, False, id="100 takes the brake off"),
    ],
)
def test_the_brake_is_a_percentage_of_the_days_of_a_timeline_of_over_twenty(
    count: int, percent: int, stops: bool
) -> None:
    plan = planned(days(count), percent)
    assert stopped(plan) == ({A} if stops else set())
    assert len(plan.deletions) == (0 if stops else count - 5)


def test_days_that_keep_a_snapshot_are_not_lost() -> None:
    hourly = [snapshot(NOW - timedelta(hours=number)) for number in range(24 * 30)]
    plan = planned(hourly, by=policy(daily=60))
    assert len(plan.deletions) > 600
    assert stopped(plan) == set()


def test_it_is_told_how_many_days_would_be_lost() -> None:
    (one,) = planned(days(40)).stopped
    assert (one.days, one.lost, one.percent, one.sharing) == (40, 35, 50, ())


def test_what_protects_a_day_saves_it_from_being_lost() -> None:
    snapshots = days(40)
    pinned = Protection(in_use={s.snapshot_id: "ami-1" for s in snapshots[5:25]})
    assert stopped(planned(snapshots, protection=pinned)) == set()


def test_only_the_timeline_that_is_stopped_is_kept_whole() -> None:
    plan = planned([*days(40, volume="a"), *days(8, volume="b")])
    assert stopped(plan) == {A}
    assert [v.snapshot.volume_id for v in plan.deletions] == [vol("b")] * 3
    assert plan.kept_by_reason()["stopped by the brake"] == 35


def test_sets_are_completed_anew_with_what_is_stopped() -> None:
    # The volume b is newer: its few days don't trip the brake, but all its sets are those of a.
    shared = sets(15, "ab")
    older = [snapshot(NOW - timedelta(days=number)) for number in range(15, 40)]
    plan = planned([*shared, *older])
    assert stopped(plan) == {A}
    assert plan.deletions == []


def test_sets_that_are_whole_are_what_is_judged() -> None:
    # Each set of a is kept for b, which keeps more.
    snapshots = sets(40, "ab")

    def by(newest: Snapshot) -> Policy:
        return policy(daily=5 if newest.volume_id == vol("a") else 40)

    plan = plan_trim(Place(REGION), snapshots, by, NOW, Protection(), Brake(percent=50))
    assert (plan.stopped, plan.deletions) == ((), [])


# Released.


def test_a_volume_is_released_and_no_other() -> None:
    snapshots = [*days(40, volume="a"), *days(40, volume="b")]
    assert stopped(planned(snapshots)) == {A, B}
    plan = planned(snapshots, Brake(percent=50, volumes=frozenset({vol("a")})))
    assert stopped(plan) == {B}
    assert {v.snapshot.volume_id for v in plan.deletions} == {vol("a")}
    assert len(plan.deletions) == 35


def test_a_release_may_have_a_percentage_of_its_own() -> None:
    release = {"percent": 50, "volumes": frozenset({vol("a")})}
    assert stopped(planned(days(40), Brake(**release, released_percent=80))) == {A}
    assert stopped(planned(days(40), Brake(**release, released_percent=88))) == set()


def test_the_volumes_of_an_instance_are_released() -> None:
    ours = [
        snapshot(s.started_at, volume=s.volume_id[4], record=record(
            f"{s.started_at:%Y-%m-%dT%H:%M}", s.volume_id[4], instance="i-1"
        ))
        for s in days(40, volume="a")
    ]  # fmt: skip
    plan = planned([*ours, *days(40, volume="b")], Brake(percent=50, instance="i-1"))
    assert stopped(plan) == {B}


def test_volumes_that_share_sets_are_released_together() -> None:
    snapshots = [*sets(40, "ab"), *sets(40, "c")]
    found = planned(snapshots)
    assert [(one.timeline, one.sharing) for one in found.stopped] == [
        (A, (vol("b"),)),
        (B, (vol("a"),)),
        (C, ()),
    ]
    assert stopped(planned(snapshots, Brake(percent=50, volumes=frozenset({vol("b")})))) == {C}


def test_sets_tie_volumes_together_over_others() -> None:
    snapshots = [*sets(2, "ab"), *sets(2, "bc"), *days(2, volume="d"), *sets(1, "e")]
    groups = timelines_that_share_sets(snapshots)
    assert groups[A] == groups[B] == groups[C] == {A, B, C}
    assert groups[timeline("e")] == {timeline("e")}
    assert timeline("d") not in groups


@pytest.mark.parametrize(
    ("stops", "timelines", "wrong"),
    [(0, 0, False), (2, 2, False), (3, 3, True), (3, 29, True), (3, 30, False), (10, 99, True)],
)
def test_many_stops_say_that_the_policy_is_wrong(stops: int, timelines: int, wrong: bool) -> None:
    assert is_policy_wrong(stops, timelines) is wrong


def test_a_whole_plan_is_kept() -> None:
    plan = planned([*days(40), snapshot(NOW, state="error", name="broken")], 100)
    assert not plan.deletes_nothing
    kept = plan.kept_whole()
    assert kept.deletes_nothing
    assert kept.kept_by_reason()["stopped by the brake"] == 35


# Faded.


def test_a_faded_timeline_is_not_stopped() -> None:
    old = [snapshot(NOW - timedelta(days=100 + number)) for number in range(40)]
    by = policy(daily=30, fade_after_days=90)
    assert len(planned(old, by=by).deletions) == 10
    plan = planned(old, by=by, protection=Protection(gone=frozenset({A})))
    assert (stopped(plan), plan.faded) == (set(), {A})
    assert len(plan.deletions) == 39


# How operators trim.


def trimmed_every(span: timedelta, by: Policy, trims: int, history: int) -> Iterator[TrimPlan]:
    """Backups every 6 hours, trimmed each day for some days; then after each span only."""
    left: list[Snapshot] = []
    now = NOW - timedelta(days=history)
    for pause in [*[timedelta(days=1)] * history, *[span] * trims]:
        left += [
            snapshot(now + number * timedelta(hours=6))
            for number in range(1, pause // timedelta(hours=6) + 1)
        ]
        now += pause
        plan = planned(left, by=by, now=now)
        gone = {v.snapshot.snapshot_id for v in plan.deletions}
        left = [s for s in left if s.snapshot_id not in gone]
        yield plan


@pytest.mark.parametrize("by", [Policy(), policy(daily=7)], ids=["default", "daily: 7"])
@pytest.mark.parametrize("days_between", [7, 10])
@pytest.mark.parametrize("history", [0, 31, 400])
def test_a_trim_that_is_late_by_days_trips_nothing(
    history: int, days_between: int, by: Policy
) -> None:
    for plan in trimmed_every(timedelta(days=days_between), by, trims=4, history=history):
        assert plan.stopped == ()


@pytest.mark.parametrize("by", [Policy(), policy(daily=7)], ids=["default", "daily: 7"])
def test_a_trim_that_is_late_by_a_month_is_stopped(by: Policy) -> None:
    *_, last = trimmed_every(timedelta(days=31), by, trims=1, history=400)
    assert stopped(last) == {A}
