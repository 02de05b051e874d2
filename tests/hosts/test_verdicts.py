"""What looks well and isn't, what isn't known, and what is well although it can't be mounted."""

from __future__ import annotations

from typing import Any

from tests.hosts.test_verify import BTRFS, EXT4, TEMPORARY, XFS, fleet
from tests.sandbox.replicas import EAST

__all__ = ["fleet"]

RAW = {"device": "/dev/sdk", "size": 1}
FILL_RAW = "head -c 3000000 /dev/urandom >/dev/nvme4n1; sync /dev/nvme4n1\n"
GARBAGE = bytes(range(1, 256)) * 258
EXT_GROUP = 128 << 20
"""So far apart are the groups of an ext4 with blocks of 4096 bytes."""


def verdicts(fab: Any, *arguments: str) -> tuple[int, dict[str, tuple[str, str]]]:
    ended = fab("verify_region", EAST, "--json", *arguments)
    items = [item for item in ended.document["items"] if "device" in item]
    return ended.code, {i["device"]: (i["outcome"], i["explanation"]) for i in items}


def test_a_lost_superblock_is_no_unknown_format(fleet, fab, sandbox, reachable):
    web = fleet(EXT4, XFS, BTRFS, RAW, more=FILL_RAW)
    assert fab("verify_snapshot", "--snapshot-id", web.snapshot("/dev/sdf")).code == 0
    web.back_up()
    copies = [(EXT_GROUP * group, bytes(4096)) for group in (1, 3, 5, 7)]
    for device, damage in {
        "/dev/sda1": [(0, bytes(34 * 512))],
        "/dev/sdf": [(0, bytes(65536)), *copies],
        "/dev/sdg": [(0, GARBAGE)],
        "/dev/sdh": [(0, bytes(131072))],
    }.items():
        for offset, data in damage:
            sandbox.hosts.damage(web.snapshot(device), offset, data)
    code, found = verdicts(fab, "--sample=5")
    assert code == 1
    assert {device: word for device, (word, _) in found.items()} == {
        "/dev/sda1": "no verdict",
        "/dev/sdf": "corrupt",
        "/dev/sdg": "corrupt",
        "/dev/sdh": "corrupt",
        "/dev/sdk": "no verdict",
    }
    assert "gpt: its protective MBR or first table is damaged" in found["/dev/sda1"][1]
    assert "; partition 1: ext4, " in found["/dev/sda1"][1]
    assert "an earlier snapshot has on it what isn't there now: ext4" in found["/dev/sdf"][1]
    assert "the copy at byte 268435456 is of xfs" in found["/dev/sdg"][1]
    assert "the copy at byte 67108864 is of btrfs" in found["/dev/sdh"][1]
    refused = fab("restore_instance", "--instance-id", web.instance_id, "--dry-run")
    assert "was found corrupt" in refused.err + refused.out
    # What isn't known is the user's to tell.
    raw = ("verify_snapshot", "--snapshot-id", web.snapshot("/dev/sdk"))
    for command, said in (
        ('test -b "$SNAPBACK_BLOCK_DEVICE" && test -z "$(ls -A)"', (0, "proved by verify_command")),
        ("echo no such data >&2; exit 7", (3, "verify_command ended with 7: no such data")),
    ):
        reachable(temporary=TEMPORARY, verify={"verify_command": command})
        ended = fab(*raw)
        assert (ended.code, said[1] in ended.out + ended.err) == (said[0], True), ended
    assert web.verdict(raw[2]).word == "unknown"


DISKS = [{"device": f"/dev/sd{letter}", "size": 1} for letter in "klmnopqr"]
STRANGE = r"""
mkfs.btrfs -q -f -d raid0 -m raid1 /dev/nvme2n1 /dev/nvme3n1; mkdir /two
mount -o device=/dev/nvme3n1 /dev/nvme2n1 /two
for n in $(seq 40); do head -c 300000 /dev/urandom >/two/$n; done
umount /two; btrfs device scan --forget
mkfs.xfs -q -m crc=0 /dev/nvme4n1
mke2fs -q -F -t ext4 -b 65536 /dev/nvme5n1
mke2fs -q -F -O journal_dev /dev/nvme6n1; mke2fs -q -F -t ext4 -J device=/dev/nvme6n1 /dev/nvme7n1
mkfs.xfs -q -l logdev=/dev/nvme8n1 /dev/nvme9n1
sync
"""


def test_corrupt_takes_more_than_that_it_cannot_be_mounted_here(fleet, fab, sandbox, world):
    web = fleet(EXT4, *DISKS, more=STRANGE)
    web.back_up()  # so there are two of each file system at the same time
    code, found = verdicts(fab)
    assert code == 3
    for device, word, says in (
        ("k", "ok", "btrfs, 40 entries"),
        ("l", "ok", "btrfs, 40 entries"),
        ("m", "no verdict", "xfs_repair finds nothing wrong, but this kernel can't mount it"),
        ("m", "no verdict", "(it is of version 4, its blocks have 4096 bytes): "),
        ("n", "no verdict", "e2fsck finds nothing wrong, but this kernel can't mount it"),
        ("n", "no verdict", "(its blocks have 65536 bytes): "),
        ("o", "opaque", "jbd"),
        ("p", "no verdict", "its journal is on another device"),
        ("q", "opaque", "xfs_external_log"),
        ("r", "no verdict", "its log is on another device"),
    ):
        assert found[f"/dev/sd{device}"][0] == word, found
        assert says in found[f"/dev/sd{device}"][1]
    assert fab("check").code == 0
    assert fab("restore_instance", "--instance-id", web.instance_id, "--dry-run").code == 0
    one, other, xfs = (web.snapshot(f"/dev/sd{device}") for device in "klm")
    ended = fab("mount_snapshot", "--snapshot-id", one)
    assert ended.code == 1
    assert "is on 2 volumes: this is number 1, and can't be mounted without" in ended.err
    sandbox.hosts.damage(xfs, 512, bytes(100))
    world.ec2().delete_snapshot(SnapshotId=other)
    ended = fab("verify_snapshot", "--snapshot-id", one)
    assert "no verdict: btrfs: only 1 of its 2 devices are in its set" in ended.err
    ended = fab("verify_snapshot", "--snapshot-id", xfs)
    assert "corrupt: xfs: xfs_repair: " in ended.err
    assert "Phase" not in ended.err
