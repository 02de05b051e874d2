"""What is called good, corrupt, or neither: what looks well and isn't, and the reverse."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hosts.test_verify import BTRFS, EXT4, XFS, fleet

__all__ = ["fleet"]

DISKS = [{"device": f"/dev/sd{letter}", "size": 1} for letter in "klmnopqr"]
STRANGE = r"""
two="/dev/nvme2n1 /dev/nvme3n1"
mkfs.btrfs -q -f -d raid0 -m raid1 $two; mkdir /two
mount -o device=/dev/nvme3n1 /dev/nvme2n1 /two
for n in $(seq 40); do head -c 300000 /dev/urandom >/two/$n; done
umount /two; btrfs device scan --forget
mkfs.xfs -q -m crc=0 /dev/nvme4n1
mke2fs -q -F -t ext4 -b 65536 /dev/nvme5n1
mke2fs -q -F -O journal_dev /dev/nvme6n1; mke2fs -q -F -t ext4 -J device=/dev/nvme6n1 /dev/nvme7n1
mkfs.xfs -q -l logdev=/dev/nvme8n1 /dev/nvme9n1
sync
"""
RAW = {"device": "/dev/sdk", "size": 1}
GARBAGE = bytes(range(1, 256)) * 257


def verdicts(fab: Any, *arguments: str) -> tuple[int, dict[str, tuple[str, str]]]:
    ended = fab("verify_region", "us-east-1", "--json", *arguments)
    items = [item for item in ended.document["items"] if "device" in item]
    return ended.code, {i["device"]: (i["outcome"], i["explanation"]) for i in items}


def show(fab, web, said):
    import sys
    print(said, file=sys.stderr)
    for arguments in (("check",), ("restore_instance", "--instance-id", web.instance_id, "--dry-run")):
        ended = fab(*arguments)
        print(arguments[0], ended.code, ended.out[-300:], ended.err[-300:], file=sys.stderr)


def test_what_this_kernel_cannot_mount(fleet, fab, sandbox, world):
    web = fleet(EXT4, *DISKS, more=STRANGE)
    web.back_up()
    show(fab, web, verdicts(fab))
    for s in world.snapshots():
        print(s["VolumeId"], world.tags(s).get("snapback:verified"))
    ended = fab("mount_snapshot", "--snapshot-id", web.snapshot("/dev/sdk"))
    print(ended.code, ended.err)
    sandbox.hosts.damage(web.snapshot("/dev/sdm"), 512, bytes(100))
    world.ec2().delete_snapshot(SnapshotId=web.snapshot("/dev/sdl"))
    for device in "km":
        ended = fab("verify_snapshot", "--snapshot-id", web.snapshot(f"/dev/sd{device}"))
        print(ended.code, ended.err)
    assert 0


def test_a_lost_superblock(fleet, fab, sandbox, world):
    more = "head -c 3000000 /dev/urandom >/dev/nvme4n1; sync /dev/nvme4n1\n"
    web = fleet(EXT4, XFS, BTRFS, RAW, more=more)
    for device, data in (
        ("/dev/sda1", bytes(17408)),
        ("/dev/sdf", bytes(65536)),
        ("/dev/sdg", GARBAGE),
        ("/dev/sdh", bytes(131072)),
    ):
        sandbox.hosts.damage(web.snapshot(device), 0, data)
    show(fab, web, verdicts(fab))
    for s in world.snapshots(): print(world.tags(s).get("snapback:verified"))
    assert 0
