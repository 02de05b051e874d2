"""What a trimming keeps whole: the timelines that the brake stops, and those nobody can judge."""

from __future__ import annotations

from collections.abc import Sequence

from snapback.core.model.outcome import Outcome
from snapback.core.model.tags import KEEP
from snapback.core.trim.brake import Stopped, is_policy_wrong
from snapback.core.trim.reasons import TrimReason
from snapback.core.trim.trim_plan import TrimPlan
from snapback.words import Word


def braked(plans: Sequence[TrimPlan]) -> tuple[list[TrimPlan], list[Outcome]]:
    """Return the plans that the brake lets through, and what became of the timelines it stopped."""
    stopped = [(plan.place, one) for plan in plans for one in plan.stopped]
    judged = sum(len(plan.timelines - plan.faded) for plan in plans)
    if is_policy_wrong(len(stopped), judged):
        place, worst = max(stopped, key=lambda found: found[1].lost / found[1].days)
        why = (
            f"nothing is deleted anywhere, since {len(stopped)} of {judged} volumes would lose too "
            f"much, this one the most: {_loss(worst)}: look at the retention (fab show_config) and "
            "at what would go (--dry-run --max-delete 100), then go on with --max-delete 100"
        )
        refusal = Outcome(
            subject=worst.timeline.volume, word=Word.REFUSED, explanation=why, place=place
        )
        return [plan.kept_whole() for plan in plans], [refusal]
    nothing_goes = all(plan.deletes_nothing for plan in plans)
    word = Word.REFUSED if nothing_goes else Word.STOPPED
    return list(plans), [
        Outcome(
            subject=one.timeline.volume,
            word=word,
            explanation=_why_stopped(one),
            place=place,
            facts={"days": one.days, "days_lost": one.lost, "shares_sets_with": list(one.sharing)},
        )
        for place, one in stopped
    ]


def _loss(stopped: Stopped) -> str:
    return (
        f"{stopped.lost} of the {stopped.days} days that it has snapshots of would lose their last "
        f"one, over {stopped.percent} percent"
    )


def _why_stopped(stopped: Stopped) -> str:
    """Return why a timeline is kept whole, and how to go on."""
    together = f" together with {', '.join(stopped.sharing)}, which it shares sets with"
    release = f"--max-delete 100 --volume-id {stopped.timeline.volume}"
    return (
        f"nothing of it is deleted: {_loss(stopped)}: look at the retention (fab show_config) and "
        f"at what would go (--dry-run {release}), then release it"
        f"{together if stopped.sharing else ''} with {release}"
    )


def kept_all(plan: TrimPlan) -> list[Outcome]:
    """Return what is left alone since its retention isn't known, or its home can't be read."""
    reasons = {
        (verdict.snapshot.record.timeline, str(reason))
        for verdict in plan.verdicts
        for reason in verdict.reasons
        if verdict.snapshot.record and reason.kind is TrimReason.NO_POLICY
    }
    kept = [(timeline.volume, reason) for timeline, reason in sorted(reasons)]
    kept += [
        (region, f"its volumes are kept: whether {KEEP} is on them there can't be read: {why}")
        for (_, region), why in sorted(plan.unread_homes.items())
    ]
    return [
        Outcome(subject=subject, word=Word.KEPT_ALL, explanation=why, place=plan.place)
        for subject, why in kept
    ]
