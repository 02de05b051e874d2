"""Trimming: thin out the snapshots of ours, and delete broken ones. Read, decide, show, act."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial

from snapback.core.model import Place, Snapshot
from snapback.core.model.outcome import Outcome, word_for
from snapback.core.trim.reasons import TrimReason
from snapback.core.trim.trim_plan import TrimPlan, plan_broken, plan_trim
from snapback.errors import BrakeError, SnapbackError, Word
from snapback.run import Run, current, fanout, units
from snapback.snapshots import deletion_log
from snapback.snapshots.catalog import all_snapshots, protection_of
from snapback.snapshots.in_flight import Transfers, transfers


@dataclass(frozen=True)
class Trimming:
    """A trimming: its plans, and what became of every snapshot that they name.

    :ivar outcomes: in a dry run, what would become of them.
    """

    plans: tuple[TrimPlan, ...]
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True)
class _Doomed:
    """A snapshot that is to be deleted, and why, in words."""

    snapshot: Snapshot
    reasons: tuple[str, ...]
    broken: bool = False


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
    DeleteSnapshot.
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
    max_delete: int | None = None,
) -> Trimming:
    """Trim; see :func:`trim_snapshots`.

    :param tag_name: delete only snapshots with this tag...
    :param tag_value: ...of this value; of whatever value where ``None``.
    :param max_delete: the brake, percent; ``None``: the configured one.
    """
    _refuse_without_configuration(run, dry_run)
    places = run.places(region_name)
    flying = transfers(run)
    brake = run.settings.max_delete if max_delete is None else max_delete
    selected = partial(_has_tag, tag_name=tag_name, tag_value=tag_value)
    plans, failures = _plans_of(units.each(run, places, _plan_place, brake, selected, flying))
    failures += _unread(flying, failures)
    refusal = _braked(plans, brake, dry_run)
    if refusal and not dry_run:
        return Trimming(tuple(plans), (*refusal, *failures))
    return _carry_out(run, plans, [*refusal, *failures], dry_run)


def delete_broken(run: Run, region_name: str | None = None, *, dry_run: bool = False) -> Trimming:
    """Delete broken snapshots; see :func:`delete_broken_snapshots`."""
    _refuse_without_configuration(run, dry_run)
    plans, failures = _plans_of(units.each(run, run.places(region_name), _plan_broken_place))
    return _carry_out(run, plans, failures, dry_run)


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
    brake: int,
    selected: Callable[[Snapshot], bool],
    flying: Transfers,
) -> TrimPlan:
    snapshots = all_snapshots(run, place)
    protection = replace(protection_of(run, place), in_flight=flying.reasons)
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


def _braked(plans: Sequence[TrimPlan], brake: int, dry_run: bool) -> list[Outcome]:
    """Answer that nothing is deleted, where the plan is suspicious; else nothing."""
    braked = [(plan.place, one) for plan in plans for one in plan.braked]
    if not braked:
        return []
    place, worst = max(braked, key=lambda found: found[1].deleted / found[1].total)
    others = f" (and {len(braked) - 1} volumes like it)" if len(braked) > 1 else ""
    verb = "would be" if dry_run else "was"
    why = (
        f"nothing {verb} deleted: {worst.deleted} of the {worst.total} snapshots of "
        f"{worst.timeline[1]} in {place}{others} would go, over {brake} percent: look at the plan "
        "(--dry-run) and the retention (fab show_config), then go on with --max-delete 100"
    )
    return [
        Outcome(
            subject=worst.timeline[1],
            word=Word.REFUSED,
            explanation=why,
            place=place,
        )
    ]


def _carry_out(
    run: Run, plans: Sequence[TrimPlan], failures: Sequence[Outcome], dry_run: bool
) -> Trimming:
    """Delete what the plans say, the broken ones first; in a dry run say so only."""
    outcomes = [
        _outcome(broken.snapshot, Word.NOT_OURS, broken.reason)
        for plan in plans
        for broken in plan.broken
        if not broken.ours
    ]
    broken = [b for plan in plans for b in plan.broken if b.ours]
    old = [verdict for plan in plans for verdict in plan.deletions]
    unknown = [_kept_all(plan) for plan in plans]
    if dry_run:
        outcomes += [_outcome(b.snapshot, Word.BROKEN, f"would go: {b.reason}") for b in broken]
        outcomes += [_outcome(v.snapshot, Word.WOULD, str(v.reasons[0])) for v in old]
    elif broken or old:
        log = deletion_log.open_log(run)
        outcomes += _delete_all(
            run, log, [_Doomed(b.snapshot, (b.reason,), broken=True) for b in broken]
        )
        outcomes += _delete_all(
            run, log, [_Doomed(v.snapshot, tuple(map(str, v.reasons))) for v in old]
        )
    kept_all = [outcome for some in unknown for outcome in some]
    return Trimming(tuple(plans), (*outcomes, *kept_all, *failures))


def _kept_all(plan: TrimPlan) -> list[Outcome]:
    """Answer the timelines that were left alone since their retention isn't known."""
    reasons = {
        (verdict.snapshot.record.timeline, str(reason))
        for verdict in plan.verdicts
        for reason in verdict.reasons
        if verdict.snapshot.record and reason.kind is TrimReason.NO_POLICY
    }
    return [
        Outcome(
            subject=timeline[1],
            word=Word.KEPT_ALL,
            explanation=reason,
            place=plan.place,
        )
        for timeline, reason in sorted(reasons)
    ]


def _delete_all(
    run: Run, log: deletion_log.DeletionLog, doomed: Sequence[_Doomed]
) -> list[Outcome]:
    """Delete snapshots, places side by side; answer what became of each."""
    places = sorted({one.snapshot.place for one in doomed})
    run.progress.expect(len(doomed), "deleting snapshots")

    def delete_at(place: Place) -> list[Outcome]:
        results = fanout.each(
            [one for one in doomed if one.snapshot.place == place],
            lambda one: deletion_log.delete(run, log, one.snapshot, one.reasons),
            workers=run.settings.workers,
            stop=run.stop,
            on_done=lambda _: run.progress.done(),
        )
        return [_deleted(result.item, result.value, result.error) for result in results]

    done = fanout.each(places, delete_at, stop=run.stop)
    outcomes: list[Outcome] = []
    for result in done:
        here = [one for one in doomed if one.snapshot.place == result.item]
        outcomes += result.value or [_deleted(one, None, result.error) for one in here]
    return outcomes


def _deleted(
    doomed: _Doomed, done: tuple[Word, str] | None, error: SnapbackError | None
) -> Outcome:
    if error or not done:
        return _outcome(doomed.snapshot, word_for(error), str(error))
    word, explanation = done
    if doomed.broken:
        return _outcome(doomed.snapshot, Word.BROKEN, f"{word}: {doomed.reasons[0]}")
    return _outcome(doomed.snapshot, word, explanation or doomed.reasons[0])


def _outcome(snapshot: Snapshot, word: Word, explanation: str) -> Outcome:
    record = snapshot.record
    return Outcome(
        subject=snapshot.snapshot_id,
        word=word,
        explanation=explanation,
        place=snapshot.place,
        facts={
            "snapshot": snapshot.snapshot_id,
            "region": snapshot.place.region,
            "volume": record.volume if record else snapshot.volume_id,
            "taken_at": (record.taken_at if record else snapshot.started_at).isoformat(),
            "size_gib": snapshot.size_gib,
        },
    )
