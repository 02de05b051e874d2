"""The file systems of a snapshot's disk that can be mounted, for getting files back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from snapback.core.disks.partitions import node_of
from snapback.ssh import disks, tools
from snapback.ssh.host import Host


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
    """Answer the file systems on a disk.

    :raises HostError: nothing can.
    """
    tools.demand(host, tools.BASE, may_install=True)
    found = disks.probe(host, device)
    if found.has_file_system:
        return [Mountable(0, device, found.fs_type, found.size)]
    nodes = []
    if found.has_table:
        tools.demand(host, tools.TABLE, may_install=True)
        for part in disks.read_table(host, device).partitions:
            node = node_of(device, part.number)
            inside = disks.probe(host, node)
            if inside.has_file_system:
                nodes.append(Mountable(part.number, node, inside.fs_type, inside.size))
    if not nodes:
        raise host.error(
            f"there is no file system on it: {found.fs_type or found.table or 'nothing known'}",
            "restore_volume makes a volume of it that you can attach to an instance of yours",
        )
    return nodes
