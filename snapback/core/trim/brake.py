"""The brake: it stops the trimming of a timeline that would lose most of its days.

A wrong count in the retention, or a clock gone wrong, shows in the days that lose their last
snapshot. Snapshots that go while their day keeps another one say nothing: that is what thinning
out does every day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from snapback.core.model import SetKey, Snapshot, Timeline, record_of, set_key
from snapback.core.trim.retention import Judgement, newest_of

FEWEST_DAYS = 20
MOST_STOPPED = 2
MOST_STOPPED_PERCENT = 10


@dataclass(frozen=True, kw_only=True)
class Brake:
    """How many days of a timeline one trimming may take, and the timelines that are released.

    :ivar percent: of the days of a timeline that has more than 20.
    :ivar released_percent: of the days of the timelines that are released.
    :ivar volumes: the ids of the volumes to release.
    :ivar instance: the id of the instance whose volumes to release, or ``""``.
    """

    percent: int
    released_percent: int = 100
    volumes: frozenset[str] = frozenset()
    instance: str = ""

    def releases(self, timeline: Timeline, members: Sequence[Snapshot]) -> bool:
        """Return whether a timeline is released by its own name."""
        if timeline.volume in self.volumes:
            return True
        return bool(self.instance) and record_of(newest_of(members)).instance == self.instance


@dataclass(frozen=True)
class Stopped:
    """A timeline that the brake keeps whole.

    :ivar days: how many days it has a snapshot of.
    :ivar lost: how many of these would lose their last one.
    :ivar percent: the part that may go.
    :ivar sharing: the ids of the other volumes that it shares sets with. A release holds for all.
    """

    timeline: Timeline
    days: int
    lost: int
    percent: int
    sharing: tuple[str, ...] = ()


def stopped_timelines(
    brake: Brake, judgement: Judgement, snapshots: Iterable[Snapshot]
) -> list[Stopped]:
    """Return the timelines that would lose more of their days than the brake lets go.

    A faded timeline isn't stopped: EC2 has confirmed that its volume is gone.

    :param snapshots: all of the place; their sets tie timelines together.
    """
    sharing = timelines_that_share_sets(snapshots)
    released = {
        other
        for timeline, members in judgement.timelines.items()
        if brake.releases(timeline, members)
        for other in sharing.get(timeline, {timeline})
    }
    going = {v.snapshot.snapshot_id for v in judgement.verdicts if not v.keep}
    stopped = []
    for timeline, members in judgement.timelines.items():
        percent = brake.released_percent if timeline in released else brake.percent
        days = _days(members)
        lost = len(days - _days(s for s in members if s.snapshot_id not in going))
        if (
            timeline not in judgement.faded
            and len(days) > FEWEST_DAYS
            and lost * 100 > percent * len(days)
        ):
            others = sorted(one.volume for one in sharing.get(timeline, set()) - {timeline})
            stopped.append(Stopped(timeline, len(days), lost, percent, tuple(others)))
    return stopped


def timelines_that_share_sets(snapshots: Iterable[Snapshot]) -> Mapping[Timeline, set[Timeline]]:
    """Return the groups of timelines that sets tie together, directly or by another timeline.

    :returns: timeline -> its group, itself among it. A timeline without sets is missing.
    """
    sets: dict[SetKey, set[Timeline]] = defaultdict(set)
    for snapshot in snapshots:
        if snapshot.record and snapshot.set_id:
            sets[set_key(snapshot)].add(snapshot.record.timeline)
    groups: dict[Timeline, set[Timeline]] = {}
    for members in {frozenset(members) for members in sets.values()}:
        group = set(members).union(*(groups.get(timeline, ()) for timeline in members))
        groups |= dict.fromkeys(group, group)
    return groups


def is_policy_wrong(stopped: int, timelines: int) -> bool:
    """Return whether so many of a run's timelines are stopped that the retention must be wrong."""
    return stopped > MOST_STOPPED and stopped * 100 > timelines * MOST_STOPPED_PERCENT


def _days(snapshots: Iterable[Snapshot]) -> set[int]:
    return {record_of(snapshot).taken_at.toordinal() for snapshot in snapshots}
