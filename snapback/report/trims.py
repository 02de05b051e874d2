"""The report of a trimming: what goes, what stays, and why."""

from __future__ import annotations

from snapback.core.trim.brake import Stopped
from snapback.core.trim.trim_plan import TrimPlan
from snapback.report.provenance import unproven_in_words
from snapback.report.report import Column, Report, fact, in_words
from snapback.trim import Trimming
from snapback.words import Word

COLUMNS = (
    Column("snapshot", lambda outcome: outcome.subject),
    Column("region", lambda outcome: outcome.place.region),
    Column("volume", fact("volume")),
    Column("taken", lambda outcome: str(outcome.facts.get("taken_at", ""))[:16]),
    Column("GiB", fact("size_gib")),
    Column("outcome", in_words),
)
_DELETED = {
    True: {Word.WOULD.text},
    False: {Word.DELETED.text, Word.NOT_WRITTEN_DOWN.text},
}


def trim_report(trimming: Trimming, dry_run: bool) -> Report:
    """Return the report of a trimming, or of what one would do."""
    return Report(
        outcomes=trimming.outcomes,
        columns=COLUMNS,
        summary=[_summary(plan, trimming, dry_run) for plan in trimming.plans],
        facts={
            "kept": {str(plan.place): _kept(plan) for plan in trimming.plans},
            "faded": {str(plan.place): _faded(plan) for plan in trimming.plans if plan.faded},
            "unproven": {
                str(plan.place): dict(plan.unproven) for plan in trimming.plans if plan.unproven
            },
        },
    )


def stopped_in_words(stopped: Stopped) -> str:
    """Return a timeline that the brake stops, and why, in a few words."""
    return (
        f"{stopped.timeline.volume} whole, since {stopped.lost} of its {stopped.days} days would "
        "lose their last snapshot"
    )


def _faded(plan: TrimPlan) -> list[str]:
    return sorted(timeline.volume for timeline in plan.faded)


def _kept(plan: TrimPlan) -> dict[str, int]:
    return dict(plan.kept_by_reason().most_common())


def _summary(plan: TrimPlan, trimming: Trimming, dry_run: bool) -> str:
    """Return what was done at a place, in one line; "deleted" counts what this run deleted."""
    deletions = [
        outcome.facts.get("deletion", outcome.word.text)
        for outcome in trimming.outcomes
        if outcome.place == plan.place
    ]
    deleted = sum(deletion in _DELETED[dry_run] for deletion in deletions)
    already_gone = deletions.count(Word.ALREADY_GONE.text)
    verb = "to be deleted" if dry_run else "deleted"
    kept = _kept(plan)
    reasons = ", ".join(f"{number} {reason}" for reason, number in kept.items())
    text = f"{plan.place}: {deleted} {verb}"
    if already_gone:
        text += f", {already_gone} already gone"
    if plan.verdicts:
        text += f", {sum(kept.values())} of ours kept" + (f" ({reasons})" if kept else "")
    if plan.faded:
        text += f"; faded, since the volume is gone: {', '.join(_faded(plan))}"
    if plan.unproven:
        text += f"; {unproven_in_words(plan.unproven)}"
    return text
