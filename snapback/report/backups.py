"""The report of a backup."""

from __future__ import annotations

from collections.abc import Sequence

from snapback.core.model.outcome import Outcome
from snapback.report.report import Column, Report, count, fact, in_words, tally
from snapback.words import Word

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
    """Return the report of what was, or would be, backed up."""
    instances = [outcome for outcome in outcomes if "instance" in outcome.facts]
    as_asked = Word.WOULD if dry_run else Word.DONE
    well = sum(outcome.word is as_asked for outcome in instances)
    verb = "to be backed up" if dry_run else "backed up"
    said = ", ".join([f"{well} of {len(instances)} {verb}", *tally(instances, but={as_asked})])
    if not dry_run:
        taken = sum(len(outcome.facts.get("snapshots", ())) for outcome in instances)
        said += f"; {taken} {'snapshot' if taken == 1 else 'snapshots'} taken"
    return Report(outcomes=outcomes, columns=COLUMNS, summary=[said])
