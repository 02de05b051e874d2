"""What became of each instance that was to be backed up, in words."""

from __future__ import annotations

from dataclasses import replace
from sys import intern

from snapback.backup.capture import Taken
from snapback.core.backup.freeze_plan import FreezePlan
from snapback.core.backup.set_plan import SetPlan
from snapback.core.model import Instance
from snapback.core.model.outcome import Outcome, word_for
from snapback.errors import InstanceGone, SnapbackError, VolumesBusy, in_the_way
from snapback.ssh.freeze import Terms
from snapback.words import Word


def outcome_of(plan: SetPlan, taken: Taken | None, error: SnapbackError | None) -> Outcome:
    """Answer what became of an instance.

    :param taken: what was taken of it, if anything.
    :param error: why nothing was.
    """
    snapshots = taken.snapshots if taken else ()
    error = error or (taken.error if taken else None)
    busy = error.full if isinstance(error, VolumesBusy) else taken.busy if taken else {}
    changes = taken.changes if taken else ()
    if error:
        word, explanation = word_for(error), str(error)
    elif not plan.volumes:
        word, explanation = _nothing_to_take(plan)
    elif taken and taken.busy:
        without = f"without {in_the_way(taken.busy)}"
        word, explanation = Word.BUSY, _also(plan, without, *changes)
    elif taken and taken.shortfall:
        word, explanation = Word.PARTIAL, _also(plan, taken.shortfall, *changes)
    elif taken and taken.problems:
        word, explanation = Word.LESS_CONSISTENT, _also(plan, *taken.problems, *changes)
    else:
        word, explanation = Word.DONE, _also(plan, *changes)
    return Outcome(
        subject=plan.instance.instance_id,
        word=word,
        explanation=explanation,
        place=plan.instance.place,
        facts={
            "instance": plan.instance.instance_id,
            "name": plan.instance.name,
            "region": plan.instance.place.region,
            "volumes": [volume.volume_id for volume in plan.volumes],
            "shared": dict(plan.shared),
            "snapshots": [snapshot.snapshot_id for snapshot in snapshots],
            "consistency": [intern(s.consistency.name.lower()) for s in snapshots],
            "busy": [
                {"volume": volume, "snapshot": s.snapshot_id, "progress": s.progress}
                for volume, s in busy.items()
            ],
        },
    )


def outcome_planned(
    plan: SetPlan, foreseen: tuple[FreezePlan, Terms] | None, error: SnapbackError | None
) -> Outcome:
    """Answer what would become of an instance.

    :param foreseen: what would be frozen, and on what terms.
    :param error: why that can't be told.
    """
    outcome = outcome_of(plan, None, None)
    if not plan.volumes:
        return outcome
    taken = ", ".join(volume.volume_id for volume in plan.volumes)
    said = [f"take {taken}", _left_out(plan)]
    word, facts = Word.WOULD, outcome.facts
    if isinstance(error, InstanceGone):
        return replace(outcome, word=error.word, explanation=str(error))
    if error:
        word = Word.LESS_CONSISTENT
        said.append(f"not consistent: {error}")
    elif foreseen:
        freeze, terms = foreseen
        word = Word.LESS_CONSISTENT if freeze.shortcomings else Word.WOULD
        said += [*_frozen(freeze, terms), *freeze.shortcomings]
        facts = {**facts, "freeze": list(freeze.mount_points)}
    explanation = "; ".join(filter(None, said))
    return replace(outcome, word=word, explanation=explanation, facts=facts)


def _frozen(freeze: FreezePlan, terms: Terms) -> list[str]:
    """Answer what would be done on the host, in its order."""
    paths = ", ".join(freeze.mount_points)
    return [
        f"run {terms.pre_freeze!r}" if terms.pre_freeze else "",
        f"freeze {paths}" if paths else "nothing to freeze",
        f"run {terms.post_thaw!r}" if terms.post_thaw else "",
    ]


def _also(plan: SetPlan, *said: str) -> str:
    """Return what is said of a set, and which volumes it leaves out on purpose."""
    return "; ".join(filter(None, [*said, _left_out(plan)]))


def _left_out(plan: SetPlan) -> str:
    excluded = ", ".join(volume.volume_id for volume in plan.excluded)
    said = [f"left out by its tag: {excluded}"] if excluded else []
    said += [f"{volume} is left to the set of {taker}" for volume, taker in plan.shared.items()]
    return "; ".join(said)


def _nothing_to_take(plan: SetPlan) -> tuple[Word, str]:
    if plan.excluded or plan.shared:
        return Word.EXCLUDED, _left_out(plan)
    return Word.NO_VOLUMES, "it has no EBS volumes"


def outcome_unplanned(instance: Instance, error: SnapbackError | None) -> Outcome:
    """Answer that nothing was taken of an instance, since its volumes could not be read."""
    failed = Outcome.of_failed(instance.place, error or SnapbackError("no reason"))
    facts = {"instance": instance.instance_id, "name": instance.name}
    return replace(failed, subject=instance.instance_id, facts=facts)
