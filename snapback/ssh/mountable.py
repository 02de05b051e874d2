"""Which file systems of a disk of a host can be mounted, for getting single files back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from snapback.core.disks.partitions import node_of
from snapback.ssh import disks, superblocks, tools
from snapback.ssh.host import Host

log = logging.getLogger(__name__)


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


def fit_to_mount(host: Host, device: str) -> Sequence[Mountable]:
    """Return the file systems on a disk, but for those that are on other disks, too.

    :raises HostError: there is none.
    """
    tools.demand(host, tools.BASE, may_install=True)
    found = disks.probe(host, device)
    if found.has_table:
        tools.demand(host, tools.TABLE, may_install=True)
        numbers = [part.number for part in disks.read_table(host, device).partitions]
        nodes = [(number, node_of(device, number)) for number in numbers]
        inside = [(number, node, disks.probe(host, node)) for number, node in nodes]
    else:
        inside = [(0, device, found)]
    mountable, why = [], ""
    for number, node, one in inside:
        if not one.has_file_system:
            continue
        if one.fs_type == "btrfs" and (why := _why_not_alone(host, node)):
            log.warning("%s: %s: %s", host.name, node, why)
            continue
        mountable.append(Mountable(number, node, one.fs_type, one.size))
    if not mountable:
        raise host.error(
            why
            or f"there is no file system on it: {found.fs_type or found.table or 'nothing known'}",
            "restore_instance makes volumes of the whole set"
            if why
            else "restore_volume makes a volume of it that you can attach to an instance of yours",
        )
    return mountable


def _why_not_alone(host: Host, node: str) -> str:
    """Return why a btrfs can't be mounted from one device, in words, or ``""``."""
    first = superblocks.btrfs_of(host, node)
    if first is None or first.devices == 1:
        return ""
    return (
        f"its btrfs {first.fsid} is on {first.devices} volumes: this is number {first.device}, "
        "and can't be mounted without the others of its set"
    )
