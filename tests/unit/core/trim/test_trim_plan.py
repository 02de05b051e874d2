"""What trimming would delete at a place: broken ones, what isn't selected, what is counted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from snapback.core.model import Place, Snapshot
from snapback.core.model.times import age
from snapback.core.trim.brake import Brake
from snapback.core.trim.policy import Policy
from snapback.core.trim.retention import Protection
from snapback.core.trim.trim_plan import TrimPlan, plan_broken, plan_trim
from tests.unit.builders import REGION, at, policy, snapshot, vol

NOW = at("2026-11-24T12:00")


def planned(snapshots: list[Snapshot], **more: Any) -> TrimPlan:
    def by(_: Snapshot) -> Any:
        return policy(daily=5)

    return plan_trim(Place(REGION), snapshots, by, NOW, Protection(), Brake(percent=50), **more)


def days(count: int, **more: Any) -> list[Snapshot]:
    return [snapshot(NOW - timedelta(days=number), **more) for number in range(count)]


def test_what_is_not_selected_is_kept_and_so_is_its_set() -> None:
    old = NOW - timedelta(days=9)
    pair = [snapshot(old, volume=v, set_id="set-1", name=f"snap-{v}") for v in "ab"]
    new = [snapshot(NOW, volume=v) for v in "ab"]
    fives = [s for v in "ab" for s in days(5, volume=v)]
    everything = [*pair, *new, *fives]
    assert {v.snapshot.snapshot_id for v in planned(everything).deletions} >= {"snap-a", "snap-b"}
    plan = planned(everything, selected=lambda s: s.snapshot_id != "snap-a")
    assert not {"snap-a", "snap-b"} & {v.snapshot.snapshot_id for v in plan.deletions}


def test_broken_ones_tell_their_story_and_whose_they_are() -> None:
    good = snapshot(NOW - timedelta(hours=30))
    ours = snapshot(NOW, state="error", state_message="bad key", name="snap-1")
    tagged = snapshot(
        NOW, state="error", record=None, tags={"snapback:run": "r"}, volume="c", name="snap-2"
    )
    foreign = snapshot(NOW, state="error", record=None, name="snap-3")
    kept_by_people = snapshot(
        NOW, state="error", record=None, tags={"snapback:keep": ""}, name="snap-5"
    )
    claimed = snapshot(NOW, state="error", tags={"dlm:managed": "true"}, name="snap-4")
    found = plan_broken([good, ours, tagged, foreign, claimed, kept_by_people], NOW)
    assert [(broken.snapshot.snapshot_id, broken.ours) for broken in found] == [
        ("snap-1", True),
        ("snap-2", True),
        ("snap-3", False),
        ("snap-4", False),
        ("snap-5", False),
    ]
    assert found[0].reason == f"{vol('a')}: bad key; last good one 30 h old"
    assert found[1].reason == f"{vol('c')}: EC2 gives no reason; no good one is left"


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(minutes=20), "20 min"),
        (timedelta(hours=47, minutes=59), "47 h"),
        (timedelta(hours=49), "2 days"),
        (timedelta(hours=-3), "0 min"),
    ],
)
def test_ages_in_words(span: timedelta, words: str) -> None:
    assert age(span) == words


@pytest.mark.parametrize(
    ("change", "protection", "kind"),
    [
        ({}, {}, "newest"),
        ({}, {"in_use": {"snap-1": "ami-1"}}, "in use"),
        ({"state": "pending"}, {}, "pending"),
        ({"tags": {"dlm:managed": "true"}}, {}, "managed by another"),
        ({"tags": {"preserve_snapshot": ""}}, {}, "tag preserve_snapshot"),
        ({}, {"in_flight": {"snap-1": "base of a transfer into eu-west-1"}}, "in a transfer"),
    ],
)
def test_reasons_are_counted_by_their_kind(
    change: dict[str, Any], protection: dict[str, Any], kind: str
) -> None:
    only = snapshot(NOW, name="snap-1", **change)
    plan = plan_trim(
        Place(REGION),
        [only],
        lambda _: policy(daily=5),
        NOW,
        Protection(**protection),
        Brake(percent=50),
    )
    assert plan.kept_by_reason() == {kind: 1}


def test_periods_and_sets_are_counted_by_what_they_are() -> None:
    old = [snapshot(NOW - timedelta(days=8), volume=v, set_id="set-1", name=v) for v in "ab"]
    later = snapshot(NOW - timedelta(days=7), volume="a")
    snapshots = [*old, later, snapshot(NOW, volume="a"), snapshot(NOW, volume="b")]

    def by(newest: Snapshot) -> Policy:
        return policy(hourly=1, weekly=2 if newest.volume_id == vol("b") else 0)

    plan = plan_trim(Place(REGION), snapshots, by, NOW, Protection(), Brake(percent=50))
    assert plan.kept_by_reason() == {"newest": 2, "week": 1, "set": 1}
