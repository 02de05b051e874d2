"""The report of a restore: what was, or would be, made of what."""

from __future__ import annotations

from snapback.report.report import Column, Report, fact, in_words
from snapback.restore.common import Restoration

COLUMNS = (
    Column("original", lambda outcome: outcome.subject),
    Column("name", fact("name")),
    Column("as of", lambda outcome: str(outcome.facts.get("taken_at", ""))[:16]),
    Column("GiB", fact("size_gib")),
    Column("region", lambda outcome: outcome.place.region),
    Column("restored", lambda outcome: str(outcome.facts.get("made") or "")),
    Column("outcome", in_words),
)


def restore_report(restoration: Restoration, dry_run: bool) -> Report:
    """Answer the report; the plan was told before it was carried out, but for a dry run."""
    made = sum(bool(outcome.facts.get("made")) for outcome in restoration.outcomes)
    total = len(restoration.outcomes)
    without = sum(
        bool(outcome.facts.get("made")) and "instance_profile" in outcome.facts.get("left_out", ())
        for outcome in restoration.outcomes
    )
    said = f"{made} of {total} restored"
    if without:
        said += f", {without} without the instance profile that is recorded"
    summary = list(restoration.notes) if dry_run else [said]
    return Report(outcomes=restoration.outcomes, columns=COLUMNS, summary=summary)
