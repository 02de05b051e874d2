"""The report of tags cloned to volumes."""

from __future__ import annotations

from collections.abc import Sequence

from snapback.core.model.outcome import Outcome
from snapback.report.report import Column, Report, fact, in_words
from snapback.words import Word

COLUMNS = (
    Column("volume", lambda outcome: outcome.subject),
    Column("region", lambda outcome: outcome.place.region),
    Column("instance", fact("instances")),
    Column("name", fact("name")),
    Column("outcome", in_words),
)


def volume_tags_report(outcomes: Sequence[Outcome], dry_run: bool) -> Report:
    """Answer the report of the tags that volumes got, or would get."""
    bad = {Word.FAILED, Word.NOT_DONE, Word.ALREADY_GONE}
    changed = sum(bool(o.facts.get("tags")) and o.word not in bad for o in outcomes)
    verb = "to be tagged" if dry_run else "tagged"
    volumes = sum("volume" in outcome.facts for outcome in outcomes)
    return Report(
        outcomes=outcomes, columns=COLUMNS, summary=[f"{changed} of {volumes} volumes {verb}"]
    )
