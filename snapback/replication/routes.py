"""The legs of a replication, each from one place into another: planned, shown, carried out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from snapback.core.model import Place, Snapshot
from snapback.core.model.backup_sets import unusable
from snapback.core.model.outcome import Outcome
from snapback.core.replication.replication_plan import Known, ReplicationPlan, Waiting
from snapback.ec2.regions import check_name
from snapback.ec2.snapshots import check_id, snapshots_by_id
from snapback.errors import SnapbackError, UsageError
from snapback.replication.by_copy import open_copy_engine
from snapback.replication.by_rsync import open_rsync_engine
from snapback.replication.engine import Opener, Options
from snapback.replication.execute import carry_out, would
from snapback.run import Run, fanout
from snapback.snapshots.catalog import view_of, what_is_lacking
from snapback.words import Word
from snapback.workers.sweep import sweep_places


@dataclass(frozen=True)
class Replication:
    """A replication: its plans, and what became of every snapshot in them.

    :ivar outcomes: in a dry run, what would become of them.
    """

    plans: tuple[ReplicationPlan, ...]
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True)
class Leg:
    """From where to where, and whether replicas are left out."""

    source: Place
    destination: Place
    native_only: bool = True

    def __str__(self) -> str:
        return f"{self.source} to {self.destination}"


Earmark = tuple[str | None, str | None]
NO_EARMARK: Earmark = (None, None)


def engine_of(name: str) -> Opener:
    """Answer what opens the engine of a name.

    :raises UsageError: there is none.
    """
    if name == "copy":
        return open_copy_engine
    if name == "rsync":
        return open_rsync_engine
    raise UsageError(f"there is no engine {name!r}: expected rsync or copy")


def replicate_snapshot(
    run: Run,
    src_region_name: str,
    snapshot_id: str,
    dst_region_name: str,
    options: Options,
    dry_run: bool = False,
) -> Replication:
    """Replicate one snapshot; see :func:`snapback.rsync_snapshot`."""
    opener = engine_of(options.engine)
    legs = _legs(run, src_region_name, dst_region_name)
    wanted = check_id(snapshot_id)
    results = fanout.each(
        legs,
        lambda leg: snapshots_by_id(run.conn(leg.source), leg.source, [wanted]),
        stop=run.stop,
    )
    for result in results:
        if result.value:
            plan = _plan_one(run, result.item, result.value[wanted], options.force)
            return _finish(run, [(result.item, plan)], opener, options, dry_run)
    for result in results:
        if result.error:
            raise result.error
    places = ", ".join(str(leg.source) for leg in legs)
    raise UsageError(f"there is no snapshot {wanted} of yours in {places}")


def _plan_one(run: Run, leg: Leg, snapshot: Snapshot, force: bool) -> ReplicationPlan:
    _refuse_unfit(snapshot, leg.destination)
    view = view_of(run, leg.destination)
    there = view.replica_of(snapshot) or view.newer_than(snapshot)
    plan = ReplicationPlan(source=leg.source, destination=leg.destination)
    if there and not (force and there.state == "completed"):
        return replace(plan, known=(Known(snapshot, there),))
    if snapshot.is_archived:
        raise UsageError(f"{snapshot.snapshot_id} {unusable(snapshot)}")
    step = view.step(snapshot)
    plan = replace(plan, broken=tuple(view.broken({step.record.identity})))
    if snapshot.state == "pending":
        return replace(plan, waiting=(Waiting((step,), ()),))
    return replace(plan, steps=(step,))


def _refuse_unfit(snapshot: Snapshot, destination: Place) -> None:
    """Refuse what can't be replicated there.

    :raises UsageError: says why.
    """
    name = snapshot.snapshot_id
    if snapshot.unproven:
        raise UsageError(f"{name} is unproven, so it isn't replicated: {snapshot.unproven.why}")
    if snapshot.record is None:
        raise UsageError(f"{name} has no record, so it can't be replicated: it isn't snapback's")
    if snapshot.state not in ("pending", "completed"):
        raise UsageError(f"{name} is in the state {snapshot.state}: {snapshot.state_message}")
    if snapshot.record.region == destination.region:
        raise UsageError(f"{name} was taken in {destination}: it isn't replicated back there")


def replicate_region(
    run: Run,
    src_region_name: str,
    dst_region_name: str,
    options: Options,
    earmark: Earmark = NO_EARMARK,
    native_only: bool = True,
    dry_run: bool = False,
) -> Replication:
    """Replicate a region; see :func:`snapback.rsync_region`.

    :param dry_run: decide, and answer what would be done.
    """
    opener = engine_of(options.engine)
    legs = _legs(run, src_region_name, dst_region_name, native_only)
    replication = _replicate(run, legs, earmark, opener, options, dry_run)
    return _failed_if_empty(run, replication, earmark)


def replicate_all_regions(
    run: Run,
    primary: str,
    secondary: str,
    options: Options,
    native_only: bool = True,
    dry_run: bool = False,
) -> Replication:
    """Replicate all regions; see :func:`snapback.rsync_all_regions`."""
    opener = engine_of(options.engine)
    last = _legs(run, primary, secondary, native_only)
    into_primary = [
        Leg(place, leg.source)
        for leg in last
        for place in run.places()
        if place.account == leg.source.account and place != leg.source
    ]
    first = _replicate(run, into_primary, NO_EARMARK, opener, options, dry_run)
    second = _replicate(run, last, NO_EARMARK, opener, options, dry_run)
    both = Replication((*first.plans, *second.plans), (*first.outcomes, *second.outcomes))
    return _failed_if_empty(run, both, NO_EARMARK)


def _legs(run: Run, source: str, destination: str, native_only: bool = True) -> list[Leg]:
    """Answer the legs between two regions: one in each account.

    :raises UsageError: there is no such region, several, or they are the same.
    """
    for name in (source, destination):
        check_name(name)
    into = run.region(destination)
    legs = [Leg(place, Place(into, place.account), native_only) for place in run.places(source)]
    if any(leg.source == leg.destination for leg in legs):
        raise UsageError(f"source and destination are both {into}: name two regions")
    return legs


def _replicate(
    run: Run, legs: Sequence[Leg], earmark: Earmark, opener: Opener, options: Options, dry_run: bool
) -> Replication:
    """Plan the legs, then carry out what was planned; both with the legs side by side."""
    planned = fanout.each(
        legs,
        lambda leg: what_is_lacking(run, leg.source, leg.destination, *earmark, leg.native_only),
        stop=run.stop,
    )
    fanout.refuse_if_all_refused(planned)
    plans = [(result.item, result.value) for result in planned if result.value]
    failures = [_leg_failed(result.item, result.error) for result in planned if result.error]
    done = _finish(run, plans, opener, options, dry_run)
    return Replication(done.plans, (*done.outcomes, *failures))


def _finish(
    run: Run,
    plans: Sequence[tuple[Leg, ReplicationPlan]],
    opener: Opener,
    options: Options,
    dry_run: bool,
) -> Replication:
    """Carry the plans out, or say what they would do."""
    all_plans = tuple(plan for _, plan in plans)
    if dry_run:
        return Replication(
            all_plans, tuple(one for plan in all_plans for one in would(run, plan, options))
        )
    outcomes = _swept(run, all_plans) if options.engine == "rsync" else []
    results = fanout.each(
        plans,
        lambda planned: carry_out(run, planned[1], opener, options),
        stop=run.stop,
    )
    fanout.refuse_if_all_refused(results)
    for result in results:
        outcomes += result.value or []
        if result.error:
            outcomes.append(_leg_failed(result.item[0], result.error))
    return Replication(all_plans, tuple(outcomes))


def _swept(run: Run, plans: Sequence[ReplicationPlan]) -> list[Outcome]:
    """Sweep what has expired of ours at all ends, and answer what could not be."""
    places = {place for plan in plans for place in (plan.source, plan.destination)}
    return [outcome for outcome in sweep_places(run, sorted(places)) if outcome.exit_code]


def _leg_failed(leg: Leg, error: SnapbackError) -> Outcome:
    facts = {"source_region": leg.source.region}
    return replace(Outcome.of_failed(leg.destination, error), subject=str(leg), facts=facts)


def _failed_if_empty(run: Run, replication: Replication, earmark: Earmark) -> Replication:
    """Answer a failure where nothing at all was found to replicate: that is no backup."""
    if replication.outcomes:
        return replication
    name = earmark[0] or run.settings.tag_name
    value = earmark[1] or run.settings.tag_value
    regions = ", ".join(sorted({str(plan.source) for plan in replication.plans}))
    nothing = Outcome(
        subject=f"{name}={value}",
        word=Word.FAILED,
        explanation=f"no snapshot in {regions} has the tag {name}={value} and a record",
    )
    return replace(replication, outcomes=(nothing,))
