"""Delete what the plans of a trimming say, and return what became of each snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from snapback.core.model import Snapshot
from snapback.core.model.outcome import Outcome, word_for
from snapback.core.trim.trim_plan import TrimPlan
from snapback.errors import SnapbackError
from snapback.run import Run, fanout
from snapback.snapshots import deletion_log
from snapback.words import Word


@dataclass(frozen=True)
class _Doomed:
    """A snapshot that is to be deleted, and why, in words."""

    snapshot: Snapshot
    reasons: tuple[str, ...]
    broken: bool = False


def carry_out(run: Run, plans: Sequence[TrimPlan], *, dry_run: bool) -> list[Outcome]:
    """Delete what the plans say, the broken ones first; in a dry run say so only."""
    outcomes = [
        outcome_of(broken.snapshot, Word.NOT_OURS, broken.reason)
        for plan in plans
        for broken in plan.broken
        if not broken.ours
    ]
    broken = [b for plan in plans for b in plan.broken if b.ours]
    old = [verdict for plan in plans for verdict in plan.deletions]
    if dry_run:
        outcomes += [
            outcome_of(b.snapshot, Word.BROKEN, f"would go: {b.reason}", deletion=Word.WOULD)
            for b in broken
        ]
        outcomes += [outcome_of(v.snapshot, Word.WOULD, str(v.reasons[0])) for v in old]
    elif broken or old:
        log = deletion_log.open_log(run)
        outcomes += _delete_all(
            run, log, [_Doomed(b.snapshot, (b.reason,), broken=True) for b in broken]
        )
        outcomes += _delete_all(
            run, log, [_Doomed(v.snapshot, tuple(map(str, v.reasons))) for v in old]
        )
    return outcomes


def _delete_all(
    run: Run, log: deletion_log.DeletionLog, doomed: Sequence[_Doomed]
) -> list[Outcome]:
    """Delete snapshots, places side by side; return what became of each."""
    run.progress.expect(len(doomed), "deleting snapshots")
    results = fanout.each_by_place(
        doomed,
        lambda one: one.snapshot.place,
        lambda one: deletion_log.delete(run, log, one.snapshot, one.reasons),
        workers=run.settings.workers,
        stop=run.stop,
        on_done=lambda _: run.progress.done(),
    )
    return [_deleted(log, result.item, result.value, result.error) for result in results]


def _deleted(
    log: deletion_log.DeletionLog,
    doomed: _Doomed,
    done: tuple[Word, str] | None,
    error: SnapbackError | None,
) -> Outcome:
    """Return what became of a snapshot, by what its deletion returned or raised."""
    logged = doomed.snapshot.snapshot_id in log.told
    if error or not done:
        return outcome_of(doomed.snapshot, word_for(error), str(error), logged=logged)
    word, explanation = done
    if doomed.broken:
        said = "; ".join(filter(None, (explanation, doomed.reasons[0])))
        return outcome_of(doomed.snapshot, Word.BROKEN, f"{word}: {said}", deletion=word)
    return outcome_of(doomed.snapshot, word, explanation or doomed.reasons[0], logged=logged)


def outcome_of(
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
