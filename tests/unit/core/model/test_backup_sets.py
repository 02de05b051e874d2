"""Which snapshots belong together, what is missing, and which set is meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from snapback.core.model import Place, Record, Snapshot, record_of
from snapback.core.model.backup_sets import BackupSet, Choice, choose, set_with, sets_of
from snapback.core.model.record import describe_set, parse, set_tags
from snapback.core.model.tags import write_shared
from tests.unit.builders import at, instance, snapshot, vol

WEB = "i-0123456789abcdef0"
SDA, SDF = "/dev/sda1", "/dev/sdf"
BOTH = {SDA: vol("a"), SDF: vol("b")}


def member(taken: str, volume: str, set_id: str, *, devices: Any = None, **more: Any) -> Snapshot:
    """A member of a set that snapback took."""
    of = instance(root_device_name=SDA, architecture="x86_64", instance_type="m5.large")
    tags = {**set_tags(of, set_id, devices or BOTH), **more.pop("tags", {})}
    record = parse(describe_set(of, at(taken)), tags, vol(volume))
    assert record is not None
    return snapshot(taken, volume=volume, record=record, set_id=set_id, tags=tags, **more)


def whole(taken: str, set_id: str, **more: Any) -> list[Snapshot]:
    return [member(taken, "a", set_id, **more), member(taken, "b", set_id, **more)]


def alone(taken: str, volume: str = "a", **more: Any) -> Snapshot:
    """A snapshot that was taken by itself."""
    record = more.pop("record", None) or Record(
        region="us-east-1",
        volume=vol(volume),
        taken_at=at(taken),
        device=SDA if volume == "a" else f"/dev/sd{volume}",
        instance=WEB,
        root_device_name=SDA,
    )
    return snapshot(taken, volume=volume, record=record, **more)


def chosen(snapshots: list[Snapshot], until: str = "", incomplete: bool = False) -> Choice | str:
    moment: datetime | None = at(until) if until else None
    found = choose(sets_of(snapshots, WEB), moment, incomplete)
    return found if isinstance(found, Choice) else str(found)


def told(one: BackupSet) -> dict[str, str]:
    """What is missing from a set, in words."""
    return {volume: str(why) for volume, why in one.missing.items()}


def test_members_of_a_set_belong_together() -> None:
    first, second = sets_of([*whole("2026-11-01T03:00", "set-1"), alone("2026-10-01T03:00")], WEB)
    assert (first.set_id, len(first.members), first.missing) == ("set-1", 2, {})
    assert (second.set_id, len(second.members), second.missing) == ("", 1, {})
    assert first.root is first.members[0]


def test_those_of_other_instances_do_not_count() -> None:
    assert sets_of(whole("2026-11-01T03:00", "set-1"), "i-0000000000000000f") == []


def test_a_member_that_is_gone_is_missing_and_told() -> None:
    (one,) = sets_of(whole("2026-11-01T03:00", "set-1")[:1], WEB)
    assert told(one) == {vol("b"): "no snapshot of /dev/sdf in us-east-1"}
    said = chosen(whole("2026-11-01T03:00", "set-1")[:1])
    assert isinstance(said, str)
    assert vol("b") in said


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"state": "pending", "progress": "7%"}, "is pending (7%)"),
        ({"state": "error", "state_message": "no key"}, "ended in error: no key"),
        ({"storage_tier": "archive"}, "is archived"),
        (
            {"tags": {"snapback:verified": "2026-11-02T00:00:00Z corrupt ext4: errors"}},
            "was found corrupt on 2026-11-02 00:00: ext4: errors",
        ),
    ],
)
def test_a_member_that_cannot_be_restored_is_missing(more: dict[str, Any], says: str) -> None:
    root, data = whole("2026-11-01T03:00", "set-1")[0], member(
        "2026-11-01T03:00", "b", "set-1", **more
    )  # fmt: skip
    (one,) = sets_of([root, data], WEB)
    assert says in told(one)[vol("b")]


def test_a_second_copy_stands_in_for_a_broken_one() -> None:
    broken = member("2026-11-01T03:00", "b", "set-1", state="error", name="snap-broken")
    (one,) = sets_of([*whole("2026-11-01T03:00", "set-1"), broken], WEB)
    assert one.missing == {}
    assert "snap-broken" not in {s.snapshot_id for s in one.members}


def test_what_was_left_out_when_it_was_taken_is_missing() -> None:
    tags = {"snapback:partial": vol("c")}
    (one,) = sets_of(whole("2026-11-01T03:00", "set-1", tags=tags), WEB)
    assert "EC2 had no room" in told(one)[vol("c")]


def test_what_is_in_another_instance_s_set_is_missing() -> None:
    other = "i-0fedcba9876543210"
    forged = {vol("d"): "i-1\u001b[2J", "vol-1": other, "x": {}}
    shared = write_shared({vol("c"): other, **forged})  # type: ignore[dict-item]
    (one,) = sets_of(whole("2026-11-01T03:00", "set-1", tags=shared), WEB)
    assert told(one) == {vol("c"): f"left to the set of {other}, which shares it"}
    for nonsense in ("[]", "{", '"x"', "1"):
        tags = {"snapback:shared": nonsense}
        (one,) = sets_of(whole("2026-11-01T03:00", "set-1", tags=tags), WEB)
        assert one.missing == {}


def test_the_newest_whole_set_not_later() -> None:
    everything = [
        *whole("2026-11-01T03:00", "set-1"),
        *whole("2026-11-02T03:00", "set-2"),
        *whole("2026-11-03T03:00", "set-3")[:1],
    ]
    newest = chosen(everything)
    assert isinstance(newest, Choice)
    assert newest.chosen.set_id == "set-2"
    assert [one.set_id for one in newest.passed_over] == ["set-3"]
    earlier = chosen(everything, "2026-11-02T02:59")
    assert isinstance(earlier, Choice)
    assert (earlier.chosen.set_id, earlier.passed_over) == ("set-1", ())
    exact = chosen(everything, "2026-11-02T03:00")
    assert isinstance(exact, Choice)
    assert exact.chosen.set_id == "set-2"
    incomplete = chosen(everything, incomplete=True)
    assert isinstance(incomplete, Choice)
    assert incomplete.chosen.set_id == "set-3"


def test_one_without_its_root_is_never_taken() -> None:
    data_only = whole("2026-11-01T03:00", "set-1")[1:]
    assert isinstance(chosen(data_only, incomplete=True), str)


def test_before_the_first_there_is_none() -> None:
    said = chosen(whole("2026-11-01T03:00", "set-1"), "2026-10-31T00:00")
    assert said == "the oldest set is of 2026-11-01 03:00:00 UTC"
    assert chosen([]) == "there is none"


# Taken one by one: within ten minutes.


def test_snapshots_within_ten_minutes_belong_together() -> None:
    first, second = sets_of(
        [
            alone("2026-11-01T03:00"),
            alone("2026-11-01T03:10", "b"),
            alone("2026-11-02T03:00"),
            alone("2026-11-02T03:09", "b"),
        ],
        WEB,
    )
    assert [len(one.members) for one in (first, second)] == [2, 2]
    assert (first.missing, second.missing) == ({}, {})


def test_one_later_than_that_is_missing_from_both() -> None:
    everything = [
        *(alone("2026-10-01T03:00"), alone("2026-10-01T03:05", "b")),
        *(alone("2026-11-01T03:00"), alone("2026-11-01T03:11", "b")),
    ]
    late, early, before = sets_of(everything, WEB)
    assert told(early) == {vol("b"): "no snapshot within 10 min"}
    assert late.missing.keys() == {vol("a")}
    assert before.missing == {}
    choice = chosen(everything)
    assert isinstance(choice, Choice)
    assert choice.chosen == before


def test_a_volume_seen_before_and_after_is_missing_in_between() -> None:
    between = sets_of(
        [
            *(alone("2026-10-01T03:00"), alone("2026-10-01T03:01", "b")),
            alone("2026-10-02T03:00"),
            alone("2026-10-03T03:00"),
            *(alone("2026-10-04T03:00"), alone("2026-10-04T03:01", "b")),
        ],
        WEB,
    )
    assert [bool(one.missing) for one in between] == [False, True, True, False]


def test_a_lone_one_of_the_root_is_not_whole_where_a_set_names_more() -> None:
    everything = [*whole("2026-11-01T03:00", "set-1"), alone("2026-11-02T03:00")]
    choice = chosen(everything)
    assert isinstance(choice, Choice)
    assert choice.chosen.set_id == "set-1"
    assert told(choice.passed_over[0]) == {vol("b"): "no snapshot within 10 min"}


def test_the_set_of_a_snapshot() -> None:
    sets = sets_of([*whole("2026-11-01T03:00", "set-1"), alone("2026-12-01T03:00")], WEB)
    found = set_with(sets, sets[1].members[1].snapshot_id)
    assert isinstance(found, BackupSet)
    assert found.set_id == "set-1"
    assert set_with(sets, "snap-0") is None


def test_it_knows_its_place() -> None:
    (one,) = sets_of(whole("2026-11-01T03:00", "set-1", place=Place("eu-west-1")), WEB)
    assert one.place == Place("eu-west-1")


def test_what_names_others_with_the_id_of_a_set_is_another_set() -> None:
    forged = {**BOTH, "/dev/sda0": vol("c")}
    real = whole("2026-11-01T03:00", "set-1")
    stranger = member("2026-11-01T03:00", "c", "set-1", devices=forged)
    sets = sets_of([*real, stranger], WEB)
    assert sorted(len(one.members) for one in sets) == [1, 2]
    choice = chosen([*real, stranger])
    assert isinstance(choice, Choice)
    assert list(choice.chosen.members) == real


def test_two_volumes_that_were_one_device_are_both_missing() -> None:
    root = alone("2026-11-01T03:00", name="snap-1")
    record = replace(record_of(root), volume=vol("c"))
    other = alone("2026-11-01T03:05", "c", name="snap-2", record=record)
    (one,) = sets_of([root, other, alone("2026-11-01T03:00", "b")], WEB)
    why = "snap-1 and snap-2 are both of /dev/sda1"
    assert told(one) == {vol("a"): why, vol("c"): why}
    assert one.root is None
    assert "no set is whole" in str(chosen([root, other], incomplete=True))


def test_several_root_devices_are_none() -> None:
    root = alone("2026-11-01T03:00")
    record = replace(record_of(root), volume=vol("c"), device="/dev/a", root_device_name="/dev/a")
    (one,) = sets_of([root, alone("2026-11-01T03:05", "c", record=record)], WEB)
    assert told(one) == {"root": "its snapshots name several root devices: /dev/a, /dev/sda1"}
    assert one.root is None


def test_a_set_of_other_volumes_than_the_older_ones_is_told() -> None:
    older = whole("2026-11-01T03:00", "set-1")
    other = member("2026-11-02T03:00", "c", "set-2", devices={SDA: vol("c")})
    joined = member("2026-11-02T03:00", "a", "set-2", devices={SDA: vol("a")})
    for newest, is_unrelated in ((other, True), (joined, False)):
        choice = chosen([*older, newest])
        assert isinstance(choice, Choice)
        assert (choice.chosen.set_id, choice.is_unrelated) == ("set-2", is_unrelated)
    first = chosen([other])
    assert isinstance(first, Choice)
    assert not first.is_unrelated


def test_two_sets_with_one_id_are_told_apart_by_their_instant() -> None:
    def ids(snapshots: Sequence[Snapshot]) -> set[str]:
        return {one.snapshot_id for one in snapshots}

    late = whole("2026-11-01T03:00:00", "set-1")
    told = whole("2026-11-01T03:01:07", "set-1")
    assert [ids(one.members) for one in sets_of([*late, *told], WEB)] == [ids(told), ids(late)]
    assert isinstance(chosen([late[0], told[1]]), str)  # by counting it would be whole
    choice = chosen([*late, told[0], replace(told[1], state="pending")])
    assert isinstance(choice, Choice)
    assert ids(choice.chosen.members) == ids(late)
