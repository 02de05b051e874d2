"""For fabfiles of one's own: what is mounted on two hosts made alike, and volumes for a moment.

What is deleted or overwritten lies on the volume that is named: a mount point is only used where
that volume is mounted there.
"""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from snapback.core.disks.layouts import FileSystem, Layout
from snapback.core.log_context import about, of_item
from snapback.core.model import Instance, Volume
from snapback.ec2 import instances
from snapback.ec2.convert import whereabouts
from snapback.ec2.temporary import VolumeWish
from snapback.ec2.volumes import volume_by_id
from snapback.errors import HostError, UsageError
from snapback.replication.by_rsync import moving
from snapback.replication.pair import addresses, port_of
from snapback.run import Run, current, fanout
from snapback.ssh.disks import label_of
from snapback.ssh.host import Host
from snapback.ssh.layout import layouts_of
from snapback.ssh.moving import End, Moved, Terms, move_tree, move_volume
from snapback.ssh.road import open_road
from snapback.workers import helper
from snapback.workers.watch import Pulse

log = logging.getLogger(__name__)

MKFS_S = 600.0


@dataclass(frozen=True)
class Side:
    """One end: a volume that is attached to an instance, and where it is mounted there."""

    instance: Instance
    volume: Volume
    mount_point: str

    def __str__(self) -> str:
        return f"{self.volume.volume_id} on {self.instance.instance_id}"


def rsync_mountpoints(
    src_inst: Any,
    src_vol: Any,
    src_mnt: str,
    dst_inst: Any,
    dst_vol: Any,
    dst_mnt: str,
    encr: bool = False,
) -> Moved:
    """Make a mounted file system like another mounted one, by rsync, with its label.

    What isn't in the source is deleted in the destination. What else is mounted inside of the two
    is left alone.

    :param src_inst: the instance with the source: ours, boto3's resource, or its id.
    :param src_vol: the volume, likewise, attached to it.
    :param src_mnt: where that is mounted there.
    :param dst_inst: the instance with the destination.
    :param dst_vol: its volume.
    :param dst_mnt: where that is mounted.
    :param encr: make the whole volumes alike, block by block, whatever is on them (LUKS). Nothing
        of them may be mounted; the mount points don't count.
    :returns: how it was done, how much was read and crossed, and in ``lost`` what rsync can't
        carry and so differs: inode flags (``lsattr``), project ids; ``""``: nothing.
    :raises UsageError: the volume isn't attached there, or not mounted there; nothing was done.
    :raises NotMoved: the data didn't arrive whole and equal.
    :raises HostError: a host can't be reached, or fails.

    Source: DescribeInstances, DescribeVolumes; rsync(1).
    """
    run = current()
    source = find_side(run, src_inst, src_vol, src_mnt)
    destination = find_side(run, dst_inst, dst_vol, dst_mnt)
    moved = move_or_look(run, source, destination, encr)
    assert moved is not None  # it was no dry run
    return moved


def find_side(run: Run, instance: Any, volume: Any, mount_point: str) -> Side:
    """Answer one end, as EC2 describes it now.

    :raises UsageError: there is no such instance, or the volume isn't attached to it.
    """
    found = _instance(run, instance)
    volume_id = (
        volume if isinstance(volume, str) else whereabouts(volume, "volume", run.place_of)[1]
    )
    there = volume_by_id(run.conn(found.place), found.place, volume_id)
    if found.instance_id not in there.attachments:
        to = " and ".join(there.attachments)
        where = f"attached to {to}" if to else "not attached"
        raise UsageError(f"{volume_id} is {where}, not to {found.instance_id}")
    return Side(found, there, posixpath.normpath(mount_point))


def _instance(run: Run, said: Any) -> Instance:
    """Answer an instance; one of which the id alone is known is looked for in all regions in use.

    :raises UsageError: there is none.
    """
    if not isinstance(said, str):
        place, instance_id = whereabouts(said, "instance", run.place_of)
        return instances.instance_by_id(run.conn(place), place, instance_id)
    wanted = instances.check_id(said)
    places = run.places()
    results = fanout.each(
        places,
        lambda place: instances.instance_by_id(run.conn(place), place, wanted),
        stop=run.stop,
    )
    for result in results:
        if result.value:
            return result.value
    for result in results:
        if result.error and not isinstance(result.error, UsageError):
            raise result.error
    raise UsageError(f"there is no instance {wanted} in {', '.join(map(str, places))}")


def move_or_look(
    run: Run,
    source: Side,
    destination: Side,
    encr: bool,
    dry_run: bool = False,
    pulses: Sequence[Pulse] = (),
) -> Moved | None:
    """Make the destination like the source; see :func:`rsync_mountpoints`.

    :param dry_run: only see that all is as told, and answer ``None``.
    :param pulses: of what is renewed while it moves. What others do on the same disks counts, too.
    """
    if source.volume.volume_id == destination.volume.volume_id:
        raise UsageError(f"source and destination are both {source.volume.volume_id}: name two")
    with (
        about(**of_item(destination.volume)),
        run.host(source.instance) as src,
        run.host(destination.instance) as dst,
    ):
        here, there = look(src, source), look(dst, destination)
        systems = [] if encr else [mounted(src, source, here), mounted(dst, destination, there)]
        disks = [unused(source, here), unused(destination, there)] if encr else []
        if dry_run:
            return None
        to, _ = addresses(run, source.instance, destination.instance)
        port = port_of(run, destination.instance)
        with (
            open_road(src, dst, to, port=port) as way,
            moving(
                run,
                source.volume.volume_id,
                [(src, path_of(here)), (dst, path_of(there))],
                pulses,
            ) as (tell, src, dst),
        ):
            road = replace(way, source=src, destination=dst)
            if not encr:
                moved = move_tree(
                    src, source.mount_point, dst, destination.mount_point, road, terms(run), tell
                )
                _copy_label(src, systems[0], dst, systems[1], destination.mount_point)
                return moved
            return move_volume(
                End(src, disks[0], may_install=False),
                End(dst, disks[1], may_install=False),
                road,
                terms(run, encr=True),
                tell,
            )


def terms(run: Run, *, encr: bool = False) -> Terms:
    """Answer on what terms the settings have it moved."""
    settings = run.settings.replication
    return Terms(encr=encr, compare=settings.compare, exclude=tuple(settings.exclude))


def look(host: Host, side: Side) -> Layout:
    """Answer what is on a volume of a host.

    :raises UsageError: it doesn't show there.
    """
    layouts = layouts_of(host, side.instance.devices, [side.volume])
    found = layouts.get(side.volume.volume_id)
    if found is None or found.block_device is None:
        raise UsageError(f"{side} isn't found among its block devices: is it attached?")
    return found


def mounted(host: Host, side: Side, layout: Layout) -> FileSystem:
    """Answer the file system of a volume that is mounted at an end's mount point.

    :raises UsageError: there is none, or something else was mounted over it.
    """
    point = side.mount_point
    own = [one for one in layout.file_systems if not one.level]
    found = next((one for one in own if point in one.mount_points), None)
    if found is None:
        raise UsageError(f"{side} isn't mounted at {point} there: mount it, and nothing else")
    number = host.sudo(["mountpoint", "-d", "--", point]).stdout.strip()
    if found.fs_type != "btrfs" and number != found.maj_min:
        raise UsageError(f"something else is mounted over {side} at {point}: unmount that")
    return found


def unused(side: Side, layout: Layout) -> str:
    """Answer the block device of a volume of which nothing is mounted.

    :raises UsageError: something is.
    """
    built = [block.path for block in layout.raw if block.type not in ("disk", "part")]
    in_use = [point for one in layout.file_systems for point in one.mount_points] + built
    if in_use or layout.swap:
        raise UsageError(
            f"{side} is in use there ({', '.join(in_use) or 'swap'}): unmount and close it first"
        )
    return path_of(layout)


def path_of(layout: Layout) -> str:
    """Return the block device of a volume, as :func:`look` has found it."""
    assert layout.block_device is not None
    return layout.block_device.path


def _copy_label(
    src: Host, source: FileSystem, dst: Host, destination: FileSystem, mount_point: str
) -> None:
    """Give a mounted file system the label of another one.

    :raises HostError: it can't have that: an XFS may have 12 letters, an ext4 16.
    """
    label = label_of(src, source.source)
    if destination.fs_type == "xfs":
        command = ["xfs_io", "-c", f"label -s {label}" if label else "label -c", mount_point]
    elif destination.fs_type == "btrfs":
        command = ["btrfs", "filesystem", "label", "--", mount_point, label]
    else:
        command = ["e2label", destination.source, label]
    dst.sudo(command)
    now = label_of(dst, destination.source)
    if now != label:
        raise dst.error(
            f"{destination.source} can't have the label {label!r}, and has {now!r}",
            "its files are as the source's; give it another label by hand, if you want",
        )


@contextmanager
def create_tmp_volume(region: str, size: int) -> Iterator[tuple[Volume, str]]:
    """Answer a volume for a moment, formatted and mounted on a temporary instance, and where.

    The volume knows its instance: ``rsync_mountpoints(..., volume.instance_id, volume, mnt)``
    reaches it. All is taken down at the end.

    :param region: may be contracted.
    :param size: GiB.
    :raises LeftBehind: something could not be taken down.

    Source: RunInstances, CreateVolume, AttachVolume; mkfs.ext4(8).
    """
    run = current()
    place = run.place(region)
    with (
        helper(run, place, "temporary volume") as one,
        one.volume(VolumeWish(size_gib=size)) as (volume, block_device),
        ExitStack() as stack,
    ):
        mount_point = f"/media/{volume.volume_id}"
        one.host.sudo(["mkfs.ext4", "-q", "-F", "--", block_device], timeout_s=MKFS_S)
        one.host.sudo(["mkdir", "-p", "--", mount_point])
        one.host.sudo(["mount", "--", block_device, mount_point])
        stack.callback(_unmount, one.host, mount_point)
        yield volume, mount_point


def _unmount(host: Host, mount_point: str) -> None:
    """Unmount what is about to go; where that fails, it goes with its instance."""
    try:
        host.sudo(["umount", "--", mount_point], timeout_s=MKFS_S)
    except HostError as error:
        log.warning("%s", error)
