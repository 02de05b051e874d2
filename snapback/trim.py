"""Trimming: thin out the snapshots of ours, and delete broken ones. Read, decide, show, act."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial

from snapback.core.model import Place, Snapshot, Timeline
from snapback.core.model.outcome import Outcome, word_for
from snapback.core.model.tags import KEEP
from snapback.core.trim import retention
from snapback.core.trim.brake import Brake, Stopped, is_policy_wrong
from snapback.core.trim.policy import Policy
from snapback.core.trim.reach import Reach, reach_of
from snapback.core.trim.reasons import TrimReason
from snapback.core.trim.trim_plan import TrimPlan, plan_broken, plan_trim
from snapback.errors import BrakeError, SnapbackError, UsageError, Word
from snapback.run import Run, current, fanout, units
from snapback.snapshots import deletion_log
from snapback.snapshots.catalog import all_snapshots, snapshots_of_volume
from snapback.snapshots.in_flight import Transfers, transfers
from snapback.snapshots.protection import protection_of


@dataclass(frozen=True)
class Trimming:
    """A trimming: its plans, and what became of every snapshot that they name.

    :ivar outcomes: in a dry run, what would become of them.
    """

    plans: tuple[TrimPlan, ...]
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True)
class VolumeReach:
    """How far back the retention reaches in the snapshots of a volume at a place.

    :ivar snapshots: how many completed ones there are.
    :ivar policy: the retention, or in words why there is none.
    :ivar faded: whether it is counted back from now.
    :ivar reaches: one for each kind of period that is switched on, the finest first.
    """

    place: Place
    timeline: Timeline
    newest: Snapshot
    snapshots: int
    policy: Policy | str
    faded: bool
    reaches: tuple[Reach, ...]


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
    places = run.places(region_name)
    flying = transfers(run)
    brake = brake or Brake(percent=run.settings.max_delete)
    selected = partial(_has_tag, tag_name=tag_name, tag_value=tag_value)
    plans, failures = _plans_of(units.each(run, places, _plan_place, brake, selected, flying))
    if not failures:
        _refuse_unmatched(brake, plans)
    failures += _unread(flying, failures)
    return _carry_out(run, *_braked(plans), failures, dry_run=dry_run)


def volume_reach(run: Run, place: Place, volume_id: str) -> list[VolumeReach]:
    """Return how far back the retention reaches for a volume: for its one timeline at a place.

    Several timelines come of records that name one volume in several regions.

    :raises UsageError: there is no completed snapshot of it with a record.

    Source: DescribeSnapshots, and what :func:`~snapback.snapshots.protection.protection_of` reads.
    """
    snapshots = snapshots_of_volume(run, place, volume_id)
    now = run.now(place)
    judgement = retention.judge(
        snapshots, run.settings.policy_of, now, protection_of(run, place, snapshots)
    )
    if not judgement.timelines:
        raise UsageError(f"there is no completed snapshot of {volume_id} with a record in {place}")
    found = []
    for timeline, members in judgement.timelines.items():
        newest = retention.newest_of(members)
        policy = run.settings.policy_of(newest)
        faded = timeline in judgement.faded
        reaches = (
            () if isinstance(policy, str) else reach_of(members, policy, now if faded else None)
        )
        found.append(
            VolumeReach(place, timeline, newest, len(members), policy, faded, tuple(reaches))
        )
    return found


def delete_broken(run: Run, region_name: str | None = None, *, dry_run: bool = False) -> Trimming:
    """Delete broken snapshots; see :func:`delete_broken_snapshots`."""
    plans, failures = _plans_of(units.each(run, run.places(region_name), _plan_broken_place))
    return _carry_out(run, plans, [], failures, dry_run=dry_run)


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
    volumes = {volume for plan in plans for _, volume in plan.timelines}
    missing = sorted(brake.volumes - volumes)
    if brake.instance and not any(brake.instance in plan.instances for plan in plans):
        missing.append(brake.instance)
    if missing:
        raise UsageError(
            f"there are no snapshots of {', '.join(missing)} here, so nothing was deleted: "
            "look for the volumes in fab status"
        )


def _braked(plans: Sequence[TrimPlan]) -> tuple[list[TrimPlan], list[Outcome]]:
    """Return the plans that the brake lets through, and what became of the timelines it stopped."""
    stopped = [(plan.place, one) for plan in plans for one in plan.stopped]
    judged = sum(len(plan.timelines - plan.faded) for plan in plans)
    if is_policy_wrong(len(stopped), judged):
        place, worst = max(stopped, key=lambda found: found[1].lost / found[1].days)
        why = (
            f"nothing is deleted anywhere, since {len(stopped)} of {judged} volumes would lose too "
            f"much, this one the most: {_loss(worst)}: look at the retention (fab show_config) and "
            "at what would go (--dry-run --max-delete 100), then go on with --max-delete 100"
        )
        refusal = Outcome(
            subject=worst.timeline[1], word=Word.REFUSED, explanation=why, place=place
        )
        return [plan.kept_whole() for plan in plans], [refusal]
    nothing_goes = all(plan.deletes_nothing for plan in plans)
    word = Word.REFUSED if nothing_goes else Word.STOPPED
    return list(plans), [
        Outcome(
            subject=one.timeline[1],
            word=word,
            explanation=_why_stopped(one),
            place=place,
            facts={"days": one.days, "days_lost": one.lost, "shares_sets_with": list(one.sharing)},
        )
        for place, one in stopped
    ]


def _loss(stopped: Stopped) -> str:
    return (
        f"{stopped.lost} of the {stopped.days} days that it has snapshots of would lose their last "
        f"one, over {stopped.percent} percent"
    )


def _why_stopped(stopped: Stopped) -> str:
    """Return why a timeline is kept whole, and how to go on."""
    together = f" together with {', '.join(stopped.sharing)}, which it shares sets with"
    release = f"--max-delete 100 --volume-id {stopped.timeline[1]}"
    return (
        f"nothing of it is deleted: {_loss(stopped)}: look at the retention (fab show_config) and "
        f"at what would go (--dry-run {release}), then release it"
        f"{together if stopped.sharing else ''} with {release}"
    )


def _carry_out(
    run: Run,
    plans: Sequence[TrimPlan],
    stopped: Sequence[Outcome],
    failures: Sequence[Outcome],
    *,
    dry_run: bool,
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
    if dry_run:
        outcomes += [
            _outcome(b.snapshot, Word.BROKEN, f"would go: {b.reason}", deletion=Word.WOULD)
            for b in broken
        ]
        outcomes += [_outcome(v.snapshot, Word.WOULD, str(v.reasons[0])) for v in old]
    elif broken or old:
        log = deletion_log.open_log(run)
        outcomes += _delete_all(
            run, log, [_Doomed(b.snapshot, (b.reason,), broken=True) for b in broken]
        )
        outcomes += _delete_all(
            run, log, [_Doomed(v.snapshot, tuple(map(str, v.reasons))) for v in old]
        )
    kept_all = [outcome for plan in plans for outcome in _kept_all(plan)]
    return Trimming(tuple(plans), (*outcomes, *stopped, *kept_all, *failures))


def _kept_all(plan: TrimPlan) -> list[Outcome]:
    """Return what is left alone since its retention isn't known, or its home can't be read."""
    reasons = {
        (verdict.snapshot.record.timeline, str(reason))
        for verdict in plan.verdicts
        for reason in verdict.reasons
        if verdict.snapshot.record and reason.kind is TrimReason.NO_POLICY
    }
    kept = [(volume, reason) for (_, volume), reason in sorted(reasons)]
    kept += [
        (home, f"its volumes are kept: whether {KEEP} is on them there can't be read: {why}")
        for home, why in sorted(plan.unread_homes.items())
    ]
    return [
        Outcome(subject=subject, word=Word.KEPT_ALL, explanation=why, place=plan.place)
        for subject, why in kept
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
        return [_deleted(log, result.item, result.value, result.error) for result in results]

    done = fanout.each(places, delete_at, stop=run.stop)
    outcomes: list[Outcome] = []
    for result in done:
        here = [one for one in doomed if one.snapshot.place == result.item]
        outcomes += result.value or [_deleted(log, one, None, result.error) for one in here]
    return outcomes


def _deleted(
    log: deletion_log.DeletionLog,
    doomed: _Doomed,
    done: tuple[Word, str] | None,
    error: SnapbackError | None,
) -> Outcome:
    """Return what became of a snapshot, by what its deletion returned or raised."""
    logged = doomed.snapshot.snapshot_id in log.told
    if error or not done:
        return _outcome(doomed.snapshot, word_for(error), str(error), logged=logged)
    word, explanation = done
    if doomed.broken:
        said = "; ".join(filter(None, (explanation, doomed.reasons[0])))
        return _outcome(doomed.snapshot, Word.BROKEN, f"{word}: {said}", deletion=word)
    return _outcome(doomed.snapshot, word, explanation or doomed.reasons[0], logged=logged)


def _outcome(
    snapshot: Snapshot,
    word: Word,
    explanation: str,
    *,
    deletion: Word | None = None,
    logged: bool = False,
) -> Outcome:
    """Return what became of a snapshot.

    :param deletion: of a broken snapshot, what became of its deletion.
    """
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
            **({"deletion": deletion.text} if deletion else {}),
        },
        logged=logged,
    )
