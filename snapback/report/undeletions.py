"""The report of an undeletion: what was, or would be, restored from the Recycle Bin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from snapback.core.model.outcome import Outcome
from snapback.core.model.tags import KEEP
from snapback.report.report import Column, Report, fact, in_words, tally
from snapback.undelete import Undeletion
from snapback.words import Word


def _minute(name: str) -> Callable[[Outcome], str]:
    """Return the cell that shows an instant to the minute."""
    return lambda outcome: str(outcome.facts.get(name) or "")[:16]


COLUMNS = (
    Column("snapshot", lambda outcome: outcome.subject),
    Column("region", lambda outcome: outcome.place.region),
    Column("volume", fact("volume")),
    Column("taken", _minute("taken_at")),
    Column("deleted", _minute("deleted_at")),
    Column("until", _minute("until")),
    Column("outcome", in_words),
)


def undelete_report(undeletion: Undeletion, dry_run: bool) -> Report:
    """Return the report of an undeletion, or of what one would do."""
    snapshots = [outcome for outcome in undeletion.outcomes if "snapshot" in outcome.facts]
    words = Counter(outcome.word for outcome in snapshots)
    done, verb = (Word.WOULD, "to be restored") if dry_run else (Word.DONE, "restored")
    said = [f"{words[done]} {verb}", f"{words[Word.ALREADY_RESTORED]} already restored"]
    said += tally(snapshots, but={done, Word.ALREADY_RESTORED})
    summary = [", ".join(said)]
    if not dry_run and words[Word.DONE] + words[Word.ALREADY_RESTORED] + words[Word.BROKEN]:
        summary.append(
            f"they have the tag {KEEP}: their volumes are not trimmed there until you remove it"
        )
    return Report(
        outcomes=undeletion.outcomes, columns=COLUMNS, summary=[*summary, *undeletion.notes]
    )
