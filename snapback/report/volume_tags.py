"""The report of tags cloned to volumes."""

from __future__ import annotations

from collections.abc import Sequence

from snapback.core.model.outcome import Outcome
from snapback.report.report import Column, Report, fact, in_words, tally
from snapback.words import Word

COLUMNS = (
    Column("volume", lambda outcome: outcome.subject),
    Column("region", lambda outcome: outcome.place.region),
    Column("instance", fact("instances")),
    Column("name", fact("name")),
    Column("outcome", in_words),
)


def volume_tags_report(outcomes: Sequence[Outcome], dry_run: bool) -> Report:
    """Return the report of the tags that volumes got, or would get."""
    volumes = [outcome for outcome in outcomes if "volume" in outcome.facts]
    bad = {Word.FAILED, Word.NOT_DONE, Word.ALREADY_GONE}
    changed = sum(bool(one.facts["tags"]) and one.word not in bad for one in volumes)
    verb = "to be tagged" if dry_run else "tagged"
    said = [f"{changed} of {len(volumes)} volumes {verb}"]
    said += tally(volumes, but={Word.DONE, Word.WOULD})
    return Report(outcomes=outcomes, columns=COLUMNS, summary=[", ".join(said)])
