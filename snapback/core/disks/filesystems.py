"""What a file system is like, how to make another one like it, and when that isn't enough; pure.

Moving a volume file by file is exact only for what rsync knows. So each file system is read first:
what isn't known to survive (subvolumes, quotas, encryption...) is moved block by block, which is
always exact. The replica's file system is made with the source's features, not with the defaults of
whatever mkfs the temporary instance has: an older kernel couldn't mount those.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

EXT = ("ext2", "ext3", "ext4")
KNOWN = (*EXT, "xfs", "btrfs")

PACKAGES: Mapping[str, Mapping[str, str]] = {
    **{
        kind: {
            "dumpe2fs": "e2fsprogs",
            "mke2fs": "e2fsprogs",
            "tune2fs": "e2fsprogs",
            "resize2fs": "e2fsprogs",
            "e2fsck": "e2fsprogs",
            "e2label": "e2fsprogs",
            "python3": "python3",
        }
        for kind in EXT
    },
    "xfs": {
        "mkfs.xfs": "xfsprogs",
        "xfs_info": "xfsprogs",
        "xfs_db": "xfsprogs",
        "xfs_admin": "xfsprogs",
        "xfs_growfs": "xfsprogs",
        "python3": "python3",
    },
    "btrfs": {"mkfs.btrfs": "btrfs-progs", "btrfs": "btrfs-progs", "python3": "python3"},
}
"""Programs that a kind of file system needs on a host, and Debian's packages that have them."""

_MOUNT_OPTIONS = {"xfs": ("nouuid",), "btrfs": ("subvolid=5",), "ext4": ("noinit_itable",)}
_SAFE = ("noatime", "nodev", "nosuid", "noexec")


@dataclass(frozen=True, kw_only=True)
class Found:
    """What lies on a block device. Source: blkid(8), ``blkid -p -o export``.

    :ivar fs_type: the file system, or what else has a signature (``crypto_LUKS``); or ``""``.
    :ivar table: the kind of partition table, ``gpt``, ``dos``; or ``""``.
    :ivar is_ambivalent: several signatures contradict each other.
    """

    size: int
    fs_type: str = ""
    uuid: str = ""
    table: str = ""
    is_ambivalent: bool = False

    @property
    def has_file_system(self) -> bool:
        """Whether it is a file system that may be moved file by file."""
        return self.fs_type in KNOWN and not self.table and not self.is_ambivalent

    @property
    def is_unknown(self) -> bool:
        """Whether nothing known is on it."""
        return not self.fs_type and not self.table and not self.is_ambivalent

    @property
    def is_contradictory(self) -> bool:
        """Whether it seems to be several things, of which a file system may be one."""
        return self.is_ambivalent or (self.fs_type in KNOWN and bool(self.table))

    @property
    def has_table(self) -> bool:
        """Whether it is divided into partitions, and nothing else."""
        return self.table in ("gpt", "dos") and not self.fs_type and not self.is_ambivalent


def read_blkid(text: str, returncode: int, size: int) -> Found:
    """Answer what ``blkid -p -o export`` says of a device; its exit status 8 is "ambivalent"."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    said = {key: re.sub(r"\\(.)", r"\1", value) for key, _, value in pairs}
    return Found(
        size=size,
        fs_type=said.get("TYPE", ""),
        uuid=said.get("UUID", ""),
        table=said.get("PTTYPE", ""),
        is_ambivalent=returncode == 8,
    )


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A file system as it was made.

    :ivar size: how large it is, in bytes; its device may be larger.
    :ivar features: what another one must have in common to be alike: ``extent``, ``isize=512``.
    :ivar make: the command that makes one like it, but for the device at its end...
    :ivar make_size: ...and what may have to follow that.
    :ivar tune: commands, but for the device, that make it alike further; to be repeated as it
        changes.
    :ivar opaque: why it can't be moved file by file, in words, or ``""``.
    """

    fs_type: str
    uuid: str
    label: str
    size: int
    features: frozenset[str]
    make: tuple[str, ...]
    make_size: tuple[str, ...] = ()
    tune: tuple[tuple[str, ...], ...] = ()
    opaque: str = ""


AUTOMATIC = frozenset({"large_file", "ext_attr", "dir_nlink"})
"""Features that the kernel gives to an ext2, ext3, ext4 by itself when a file asks for them."""


def differences(source: Shape, other: Shape, ignoring: frozenset[str] = frozenset()) -> str:
    """Answer in what another file system isn't like the source's, in words, or ``""``.

    :param ignoring: features that don't count.
    """
    said = []
    if (source.fs_type, source.uuid) != (other.fs_type, other.uuid):
        said.append("it is another file system")
    lacking = sorted(source.features - other.features - ignoring)
    beyond = sorted(other.features - source.features - ignoring)
    said += [f"it lacks {', '.join(lacking)}"] if lacking else []
    said += [f"it has {', '.join(beyond)}"] if beyond else []
    return "; ".join(said)


def mount_options(fs_type: str, others: Sequence[str] = (), *, read_only: bool) -> str:
    """Answer the options to mount a copy with.

    Read-only, its journal is replayed all the same, as the device isn't.

    :param others: further devices of it, where it is a btrfs.
    """
    own = () if read_only and fs_type == "ext4" else _MOUNT_OPTIONS.get(fs_type, ())
    devices = (f"device={other}" for other in others)
    return ",".join(("ro" if read_only else "rw", *_SAFE, *own, *devices))


def label_command(shape: Shape, device: str) -> list[str]:
    """Answer the command that gives an unmounted file system its label."""
    if shape.fs_type == "xfs":
        return ["xfs_admin", "-L", shape.label or "--", device]
    if shape.fs_type == "btrfs":
        return ["btrfs", "filesystem", "label", "--", device, shape.label]
    return ["e2label", device, shape.label]


def grow_command(shape: Shape, device: str, mount_point: str) -> list[str]:
    """Answer the command that makes a file system, while it is mounted, as large as another."""
    if shape.fs_type == "xfs":
        blocks = shape.size // number_of(shape.features, "bsize")
        return ["xfs_growfs", "-D", str(blocks), mount_point]
    if shape.fs_type == "btrfs":
        return ["btrfs", "filesystem", "resize", str(shape.size), mount_point]
    blocks = shape.size // number_of(shape.features, "block size")
    return ["resize2fs", device, str(blocks)]


def grow_unmounted(shape: Shape, device: str) -> list[list[str]]:
    """Answer the commands that do the same, slower, while it is unmounted; none if that can't be.

    A kernel grows no mounted ext2, and no other without reserved blocks or the right to do so.
    """
    if shape.fs_type not in EXT:
        return []
    return [["e2fsck", "-f", "-p", device], grow_command(shape, device, "")]


def number_of(features: frozenset[str], name: str) -> int:
    """Answer the number in a feature ``name=number``."""
    return next(int(f.partition("=")[2]) for f in features if f.startswith(f"{name}="))
