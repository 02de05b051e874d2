"""For fabfiles of one's own: rsync_mountpoints, update_snap, create_tmp_volume."""

from __future__ import annotations

from typing import Any

import pytest

from snapback import create_tmp_volume, rsync_mountpoints, update_snap
from snapback.core.model import Instance, Place, Volume
from snapback.core.model.record import parse
from snapback.errors import Collision, UsageError
from tests.hosts.replicas import Fleet, demand_exact, replicas, web
from tests.sandbox.conftest import World
from tests.sandbox.replicas import EAST, WEST

ENTRIES = """
cd /data
find . -printf '%P %y %m %U %G %T@ %l\\n' | sort
find . -type f -exec sha256sum {} + | sort
"""


def test_mount_points_are_made_alike(lay_out, real_run, fab):
    fleet = lay_out(
        us_east_1=[web(name="from", label="it's")],
        eu_west_1=[web(name="to", filesystem="xfs", label="old")],
    )
    fleet.shell("echo 'not in the source' >/data/extra", "to")
    ends = {
        name: [ids["instance_id"], ids["volumes"]["/dev/sdf"], "/data"]
        for region in fleet.ids.values()
        for name, ids in region.items()
    }
    words = [*ends["from"], *ends["to"]]
    looked = fab("rsync_mountpoints", *words, "--dry-run")
    assert looked.code == 0, looked.err
    fleet.shell("test -e /data/extra", "to")
    for wrong in (
        [*ends["from"][:2], "/", *ends["to"]],
        [*ends["from"], *ends["to"][:2], "/etc"],
        [*ends["from"], *ends["from"]],
        [*ends["from"], ends["to"][0], ends["from"][1], "/data"],
        ["i-0123456789abcdef0", *ends["from"][1:], *ends["to"]],
    ):
        with pytest.raises(UsageError):
            rsync_mountpoints(*wrong)
    fleet.shell("test -e /data/extra", "to")
    ended = fab("rsync_mountpoints", *words, "--json")
    assert ended.code == 0, ended.err
    (item,) = ended.document["items"]
    assert item["outcome"] == "done"
    assert item["mb_read"] > 1
    assert fleet.shell(ENTRIES, "from") == fleet.shell(ENTRIES, "to")
    assert fleet.shell("lsblk -no LABEL /dev/nvme1n1", "to") == "it's\n"
    fleet.shell("cd /data; chattr +d empty", "from")
    ended = fab("rsync_mountpoints", *words, "--json")
    (item,) = ended.document["items"]
    assert (ended.code, item["outcome"]) == (3, "partial")
    assert item["explanation"] == (
        "by rsync; not all is there: one entry has what rsync can't carry: d (no dump)"
    )
    fleet.shell("cd /data; xfs_io -rc 'chattr +d' empty", "to")
    assert fab("rsync_mountpoints", *words).code == 0
    fleet.shell("cd /data; chattr -d empty", "from")
    ended = fab("rsync_mountpoints", *words)
    assert ended.code == 3
    assert "there is more than in the source: one entry has" in ended.out
    in_use = fab("rsync_mountpoints", *words, "--encr")
    assert (in_use.code, "/data" in in_use.err) == (2, True)


def test_a_volume_is_updated_and_becomes_the_replica(lay_out, sandbox, world, real_run):
    fleet = lay_out(us_east_1=[web(name="from")], eu_west_1=[web(name="to")])
    there = Volume(place=Place(WEST), volume_id=fleet.ids[WEST]["to"]["volumes"]["/dev/sdf"])
    source, origin = take(fleet, "/dev/sdh")
    with pytest.raises(UsageError, match="isn't mounted at /nowhere"):
        update_snap(source, "/nowhere", there, "/data", encr=False)
    fleet.shell("mkdir /twice; mount --bind /data /twice; touch /data/kept", "to")
    with pytest.raises(UsageError, match="is mounted at /data, /twice: leave one"):
        update_snap(source, "/dev-sdh", there, "/data", encr=False)
    fleet.shell("test -e /data/kept; umount /twice", "to")
    first = update_snap(source, "/dev-sdh", there, "/data", encr=False)
    assert first.record == parse(
        origin["Description"], world.tags(origin), origin["VolumeId"], origin["OwnerId"]
    )
    assert first.source_id == origin["SnapshotId"]
    assert fleet.shell("findmnt -no TARGET /dev/nvme1n1", "to") == "/data\n"
    with pytest.raises(Collision):
        update_snap(source, "/dev-sdh", there, "/data", encr=False)

    sandbox.complete_all()
    world.ec2(WEST).create_tags(
        Resources=[first.snapshot_id], Tags=[{"Key": "preserve_snapshot", "Value": ""}]
    )
    replica = attach(fleet, "to", WEST, first.snapshot_id, "/dev/sdg")
    second = update(fleet, replica, "/dev/sdi")
    assert replica_ids(world) == {first.snapshot_id, second}, "the old one is pinned"
    world.ec2(WEST).delete_tags(Resources=[first.snapshot_id], Tags=[{"Key": "preserve_snapshot"}])
    third = update(fleet, replica, "/dev/sdj")
    assert replica_ids(world) == {second, third}
    assert demand_exact(sandbox, world, WEST) == 2


def replica_ids(world: World) -> set[str]:
    return {replica["SnapshotId"] for replica in replicas(world, WEST)}


def update(fleet: Fleet, replica: Volume, device: str) -> str:
    """Change the source, and update the replica's volume from its next snapshot."""
    fleet.shell(f"echo {device} >>/data/more; sync", "from")
    source, _ = take(fleet, device)
    made = update_snap(
        source, f"/dev-{device[5:]}", replica, "/dev-sdg", encr=False, delete_old=True
    )
    return made.snapshot_id


def take(fleet: Fleet, device: str) -> tuple[Volume, dict[str, Any]]:
    """Back up, and answer a volume of the snapshot, mounted on its instance; and the snapshot."""
    fleet.back_up()
    here = [s for s in fleet.world.snapshots(EAST) if "snapback:source" not in fleet.world.tags(s)]
    newest = max(here, key=lambda snapshot: snapshot["StartTime"])
    return attach(fleet, "from", EAST, newest["SnapshotId"], device), newest


def attach(fleet: Fleet, name: str, region: str, snapshot_id: str, device: str) -> Volume:
    """Make a volume of a snapshot, and mount it on an instance: /dev/sdh at /dev-sdh."""
    ec2, instance_id = fleet.world.ec2(region), fleet.ids[region][name]["instance_id"]
    (found,) = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
    zone = found["Instances"][0]["Placement"]["AvailabilityZone"]
    volume_id = ec2.create_volume(SnapshotId=snapshot_id, AvailabilityZone=zone)["VolumeId"]
    ec2.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device=device)
    link = f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{volume_id.replace('-', '')}"
    fleet.shell(f"mkdir /dev-{device[5:]} && mount $(readlink -f {link}) /dev-{device[5:]}", name)
    return Volume(place=Place(region), volume_id=volume_id)


def test_a_volume_for_a_moment(lay_out, sandbox, world, real_run):
    fleet = lay_out(us_east_1=[web(name="from")])
    ids = fleet.ids[EAST]["from"]
    here = Instance(place=Place(EAST), instance_id=ids["instance_id"])
    data = Volume(place=Place(EAST), volume_id=ids["volumes"]["/dev/sdf"])
    with create_tmp_volume("eu-w", 1) as (volume, mount_point):
        rsync_mountpoints(here, data, "/data", volume.instance_id, volume, mount_point)
        said = sandbox.hosts.run(volume.instance_id, ENTRIES.replace("/data", mount_point))[1]
        assert said == fleet.shell(ENTRIES, "from")
    fleet.demand(0)
