"""``update_snap``: from one volume to another, and then the replica of what it was made of."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from snapback.core.disks.layouts import FileSystem
from snapback.core.model import Snapshot, Volume, record
from snapback.core.model.outcome import Outcome
from snapback.core.replication.replication_plan import Step
from snapback.core.trim.retention import Protection, protections
from snapback.ec2.convert import whereabouts
from snapback.ec2.snapshots import snapshot_surely, snapshots_by_id
from snapback.ec2.volumes import volume_by_id
from snapback.errors import LogFailed, SnapshotFailed, SnapshotTimeout, UsageError
from snapback.replication.claims import held
from snapback.replication.engine import tags_of
from snapback.replication.mountpoints import (
    Side,
    find_side,
    look,
    mounted,
    move_or_look,
    path_of,
)
from snapback.run import Run, current
from snapback.run.waiting import looks
from snapback.snapshots.deletion_log import DeletionLog, delete, open_log
from snapback.snapshots.protection import protection_of
from snapback.ssh.hold import held as held_there
from snapback.ssh.host import Host
from snapback.workers.watch import Pulse

log = logging.getLogger(__name__)

UNMOUNT_S = 600.0


def update_snap(
    src_vol: Any,
    src_mnt: str,
    dst_vol: Any,
    dst_mnt: str,
    encr: bool,
    delete_old: bool = False,
) -> Snapshot:
    """Make one volume like another, take its snapshot, and answer that: the replica.

    It has the record and the tags of the snapshot that the source was made of. The destination is
    unmounted and flushed before, and mounted again afterwards. What rsync can't carry of it is
    logged as a warning.

    :param src_vol: a volume that was made of a snapshot with a record: ours, or boto3's resource.
        It is attached to the instance on which it is mounted.
    :param src_mnt: where.
    :param dst_vol: the volume to update, in another region, attached likewise.
    :param dst_mnt: where that is mounted.
    :param encr: whole volumes, block by block, of which nothing is mounted; see
        :func:`snapback.rsync_mountpoints`.
    :param delete_old: wait until the new snapshot is completed, then delete the one that
        ``dst_vol`` was made of, unless it is of another volume, or protected.
    :raises UsageError: a volume isn't attached to one instance, or not mounted there, the
        destination is mounted more than once, or the source isn't made of a snapshot with a
        record; nothing was done.
    :raises Collision: there is such a replica already, or somebody is making it.
    :raises NotMoved: the data didn't arrive whole and equal; there is no new snapshot.
    :raises SnapshotFailed: the new snapshot ended in ``error``; the old one is kept.
    :raises SnapshotTimeout: it is still pending after ``minutes_for_snap``; the old one is kept.
    :raises ConfigError: with ``delete_old``, the deletion log can't be written; nothing was done.
    :raises LogFailed: it can't be written any more; says what became of both snapshots.

    Source: DescribeVolumes, DescribeSnapshots, CreateSnapshot, DeleteSnapshot.
    """
    run = current()
    source, destination = _side(run, src_vol, src_mnt), _side(run, dst_vol, dst_mnt)
    step = _step(run, source.volume, destination.volume)
    deletions = open_log(run) if delete_old else None
    if not encr:
        with run.host(destination.instance) as host:
            _look(host, destination)
    left: list[Outcome] = []
    pulse = Pulse(run)
    with held(run, step, left, pulse):
        moved = move_or_look(run, source, destination, encr, pulses=[pulse])
        if moved and moved.lost:
            log.warning("%s: %s", destination, moved.lost)
        with _at_rest(run, destination, encr):
            made = snapshot_surely(
                run.conn(step.destination),
                step.destination,
                destination.volume.volume_id,
                record.describe(step.record),
                tags_of(run, step),
                run.patience,
            )
    for outcome in left:
        log.warning("%s", outcome.explanation)
    if not deletions:
        return made
    made = _completed(run, made)
    if step.base:
        _delete(run, deletions, step.base, made)
    return made


def _side(run: Run, volume: Any, mount_point: str) -> Side:
    """Answer the end that a volume is, on the instance to which it is attached.

    :raises UsageError: it is attached to none, or to several.
    """
    place, volume_id = whereabouts(volume, "volume", run.place_of)
    there = volume_by_id(run.conn(place), place, volume_id)
    if not there.instance_id:
        raise UsageError(f"{volume_id} is attached to no instance: attach and mount it")
    if len(there.attachments) > 1:
        to = " and ".join(there.attachments)
        raise UsageError(f"{volume_id} is attached to {to}: other instances may write to it")
    return find_side(run, there.instance_id, there, mount_point)


def _step(run: Run, source: Volume, destination: Volume) -> Step:
    """Answer what is to be replicated, and on the basis of what.

    :raises UsageError: the source isn't made of a snapshot with a record, or is at home there.
    """
    made_of = _snapshot(run, source)
    if made_of and made_of.unproven:
        raise UsageError(
            f"{made_of.snapshot_id} is unproven, so it isn't replicated: {made_of.unproven.why}"
        )
    if made_of is None or made_of.record is None:
        raise UsageError(
            f"{source.volume_id} wasn't made of a snapshot with a record: of what would its "
            "snapshot be the replica?"
        )
    if made_of.record.region == destination.place.region:
        raise UsageError(
            f"{made_of.snapshot_id} was taken in {destination.place}: it isn't replicated back"
        )
    if made_of.encrypted and not destination.encrypted:
        raise UsageError(
            f"{made_of.snapshot_id} is encrypted, and {destination.volume_id} isn't: its replica "
            "would not be"
        )
    return Step(source=made_of, destination=destination.place, base=_snapshot(run, destination))


def _snapshot(run: Run, volume: Volume) -> Snapshot | None:
    """Answer the snapshot that a volume was made of, if it is still there."""
    if not volume.snapshot_id:
        return None
    found = snapshots_by_id(run.conn(volume.place), volume.place, [volume.snapshot_id])
    return found.get(volume.snapshot_id)


def _look(host: Host, side: Side) -> FileSystem:
    """Answer the file system of an end that is to be unmounted.

    :raises UsageError: it isn't mounted there, or elsewhere too.
    """
    layout = look(host, side)
    points = [point for one in layout.file_systems for point in one.mount_points]
    if len(points) > 1:
        raise UsageError(f"{side} is mounted at {', '.join(points)}: leave one")
    return mounted(host, side, layout)


_UNMOUNT = """
umount -- "$1" || exit
blockdev --flushbufs "$2" && exit
status=$?
mount -t "$3" -o "$4" -- "$2" "$1"
exit "$status"
"""
_MOUNT = 'mount -t "$3" -o "$4" -- "$2" "$1"'


@contextmanager
def _at_rest(run: Run, side: Side, encr: bool) -> Iterator[None]:
    """Have a volume unmounted and flushed as long as the context lasts.

    Should this program be killed, it is mounted again all the same.

    :raises UsageError: it is mounted elsewhere too.
    """
    with run.host(side.instance) as host:
        if encr:
            disk = path_of(look(host, side))
            host.sudo(["blockdev", "--flushbufs", disk], timeout_s=UNMOUNT_S)
            yield
            return
        system, point = _look(host, side), side.mount_point
        arguments = [point, system.source, system.fs_type, _mount_options(host, point)]
        names = ["umount", "--", point], ["mount", "--", system.source, point]
        with held_there(host, _UNMOUNT, _MOUNT, arguments, names=names):
            yield


def _mount_options(host: Host, mount_point: str) -> str:
    asked = ["findmnt", "-nro", "OPTIONS", "--mountpoint", mount_point]
    said = host.sudo(asked).stdout.split()
    if not said:
        raise host.error(f"findmnt knows nothing of {mount_point}", "see what is mounted")
    return said[-1]


def _completed(run: Run, snapshot: Snapshot) -> Snapshot:
    """Answer a snapshot once it is completed.

    :raises SnapshotFailed: it ended in ``error``.
    :raises SnapshotTimeout: it is still pending.
    """
    place, minutes = snapshot.place, run.settings.minutes_for_snap
    attempts = looks(run, minutes)
    while True:
        late = next(attempts)
        seen = snapshots_by_id(run.conn(place), place, [snapshot.snapshot_id])
        now = seen.get(snapshot.snapshot_id, snapshot)
        if now.state == "completed":
            return now
        if now.state == "error":
            raise SnapshotFailed(f"{now.snapshot_id} ended in error: {now.state_message}")
        if late:
            raise SnapshotTimeout(f"{now.snapshot_id} is still pending after {minutes:g} minutes")


def _delete(run: Run, deletions: DeletionLog, old: Snapshot, new: Snapshot) -> None:
    """Delete the snapshot that a new one replaces, unless something keeps it.

    :raises LogFailed: the deletion log can't be written.
    """
    reasons = _kept(run, old, new, protection_of(run, old.place, [old]))
    if reasons:
        log.info("%s is kept: %s", old.snapshot_id, ", ".join(reasons))
        return
    why = f"replaced by {new.snapshot_id}"
    try:
        delete(run, deletions, old, [why])
    except LogFailed as error:
        said = f"{new.snapshot_id} is completed; {old.snapshot_id}: {error.word}: {error}"
        raise type(error)(said) from error


def _kept(run: Run, old: Snapshot, new: Snapshot, protection: Protection) -> list[str]:
    """Answer why the old snapshot must not be deleted."""
    if old.record is None or new.record is None or old.record.timeline != new.record.timeline:
        return ["it is no replica of the same volume"]
    return [str(reason) for reason in protections(old, run.now(old.place), protection)]
