"""The block devices of a host, and what is on them: the one place that runs lsblk.

Source: lsblk(8), proc_pid_mountinfo(5).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from snapback.core.disks.devices import LSBLK, BlockDevice, Layout, layout_of, read_lsblk
from snapback.core.model import Volume
from snapback.ssh.host import Host


def block_devices(host: Host) -> tuple[BlockDevice, ...]:
    """Return the block devices of a host, with their mount points.

    :raises HostError: lsblk fails, or its output can't be read.
    """
    said = host.sudo(LSBLK).stdout
    try:
        return read_lsblk(said)
    except ValueError as error:
        raise host.error(str(error), "see what lsblk says there") from error


def layouts_of(
    host: Host, devices: Mapping[str, str], volumes: Collection[Volume]
) -> dict[str, Layout]:
    """Return what is on some volumes of a host, by volume id. Changes nothing.

    :param devices: EC2's device name -> volume id, of all volumes attached to the instance. Of a
        volume that isn't among them, nothing is returned.
    :raises HostError: lsblk fails, or its output can't be read.
    """
    sizes_gib = {volume.volume_id: volume.size_gib for volume in volumes}
    found = layout_of(devices, block_devices(host), sizes_gib)
    return {volume_id: found[volume_id] for volume_id in sizes_gib if volume_id in found}
