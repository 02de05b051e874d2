"""Undeletions, carried out: each snapshot is restored, and kept from being trimmed again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any

from snapback.core.model import Place
from snapback.core.model.outcome import Outcome, word_for
from snapback.core.model.tags import KEEP
from snapback.core.undelete.reasons import Fate
from snapback.core.undelete.undelete_plan import Verdict
from snapback.ec2 import recycle_bin
from snapback.ec2.snapshots import snapshots_by_id
from snapback.ec2.tags import create_tags
from snapback.errors import LostAnswer, SnapbackError
from snapback.run import Run, fanout
from snapback.words import Word

_WORDS = {
    Fate.IN_THE_BIN: Word.WOULD,
    Fate.BACK: Word.ALREADY_RESTORED,
    Fate.NOT_IN_THE_BIN: Word.NOT_IN_BIN,
    Fate.NOT_OURS: Word.NOT_OURS,
}


def carry_out(run: Run, verdicts: Sequence[Verdict]) -> list[Outcome]:
    """Restore what is in the Recycle Bin, places side by side; return what became of each."""
    run.progress.expect(len(verdicts), "restoring snapshots")
    results = fanout.each_by_place(
        verdicts,
        lambda verdict: verdict.place,
        lambda verdict: _bring_back(run, verdict),
        workers=run.settings.workers,
        stop=run.stop,
        on_done=lambda _: run.progress.done(),
    )
    outcomes = [
        result.value or _outcome(result.item, word_for(result.error), str(result.error))
        for result in results
    ]
    return [
        outcome
        for place, here in groupby(outcomes, key=lambda outcome: outcome.place)
        for outcome in _with_broken_ones(run, place, list(here))
    ]


def _bring_back(run: Run, verdict: Verdict) -> Outcome:
    """Restore a snapshot, and keep it from being trimmed."""
    if verdict.fate not in (Fate.IN_THE_BIN, Fate.BACK):
        return shown(verdict)
    conn, word = run.conn(verdict.place), Word.ALREADY_RESTORED
    if verdict.fate is Fate.IN_THE_BIN:
        word = _restore(conn, verdict)
    if word is Word.NOT_IN_BIN:
        return _outcome(verdict, word, "it has left the Recycle Bin meanwhile")
    if verdict.is_kept:
        return _outcome(verdict, word, "")
    try:
        create_tags(conn, [verdict.snapshot_id], {KEEP: run.run_id})
    except SnapbackError as error:
        return _outcome(verdict, Word.NOT_KEPT, _not_kept(verdict, error))
    return _outcome(verdict, word, "")


def _restore(conn: Any, verdict: Verdict) -> Word:
    """Restore a snapshot that was in the Recycle Bin a moment ago, also where the answer is lost.

    :raises ApiError: EC2 refuses; or the answer is lost each time, and the snapshot isn't there.
    """
    lost = None
    try:
        if recycle_bin.restore(conn, verdict.snapshot_id):
            return Word.DONE
    except LostAnswer as error:
        lost = error
    if snapshots_by_id(conn, verdict.place, [verdict.snapshot_id]):
        return Word.ALREADY_RESTORED
    if lost:
        raise lost
    return Word.NOT_IN_BIN


def _not_kept(verdict: Verdict, error: SnapbackError) -> str:
    return (
        f"restored, but the next trimming may delete it again, since the tag {KEEP} could not be "
        f"set: {error}: set it: aws ec2 create-tags --region {verdict.place.region} --resources "
        f"{verdict.snapshot_id} --tags Key={KEEP},Value="
    )


def _with_broken_ones(run: Run, place: Place, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Mark the restored snapshots that hold no backup, since they had ended in ``error``."""
    back = (Word.DONE, Word.ALREADY_RESTORED)
    restored = [outcome.subject for outcome in outcomes if outcome.word in back]
    try:
        found = snapshots_by_id(run.conn(place), place, restored) if restored else {}
    except SnapbackError:
        found = {}  # EC2 has confirmed each restoration: only their states aren't known
    broken = {key: one.state_message for key, one in found.items() if one.state == "error"}
    return [
        replace(
            outcome,
            word=Word.BROKEN,
            explanation="restored, but it holds no backup, since it had ended in error: "
            f"{broken[outcome.subject] or 'EC2 gives no reason'}",
        )
        if outcome.subject in broken
        else outcome
        for outcome in outcomes
    ]


def shown(verdict: Verdict) -> Outcome:
    """Return where a deleted snapshot is, and so what would become of it."""
    return _outcome(verdict, _WORDS[verdict.fate], str(verdict.reason))


def _outcome(verdict: Verdict, word: Word, explanation: str) -> Outcome:
    return Outcome(
        subject=verdict.snapshot_id,
        word=word,
        explanation=explanation,
        place=verdict.place,
        facts={
            "snapshot": verdict.snapshot_id,
            "volume": verdict.volume,
            "taken_at": _written(verdict.taken_at),
            "deleted_at": _written(verdict.deleted_at),
            "until": _written(verdict.until),
        },
    )


def _written(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
