"""How far a retention reaches back in a timeline: the periods that keep a snapshot each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from snapback.core.model import Snapshot, record_of
from snapback.core.model.reasons import Reason
from snapback.core.trim.periods import Kind
from snapback.core.trim.policy import Policy
from snapback.core.trim.reasons import TrimReason


@dataclass(frozen=True, eq=False)
class Reach:
    """The periods of one kind that keep a snapshot each.

    :ivar count: how many there may be.
    :ivar members: the number of each such period -> its snapshots, oldest first. The newest period
        comes first.
    """

    kind: Kind
    count: int
    members: Mapping[int, Sequence[Snapshot]]

    @property
    def earliest(self) -> int | None:
        """The number of the earliest of the periods; ``None`` where there is none."""
        return min(self.members, default=None)

    @property
    def begins_at(self) -> datetime | None:
        """The instant at which the earliest of the periods begins."""
        return None if self.earliest is None else self.kind.start_of(self.earliest)


def reach_of(
    timeline: Sequence[Snapshot], policy: Policy, back_from: datetime | None = None
) -> list[Reach]:
    """Return what each kind of period keeps of a timeline, the finest kind first.

    Each kind reaches back over its last N periods that have a snapshot. Hours count within
    the newest days only: see :attr:`~snapback.core.trim.policy.Policy.days_of_hours`.

    :param timeline: oldest first.
    :param back_from: count the last N periods of the calendar back from this instant instead,
        whether they have a snapshot or not.
    """
    return [
        Reach(kind, count, _members(timeline, kind, count, policy.days_of_hours, back_from))
        for kind, count in policy.counts()
    ]


def _members(
    timeline: Sequence[Snapshot],
    kind: Kind,
    count: int,
    days_of_hours: int,
    back_from: datetime | None,
) -> dict[int, list[Snapshot]]:
    ends = None if back_from is None else kind.number_of(back_from) - count
    members: dict[int, list[Snapshot]] = {}
    days: set[int] = set()
    for snapshot in reversed(timeline):
        taken_at = record_of(snapshot).taken_at
        number = kind.number_of(taken_at)
        if ends is not None and number <= ends:
            break
        if number not in members and len(members) == count:
            break
        if kind.reason is TrimReason.HOUR:
            days.add(taken_at.toordinal())
            if len(days) > days_of_hours:
                break
        members.setdefault(number, []).append(snapshot)
    for snapshots in members.values():
        snapshots.reverse()
    return members


def earliest_period(reaches: Sequence[Reach]) -> Reason[TrimReason] | None:
    """Return the period that begins before all others; ``None`` where no kind has one."""
    found = [
        (reach.kind.start_of(number), reach.kind, number)
        for reach in reaches
        if (number := reach.earliest) is not None
    ]
    if not found:
        return None
    _, kind, number = min(found, key=lambda one: one[0])
    return kind.period(number)
