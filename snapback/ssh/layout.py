"""The block devices of a host, and what is on them: the one place that runs lsblk.

Source: lsblk(8), losetup(8), proc_pid_mountinfo(5), proc_pid_fd(5).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from snapback.core.backup.freeze_plan import FreezePlan, plan_freeze
from snapback.core.disks.devices import BlockDevice, read_devices
from snapback.core.disks.layouts import Layout, layout_of
from snapback.core.model import Instance, Volume
from snapback.core.model.sharing import written_by_others
from snapback.ssh.host import Host
from snapback.ssh.scripts import text_of


def block_devices(host: Host) -> tuple[BlockDevice, ...]:
    """Return the block devices of a host, with their mount points and users.

    :raises HostError: lsblk fails, or its output can't be read.
    """
    script = text_of("layout.sh")
    said = host.sudo(["sh", "-c", script, "snapback-layout"]).stdout
    try:
        return read_devices(said)
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


def freeze_plan_of(
    host: Host, instance: Instance, volumes: Collection[Volume], *, freeze_root: bool
) -> FreezePlan:
    """Return what is frozen on a host for the snapshots of some of its volumes. Changes nothing.

    :raises HostError: lsblk fails, or its output can't be read.
    """
    return plan_freeze(
        layouts_of(host, instance.devices, volumes),
        freeze_root=freeze_root,
        shared=written_by_others(volumes, instance.instance_id),
    )
