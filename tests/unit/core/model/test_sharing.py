"""To which of its instances a shared volume counts, whatever order EC2 answers them in."""

from __future__ import annotations

from itertools import permutations

from snapback.core.model import Place, Volume
from snapback.core.model.sharing import in_charge, takers, written_by_others
from snapback.ec2.volumes import read
from tests.unit.builders import REGION, an_instance, vol

TAG = ("Earmarking", "production")
A, B = an_instance("a", "r", "x"), an_instance("b", "s", "x")
NOT = an_instance("0", "t", "x", tags={"Earmarking": "test"})


def test_the_first_by_id_of_those_with_the_earmark_is_in_charge() -> None:
    for some in permutations([A, B, NOT]):
        assert in_charge(some, TAG) == A
    for some in permutations([B, NOT]):
        assert in_charge(some, TAG) == B
    assert in_charge([NOT], TAG) == NOT


def test_only_what_several_have_is_taken_by_one_of_them() -> None:
    for some in permutations([A, B, NOT]):
        assert takers(some) == {vol("x"): "i-0"}
    assert takers([A, an_instance("c", "z")]) == {}


def test_who_else_may_write() -> None:
    volumes = [
        Volume(place=Place(REGION), volume_id=f"vol-{len(ids)}", attachments=dict.fromkeys(ids, ""))
        for ids in ((), ("i-a",), ("i-a", "i-b"), ("i-c", "i-a", "i-b"))
    ]
    assert written_by_others(volumes, "i-a") == {
        "vol-2": "another instance, i-b, may write to it",
        "vol-3": "other instances, i-b and i-c, may write to it",
    }
    assert list(written_by_others(volumes, "")) == ["vol-1", "vol-2", "vol-3"]


def test_a_described_volume_knows_all_that_it_is_attached_to() -> None:
    said = {
        "VolumeId": vol("x"),
        "Attachments": [
            {"InstanceId": "i-b", "Device": "/dev/sdg"},
            {"InstanceId": "i-a", "Device": "/dev/sdf"},
        ],
    }
    found = read(Place(REGION), said)
    assert list(found.attachments.items()) == [("i-a", "/dev/sdf"), ("i-b", "/dev/sdg")]
    assert (found.instance_id, found.device_name) == ("i-a", "/dev/sdf")
    assert read(Place(REGION), {"VolumeId": vol("x")}).instance_id == ""
    task = "arn:aws:ecs:us-east-1:111122223333:task/one/0123"
    ecs = read(Place(REGION), {**said, "Attachments": [{"AssociatedResource": task}]})
    assert list(written_by_others([ecs], "i-a")) == [vol("x")]
