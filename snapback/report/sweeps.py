"""The report of a sweep: what goes, and what stays."""

from __future__ import annotations

from collections.abc import Sequence

from snapback.core.model.outcome import Outcome
from snapback.report.report import Column, Report, fact, in_words, tally
from snapback.words import Word

COLUMNS = (
    Column("thing", lambda outcome: outcome.subject),
    Column("kind", fact("kind")),
    Column("region", lambda outcome: outcome.place.region),
    Column("outcome", in_words),
)


def sweep_report(outcomes: Sequence[Outcome], dry_run: bool) -> Report:
    """Return the report of what was, or would be, removed."""
    things = [outcome for outcome in outcomes if "kind" in outcome.facts]
    goes = Word.WOULD if dry_run else Word.DELETED
    gone = sum(outcome.word is goes for outcome in things)
    said = [f"{gone} {'to be removed' if dry_run else 'removed'}", *tally(things, but={goes})]
    return Report(outcomes=outcomes, columns=COLUMNS, summary=[", ".join(said)])
