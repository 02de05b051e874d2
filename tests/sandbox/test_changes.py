"""Instances that change between the listing and the call: detached, attached, stopped, gone."""

from __future__ import annotations

import threading

import pytest

from tests.sandbox.conftest import instance
from tests.sandbox.test_backup import UNREACHABLE
from tests.waiting import wait_until

EXCLUDED = {"snapback:exclude": ""}


@pytest.fixture
def meanwhile(sandbox, world):
    """Changes EC2 while a call of an action hangs, and then lets it go on."""
    threads = []

    def change(action, *changes, nth=1):
        sandbox.fault(action, "hang", seconds=600, nth=nth, region="us-east-1")

        def do():
            wait_until(sandbox.calls_hanging, f"{action} hangs")
            for name, parameters in changes:
                getattr(world.ec2(), name)(**parameters)
            sandbox.clear_faults()

        threads.append(threading.Thread(target=do))
        threads[-1].start()

    yield change
    for thread in threads:
        thread.join()


def web(load, data=1, **more):
    """Lay out an instance with a root, so many data volumes, and one that is left out."""
    devices = ["/dev/sda1", *(f"/dev/sd{letter}" for letter in "fghijklmno"[:data])]
    volumes = [{"device": device, "size": 1} for device in devices]
    volumes.append({"device": "/dev/sdp", "size": 1, "tags": EXCLUDED})
    ids = load(instance("web", volumes=volumes, **more))["web"]
    return ids["instance_id"], ids["volumes"]


def detached(volume):
    return "detach_volume", {"VolumeId": volume}


def devices_of(world):
    """The pieces of the map of devices that all snapshots have alike."""
    pieces = [
        {key: value for key, value in world.tags(one).items() if "snapback:devices" in key}
        for one in world.snapshots()
    ]
    assert all(one == pieces[0] for one in pieces)
    return pieces[0]


def restorable(fab, web_id):
    """The volumes of which ``restore_instance`` would restore, without ``--incomplete``."""
    ended = fab("restore_instance", "--instance-id", web_id, "--dry-run", "--json")
    assert ended.code == 0, ended.err
    return set(ended.item(web_id)["snapshots"])


@pytest.fixture(autouse=True)
def quick(sandbox):
    sandbox.configure(snapshot_seconds=0)


def test_an_excluded_volume_that_is_detached_costs_a_second_call(
    sandbox, load, fab, world, meanwhile
):
    web_id, volumes = web(load)
    meanwhile("CreateSnapshots", detached(volumes["/dev/sdp"]))
    ended = fab("backup_instances_by_tag", "--json")
    assert (ended.code, ended.err) == (0, "")
    item = ended.item(web_id)
    assert item["outcome"] == "done"
    assert f"{volumes['/dev/sdp']} was detached meanwhile" in item["explanation"]
    assert [call.outcome for call in sandbox.calls("CreateSnapshots")] == [
        "InvalidParameterValue",
        "ok",
    ]
    assert set(item["snapshots"]) == world.snapshot_ids()
    assert restorable(fab, web_id) == {"/dev/sda1", "/dev/sdf"}


def test_a_refusal_that_no_change_explains_is_not_repeated(sandbox, load, fab):
    web(load)
    sandbox.fault("CreateSnapshots", "error", count=None, code="InvalidParameterValue", message="?")
    assert fab("backup_instances_by_tag").code == 1
    assert len(sandbox.calls("CreateSnapshots")) == 1


def test_a_set_of_all_that_was_attached_at_the_call_is_whole(sandbox, load, fab, world, meanwhile):
    web_id, volumes = web(load, data=9)
    gone = [volumes[f"/dev/sd{letter}"] for letter in "ghijk"]
    meanwhile("CreateSnapshots", *map(detached, gone))
    ended = fab("backup_instances_by_tag", "--json")
    item = ended.item(web_id)
    assert (ended.code, item["outcome"], len(item["snapshots"])) == (0, "done", 5)
    assert all(f"{one} was detached meanwhile" in item["explanation"] for one in gone)
    assert devices_of(world).pop("snapback:devices.2") == ""  # nothing of the longer one is left
    assert restorable(fab, web_id) == {"/dev/sda1", "/dev/sdf", "/dev/sdl", "/dev/sdm", "/dev/sdn"}


def test_one_detached_and_one_attached_meanwhile(sandbox, load, fab, world, meanwhile):
    web_id, volumes = web(load)
    new = world.ec2().create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    meanwhile(
        "CreateSnapshots",
        detached(volumes["/dev/sdf"]),
        ("attach_volume", {"VolumeId": new, "InstanceId": web_id, "Device": "/dev/sdx"}),
    )
    ended = fab("backup_instances_by_tag", "--json")
    assert (ended.code, ended.item(web_id)["outcome"]) == (0, "done")
    assert restorable(fab, web_id) == {"/dev/sda1", "/dev/sdx"}


@pytest.mark.parametrize("action", ["DescribeVolumes", "CreateSnapshots"])
def test_an_instance_that_is_terminated_is_gone(sandbox, load, fab, world, meanwhile, action):
    web_id, _ = web(load)
    meanwhile(action, ("terminate_instances", {"InstanceIds": [web_id]}))
    ended = fab("backup_instances_by_tag", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.item(web_id)["outcome"] == "gone"
    assert world.snapshots() == []


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
@pytest.mark.parametrize("required", [False, True])
def test_so_it_is_where_its_host_can_not_be_reached_for_that(
    sandbox, load, fab, configure, meanwhile, dry, required
):
    configure(**UNREACHABLE, freeze={"require_consistent": required})
    web_id, _ = web(load)
    meanwhile("DescribeVolumes", ("terminate_instances", {"InstanceIds": [web_id]}))
    ended = fab("backup_instances_by_tag", "--consistent", "--json", *dry)
    assert (ended.code, ended.item(web_id)["outcome"]) == (0, "gone")


def test_one_that_was_stopped_meanwhile_is_taken_as_stopped(
    sandbox, load, fab, configure, meanwhile
):
    configure(**UNREACHABLE)
    web_id, _ = web(load)
    meanwhile("DescribeVolumes", ("stop_instances", {"InstanceIds": [web_id]}))
    ended = fab("backup_instances_by_tag", "--consistent", "--json")
    assert (ended.code, ended.item(web_id)["consistency"]) == (0, ["stopped"] * 2)


def test_what_was_taken_before_its_end_is_told(sandbox, load, fab, world, meanwhile):
    web_id, _ = web(load, state="stopped")
    gone = "terminate_instances", {"InstanceIds": [web_id]}
    meanwhile("DescribeInstances", gone, nth=2)
    ended = fab("backup_instances_by_tag", "--consistent", "--json")
    item = ended.item(web_id)
    assert (ended.code, item["outcome"], item["consistency"]) == (
        3,
        "less consistent",
        ["crash"] * 2,
    )
    assert set(item["snapshots"]) == world.snapshot_ids()
