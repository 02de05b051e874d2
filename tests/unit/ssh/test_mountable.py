"""What on a disk can be mounted, and how the rest is told."""

from __future__ import annotations

import pytest

from snapback.core.disks.filesystems import Found
from snapback.errors import CommandFailed
from snapback.ssh.mountable import Mountable, described, is_mountable, listed, why_not_mounted


@pytest.mark.parametrize("fs_type", ["ext2", "ext3", "ext4", "xfs", "btrfs", "vfat"])
def test_file_systems_are_mounted(fs_type: str) -> None:
    assert is_mountable(Found(size=1, fs_type=fs_type))
    assert not is_mountable(Found(size=1, fs_type=fs_type, is_ambivalent=True))
    assert not is_mountable(Found(size=1, fs_type=fs_type, table="dos"))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"fs_type": "crypto_LUKS"}, "LUKS, which only its key opens"),
        ({"fs_type": "LVM2_member"}, "a part of an LVM volume group"),
        ({"fs_type": "linux_raid_member"}, "a member of a RAID"),
        ({"fs_type": "swap"}, "swap, which holds no files"),
        ({"fs_type": "ntfs"}, "ntfs"),
        ({"table": "gpt"}, "a partition table (gpt) that isn't looked into"),
        ({"table": "bsd"}, "a partition table (bsd) that isn't looked into"),
        ({"fs_type": "ext4", "table": "dos"},
         "ext4 and a partition table (dos), which contradict each other"),
        ({"is_ambivalent": True}, "signatures that contradict each other"),
        ({}, "nothing known"),
    ],
)  # fmt: skip
def test_what_else_there_is_has_a_name(found: dict[str, str], said: str) -> None:
    assert not is_mountable(Found(size=1, **found))  # type: ignore[arg-type]
    assert described(Found(size=1, **found)) == said  # type: ignore[arg-type]


def test_why_something_is_not_mounted_is_told_by_partition() -> None:
    efi = Mountable(15, "/dev/nvme1n1p15", "vfat", 1)

    def said(stderr: str) -> str:
        error = CommandFailed("web", "us-east-1", ["mount"], "mount", 32, stderr)
        return why_not_mounted(efi, error)

    lacking = said("mount: /run/snapback-0: unknown filesystem type 'vfat'.")
    assert lacking == "vfat, which the kernel of the temporary instance can't mount"
    assert said("mount: bad superblock") == "vfat, which can't be mounted: mount: bad superblock"
    assert listed({15: "vfat", 1: "swap"}) == "partition 1: swap; partition 15: vfat"
    assert listed({0: "nothing known"}) == "nothing known"
