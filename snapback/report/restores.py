"""The report of a restore: what was, or would be, made of what."""

from __future__ import annotations

from collections.abc import Sequence

from snapback.core.model.outcome import Outcome
from snapback.report.report import Column, Report, fact, in_words, tally
from snapback.restore.common import Restoration
from snapback.words import Word

COLUMNS = (
    Column("original", lambda outcome: outcome.subject),
    Column("name", fact("name")),
    Column("as of", lambda outcome: str(outcome.facts.get("taken_at", ""))[:16]),
    Column("GiB", fact("size_gib")),
    Column("region", lambda outcome: outcome.place.region),
    Column("restored", lambda outcome: str(outcome.facts.get("made") or "")),
    Column("outcome", in_words),
)


def restore_report(restoration: Restoration, dry_run: bool, verb: str = "restored") -> Report:
    """Return the report of a restore, or of what one would do.

    The plan was told before it was carried out, but for a dry run.

    :param verb: what is done to each thing, in the past tense.
    """
    things = _things(restoration)
    made = [one for one in things if one.word in _THERE and one.facts.get("made")]
    without = sum("instance_profile" in one.facts.get("left_out", ()) for one in made)
    said = [f"{len(made)} of {len(things)} {verb}"]
    if without:
        said.append(f"{without} without the instance profile that is recorded")
    if unclaimed := sum(bool(one.facts.get("unclaimed")) for one in made):
        said.append(f"{unclaimed} without a claim: see whether others have restored the same")
    said += tally(things, but={Word.DONE})
    return _report(restoration, said, dry_run)


def drill_report(restoration: Restoration, dry_run: bool) -> Report:
    """Return the report of a drill, or of what one would do."""
    things = _things(restoration)
    well = sum(one.word is Word.DONE for one in things)
    what = "drilled: restored, checked, taken down again" if well else "drilled well"
    said = [f"{well} of {len(things)} {what}", *tally(things, but={Word.DONE})]
    return _report(restoration, said, dry_run)


_THERE = (Word.DONE, Word.LEFT_BEHIND)


def _things(restoration: Restoration) -> list[Outcome]:
    """Return what became of the things; the other outcomes are of places, or of nothing found."""
    return [one for one in restoration.outcomes if "of" in one.facts]


def _report(restoration: Restoration, said: Sequence[str], dry_run: bool) -> Report:
    summary = list(restoration.notes) if dry_run else [", ".join(said)]
    return Report(outcomes=restoration.outcomes, columns=COLUMNS, summary=summary)
