"""Archived snapshots: nothing can be read from one, so others are replicated instead."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from snapback.core.model import Place, Snapshot
from snapback.core.replication.replication_plan import ReplicationPlan
from tests.unit.builders import snapshot
from tests.unit.core.replication.test_replication_plan import (
    member,
    planned,
    replica_of,
    sources,
)

ARCHIVED = {"storage_tier": "archive"}


def passed_over(plan: ReplicationPlan) -> dict[str, str | None]:
    return {
        one.source.snapshot_id: one.instead.snapshot_id if one.instead else None
        for one in plan.archived
    }


def test_an_archived_one_is_passed_over_for_the_newest_that_can_be_used() -> None:
    old = [member("2026-11-23T03:00", volume, "old") for volume in "ab"]
    new = [
        member("2026-11-24T03:00", "a", "new", **ARCHIVED),
        member("2026-11-24T03:00", "b", "new"),
    ]
    plan = planned([*old, *new])
    assert sources(plan.steps) == ["old-a", "old-b"]
    assert passed_over(plan) == {"new-a": "old-a", "new-b": "old-b"}
    own, of_its_set = (one.why for one in plan.archived)
    assert "RestoreSnapshotTier" in own
    assert "old-a of the same volume counts instead" in own
    assert "its set can't be used whole without new-a" in of_its_set
    assert plan.lacking == old


def test_what_is_pending_is_waited_for_where_a_newer_one_is_archived() -> None:
    there = [
        snapshot("2026-11-22T03:00", name="usable"),
        snapshot("2026-11-23T03:00", name="pending", state="pending"),
        snapshot("2026-11-24T03:00", name="archived", **ARCHIVED),
    ]
    plan = planned(there)
    (waiting,) = plan.waiting
    assert (sources(waiting.pending), sources(waiting.instead)) == (["pending"], ["usable"])
    assert passed_over(plan) == {"archived": "pending"}


def test_an_archived_one_that_is_replicated_keeps_nothing_from_its_set() -> None:
    one, other = (member("2026-11-24T03:00", volume, "set", **more) for volume, more in
                  (("a", ARCHIVED), ("b", {})))  # fmt: skip
    old = snapshot("2026-11-20T03:00", name="old")
    plan = planned([old, one, other], [replica_of(one, **ARCHIVED)])
    assert sources(plan.steps) == ["set-b"]
    assert [known.source for known in plan.known] == [one]
    assert plan.archived == ()


def test_a_volume_without_another_set_is_replicated_by_itself() -> None:
    one, other = (member("2026-11-24T03:00", volume, "set", **more) for volume, more in
                  (("a", ARCHIVED), ("b", {})))  # fmt: skip
    plan = planned([one, other])
    assert sources(plan.steps) == ["set-b"]
    assert passed_over(plan) == {"set-a": None}
    again = planned([one, other], [replica_of(other)])
    assert (again.steps, [known.source for known in again.known]) == ((), [other])
    assert passed_over(again) == {"set-a": None}


def test_of_two_of_one_identity_the_archived_one_comes_last() -> None:
    native = snapshot("2026-11-24T03:00", region="us-west-2")
    archived, usable = (
        Snapshot(
            place=Place("us-east-1"), snapshot_id=name, volume_id="vol-ffffffff",
            started_at=native.started_at, record=native.record, storage_tier=tier,
        )
        for name, tier in (("first", "archive"), ("second", "standard"))
    )  # fmt: skip
    assert sources(planned([archived, usable]).steps) == ["second"]


def test_the_base_is_never_archived_and_a_newer_archived_one_is_known() -> None:
    days = [snapshot(f"2026-11-{day}T03:00", name=f"a-{day}") for day in (20, 21, 22)]
    there = [replica_of(days[0]), replica_of(days[1], **ARCHIVED)]
    (step,) = planned(days, there).steps
    assert step.base == there[0]
    assert not step.is_base_newest
    (step,) = planned(days, there[:1]).steps
    assert step.is_base_newest
    (step,) = planned(days, there[1:]).steps
    assert step.base is None


SEEN = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(1, 4),
        st.sampled_from(["completed", "completed", "pending"]),
        st.booleans(),
        st.sampled_from(["", "", "standard", "archive"]),
    ),
    max_size=12,
)


@given(SEEN)
def test_whatever_is_archived_nothing_is_read_from_it_and_all_is_told(told: Any) -> None:
    here, there = [], []
    for number, (volume, day, state, archived, replica) in enumerate(told):
        one = snapshot(
            f"2026-11-{day:02}T03:00", volume=volume, name=f"snap-{number}", state=state,
            set_id=f"set-{day}",
            storage_tier="archive" if archived and state == "completed" else "standard",
        )  # fmt: skip
        here.append(one)
        if replica:
            there.append(replica_of(one, storage_tier=replica))
    plan = planned(here, there)
    waiting = [step for one in plan.waiting for step in (*one.pending, *one.instead)]
    for step in (*plan.steps, *waiting):
        assert not step.source.is_archived
        assert step.base is None or not step.base.is_archived
    # Of each volume the latest is there, on its way, to be done, or told to be passed over.
    spoken_of = {
        *(step.source.record.identity for step in (*plan.steps, *waiting) if step.source.record),
        *(known.source.record.identity for known in plan.known if known.source.record),
        *(one.source.record.identity for one in plan.archived if one.source.record),
    }
    latest: dict[object, Snapshot] = {}
    for one in here:
        assert one.record
        before = latest.get(one.record.timeline)
        if not before or not before.record or before.record.taken_at < one.record.taken_at:
            latest[one.record.timeline] = one
    replicated = {s.record.identity for s in there if s.record}
    assert {s.record.identity for s in latest.values() if s.record} - replicated <= spoken_of
