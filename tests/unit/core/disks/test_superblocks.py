"""Copies of superblocks: where they are, and what is taken for one. The images are real."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from snapback.core.disks.superblocks import (
    BTRFS_AT,
    LENGTH,
    copy_at,
    places,
    read_btrfs,
    read_xfs,
)

MIB = 1 << 20


def made(path: Path, size: int, *command: str) -> int:
    """Make a file system in a sparse file; return a descriptor of it."""
    with path.open("wb") as file:
        file.truncate(size)
    subprocess.run([*command, str(path)], check=True, capture_output=True)
    return os.open(path, os.O_RDWR)


def copies(image: int, size: int) -> set[str]:
    found = {copy_at(at, os.pread(image, LENGTH, at), size) for at in places(size)}
    return found - {""}


EXT = "ext2, ext3 or ext4"


@pytest.mark.parametrize(
    ("size", "command", "what"),
    [
        (64 * MIB, ("mke2fs", "-q", "-F", "-t", "ext2", "-b", "1024"), EXT),
        (64 * MIB, ("mke2fs", "-q", "-F", "-t", "ext3", "-b", "2048"), EXT),
        (300 * MIB, ("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096"), EXT),
        (9000 * MIB, ("mke2fs", "-q", "-F", "-t", "ext4", "-b", "65536"), EXT),
        (300 * MIB, ("mke2fs", "-q", "-F", "-t", "ext4", "-O", "sparse_super2"), EXT),
        (301 * MIB, ("mkfs.xfs", "-q"), "xfs"),
        (300 * MIB + 4096, ("mkfs.xfs", "-q", "-m", "crc=0", "-b", "size=1024"), "xfs"),
        (300 * MIB, ("mkfs.btrfs", "-q"), "btrfs"),
    ],
)
def test_the_copies_of_a_lost_superblock_are_found(
    tmp_path: Path, size: int, command: tuple[str, ...], what: str
) -> None:
    image = made(tmp_path / "image", size, *command)
    os.pwrite(image, os.urandom(BTRFS_AT + LENGTH), 0)
    assert copies(image, size) == {what}
    assert all(at + LENGTH <= size for at in places(size))
    os.close(image)


def test_an_xfs_that_grew_has_its_copies_where_its_groups_begin(tmp_path: Path) -> None:
    image = made(tmp_path / "image", 300 * MIB, "mkfs.xfs", "-q")
    first = read_xfs(os.pread(image, LENGTH, 0))
    assert first
    assert (first.version, first.groups, first.has_own_log) == (5, 4, True)
    second = os.pread(image, LENGTH, first.group)
    assert copy_at(first.group, second, 10 << 30) == "xfs"
    assert copy_at(first.group + 4096, second, 10 << 30) == ""  # in an image in a file
    assert copy_at(4 * first.group, second, 10 << 30) == ""  # beyond its end
    assert copy_at(first.group, second, 200 * MIB) == ""
    os.close(image)


def test_noise_is_no_superblock() -> None:
    for data in (b"", bytes(LENGTH), b"\xff" * LENGTH, b"XFSB" * 1024, os.urandom(LENGTH)):
        assert not any(copy_at(at, data, 1 << 40) for at in places(1 << 40))
        assert read_btrfs(data) is None
    magic = bytearray(LENGTH)
    magic[56:58] = b"\x53\xef"
    assert copy_at(128 << 20, bytes(magic), 1 << 40) == ""


def test_a_btrfs_says_how_many_devices_it_has(tmp_path: Path) -> None:
    other = tmp_path / "other"
    with other.open("wb") as file:
        file.truncate(150 * MIB)
    image = made(tmp_path / "image", 150 * MIB, "mkfs.btrfs", "-q", "-d", "raid0", str(other))
    first = read_btrfs(os.pread(image, LENGTH, BTRFS_AT))
    assert first
    assert (first.devices, len(first.fsid)) == (2, 36)
    assert read_btrfs(os.pread(image, LENGTH, BTRFS_AT), 64 << 20) is None
    os.close(image)
