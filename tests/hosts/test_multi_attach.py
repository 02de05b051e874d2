"""A volume of two running hosts: each has the disk, and no freeze of one holds the other."""

from __future__ import annotations

from tests.sandbox.conftest import instance

ROOT = {"device": "/dev/sda1", "size": 4}
DATA = {
    "device": "/dev/sdf",
    "size": 1,
    "type": "io2",
    "multi_attach": True,
    "filesystem": "ext4",
    "mount_point": "/data",
}


def test_a_shared_volume_is_crash_whatever_is_frozen(sandbox, load, fab, world, reachable):
    reachable()
    shares = {"device": "/dev/sdg", "shares": "a:/dev/sdf"}
    ids = load(instance("a", volumes=[ROOT, DATA]), instance("b", tags={}, volumes=[ROOT, shares]))
    volume, a, b = (
        ids["a"]["volumes"]["/dev/sdf"],
        ids["a"]["instance_id"],
        ids["b"]["instance_id"],
    )

    def judged() -> dict[str, str]:
        known = world.snapshot_ids()
        ended = fab("backup_instances_by_tag", "--consistent", "--json")
        item = ended.item(a)
        told = f"{volume}: another instance, {b}, may write to it"
        assert (ended.code, item["explanation"]) in ((0, ""), (3, told)), ended
        new = [s for s in world.snapshots() if s["SnapshotId"] not in known]
        words = {s["VolumeId"]: world.tags(s)["snapback:consistency"] for s in new}
        assert ended.code == (3 if "crash" in words.values() else 0)
        return {"root": words[ids["a"]["volumes"]["/dev/sda1"]], "data": words[volume]}

    mark = "written by a, read by b"
    sandbox.hosts.run(a, f"echo '{mark}' >/data/mark; sync -f /data")
    _, seen, _ = sandbox.hosts.run(b, "dd if=/dev/nvme1n1 bs=1M count=256 | grep -c 'read by b'")
    assert int(seen) > 0
    assert judged() == {"root": "filesystem", "data": "crash"}
    dry = fab("backup_instances_by_tag", "--consistent", "--dry-run")
    assert (dry.code, f"another instance, {b}, may write to it" in dry.out) == (3, True)
    world.ec2().detach_volume(VolumeId=volume, InstanceId=b)
    assert judged() == {"root": "filesystem", "data": "filesystem"}
