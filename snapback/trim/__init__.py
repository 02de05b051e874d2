"""Trimming: thin out the snapshots of ours, and delete broken ones. Read, decide, show, act."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial

from snapback.core.model import Place, Snapshot
from snapback.core.model.outcome import Outcome
from snapback.core.trim.brake import Brake
from snapback.core.trim.trim_plan import TrimPlan, plan_broken, plan_trim
from snapback.errors import BrakeError, UsageError
from snapback.run import Run, current, fanout, units
from snapback.snapshots.catalog import all_snapshots
from snapback.snapshots.in_flight import Transfers, transfers
from snapback.snapshots.protection import protection_of
from snapback.trim.deletions import carry_out
from snapback.trim.kept import braked, kept_all
from snapback.words import Word


@dataclass(frozen=True)
class Trimming:
    """A trimming: its plans, and what became of every snapshot that they name.

    :ivar outcomes: in a dry run, what would become of them.
    """

    plans: tuple[TrimPlan, ...]
    outcomes: tuple[Outcome, ...]


def trim_snapshots(
    region_name: str | None = None,
    dry_run: bool = False,
    account: str | None = None,
    executor: Executor | str | None = None,
) -> Trimming:
    """Delete old snapshots, logarithmically back in time; answer the plan and what came of it.

    :param region_name: may be contracted; ``None``: all regions in use.
    :param dry_run: decide and answer the plan, call nothing that changes anything.
    :param account: the account's name in the configuration; ``None``: all of them.
    :param executor: what reads and plans, an account's region at a time, as for
        :func:`~snapback.backup.backup_instances_by_tag`. What deletes is always this process.
    :raises BrakeError: suspiciously much would go; nothing was deleted.
    :raises ConfigError: no configuration was found, nor said to be ``none``; nothing was deleted.
    :raises ItemsFailed: not all went well, or broken snapshots of ours were found; its ``outcomes``
        say what became of each.

    Source: DescribeSnapshots, DescribeImages, DescribeLockedSnapshots, DescribeKeyPairs,
    DescribeInstances, DescribeVolumes, DeleteSnapshot.
    """
    with units.handed_to(current().only(account), executor) as run:
        trimming = trim(run, region_name, dry_run=dry_run)
    return _or_raise(trimming)


def delete_broken_snapshots(
    region_name: str | None = None,
    dry_run: bool = False,
    account: str | None = None,
    executor: Executor | str | None = None,
) -> Trimming:
    """Delete the snapshots of ours that are in the state ``error``; answer what became of each.

    :param region_name: may be contracted; ``None``: all regions in use.
    :param dry_run: answer which they are, call nothing that changes anything.
    :param account: the account's name in the configuration; ``None``: all of them.
    :param executor: what reads and plans, an account's region at a time, as for
        :func:`~snapback.backup.backup_instances_by_tag`. What deletes is always this process.
    :raises ConfigError: no configuration was found, nor said to be ``none``; nothing was deleted.
    :raises ItemsFailed: broken snapshots of ours were found; its ``outcomes`` say which.

    Source: DescribeSnapshots, DeleteSnapshot.
    """
    with units.handed_to(current().only(account), executor) as run:
        trimming = delete_broken(run, region_name, dry_run=dry_run)
    return _or_raise(trimming)


def _or_raise(trimming: Trimming) -> Trimming:
    bad = [outcome for outcome in trimming.outcomes if outcome.exit_code]
    refused = [outcome for outcome in bad if outcome.word is Word.REFUSED]
    if refused and all(outcome.word in (Word.REFUSED, Word.BROKEN) for outcome in bad):
        raise BrakeError(refused[0].explanation)
    return fanout.or_raise(trimming)


def trim(
    run: Run,
    region_name: str | None = None,
    *,
    dry_run: bool = False,
    tag_name: str | None = None,
    tag_value: str | None = None,
    brake: Brake | None = None,
) -> Trimming:
    """Trim; see :func:`trim_snapshots`.

    :param tag_name: delete only snapshots with this tag...
    :param tag_value: ...of this value; of whatever value where ``None``.
    :param brake: ``None``: as configured, nothing released.
    :raises UsageError: something to release isn't there.
    """
    _refuse_without_configuration(run, dry_run)
    places = run.places(region_name)
    flying = transfers(run)
    brake = brake or Brake(percent=run.settings.max_delete)
    selected = partial(_has_tag, tag_name=tag_name, tag_value=tag_value)
    plans, failures = _plans_of(units.each(run, places, _plan_place, brake, selected, flying))
    if not failures:
        _refuse_unmatched(brake, plans)
    failures += _unread(flying, failures)
    plans, stopped = braked(plans)
    left_alone = [outcome for plan in plans for outcome in kept_all(plan)]
    outcomes = carry_out(run, plans, dry_run=dry_run)
    return Trimming(tuple(plans), (*outcomes, *stopped, *left_alone, *failures))


def delete_broken(run: Run, region_name: str | None = None, *, dry_run: bool = False) -> Trimming:
    """Delete broken snapshots; see :func:`delete_broken_snapshots`."""
    _refuse_without_configuration(run, dry_run)
    plans, failures = _plans_of(units.each(run, run.places(region_name), _plan_broken_place))
    return Trimming(tuple(plans), (*carry_out(run, plans, dry_run=dry_run), *failures))


def _refuse_without_configuration(run: Run, dry_run: bool) -> None:
    """Refuse to delete by the defaults where nobody has said that they are meant.

    :raises ConfigError: no configuration was found, and this is no dry run.
    """
    if not dry_run:
        run.loaded.source.refuse_to_delete()


def _plans_of(
    results: Sequence[fanout.Result[Place, TrimPlan]],
) -> tuple[list[TrimPlan], list[Outcome]]:
    """Answer the plans, and the regions that could not be read."""
    fanout.refuse_if_all_refused(results)
    plans = [result.value for result in results if result.value]
    failures = [Outcome.of_failed(result.item, result.error) for result in results if result.error]
    return plans, failures


def _plan_place(
    run: Run,
    place: Place,
    brake: Brake,
    selected: Callable[[Snapshot], bool],
    flying: Transfers,
) -> TrimPlan:
    snapshots = all_snapshots(run, place)
    protection = replace(protection_of(run, place, snapshots), in_flight=flying.reasons)
    return plan_trim(
        place, snapshots, run.settings.policy_of, run.now(place), protection, brake, selected
    )


def _unread(flying: Transfers, failures: Sequence[Outcome]) -> list[Outcome]:
    """Answer the regions whose transfers are not known, but for those that failed altogether."""
    told = {outcome.place for outcome in failures}
    return [
        replace(
            Outcome.of_failed(place, error),
            explanation=f"which snapshots are on their way there isn't known: {error}",
        )
        for place, error in flying.unread.items()
        if not {place, Place("", place.account)} & told
    ]


def _plan_broken_place(run: Run, place: Place) -> TrimPlan:
    snapshots = all_snapshots(run, place)
    return TrimPlan(place=place, broken=tuple(plan_broken(snapshots, run.now(place))), verdicts=())


def _has_tag(snapshot: Snapshot, tag_name: str | None, tag_value: str | None) -> bool:
    if tag_name is None:
        return True
    found = snapshot.tags.get(tag_name)
    return found is not None and tag_value in (None, found)


def _refuse_unmatched(brake: Brake, plans: Sequence[TrimPlan]) -> None:
    """Refuse to release volumes of which there are no snapshots.

    :raises UsageError: so it is; nothing was deleted.
    """
    volumes = {timeline.volume for plan in plans for timeline in plan.timelines}
    missing = sorted(brake.volumes - volumes)
    if brake.instance and not any(brake.instance in plan.instances for plan in plans):
        missing.append(brake.instance)
    if missing:
        raise UsageError(
            f"there are no snapshots of {', '.join(missing)} here, so nothing was deleted: "
            "look for the volumes in fab status"
        )
