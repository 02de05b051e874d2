"""Taking snapshots: the calls for one set or one volume, and seeing them through to completion."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from snapback.backup import pending_limit
from snapback.backup.changes import (
    as_it_is,
    changes_between,
    may_be_by_changes,
    planned_anew,
    refuse_if_gone,
)
from snapback.backup.consistency import Order, Still, found_again, take
from snapback.core.backup.set_plan import Membership, SetPlan, membership, renewed, without
from snapback.core.model import Place, Snapshot
from snapback.core.model import tags as our_tags
from snapback.ec2.instances import is_gone
from snapback.ec2.snapshots import create_set, look_for, snapshots_by_id
from snapback.ec2.tags import create_tags
from snapback.errors import (
    ApiError,
    HostError,
    InstanceGone,
    Interrupted,
    LogFailed,
    SnapbackError,
    SnapshotFailed,
    SnapshotTimeout,
    VolumesBusy,
)
from snapback.run import Run, fanout
from snapback.run.waiting import Deadline, looks
from snapback.snapshots import deletion_log

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 3


@dataclass(frozen=True)
class Taken:
    """Snapshots that were taken together.

    :ivar again: takes them once more.
    :ivar busy: the volumes left out, since they have as many pending snapshots as EC2 allows -> the
        snapshot in the way.
    :ivar shortfall: what is less than asked, in words; empty where all is well.
    :ivar changes: what was attached or detached since the instance was listed, in words.
    :ivar problems: what is less consistent than asked, in words.
    :ivar error: what went wrong after they were taken, or while waiting for them.
    """

    snapshots: tuple[Snapshot, ...]
    again: Callable[[], Taken]
    busy: Mapping[str, Snapshot] = field(default_factory=dict)
    shortfall: str = ""
    changes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    error: SnapbackError | None = None


def take_set(run: Run, plan: SetPlan) -> Taken:
    """Take the snapshots of an instance's volumes at one instant, tagged.

    CreateSnapshots is all or nothing: data volumes that have as many pending snapshots as EC2
    allows are left out, and the set is marked so. Where it is refused, and other volumes are
    attached than when the plan was made, the instance as it is now is taken, once.

    :raises VolumesBusy: the root volume has, or all have.
    :raises InstanceGone: the instance was terminated; none were taken.
    :raises SnapbackError: none were taken.

    Source: CreateSnapshots, DescribeSnapshots, DescribeInstances, DescribeVolumes.
    """
    try:
        return _take_what_has_room(run, plan)
    except (ApiError, HostError) as error:
        if not may_be_by_changes(error):
            raise
        now = as_it_is(run, plan.instance)
        refuse_if_gone(now, error)
        if now is None or now.devices == plan.instance.devices:
            raise
        anew = planned_anew(run, plan, now)
        if not anew.volumes:
            raise
        log.info("%s: other volumes are attached by now: %s", now.instance_id, error)
        taken = _take_what_has_room(run, anew)
        changes = changes_between(plan.instance, now)
        return replace(taken, changes=(*changes, *taken.changes))


def _take_what_has_room(run: Run, plan: SetPlan) -> Taken:
    """Take a set without the data volumes of which EC2 has no room for one more snapshot."""
    busy: dict[str, Snapshot] = {}
    smaller = plan
    while True:
        try:
            with pending_limit.named(run, plan.instance.place, smaller.volumes):
                taken = _take(run, smaller)
            again = partial(take_set, run, renewed(plan))
            return replace(taken, busy=busy, again=again)
        except VolumesBusy as error:
            busy |= error.full
            smaller = _leaving_out(smaller, error)


def _leaving_out(plan: SetPlan, error: VolumesBusy) -> SetPlan:
    """Answer the plan without the busy data volumes.

    :raises VolumesBusy: there is none; names what is to be waited for.
    """
    smaller = without(plan, error.full)
    if error.full and smaller:
        return smaller
    root = [v for v in plan.volumes if v.volume_id == plan.instance.root_volume_id]
    if root and root[0].volume_id in error.full:
        raise VolumesBusy(root, {root[0].volume_id: error.full[root[0].volume_id]}) from error
    raise error


def taken_before(run: Run, plan: SetPlan, snapshots: Sequence[Snapshot]) -> Taken:
    """Answer a set that a lost process of this run took of an instance, with what it lacks done.

    :param snapshots: those of its members that were to be seen.
    :raises SnapbackError: EC2 can't be asked.

    Source: DescribeSnapshots, CreateTags.
    """
    found, place = list(snapshots), plan.instance.place
    if len(found) < len(plan.volumes) and our_tags.PARTIAL not in found[0].tags:
        marks = {our_tags.SET: found[0].set_id}
        all_seen = look_for(run.conn(place), place, marks, len(plan.volumes), run.patience)
        found = all_seen or found
    return _tagged(run, plan, found_again(found, consistent=plan.consistent))


def _take(run: Run, plan: SetPlan) -> Taken:
    still = take(run, _order(run, plan), plan.instance, consistent=plan.consistent)
    return _tagged(run, plan, still)


def _tagged(run: Run, plan: SetPlan, still: Still) -> Taken:
    """Answer a set as taken, with all its tags."""
    member = _membership(run, plan, still.snapshots)
    taken = Taken(
        snapshots=still.snapshots,
        again=partial(take_set, run, renewed(plan)),
        shortfall=_shortfall(member),
        changes=_changes(member),
        problems=still.problems,
        error=still.error,
    )
    try:
        _finish_tags(run, plan, member, still.snapshots)
    except SnapbackError as error:
        failed = SnapbackError(f"taken, but not all tags were set: {error}")
        return replace(taken, error=taken.error or failed)
    return taken


def _order(run: Run, plan: SetPlan) -> Order:
    """Answer the one call that takes a set."""

    def make(conn: Any) -> list[dict[str, Any]]:
        return create_set(
            conn,
            plan.instance.instance_id,
            plan.description(run.now(plan.instance.place)),
            plan.tagging.in_call,
            copy_tags=plan.tagging.copy_from_volumes,
            exclude_boot=plan.exclude_boot,
            exclude_data=plan.exclude_data,
        )

    return Order(plan.instance.place, plan.volumes, plan.set_id, "CreateSnapshots", make)


def _membership(run: Run, plan: SetPlan, snapshots: Collection[Snapshot]) -> Membership:
    """Return what a set holds. Where it holds what was planned, EC2 is not asked."""
    taken = {snapshot.volume_id for snapshot in snapshots}
    changed = taken != set(plan.devices.values())
    now = as_it_is(run, plan.instance) if changed else None
    return membership(plan, taken, None if now is None or is_gone(now) else now)


def _shortfall(member: Membership) -> str:
    """Return which volumes there are no snapshots of, or none with a record, or ``""``."""
    said = []
    if member.missing:
        said.append(f"no snapshot of {', '.join(member.missing)}")
    if member.unknown:
        said.append(f"no device is known of {', '.join(member.unknown)}: no record")
    return "; ".join(said)


def _changes(member: Membership) -> tuple[str, ...]:
    return (
        *(f"{volume} was detached meanwhile" for volume in member.detached),
        *(f"{volume} was attached meanwhile" for volume in member.attached),
    )


def _finish_tags(
    run: Run, plan: SetPlan, member: Membership, snapshots: Sequence[Snapshot]
) -> None:
    """Set the tags that the call itself could not.

    Where volumes were attached or detached since the plan was made, the set's map of devices is
    mended: what was attached gets a record, and what was detached before the call isn't missing.
    """
    conn = run.conn(plan.instance.place)
    of_volume = {snapshot.volume_id: snapshot.snapshot_id for snapshot in snapshots}
    for volume_ids, tags in plan.tagging.afterwards:
        ids = [of_volume[volume_id] for volume_id in volume_ids if volume_id in of_volume]
        if ids:
            create_tags(conn, ids, tags)
    if dict(member.devices) != plan.devices:
        pieces = our_tags.write_long(our_tags.DEVICES, dict(member.devices))
        # What is left of a longer map is emptied: a backup has no right to delete tags.
        emptied = dict.fromkeys(our_tags.write_long(our_tags.DEVICES, plan.devices), "")
        create_tags(conn, of_volume.values(), emptied | pieces)


def see_through(
    run: Run,
    place: Place,
    taken: Sequence[Taken],
    keep: Callable[[Snapshot], Snapshot] = fanout.whole,
) -> list[Taken]:
    """Wait until all are completed; take those again that end in ``error``, three times at most.

    One DescribeSnapshots looks at up to 200 snapshots at a time.

    :param keep: answers what is kept of each snapshot.
    :returns: in the same order; what went wrong is each one's ``error``:
        :class:`~snapback.errors.SnapshotFailed` after the third time,
        :class:`~snapback.errors.SnapshotTimeout` for one still pending after ``minutes_for_snap``
        (nothing is deleted then), :class:`~snapback.errors.Interrupted` for one not waited for.
    """
    watches = [_Watch(run, one) for one in taken]
    attempts = looks(run)
    try:
        while waiting := [watch for watch in watches if not watch.over]:
            next(attempts)
            ids = [s.snapshot_id for watch in waiting for s in watch.taken.snapshots]
            seen = snapshots_by_id(run.conn(place), place, ids, keep)
            _tell(run, place, seen)
            for watch in waiting:
                watch.look(seen)
    except SnapbackError as error:
        for watch in watches:
            if not watch.over:
                watch.end(_not_waited_for(error))
    return [watch.taken for watch in watches]


def _tell(run: Run, place: Place, seen: dict[str, Snapshot]) -> None:
    """Tell how far the snapshots are that are being waited for."""
    run.progress.waiting(place, list(seen.values()))
    for snapshot in seen.values():
        log.info("%s in %s: %s %s", snapshot.snapshot_id, place, snapshot.state, snapshot.progress)


def _not_waited_for(error: SnapbackError) -> SnapbackError:
    """Answer what is said of snapshots that were taken but not watched to their end."""
    kind = Interrupted if isinstance(error, Interrupted) else SnapbackError
    return kind(f"taken, but not seen to be completed: {error}")


class _Watch:
    """Sees one set, or one lone snapshot, through to its end."""

    def __init__(self, run: Run, taken: Taken) -> None:
        self._run = run
        self._attempt = 1
        self._begin(taken)

    def _begin(self, taken: Taken) -> None:
        self.taken = taken
        self.over = not taken.snapshots
        self._deadline = Deadline(self._run, self._run.settings.minutes_for_snap)

    def end(self, error: SnapbackError | None = None) -> None:
        """Stop watching."""
        self.over = True
        if error:
            self.taken = replace(self.taken, error=error)

    def look(self, seen: dict[str, Snapshot]) -> None:
        """Take note of how the snapshots are now."""
        now = tuple(seen.get(s.snapshot_id, s) for s in self.taken.snapshots)
        self.taken = replace(self.taken, snapshots=now)
        failed = [snapshot for snapshot in now if snapshot.state == "error"]
        if failed:
            self._discard_and_retake(failed[0])
        elif all(snapshot.state == "completed" for snapshot in now):
            self.end()
        elif self._deadline.is_over:
            pending = ", ".join(
                f"{s.snapshot_id} ({s.progress or '0%'})" for s in now if s.state != "completed"
            )
            minutes = self._run.settings.minutes_for_snap
            self.end(SnapshotTimeout(f"still pending after {minutes:g} minutes: {pending}"))

    def _discard_and_retake(self, failed: Snapshot) -> None:
        why = f"{failed.snapshot_id} ended in error: {failed.state_message or 'no reason given'}"
        try:
            self._discard(failed.place, why)
            if self._attempt == MOST_ATTEMPTS:
                self.taken = replace(self.taken, snapshots=())
                self.end(SnapshotFailed(f"{why}; so it went {MOST_ATTEMPTS} times"))
                return
            self._attempt += 1
            self._begin(self.taken.again())
        except InstanceGone as error:
            self.taken = replace(self.taken, snapshots=())
            self.end(InstanceGone(f"{why}; and the instance was {error}"))
        except SnapbackError as error:
            self.end(SnapshotFailed(f"{why}; and then: {error}"))

    def _discard(self, place: Place, why: str) -> None:
        """Delete what was taken.

        :raises SnapbackError: a snapshot can't be deleted, or that can't be written down.
        """
        deletions = deletion_log.open_log(self._run, anew=False)
        ids = [snapshot.snapshot_id for snapshot in self.taken.snapshots]
        for snapshot in snapshots_by_id(self._run.conn(place), place, ids).values():
            try:
                deletion_log.delete(self._run, deletions, snapshot, [why])
            except LogFailed as error:
                said = f"{snapshot.snapshot_id}: {error.word}: {error}"
                raise type(error)(said) from error
