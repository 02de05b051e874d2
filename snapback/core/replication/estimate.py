"""What a replication is likely to cost, before it is begun: by each engine, from the plan alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from snapback.core.replication.replication_plan import ReplicationPlan, Step

CHANGED_A_DAY = 0.02
HELPERS = 2


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The likely cost of a plan.

    :ivar volumes: how many snapshots are to be replicated.
    :ivar gib_to_read: what the engine rsync reads in the source.
    :ivar gib_to_cross: what is likely to cross between the regions, by either engine.
    :ivar helper_hours: how long the engine rsync's temporary instances are likely to run, at most.
    """

    volumes: int
    gib_to_read: int
    gib_to_cross: float
    helper_hours: float


def estimate(plan: ReplicationPlan, speed: float, workers: int) -> Estimate:
    """Answer the likely cost of a plan.

    Without a replica of the volume all of it crosses; with one, 2 percent for each day since. That
    is an assumption, and empty blocks are not known: they never cross.

    :param speed: GiB a second that a transfer reads at least.
    :param workers: transfers at the same time.
    """
    steps = [*plan.steps, *(step for one in plan.waiting for step in one.pending)]
    gib = sum(step.source.size_gib for step in steps)
    seconds = _seconds(steps, speed, workers)
    return Estimate(
        volumes=len(steps),
        gib_to_read=gib,
        gib_to_cross=round(sum(_to_cross(step) for step in steps), 1),
        helper_hours=round(HELPERS * seconds / 3600, 1),
    )


def _seconds(steps: Sequence[Step], speed: float, workers: int) -> float:
    """Answer how long all take: as long as the longest, and as the sum by so many workers."""
    each = [step.source.size_gib / speed for step in steps]
    return max(max(each, default=0.0), sum(each) / workers)


def _to_cross(step: Step) -> float:
    if step.base is None or step.base.record is None:
        return step.source.size_gib
    days = (step.record.taken_at - step.base.record.taken_at) / timedelta(days=1)
    return step.source.size_gib * min(1.0, max(0.0, CHANGED_A_DAY * days))
