"""The sets of the instances at one place: planned by and by, foreseen or taken as they come.

However many instances there are, the volumes and plans of few of them are held at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from snapback.backup import consistency, late, pending_limit
from snapback.backup.capture import Taken, see_through, take_set
from snapback.backup.changes import as_it_is, earmark, planned_anew, refuse_if_gone
from snapback.backup.outcomes import outcome_of, outcome_planned, outcome_unplanned
from snapback.backup.resume import Made
from snapback.core.backup.freeze_plan import FreezePlan
from snapback.core.backup.set_plan import SetPlan, plan_set
from snapback.core.model import Instance, Place, Snapshot, Volume
from snapback.core.model.outcome import Outcome
from snapback.core.model.sharing import takers
from snapback.core.model.tags import Tagging
from snapback.ec2.instances import instance_by_id
from snapback.ec2.volumes import in_batches, volumes_of
from snapback.errors import HostError, SnapbackError, UsageError
from snapback.run import Run, fanout
from snapback.ssh.freeze import Terms

Kept = TypeVar("Kept")

_NONE: dict[str, str] = {}


@dataclass(frozen=True)
class _Planned:
    """An instance with what is to be taken of it, or why that isn't known."""

    instance: Instance
    plan: SetPlan | None = None
    error: SnapbackError | None = None


_Result = fanout.Result[_Planned, Taken | None]


def foresee(run: Run, place: Place, instances: list[Instance], consistent: bool) -> list[Outcome]:
    """Answer what would be taken, and what would be frozen meanwhile. Changes nothing."""

    def look(planned: _Planned) -> tuple[FreezePlan, Terms] | None:
        plan = _plan_of(planned)
        if not (plan.consistent and plan.volumes and plan.instance.state != "stopped"):
            return None
        try:
            with run.freeze_slots:
                return consistency.foresee(run, plan.instance, plan.volumes)
        except HostError as error:
            now = as_it_is(run, plan.instance)
            refuse_if_gone(now, error)
            if now and now.state == "stopped":
                return None
            raise

    def keep(result: fanout.Result[_Planned, tuple[FreezePlan, Terms] | None]) -> Outcome:
        if result.item.plan:
            return outcome_planned(result.item.plan, result.value, result.error)
        return outcome_unplanned(result.item.instance, result.error)

    plans = _plans(run, place, instances, consistent)
    return fanout.flow(plans, look, keep, workers=run.settings.workers, stop=run.stop)


def take(run: Run, place: Place, instances: list[Instance], consistent: bool) -> list[Outcome]:
    """Take a set of each instance; answer what became of each, in their order.

    :param instances: taken out of the list by and by, so that those done are held no longer.
    """
    run = late.apart(run)
    return late.told(run, place, _take(run, place, instances, consistent, _outcome_of))


def take_and_wait(
    run: Run, place: Place, instances: list[Instance], consistent: bool
) -> list[Outcome]:
    """Do as :func:`take`, and wait until all is completed.

    Of what was taken no more is held meanwhile than the waiting needs.
    """
    run = late.apart(run)
    results = _take(run, place, instances, consistent, partial(_small, run))
    outcomes = [_outcome_of(result) for result in _seen_through(run, place, results, slim)]
    return late.told(run, place, outcomes)


def take_and_hold(
    run: Run, place: Place, instances: list[Instance], synchronously: bool, consistent: bool
) -> tuple[list[Outcome], list[Snapshot]]:
    """Take a set of each instance; answer what became of each, and all the snapshots.

    :param synchronously: wait until they are completed.
    """
    run = late.apart(run)
    results = _take(run, place, instances, consistent, fanout.whole)
    if synchronously:
        results = _seen_through(run, place, results, fanout.whole)
    snapshots = [s for result in results if result.value for s in result.value.snapshots]
    return late.told(run, place, [_outcome_of(result) for result in results]), snapshots


def _seen_through(
    run: Run, place: Place, results: list[_Result], keep: Callable[[Snapshot], Snapshot]
) -> list[_Result]:
    """Answer what became of what was taken in the end."""
    seen = iter(see_through(run, place, [r.value for r in results if r.value], keep))
    return [replace(r, value=next(seen)) if r.value else r for r in results]


def slim(snapshot: Snapshot) -> Snapshot:
    """Answer as much of a snapshot as is needed to wait for it and to tell of it."""
    return replace(snapshot, tags=_NONE, description="", record=None, set_id="")


def _small(run: Run, result: _Result) -> _Result:
    """Answer as much of a result as is needed to wait for it and to tell of it."""
    plan, taken = result.item.plan, result.value
    if not plan or not taken:
        return result
    was = plan.instance
    instance = Instance(place=was.place, instance_id=was.instance_id, tags={"Name": was.name})
    plan = replace(
        plan,
        instance=instance,
        volumes=tuple(Volume(place=v.place, volume_id=v.volume_id) for v in plan.volumes),
        tagging=Tagging(False, _NONE),
    )
    taken = replace(
        taken,
        snapshots=tuple(slim(snapshot) for snapshot in taken.snapshots),
        again=partial(_take_anew, run, plan),
    )
    return fanout.Result(_Planned(instance, plan), taken, result.error)


def _take_anew(run: Run, before: SetPlan) -> Taken:
    """Take a set of an instance as it is now.

    :param before: the plan by which its last set was taken.
    :raises InstanceGone: it was terminated.
    :raises SnapbackError: nothing was taken.
    """
    place = before.instance.place
    try:
        now = instance_by_id(run.conn(place), place, before.instance.instance_id)
    except UsageError as error:
        refuse_if_gone(as_it_is(run, before.instance), error)
        raise
    return take_set(run, planned_anew(run, before, now))


def _take(
    run: Run,
    place: Place,
    instances: list[Instance],
    consistent: bool,
    keep: Callable[[_Result], Kept],
) -> list[Kept]:
    """Take a set of each instance; answer what is kept of each result, in their order."""

    made = Made(run, place) if run.once else None

    def take_one(planned: _Planned) -> Taken | None:
        plan = _plan_of(planned)
        if not plan.volumes:
            return None
        before = made.of(plan) if made else None
        return before or take_set(run, plan)

    def told(result: _Result) -> Kept:
        run.progress.done()
        return keep(result)

    run.progress.expect(len(instances), "backing up")
    return pending_limit.take_all(
        run, place, _plans(run, place, instances, consistent), take_one, told
    )


def _plans(
    run: Run, place: Place, instances: list[Instance], consistent: bool
) -> Iterator[Sequence[_Planned]]:
    """Answer what is to be taken of instances, in batches, reading each one's volumes before it.

    :param instances: taken out of the list, batch by batch.
    :raises SnapbackError: the volumes of the first batch can't be read. Those of a later one, when
        snapshots are being taken already, are a failure of its instances alone.
    """
    conn, shared = run.conn(place), takers(instances)
    for number, some in enumerate(_taken_out(instances)):
        try:
            volumes = volumes_of(conn, place, some)
        except SnapbackError as error:
            if not number:
                raise
            yield [_Planned(instance, error=error) for instance in some]
        else:
            yield [
                _Planned(instance, _plan(run, instance, volumes, consistent, shared))
                for instance in some
            ]


def _plan(
    run: Run,
    instance: Instance,
    volumes: Mapping[str, Volume],
    consistent: bool,
    shared: Mapping[str, str],
) -> SetPlan:
    """Decide what is taken of an instance, and whether it is to be consistent."""
    wanted = consistency.wanted(run, instance, consistent)
    return plan_set(instance, volumes, earmark(run), run.run_id, consistent=wanted, shared=shared)


def _taken_out(instances: list[Instance]) -> Iterator[Sequence[Instance]]:
    """Answer the instances of a list in batches, and take them out of it."""
    while instances:
        some = next(in_batches(instances))
        del instances[: len(some)]
        yield some


def _plan_of(planned: _Planned) -> SetPlan:
    if planned.plan is None:
        raise planned.error or AssertionError
    return planned.plan


def _outcome_of(result: _Result) -> Outcome:
    if result.item.plan:
        return outcome_of(result.item.plan, result.value, result.error)
    return outcome_unplanned(result.item.instance, result.error)
