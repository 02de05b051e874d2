"""Volumes with as many pending snapshots as EC2 allows: left out, or waited for, never lost."""

from __future__ import annotations

import json

import pytest

from snapback import backup_instances_by_tag, create_snapshot
from snapback.core.model import Place, Volume
from snapback.core.model.record import parse
from snapback.errors import ItemsFailed, VolumesBusy
from snapback.run import use
from snapback.words import Word
from tests.sandbox.conftest import instance

pytestmark = pytest.mark.usefixtures("sandbox")

DATA = [
    {"device": "/dev/sda1", "size": 8},
    {"device": "/dev/sdf", "size": 20},
    {"device": "/dev/sdg", "size": 500, "type": "st1"},
]


@pytest.fixture
def occupy(world):
    """Makes snapshots of a volume that stay pending; answers their ids."""

    def make(volume_id, count=5):
        return [world.ec2().create_snapshot(VolumeId=volume_id)["SnapshotId"] for _ in range(count)]

    return make


def ours(world):
    return [s for s in world.snapshots() if "snapback:set" in world.tags(s)]


def test_a_busy_data_volume_is_left_out_and_named(sandbox, load, fab, world, occupy):
    sandbox.configure(snapshot_seconds=3600)
    ids = load(instance("web", volumes=DATA), instance("db", 8))
    volumes = ids["web"]["volumes"]
    (cold,), hot = occupy(volumes["/dev/sdg"], 1), occupy(volumes["/dev/sdf"])
    ended = fab("backup_instances_by_tag", "--json")
    assert ended.code == 3
    item = ended.item(ids["web"]["instance_id"])
    assert item["outcome"] == "busy"
    assert {one["volume"]: one["snapshot"] in {cold, *hot} for one in item["busy"]} == {
        volumes["/dev/sdf"]: True,
        volumes["/dev/sdg"]: True,
    }
    assert all(one["progress"] == "0%" for one in item["busy"])
    assert cold in ended.err
    assert ended.item(ids["db"]["instance_id"])["outcome"] == "done"
    (taken,) = [s for s in ours(world) if s["VolumeId"] == volumes["/dev/sda1"]]
    tags = world.tags(taken)
    assert tags["snapback:partial"].split() == sorted([volumes["/dev/sdf"], volumes["/dev/sdg"]])
    assert json.loads(tags["snapback:devices"]) == {"/dev/sda1": volumes["/dev/sda1"]}
    assert parse(taken["Description"], tags, taken["VolumeId"])
    assert len(ours(world)) == 2


def test_a_busy_root_defers_its_instance_and_none_other(sandbox, load, run, world, occupy):
    ids = load(*(instance(f"web-{number}", 8, 8) for number in range(4)))
    sandbox.set_clock(speed=0)
    sandbox.configure(snapshot_seconds=300)
    roots = [ids[f"web-{number}"]["volumes"]["/dev/sda1"] for number in range(4)]
    for root in roots[:3]:
        occupy(root)
    began = sandbox.now()
    sandbox.clear_calls()
    outcomes = backup_instances_by_tag("us-east-1")
    assert {outcome.word for outcome in outcomes} == {Word.DONE}
    taken = {s["VolumeId"]: (s["StartTime"] - began).total_seconds() for s in ours(world)}
    assert len(taken) == 8
    assert taken[roots[3]] < 1
    assert all(300 <= taken[root] <= 330 for root in roots[:3])
    looks = [call for call in sandbox.calls("DescribeSnapshots") if call.time > began]
    assert len(looks) < 20
    assert len(sandbox.calls("CreateSnapshots")) == 4 + 3


def test_a_root_that_stays_busy_is_an_outcome_at_the_deadline(
    sandbox, load, begin, world, occupy, configure
):
    sandbox.configure(snapshot_seconds=36000)
    ids = load(instance("web", 8, 8), instance("db", 8))
    pending = occupy(ids["web"]["volumes"]["/dev/sda1"])
    with use(begin(configure(minutes_for_snap=5))), pytest.raises(ItemsFailed) as caught:
        backup_instances_by_tag("us-east-1")
    words = {outcome.facts["name"]: outcome.word for outcome in caught.value.outcomes}
    assert words == {"web": Word.TIMED_OUT, "db": Word.DONE}
    assert caught.value.exit_code == 1
    assert any(snapshot_id in str(caught.value) for snapshot_id in pending)
    assert len(ours(world)) == 1


def test_a_free_root_does_not_wait_for_busy_data(sandbox, load, run, world, occupy):
    ids = load(instance("web", 8, 8))["web"]["volumes"]
    sandbox.set_clock(speed=0)
    sandbox.configure(snapshot_seconds=60)
    occupy(ids["/dev/sda1"])
    sandbox.advance(30)
    occupy(ids["/dev/sdf"])
    with pytest.raises(ItemsFailed) as caught:
        backup_instances_by_tag("us-east-1")
    assert [outcome.word for outcome in caught.value.outcomes] == [Word.BUSY]
    assert [s["VolumeId"] for s in ours(world)] == [ids["/dev/sda1"]]


def test_snapshots_deleted_while_pending_are_waited_for_unseen(sandbox, load, run, world, occupy):
    ids = load(instance("web", 8))["web"]["volumes"]
    sandbox.set_clock(speed=0)
    sandbox.configure(snapshot_seconds=120)
    for snapshot_id in occupy(ids["/dev/sda1"]):
        world.ec2().delete_snapshot(SnapshotId=snapshot_id)
    sandbox.clear_calls()
    (outcome,) = backup_instances_by_tag("us-east-1")
    assert outcome.word is Word.DONE
    assert len(sandbox.calls("CreateSnapshots")) < 12


def test_one_volume_is_waited_for_too(sandbox, load, begin, occupy, configure):
    volume_id = load(instance("web", 8))["web"]["volumes"]["/dev/sda1"]
    sandbox.set_clock(speed=0)
    sandbox.configure(snapshot_seconds=120)
    volume = Volume(place=Place("us-east-1"), volume_id=volume_id)
    occupy(volume_id)
    with use(begin(configure(minutes_for_snap=1))), pytest.raises(VolumesBusy, match=volume_id):
        create_snapshot(volume, synchronously=False)
    with use(begin(configure(minutes_for_snap=5))):
        assert create_snapshot(volume, synchronously=False).record


def test_when_the_run_stops_the_deferred_are_not_done(sandbox, load, begin, occupy):
    sandbox.configure(snapshot_seconds=3600)
    ids = load(instance("web", 8), instance("db", 8))
    occupy(ids["web"]["volumes"]["/dev/sda1"])
    run = begin()
    waited = run.stop.wait
    run.stop.wait = lambda seconds: bool(seconds) or waited(seconds)
    with use(run), pytest.raises(ItemsFailed) as caught:
        backup_instances_by_tag("us-east-1")
    words = {outcome.facts["name"]: outcome.word for outcome in caught.value.outcomes}
    assert words == {"web": Word.NOT_DONE, "db": Word.DONE}
