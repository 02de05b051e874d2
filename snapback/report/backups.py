"""The report of a backup."""

from __future__ import annotations

from collections.abc import Sequence

from snapback.core.model.outcome import Outcome
from snapback.report.report import Column, Report, count, fact, in_words

COLUMNS = (
    Column("instance", lambda outcome: outcome.subject),
    Column("name", fact("name")),
    Column("region", lambda outcome: outcome.place.region),
    Column("volumes", count("volumes")),
    Column("snapshots", fact("snapshots")),
    Column(
        "consistency", lambda outcome: ", ".join(sorted({*outcome.facts.get("consistency", ())}))
    ),
    Column("outcome", in_words),
)


def backup_report(outcomes: Sequence[Outcome], dry_run: bool) -> Report:
    """Answer the report of what was, or would be, backed up."""
    taken = sum(len(outcome.facts.get("snapshots", ())) for outcome in outcomes)
    well = sum(not outcome.exit_code for outcome in outcomes)
    verb = "to be backed up" if dry_run else "backed up"
    return Report(
        outcomes=outcomes,
        columns=COLUMNS,
        summary=[f"{well} of {len(outcomes)} {verb}; {taken} snapshots taken"],
    )
