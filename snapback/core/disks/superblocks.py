"""Superblocks: where the copies of a lost one are, and what is in one; pure.

A file system whose first superblock was overwritten looks as if nothing known were there. Its
copies say what it was.

Source: ext4's Documentation/filesystems/ext4/super.rst; xfs(5), xfs_sb.h; btrfs_tree.h.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

LENGTH = 4096
"""So many bytes, at most, are looked at for each."""
SCANNED = 4 << 30
"""So far from the begin each block is looked at: an XFS that grew has its copies anywhere."""
BTRFS_AT = 64 << 10

_EXT_MAGIC = 0xEF53
_EXT_GROUPS = (1, 3, 5, 7, 9)
_EXT_LARGEST_GROUP = 65528
_XFS_GROUPS = 4
_BTRFS_MAGIC = b"_BHRfS_M"
_BTRFS_COPIES = (64 << 20, 256 << 30)


@dataclass(frozen=True)
class Xfs:
    """A superblock of an XFS.

    :ivar block: the size of its blocks, in bytes.
    :ivar group: the size of its allocation groups, in bytes.
    :ivar groups: how many there are.
    :ivar has_own_log: whether its log is in it, not on another device.
    """

    version: int
    block: int
    size: int
    group: int
    groups: int
    has_own_log: bool


@dataclass(frozen=True)
class Btrfs:
    """A superblock of a btrfs.

    :ivar fsid: of the file system: on each of its devices the same.
    :ivar devices: how many it has.
    :ivar device: the number of this one.
    """

    fsid: str
    devices: int
    device: int


def places(size: int) -> list[int]:
    """Return where copies may be on a device of so many bytes, ascending.

    For XFS these are the groups of one that was made for the whole device, as mkfs.xfs cuts it.
    """
    found = {*_ext_places(), *_xfs_places(size), *_BTRFS_COPIES}
    return sorted(place for place in found if place + LENGTH <= size)


def _ext_places() -> Iterator[int]:
    for block in (1024 << power for power in range(7)):
        for group in _EXT_GROUPS:
            yield _ext_place(block, group)


def _ext_place(block: int, group: int) -> int:
    return (group * min(8 * block, _EXT_LARGEST_GROUP) + (block == 1024)) * block


def _xfs_places(size: int) -> Iterator[int]:
    for block in (512 << power for power in range(8)):
        group = -(-(size // block) // _XFS_GROUPS)
        for number in range(1, _XFS_GROUPS):
            yield number * group * block


def copy_at(place: int, data: bytes, size: int) -> str:
    """Return of which file system a copy of a superblock is at a place, or ``""``.

    :param data: what is there, of :data:`LENGTH`.
    :param size: of the device.
    """
    if _is_copy_of_ext(place, data, size):
        return "ext2, ext3 or ext4"
    xfs = read_xfs(data)
    if xfs and xfs.size <= size and not place % xfs.group and 0 < place // xfs.group < xfs.groups:
        return "xfs"
    if place in _BTRFS_COPIES and read_btrfs(data, place):
        return "btrfs"
    return ""


def _is_copy_of_ext(place: int, data: bytes, size: int) -> bool:
    if len(data) < 1024:
        return False
    (blocks,) = struct.unpack_from("<I", data, 4)
    (power,) = struct.unpack_from("<I", data, 24)
    magic, number = (struct.unpack_from("<H", data, at)[0] for at in (56, 90))
    if magic != _EXT_MAGIC or power > 6 or not number:
        return False
    block = 1024 << power
    return place == _ext_place(block, number) and 0 < blocks * block <= size


def read_xfs(data: bytes) -> Xfs | None:
    """Return what the superblock of an XFS says; ``None``: it is none."""
    if len(data) < 512 or data[:4] != b"XFSB":
        return None
    (block,) = struct.unpack_from(">I", data, 4)
    (blocks,) = struct.unpack_from(">Q", data, 8)
    (log_start,) = struct.unpack_from(">Q", data, 48)
    group, groups = struct.unpack_from(">II", data, 84)
    (version,) = struct.unpack_from(">H", data, 100)
    is_power = 512 <= block <= 65536 and not block & (block - 1)
    if not is_power or not group or not (groups - 1) * group < blocks <= groups * group:
        return None
    return Xfs(
        version=version & 0xF,
        block=block,
        size=blocks * block,
        group=group * block,
        groups=groups,
        has_own_log=log_start > 0,
    )


def read_btrfs(data: bytes, place: int = BTRFS_AT) -> Btrfs | None:
    """Return what the superblock of a btrfs at a place says; ``None``: it is none."""
    if len(data) < LENGTH or data[0x40:0x48] != _BTRFS_MAGIC:
        return None
    (says_place,) = struct.unpack_from("<Q", data, 0x30)
    (devices,) = struct.unpack_from("<Q", data, 0x88)
    (device,) = struct.unpack_from("<Q", data, 0xC9)
    if says_place != place:
        return None
    return Btrfs(str(uuid.UUID(bytes=data[0x20:0x30])), devices, device)
