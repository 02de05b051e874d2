"""The report of a verification: what was found, snapshot by snapshot."""

from __future__ import annotations

from snapback.report.report import Column, Report, fact, in_words, tally
from snapback.verify import Verification

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
        here = [
            outcome
            for outcome in verification.outcomes
            if outcome.place == plan.place and "snapshot" in outcome.facts
        ]
        found = ", ".join(tally(here)) or "none"
        said += ", to be verified on one temporary instance" if dry_run else f": {found}"
        if plan.archived:
            said += f"; {plan.archived} archived, left out"
        if plan.gaps:
            said += f"; sets from which volumes are missing: {len(plan.gaps)}"
        summary.append(said)
    return Report(outcomes=verification.outcomes, columns=COLUMNS, summary=summary)
