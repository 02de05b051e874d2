"""Consistent snapshots: the volumes' file systems are found on the host and frozen for one call.

While they are frozen nothing waits. EC2's room for the snapshots is looked at before, the turn to
call is taken before, and the call is made once; if it is refused, all is thawed, and it begins
again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from snapback.backup.changes import as_it_is, not_at_rest, refuse_if_gone
from snapback.core.backup.freeze_plan import FreezePlan
from snapback.core.backup.pending_limit import full, seconds_to_wait
from snapback.core.model import Consistency, Instance, Place, Snapshot, Volume
from snapback.core.model.sharing import SHAREABLE_TYPES, written_by_others
from snapback.core.model.tags import CONSISTENCY, RUN, SET
from snapback.ec2.calls import THROTTLED
from snapback.ec2.snapshots import (
    TOO_SOON,
    create_surely,
    look_for,
    of_one_call,
    read,
    snapshots_of,
)
from snapback.ec2.tags import create_tags
from snapback.ec2.volumes import volumes_by_id
from snapback.errors import ApiError, HostError, LeftFrozen, LostAnswer, SnapbackError, VolumesBusy
from snapback.run import Run
from snapback.ssh.freeze import SYNC_TIMEOUT_S, Hold, Terms, by_hand, frozen
from snapback.ssh.host import Host
from snapback.ssh.layout import freeze_plan_of

log = logging.getLogger(__name__)

MOST_FREEZES = 4
_ANSWER_LOST = "EC2's answer was lost while they were frozen: crash-consistent"
_HIBERNATED = "crash-consistent: it is hibernated, and its file systems are mounted in its memory"


@dataclass(frozen=True)
class Order:
    """Snapshots that one call makes.

    :ivar volumes: of which; all at this place.
    :ivar set_id: the tag that this call gives them, and no other call.
    :ivar action: the API operation.
    :ivar make: makes the call with a client, and answers what EC2 answers.
    """

    place: Place
    volumes: Collection[Volume]
    set_id: str
    action: str
    make: Callable[[Any], list[dict[str, Any]]]


@dataclass(frozen=True)
class Still:
    """Snapshots of a host that was held still for them, or was meant to be.

    :ivar snapshots: each with the consistency that is true of it.
    :ivar problems: what is less than asked, in words.
    :ivar error: what went wrong besides.
    """

    snapshots: tuple[Snapshot, ...]
    problems: tuple[str, ...] = ()
    error: SnapbackError | None = None


def terms_of(run: Run, instance: Instance) -> Terms:
    """Answer on what terms an instance's file systems are frozen."""
    settings, freeze = (
        run.settings.for_host(instance.place.region, instance.tags),
        run.settings.freeze,
    )
    return Terms(
        limit_s=freeze.freeze_timeout_s,
        pre_freeze=settings.pre_freeze or "",
        post_thaw=settings.post_thaw or "",
        hook_timeout_s=freeze.hook_timeout_s,
    )


def _plan_freeze(
    run: Run, host: Host, instance: Instance, volumes: Collection[Volume]
) -> FreezePlan:
    """Return what is frozen on a host for the snapshots of some of its volumes. Changes nothing.

    :raises HostError: it can't be told.
    """
    freeze_root = run.settings.freeze.freeze_root
    return freeze_plan_of(host, instance, volumes, freeze_root=freeze_root)


def foresee(run: Run, instance: Instance, volumes: Collection[Volume]) -> tuple[FreezePlan, Terms]:
    """Log in, and answer what would be frozen on what terms. Changes nothing.

    :raises HostError: it can't be told.
    """
    with run.host(instance) as host:
        return _plan_freeze(run, host, instance, volumes), terms_of(run, instance)


def take(run: Run, order: Order, instance: Instance | None, *, consistent: bool) -> Still:
    """Take snapshots, as consistent as can be where that is asked for.

    :param instance: to which the volumes are attached, if any.
    :raises VolumesBusy: EC2 has no room for them.
    :raises HostError: they can't be consistent, and ``require_consistent``; nothing was taken.
    :raises InstanceGone: it was terminated meanwhile; nothing was taken.
    :raises SnapbackError: nothing was taken.
    """
    if not consistent:
        return Still(tuple(_create(run, order)))
    if instance is None or instance.state == "stopped":
        return _take_at_rest(run, order, instance)
    try:
        return _take_frozen(run, order, instance)
    except HostError as error:
        now = as_it_is(run, instance)
        refuse_if_gone(now, error)
        lost = run.lost_calls.are_for(order.set_id)
        if now and now.state == "stopped" and not lost:
            return _take_at_rest(run, order, now)
        if run.settings.freeze.require_consistent:
            raise
        log.warning("%s: crash-consistent: %s", instance.instance_id, error)
        return Still(tuple(_create(run, order)), (f"crash-consistent: {error}",))


def wanted(run: Run, instance: Instance | None, consistent: bool) -> bool:
    """Answer whether an instance's snapshots are to be consistent; an override decides first."""
    if instance is None:
        return consistent
    override = run.settings.for_host(instance.place.region, instance.tags).consistent
    return consistent if override is None else override


def _create(run: Run, order: Order) -> list[Snapshot]:
    conn = run.conn(order.place)
    return create_surely(
        conn,
        order.place,
        order.set_id,
        len(order.volumes),
        lambda: order.make(conn),
        run.patience,
        also=_of_this_run(run, order) if run.once else None,
    )


def _of_this_run(run: Run, order: Order) -> dict[str, list[str]]:
    """Answer the filters for what this run has taken of an order's volumes."""
    return {
        f"tag:{RUN}": [run.run_id],
        "volume-id": [volume.volume_id for volume in order.volumes],
        "status": ["pending", "completed"],
    }


def _take_at_rest(run: Run, order: Order, instance: Instance | None) -> Still:
    """Take snapshots of volumes in nobody's use, and see that they were so the whole time.

    :raises HostError: others may use them, and ``require_consistent``; nothing was taken.
    """
    shared = written_by_others(order.volumes, instance.instance_id if instance else "")
    less = _told(shared)
    if instance and instance.is_hibernated:
        less.append(_HIBERNATED)
    if less and run.settings.freeze.require_consistent:
        name = instance.instance_id if instance else ", ".join(shared)
        reason = f"not consistent: {'; '.join(less)}"
        raise HostError(name, order.place.region, reason, "or take back require_consistent")
    still = Still(tuple(_create(run, order)))
    if any(one.set_id not in ("", order.set_id) for one in still.snapshots):
        return found_again(still.snapshots, consistent=True)
    consistency = Consistency.STOPPED if instance else Consistency.FILESYSTEM
    if why := not_at_rest(run, order.volumes, instance):
        return _lowered(run, still, [f"crash-consistent: {why}"])
    if instance and instance.is_hibernated:
        return _lowered(run, still, [_HIBERNATED])
    return _called(run, order, instance, still, lambda _: consistency)


def _take_frozen(run: Run, order: Order, instance: Instance) -> Still:
    """Take snapshots of a running instance's volumes while their file systems are frozen.

    Each is made as ``crash``, and called better only after the host's good answer to the thaw.

    :raises HostError: they can't be frozen; nothing was taken.
    :raises VolumesBusy: EC2 has no room for them; nothing was frozen.
    :raises LeftFrozen: one may be left frozen, and nothing was taken.
    :raises ApiError: EC2 refuses; all is thawed.
    """
    with run.freeze_slots, run.host(instance) as host:
        terms = terms_of(run, instance)
        for attempt in range(1, MOST_FREEZES + 1):
            if before := _wait_for_room(run, order):
                if before[0].set_id == order.set_id:
                    return _lowered(run, Still(tuple(before)), [_ANSWER_LOST])
                return found_again(before, consistent=True)
            plan = _plan_freeze(run, host, instance, order.volumes)
            if plan.shortcomings and run.settings.freeze.require_consistent:
                reason = f"not consistent: {'; '.join(plan.shortcomings)}"
                raise host.error(reason, "or take back require_consistent")
            shot = _shoot(run, host, plan, terms, order)
            if not shot.may_be_repeated or attempt == MOST_FREEZES:
                break
            log.info("%s: to be frozen once more: %s", host.name, shot.refusal)
        if shot.hold.held:
            plan = _look_again(run, host, instance, order, plan)
        return _judge(run, order, instance, host, plan, shot)


def _look_again(
    run: Run, host: Host, instance: Instance, order: Order, plan: FreezePlan
) -> FreezePlan:
    """Return a plan with what a look after the thaw tells of the time in between.

    A program that opened a disk after the first look, and wrote to it, has it open still.
    """
    try:
        return plan.confirmed(_plan_freeze(run, host, instance, order.volumes))
    except HostError as error:
        return plan.unconfirmed(str(error))


def found_again(snapshots: Collection[Snapshot], *, consistent: bool) -> Still:
    """Answer what a process of this run has taken that was lost; nobody can judge them any more."""
    less = consistent and any(one.consistency is Consistency.CRASH for one in snapshots)
    lost = "crash-consistent, as far as is known: the process that took it was lost"
    return Still(tuple(snapshots), (lost,) if less else ())


def _wait_for_room(run: Run, order: Order) -> list[Snapshot]:
    """Wait until EC2 takes snapshots of these volumes again, before anything is frozen.

    :returns: those that are not taken again: what a call made whose answer was lost, or a process
        of this run that was lost.
    :raises VolumesBusy: they have too many pending ones.

    Source: DescribeSnapshots.
    """
    place = order.place
    found = snapshots_of(run.conn(place), place, [v.volume_id for v in order.volumes])
    good = [one for one in found if one.state != "error"]
    if late := of_one_call(one for one in good if one.set_id == order.set_id):
        run.lost_calls.seen(order.set_id)
        return late
    if run.once and (mine := [one for one in good if one.tags.get(RUN) == run.run_id]):
        return mine
    if too_many := full(order.volumes, found):
        raise VolumesBusy(order.volumes, too_many)
    run.pause(seconds_to_wait(found, run.now(place)))
    return []


@dataclass
class _Shot:
    """One freeze with one call in it."""

    taken: list[Snapshot] = field(default_factory=list)
    refusal: ApiError | None = None
    hold: Hold = field(default_factory=lambda: Hold(()))

    @property
    def may_be_repeated(self) -> bool:
        """Whether the call had no effect, and may have one the next time."""
        if self.taken or self.refusal is None or self.hold.left_frozen:
            return False
        return isinstance(self.refusal, LostAnswer) or self.refusal.code in {TOO_SOON, *THROTTLED}


def _shoot(run: Run, host: Host, plan: FreezePlan, terms: Terms, order: Order) -> _Shot:
    place = order.place
    conn = run.conn_at_once(place, terms.limit_s)
    if plan.to_sync:
        host.sudo(["sync", "-f", "--", *plan.to_sync], timeout_s=SYNC_TIMEOUT_S)
    shot = _Shot()
    with (
        run.turn(place, order.action),
        frozen(host, plan.levels, terms, alarm=run.progress.alarm, sleep=run.sleep) as hold,
    ):
        try:
            shot.taken = [read(place, said) for said in order.make(conn)]
        except ApiError as error:
            shot.refusal = error
    shot.hold = hold
    if isinstance(shot.refusal, LostAnswer):
        run.lost_calls.add(order.set_id)
    if shot.refusal and run.lost_calls.are_for(order.set_id):
        marks = {SET: order.set_id}
        found = look_for(run.conn(place), place, marks, len(order.volumes), run.patience)
        shot.taken = of_one_call(found)
        if shot.taken:
            run.lost_calls.seen(order.set_id)
    return shot


def _judge(
    run: Run,
    order: Order,
    instance: Instance,
    host: Host,
    plan: FreezePlan,
    shot: _Shot,
) -> Still:
    """Answer what the snapshots are worth, and call them so.

    :raises LeftFrozen: nothing was taken, and a file system may be left frozen.
    :raises ApiError: nothing was taken.
    """
    hold = shot.hold
    left = LeftFrozen(by_hand(host.name, hold.left_frozen)) if hold.left_frozen else None
    if not shot.taken:
        assert shot.refusal is not None
        raise left or shot.refusal
    held = hold.held and not shot.refusal
    less = plan.shortcomings_of({one.volume_id for one in shot.taken})
    if shot.refusal:
        less.append(_ANSWER_LOST)
    elif not held:
        less.append(f"crash-consistent: {hold.reason}")
    still = _lowered(run, Still(tuple(shot.taken), error=left), less)
    hooks = filter(None, [hold.pre_problem, hold.post_problem])
    still = replace(still, problems=(*still.problems, *hooks))
    return _called(
        run, order, instance, still, lambda volume_id: plan.verdict(volume_id, held=held)
    )


def _called(
    run: Run,
    order: Order,
    instance: Instance | None,
    still: Still,
    verdict: Callable[[str], Consistency],
) -> Still:
    """Write on snapshots how consistent they are.

    Those of volumes that other instances have, before the call or after it, stay ``crash``.

    Source: DescribeVolumes, CreateTags.
    """
    try:
        shared = _shared(run, order, instance, still)
        still = _lowered(run, still, _told(shared))
        judged = [
            one if one.volume_id in shared else replace(one, consistency=verdict(one.volume_id))
            for one in still.snapshots
        ]
        for consistency in {one.consistency for one in judged} - {Consistency.CRASH}:
            ids = [one.snapshot_id for one in judged if one.consistency is consistency]
            create_tags(run.conn(judged[0].place), ids, {CONSISTENCY: consistency.name.lower()})
    except SnapbackError as error:
        failed = SnapbackError(f"consistent, but not called so by their tags: {error}")
        return replace(still, error=still.error or failed)
    return replace(still, snapshots=tuple(judged))


def _shared(run: Run, order: Order, instance: Instance | None, still: Still) -> dict[str, str]:
    """Return the volumes that other instances had before the call, or have after it, and why not.

    What can't be Multi-Attach is not read once more.
    """
    sure = {one.volume_id for one in order.volumes if one.volume_type not in SHAREABLE_TYPES}
    unsure = {one.volume_id for one in still.snapshots} - sure
    now = volumes_by_id(run.conn(order.place), order.place, unsure).values()
    return written_by_others([*order.volumes, *now], instance.instance_id if instance else "")


def _told(shared: Mapping[str, str]) -> list[str]:
    return [f"{volume_id}: {why}" for volume_id, why in shared.items()]


def _lowered(run: Run, still: Still, problems: Collection[str]) -> Still:
    """Return snapshots that are less consistent than asked for reasons more.

    Where consistency is required, what the reasons given before don't say is a failure.
    """
    new = [one for one in problems if one not in still.problems]
    if not new:
        return still
    error = still.error
    if run.settings.freeze.require_consistent and not error:
        error = SnapbackError(f"taken, but not consistent as required: {'; '.join(new)}")
    return replace(still, problems=(*still.problems, *new), error=error)
