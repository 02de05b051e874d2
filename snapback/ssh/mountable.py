"""What is on a snapshot's disk for getting files back: the file systems, and what is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from snapback.core.disks.filesystems import KNOWN, Found
from snapback.core.disks.partitions import node_of
from snapback.errors import CommandFailed
from snapback.ssh import disks, superblocks, tools
from snapback.ssh.host import Host

MOUNTABLE = (*KNOWN, "vfat")
_NO_FILES = {
    "crypto_LUKS": "LUKS, which only its key opens",
    "LVM2_member": "a part of an LVM volume group",
    "linux_raid_member": "a member of a RAID",
    "swap": "swap, which holds no files",
    "swsuspend": "swap with a suspended system, which holds no files",
    "zfs_member": "a part of a ZFS pool",
}


@dataclass(frozen=True)
class Mountable:
    """A file system on a disk.

    :ivar number: its partition's; 0: it takes all of the disk.
    :ivar node: its block device.
    :ivar size: in bytes.
    """

    number: int
    node: str
    fs_type: str
    size: int


@dataclass(frozen=True)
class Contents:
    """What is on a disk.

    :ivar others: what can't be mounted, in words, by the partition's number.
    """

    mountable: tuple[Mountable, ...] = ()
    others: Mapping[int, str] = field(default_factory=dict)


def contents_of(host: Host, device: str) -> Contents:
    """Return what is on a disk, partition by partition.

    :raises HostError: it can't be read.
    """
    tools.demand(host, tools.BASE, may_install=True)
    found = disks.probe(host, device)
    nodes = {0: device}
    if found.has_table:
        tools.demand(host, tools.TABLE, may_install=True)
        numbers = [part.number for part in disks.read_table(host, device).partitions]
        nodes = {number: node_of(device, number) for number in numbers}
    mountable: list[Mountable] = []
    others: dict[int, str] = {}
    for number, node in nodes.items():
        try:
            inside = disks.probe(host, node)
            why_not = _why_not(host, node, inside)
        except CommandFailed as error:
            why_not = f"it can't be read: {error.stderr}"
        if why_not:
            others[number] = why_not
        else:
            mountable.append(Mountable(number, node, inside.fs_type, inside.size))
    return Contents(tuple(mountable), others)


def _why_not(host: Host, node: str, found: Found) -> str:
    """Return why a file system can't be mounted from one device, in words, or ``""``."""
    if not is_mountable(found):
        return described(found)
    first = superblocks.btrfs_of(host, node) if found.fs_type == "btrfs" else None
    if first is None or first.devices == 1:
        return ""
    return (
        f"its btrfs {first.fsid} is on {first.devices} volumes: this is number {first.device}, "
        "and can't be mounted without the others of its set: restore them with restore_instance"
    )


def is_mountable(found: Found) -> bool:
    """Return whether there is a file system that we mount, and nothing that contradicts it."""
    return found.fs_type in MOUNTABLE and not found.table and not found.is_ambivalent


def described(found: Found) -> str:
    """Return what is on a block device instead of a file system that we mount, in words."""
    if found.is_ambivalent:
        return "signatures that contradict each other"
    if found.fs_type and found.table:
        return f"{found.fs_type} and a partition table ({found.table}), which contradict each other"
    if found.table:
        return f"a partition table ({found.table}) that isn't looked into"
    return _NO_FILES.get(found.fs_type, found.fs_type) or "nothing known"


def why_not_mounted(what: Mountable, error: CommandFailed) -> str:
    """Return why a file system could not be mounted, in words."""
    if "unknown filesystem type" in error.stderr:
        return f"{what.fs_type}, which the kernel of the temporary instance can't mount"
    return f"{what.fs_type}, which can't be mounted: {error.stderr}"


def listed(whys: Mapping[int, str]) -> str:
    """Return what isn't mounted, in words."""
    return "; ".join(
        f"partition {number}: {why}" if number else why for number, why in sorted(whys.items())
    )
