"""What a destination lacks of a source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from snapback.core.model import Place, Snapshot
from snapback.core.replication.replication_plan import ReplicationPlan, Step, plan_replication
from tests.unit.builders import snapshot, vol

WEST = "eu-west-1"
ELSEWHERE = "ap-southeast-1"


def replica_of(source: Snapshot, region: str = WEST, **others: str) -> Snapshot:
    """Answer a copy: its own id and start, an arbitrary VolumeId, the source's record."""
    assert source.record is not None
    fields = {"volume_id": "vol-ffffffff", **others}
    return Snapshot(
        place=Place(region),
        snapshot_id=f"{source.snapshot_id}-in-{region}",
        started_at=source.started_at + timedelta(hours=5),
        record=source.record,
        **fields,
    )


def lacking(here: list[Snapshot], there: list[Snapshot], region: str) -> list[Snapshot]:
    return plan_replication(Place("us-east-1"), Place(region), here, there).lacking


def names(snapshots: list[Snapshot]) -> list[str]:
    return [snapshot.snapshot_id for snapshot in snapshots]


def test_only_the_latest_of_each_volume_counts_oldest_first() -> None:
    snapshots = [
        snapshot("2026-11-24T03:00", volume="a", name="a-new"),
        snapshot("2026-11-23T03:00", volume="a", name="a-old"),
        snapshot("2026-11-22T03:00", volume="b", name="b-new"),
        snapshot("2026-11-21T03:00", volume="b", name="b-old"),
        snapshot("2026-11-23T15:00", volume="c", name="c-only"),
    ]
    assert names(lacking(snapshots, [], ELSEWHERE)) == ["b-new", "c-only", "a-new"]


def test_one_volume_id_in_two_regions_is_two_volumes() -> None:
    snapshots = [
        snapshot("2026-11-23T03:00", name="east"),
        snapshot("2026-11-24T03:00", region=WEST, name="west"),
    ]
    assert names(lacking(snapshots, [], ELSEWHERE)) == ["east", "west"]


def test_the_record_says_the_age_not_the_start_of_a_copy() -> None:
    old = snapshot("2026-11-01T03:00", name="old", started_at=snapshot("2026-12-01").started_at)
    new = snapshot("2026-11-02T03:00", name="new")
    assert names(lacking([old, new], [], ELSEWHERE)) == ["new"]


def test_those_without_a_record_do_not_count() -> None:
    assert lacking([snapshot(record=None)], [], WEST) == []


def test_an_empty_destination_lacks_all_latest() -> None:
    source = [
        snapshot("2026-11-24T03:00", volume="a", name="a-new"),
        snapshot("2026-11-23T03:00", volume="a", name="a-old"),
        snapshot("2026-11-22T03:00", volume="b", name="b-new"),
    ]
    assert names(lacking(source, [], WEST)) == ["b-new", "a-new"]


def test_what_has_a_replica_is_not_lacking() -> None:
    a = snapshot("2026-11-24T03:00", volume="a", name="a")
    b = snapshot("2026-11-24T03:00", volume="b", name="b")
    assert names(lacking([a, b], [replica_of(a)], WEST)) == ["b"]


def test_what_is_just_being_replicated_is_not_lacking() -> None:
    source = snapshot()
    assert lacking([source], [replica_of(source, state="pending")], WEST) == []


def test_an_older_replica_does_not_do_for_the_latest() -> None:
    old = snapshot("2026-11-23T03:00", name="old")
    new = snapshot("2026-11-24T03:00", name="new")
    assert names(lacking([old, new], [replica_of(old)], WEST)) == ["new"]


def test_an_older_one_is_not_wanted_when_the_latest_is_there() -> None:
    old = snapshot("2026-11-23T03:00", name="old")
    new = snapshot("2026-11-24T03:00", name="new")
    assert lacking([old, new], [replica_of(new)], WEST) == []


def test_descriptions_are_not_compared() -> None:
    source = snapshot(description="said in one way")
    assert lacking([source], [replica_of(source, description="said in another")], WEST) == []


def test_a_second_of_difference_makes_another_snapshot() -> None:
    source = snapshot("2026-11-24T03:00:00", name="source")
    almost = replica_of(snapshot("2026-11-24T03:00:01"))
    assert names(lacking([source], [almost], WEST)) == ["source"]


def test_another_region_with_the_same_volume_id_makes_another_snapshot() -> None:
    source = snapshot(name="source")
    stranger = snapshot(region="us-west-2", volume="a")
    assert names(lacking([source], [stranger], WEST)) == ["source"]


def test_nothing_goes_back_to_where_it_was_taken() -> None:
    replica_in_the_source = snapshot(region=WEST, place=Place("us-east-1"))
    assert lacking([replica_in_the_source], [], WEST) == []


def test_foreign_snapshots_in_the_destination_are_nothing() -> None:
    source = snapshot(name="source")
    foreign = snapshot(record=None, volume_id=vol("a"))
    assert names(lacking([source], [foreign], WEST)) == ["source"]


def test_the_order_of_the_input_does_not_matter() -> None:
    source = [
        snapshot(f"2026-11-{day:02}T03:00", volume=letter, name=f"{letter}-{day}")
        for day in (21, 22, 23)
        for letter in "abcd"
    ]
    there = [replica_of(source[-1])]
    expected = ["a-23", "b-23", "c-23"]
    for seed in range(5):
        shuffled = Random(seed).sample(source, len(source))
        assert names(lacking(shuffled, there, WEST)) == expected


# Sets.


def member(taken: str, volume: str, set_id: str, **others: Any) -> Snapshot:
    return snapshot(taken, volume=volume, set_id=set_id, name=f"{set_id}-{volume}", **others)


def planned(here: list[Snapshot], there: Sequence[Snapshot] = ()) -> ReplicationPlan:
    return plan_replication(Place("us-east-1"), Place(WEST), here, there)


def sources(steps: Sequence[Step]) -> list[str]:
    return [step.source.snapshot_id for step in steps]


def test_all_members_of_the_latest_set_go_together() -> None:
    old = [member("2026-11-23T03:00", volume, "old") for volume in "ab"]
    new = [member("2026-11-24T03:00", volume, "new") for volume in "ab"]
    assert sources(planned([*old, *new]).steps) == ["new-a", "new-b"]


def test_a_set_goes_whole_where_one_of_its_members_is_the_latest_of_its_volume() -> None:
    whole = [member("2026-11-23T03:00", volume, "set") for volume in "ab"]
    lone = snapshot("2026-11-24T03:00", volume="a", name="lone")
    assert sources(planned([*whole, lone]).steps) == ["set-a", "set-b", "lone"]


def test_of_a_set_that_is_there_in_part_the_rest_goes() -> None:
    whole = [member("2026-11-23T03:00", volume, "set") for volume in "ab"]
    plan = planned(whole, [replica_of(whole[0])])
    assert sources(plan.steps) == ["set-b"]
    assert [known.source.snapshot_id for known in plan.known] == ["set-a"]


def test_the_base_is_the_newest_completed_replica_of_the_volume() -> None:
    sources_of_a = [snapshot(f"2026-11-{day}T03:00", name=f"a-{day}") for day in (20, 21, 22, 23)]
    there = [
        replica_of(sources_of_a[0]),
        replica_of(sources_of_a[1]),
        replica_of(sources_of_a[2], state="pending"),
    ]
    (step,) = planned(sources_of_a, there).steps
    assert step.base == there[1]


def test_a_pending_member_makes_its_whole_set_wait_and_the_one_before_stands_by() -> None:
    old = [member("2026-11-23T03:00", volume, "old") for volume in "ab"]
    new = [
        member("2026-11-24T03:00", "a", "new"),
        member("2026-11-24T03:00", "b", "new", state="pending"),
    ]
    other = snapshot("2026-11-20T03:00", volume="c", name="c")
    plan = planned([*old, *new, other])
    assert sources(plan.steps) == ["c"]
    (waiting,) = plan.waiting
    assert sources(waiting.pending) == ["new-a", "new-b"]
    assert sources(waiting.instead) == ["old-a", "old-b"]


def test_what_stands_by_is_only_what_is_lacking() -> None:
    old = snapshot("2026-11-23T03:00", name="old")
    new = snapshot("2026-11-24T03:00", name="new", state="pending")
    (waiting,) = planned([old, new], [replica_of(old)]).waiting
    assert waiting.instead == ()


def test_a_replica_in_error_is_none_and_is_told() -> None:
    source = snapshot(name="source")
    broken = replica_of(source, state="error")
    plan = planned([source], [broken])
    assert sources(plan.steps) == ["source"]
    assert plan.broken == (broken,)
    assert planned([source], [broken, replica_of(source)]).broken == ()


def test_of_two_replicas_in_the_source_one_goes_the_completed_one_first() -> None:
    native = snapshot("2026-11-24T03:00", region="us-west-2")
    first = replace(replica_of(native, "us-east-1", state="pending"), snapshot_id="first")
    second = replace(first, snapshot_id="second", state="completed")
    third = replace(second, snapshot_id="third")
    assert sources(planned([first, third, second]).steps) == ["second"]


REPLICATED = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(1, 5),
        st.sampled_from(["completed", "completed", "completed", "pending", "error"]),
        st.sampled_from(["", "there", "on its way", "failed"]),
        st.sampled_from(["", "us-east-1", WEST]),
    ),
    max_size=12,
)
STATES = {"there": "completed", "on its way": "pending", "failed": "error"}


@given(REPLICATED)
def test_whatever_there_is_the_plan_keeps_its_promises(told: Any) -> None:
    here, there = [], []
    for number, (volume, day, state, replica, region) in enumerate(told):
        one = snapshot(
            f"2026-11-{day:02}T03:00", volume=volume, name=f"snap-{number}", state=state,
            set_id=f"set-{day}", region=region or "us-east-1", place=Place("us-east-1"),
        )  # fmt: skip
        here.append(one)
        if replica:
            there.append(replica_of(one, state=STATES[replica]))
    plan = planned(here, there)
    waiting = [step for one in plan.waiting for step in (*one.pending, *one.instead)]
    counted = {s.record.identity for s in there if s.record and s.state != "error"}
    identities = [step.record.identity for step in plan.steps]
    assert len(set(identities)) == len(identities)
    for step in (*plan.steps, *waiting):
        assert step.record.identity not in counted
        assert step.record.region != WEST
        assert step.base is None or step.base.state == "completed"
    assert all(step.source.state == "completed" for step in plan.steps)
    assert all(step.source.state == "completed" for one in plan.waiting for step in one.instead)
    taken = [step.record.taken_at for step in plan.steps]
    assert taken == sorted(taken)
    # Carried out, nothing is lacking any more.
    done = [*there, *(replica_of(step.source) for step in (*plan.steps, *waiting))]
    assert planned(here, done).lacking == []
    # Nothing is both known and to be done.
    assert not {known.source.snapshot_id for known in plan.known} & set(sources(plan.steps))


def test_of_two_sets_with_one_id_the_later_is_replicated() -> None:
    late, told = (
        [
            snapshot(f"2026-11-24T03:0{minute}", volume=v, name=f"{v}{minute}", set_id="set-1")
            for v in "ab"
        ]
        for minute in (0, 1)
    )
    assert names(lacking([*late, *told], [], WEST)) == ["a1", "b1"]
