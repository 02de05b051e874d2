"""The report of a sweep: what goes, and what stays."""

from __future__ import annotations

from collections.abc import Sequence

from snapback.core.model.outcome import Outcome
from snapback.report.report import Column, Report, fact, in_words
from snapback.words import Word

COLUMNS = (
    Column("thing", lambda outcome: outcome.subject),
    Column("kind", fact("kind")),
    Column("region", lambda outcome: outcome.place.region),
    Column("outcome", in_words),
)


def sweep_report(outcomes: Sequence[Outcome], dry_run: bool) -> Report:
    """Answer the report of what was, or would be, removed."""
    gone = sum(outcome.word in (Word.DELETED, Word.WOULD) for outcome in outcomes)
    verb = "to be removed" if dry_run else "removed"
    return Report(outcomes=outcomes, columns=COLUMNS, summary=[f"{gone} {verb}"])
