"""The report of a verification: what was found, snapshot by snapshot."""

from __future__ import annotations

from snapback.report.report import Column, Report, fact, in_words
from snapback.verify import Verification
from snapback.words import Word

COLUMNS = (
    Column("snapshot", lambda outcome: outcome.subject),
    Column("name", fact("name")),
    Column("volume", fact("volume")),
    Column("device", fact("device")),
    Column("taken", lambda outcome: str(outcome.facts.get("taken_at", ""))[:16]),
    Column("GiB", fact("size_gib")),
    Column("region", lambda outcome: outcome.place.region),
    Column("outcome", in_words),
)


def verification_report(verification: Verification, dry_run: bool) -> Report:
    """Answer the report of what was, or would be, verified."""
    summary = []
    for plan in verification.plans:
        said = f"{plan.place}: {len(plan.chosen)} of {plan.total} snapshots, {plan.size_gib} GiB"
        if dry_run:
            summary.append(f"{said}, to be verified on one temporary instance")
            continue
        here = [o.word for o in verification.outcomes if o.place == plan.place]
        words = ", ".join(f"{here.count(word)} {word}" for word in Word if word in here)
        summary.append(f"{said}: {words or 'none'}")
    return Report(outcomes=verification.outcomes, columns=COLUMNS, summary=summary)
