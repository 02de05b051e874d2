"""The report of a replication: what went where, what was there, and what it is likely to cost."""

from __future__ import annotations

from dataclasses import asdict

from snapback.core.replication.estimate import CHANGED_A_DAY, Estimate, estimate
from snapback.core.replication.replication_plan import ReplicationPlan
from snapback.replication.routes import Replication
from snapback.report.report import Column, Report, fact, in_words, tally
from snapback.run import Run

COLUMNS = (
    Column("snapshot", lambda outcome: outcome.subject),
    Column("name", fact("name")),
    Column("volume", fact("volume")),
    Column("taken", lambda outcome: str(outcome.facts.get("taken_at", ""))[:16]),
    Column("GiB", fact("size_gib")),
    Column("from", fact("source_region")),
    Column("to", lambda outcome: outcome.place.region),
    Column("replica", lambda outcome: str(outcome.facts.get("replica") or "")),
    Column("outcome", in_words),
)


def replication_report(run: Run, replication: Replication, dry_run: bool) -> Report:
    """Answer the report of what was, or would be, replicated."""
    settings = run.settings.replication
    costs = [
        (plan, estimate(plan, settings.replication_speed, settings.replication_workers))
        for plan in replication.plans
    ]
    summary = [_summary(plan, replication) for plan in replication.plans if not dry_run]
    if dry_run:
        summary = [line for plan, cost in costs for line in _in_words(plan, cost)]
    return Report(
        outcomes=replication.outcomes,
        columns=COLUMNS,
        summary=summary,
        facts={
            "estimates": [
                {
                    "source_region": p.source.region,
                    "region": p.destination.region,
                    "account": p.destination.account,
                    **asdict(cost),
                }
                for p, cost in costs
            ]
        },
    )


def _summary(plan: ReplicationPlan, replication: Replication) -> str:
    here = [
        outcome
        for outcome in replication.outcomes
        if outcome.place == plan.destination
        and outcome.facts.get("source_region") == plan.source.region
    ]
    said = ", ".join(tally(here))
    moved = [outcome.facts for outcome in here if "bytes_crossed" in outcome.facts]
    if moved:
        read, crossed = (
            sum(facts[name] for facts in moved) / 1e6 for name in ("bytes_read", "bytes_crossed")
        )
        said += f"; {read:.1f} MB read, {crossed:.1f} MB crossed"
    return f"{plan.source} to {plan.destination}: {said or 'nothing to replicate'}"


def _in_words(plan: ReplicationPlan, cost: Estimate) -> list[str]:
    leg = f"{plan.source} to {plan.destination}"
    cross = f"about {cost.gib_to_cross:g} GiB to cross"
    return [
        f"{leg}: {cost.volumes} volumes to be replicated (taking {CHANGED_A_DAY:.0%} a day)",
        f"  by rsync: {cost.gib_to_read} GiB to read, {cross}, {cost.helper_hours:g} helper-hours",
        f"  by copy:  nothing to read, {cross}, no helpers",
    ]
