"""Verifying: that snapshots can be restored is proved on volumes made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from snapback.core.model import Place, Snapshot, record_of
from snapback.core.model.backup_sets import BackupSet, unusable
from snapback.core.model.outcome import Outcome, word_for
from snapback.core.model.verdicts import CORRUPT, OPAQUE, UNKNOWN, Verified
from snapback.core.verify.verify_plan import (
    ALL,
    Sample,
    VerifyPlan,
    gaps,
    plan_verification,
    read_sample,
)
from snapback.errors import LeftBehind, SnapbackError, UsageError
from snapback.run import Run, current, fanout
from snapback.run.fanout import Result, or_raise
from snapback.snapshots.catalog import all_snapshots, snapshots_of_instance, snapshots_of_volume
from snapback.snapshots.search import snapshot_by_id
from snapback.verify.copies import copies_elsewhere
from snapback.verify.prove import Prover, command_for
from snapback.words import Word
from snapback.workers import helper

PURPOSE = "verify"
_WORDS = {CORRUPT: Word.CORRUPT, OPAQUE: Word.OPAQUE, UNKNOWN: Word.NO_VERDICT}


@dataclass(frozen=True)
class Verification:
    """A verification: its plans, and what became of every snapshot in them.

    :ivar outcomes: in a dry run, what would become of them.
    """

    plans: tuple[VerifyPlan, ...]
    outcomes: tuple[Outcome, ...]


def verify_snapshot(
    snapshot_id: str,
    region_name: str | None = None,
    digest: bool = False,
    account: str | None = None,
) -> Verification:
    """Prove that a snapshot can be restored; its tag ``snapback:verified`` tells the verdict.

    On a temporary instance its file systems are checked, mounted read-only and counted, on a volume
    made of it, and the configured ``verify_command`` is run there. A btrfs over several volumes is
    examined with those of its set. That a member is missing from
    its set is a failure, too.

    :param region_name: where it lies; may be contracted; ``None``: looked for.
    :param digest: also read all of it, for a digest that is kept with the verdict, and compare that
        with those of its replicas, or of its source: one that differs is corrupt.
    :param account: the account's name in the configuration; ``None``: looked for in all of them.
    :raises UsageError: there is no such snapshot, or it isn't completed; or replicas are without
        some files, as configured, and can't be equal.
    :raises ItemsFailed: it is corrupt, or could not be verified; its ``outcomes`` say why.

    Source: DescribeSnapshots, CreateTags, and what a temporary instance takes.
    """
    return or_raise(verify_one(current().only(account), snapshot_id, region_name, digest=digest))


def verify_region(
    region_name: str,
    sample: str | None = None,
    replicas: bool = False,
    digest: bool = False,
    account: str | None = None,
) -> Verification:
    """Prove of the snapshots in a region, or of some, that they can be restored.

    :param sample: how many: ``"5%"`` or ``"20"``, those first whose last verification is longest
        ago; ``None``: all.
    :param replicas: also replicas of other regions' snapshots.
    :param digest: as for :func:`verify_snapshot`.
    :param account: the account's name in the configuration; ``None``: all of them.
    :raises ItemsFailed: not all is well; its ``outcomes`` say what became of each.

    Source: as :func:`verify_snapshot`.
    """
    return or_raise(
        verify_all(current().only(account), region_name, sample_of(sample), replicas, digest=digest)
    )


def sample_of(text: str | None) -> Sample:
    """Answer what ``--sample`` means.

    :raises UsageError: it means nothing.
    """
    try:
        return read_sample(text) if text is not None else ALL
    except ValueError as error:
        raise UsageError(str(error)) from None


def verify_one(
    run: Run,
    snapshot_id: str,
    region_name: str | None = None,
    dry_run: bool = False,
    *,
    digest: bool = False,
) -> Verification:
    """Verify one snapshot; see :func:`verify_snapshot`."""
    _demand_comparable(run, digest=digest)
    snapshot = snapshot_by_id(run, region_name, snapshot_id)
    if why := unusable(snapshot):
        raise UsageError(f"{snapshot_id} {why}")
    place, record = snapshot.place, record_of(snapshot)
    around = {s.snapshot_id: s for s in snapshots_of_volume(run, place, record.volume)}
    if record.instance:
        of_instance = snapshots_of_instance(run, place, record.instance)
        around |= {s.snapshot_id: s for s in of_instance}
    known = tuple(around.values())
    plan = VerifyPlan(
        place=place,
        chosen=(snapshot,),
        total=1,
        gaps=tuple(gaps(known, [snapshot])),
        around=known,
    )
    return Verification((plan,), tuple(_carry_out(run, plan, dry_run, digest=digest)))


def verify_all(
    run: Run,
    region_name: str,
    sample: Sample,
    replicas: bool,
    dry_run: bool = False,
    *,
    digest: bool = False,
) -> Verification:
    """Verify a region; see :func:`verify_region`."""
    _demand_comparable(run, digest=digest)
    places = run.places(region_name)
    results = fanout.each(
        places,
        lambda place: plan_verification(
            place, all_snapshots(run, place), sample, replicas=replicas
        ),
        stop=run.stop,
    )
    fanout.refuse_if_all_refused(results)
    plans = [result.value for result in results if result.value]
    outcomes = [Outcome.of_failed(result.item, result.error) for result in results if result.error]
    done = fanout.each(
        plans, lambda plan: _carry_out(run, plan, dry_run, digest=digest), stop=run.stop
    )
    for one in done:
        outcomes += one.value or []
        outcomes += [Outcome.of_failed(one.item.place, one.error)] if one.error else []
    if not outcomes:
        what = "" if replicas else " that was taken there"
        why = f"there is no completed snapshot{what} to verify, with a record and not archived"
        outcomes.append(
            Outcome(
                subject=region_name,
                word=Word.FAILED,
                explanation=why,
            )
        )
    return Verification(tuple(plans), tuple(outcomes))


def _demand_comparable(run: Run, *, digest: bool) -> None:
    if digest and run.settings.replication.exclude:
        raise UsageError(
            "--digest: replicas are without the files of replication.exclude, so they aren't equal"
        )


def _carry_out(run: Run, plan: VerifyPlan, dry_run: bool, *, digest: bool) -> list[Outcome]:
    """Verify what a plan says on one temporary instance; answer what became of each."""
    outcomes = [_gap(one) for one in plan.gaps]
    if dry_run or not plan.chosen:
        would = (_outcome(one, Word.WOULD, _how(run, one, digest=digest)) for one in plan.chosen)
        return [*would, *outcomes]
    elsewhere = None
    if digest:
        elsewhere = copies_elsewhere(run, plan.place)
        outcomes += [_not_compared(place, error) for place, error in elsewhere.unread]
    run.progress.expect(len(plan.chosen), f"verifying in {plan.place}")
    results: list[Result[Snapshot, Verified]] = []
    try:
        with helper(run, plan.place, PURPOSE) as one:
            prover = Prover(run=run, helper=one, around=plan.around, elsewhere=elsewhere)
            results = _prove(run, prover, plan.chosen)
    except LeftBehind as error:
        outcomes.append(Outcome.of_failed(plan.place, error))
    except SnapbackError as error:
        results = results or [Result(snapshot, error=error) for snapshot in plan.chosen]
    return [*(_became(result) for result in results), *outcomes]


def _prove(
    run: Run, prover: Prover, chosen: Sequence[Snapshot]
) -> list[Result[Snapshot, Verified]]:
    """Prove snapshots side by side, then, each alone, those that take others of their set."""
    found = fanout.each(
        chosen,
        prover.prove,
        workers=run.settings.verify.verify_workers,
        stop=run.stop,
        on_done=lambda one: run.progress.done() if one.value or one.error else None,
    )
    alone = fanout.each(
        [one.item for one in found if not one.value and not one.error],
        prover.prove_alone,
        workers=1,
        stop=run.stop,
        on_done=lambda _: run.progress.done(),
    )
    return [
        Result(one.item, one.value, one.error) for one in found if one.value or one.error
    ] + alone


def _how(run: Run, snapshot: Snapshot, *, digest: bool) -> str:
    command = command_for(run, snapshot)
    run_it = f", run {command.line!r}" if command else ""
    return f"check, mount, count{run_it}{', read all of it for a digest' if digest else ''}"


def _became(result: Result[Snapshot, Verified]) -> Outcome:
    if result.value is None:
        error = result.error or SnapbackError("nothing came of it")
        return _outcome(result.item, word_for(error), f"not verified: {error}")
    verdict = result.value
    outcome = _outcome(result.item, _WORDS.get(verdict.word, Word.OK), verdict.evidence)
    digest = str(verdict.digest) if verdict.digest else None
    return replace(outcome, facts={**outcome.facts, "digest": digest})


def _not_compared(place: Place, error: SnapbackError) -> Outcome:
    return Outcome(
        subject=str(place) or "other regions",
        word=Word.PARTIAL,
        explanation=f"nothing was compared with what is there: {error}",
        place=place,
    )


def _gap(one: BackupSet) -> Outcome:
    return Outcome(
        subject=one.name,
        word=Word.FAILED,
        explanation=f"volumes are missing from the set: {one.shortcoming}",
        place=one.place,
        facts={
            "set": one.set_id,
            "instance": one.instance_id,
            "taken_at": one.taken_at.isoformat(),
        },
    )


def _outcome(snapshot: Snapshot, word: Word, explanation: str) -> Outcome:
    record = record_of(snapshot)
    return Outcome(
        subject=snapshot.snapshot_id,
        word=word,
        explanation=explanation,
        place=snapshot.place,
        facts={
            "snapshot": snapshot.snapshot_id,
            "name": snapshot.tags.get("Name", ""),
            "volume": record.volume,
            "device": record.device,
            "taken_at": record.taken_at.isoformat(),
            "set": snapshot.set_id,
            "size_gib": snapshot.size_gib,
        },
    )
