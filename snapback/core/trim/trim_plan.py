"""What trimming would delete at one place: decided here, shown or done elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from snapback.core.model import Place, Snapshot, Timeline, taken_at
from snapback.core.model import tags as our_tags
from snapback.core.model.times import age
from snapback.core.trim import retention
from snapback.core.trim.retention import Policy, Protection, Verdict

SMALLEST_BRAKED = 10


@dataclass(frozen=True)
class Broken:
    """A snapshot in the state ``error``.

    :ivar ours: whether it has a record or tags of ours, and no other service claims it; only then
        it is deleted.
    :ivar reason: volume, EC2's StateMessage, and the age of the last good one, in words.
    """

    snapshot: Snapshot
    ours: bool
    reason: str


@dataclass(frozen=True)
class Braked:
    """A timeline of which suspiciously much would go."""

    timeline: Timeline
    total: int
    deleted: int


@dataclass(frozen=True, kw_only=True)
class TrimPlan:
    """What trimming will do at one place.

    :ivar verdicts: one for each snapshot of ours, oldest first.
    :ivar braked: the timelines for which the whole trimming is refused.
    """

    place: Place
    broken: tuple[Broken, ...]
    verdicts: tuple[Verdict, ...]
    braked: tuple[Braked, ...] = ()

    @property
    def deletions(self) -> list[Verdict]:
        """The verdicts by which a snapshot goes."""
        return [verdict for verdict in self.verdicts if not verdict.keep]

    def kept_by_reason(self) -> Counter[str]:
        """How many are kept for which kind of reason, the first of each one's reasons."""
        return Counter(str(v.reasons[0].kind.value) for v in self.verdicts if v.keep)


def plan_trim(
    place: Place,
    snapshots: Sequence[Snapshot],
    policy_of: Callable[[Snapshot], Policy | str],
    now: datetime,
    protection: Protection,
    max_delete: int,
    selected: Callable[[Snapshot], bool] = lambda _: True,
) -> TrimPlan:
    """Decide what trimming deletes at a place.

    :param snapshots: all that the account owns there, ours or not.
    :param max_delete: percent of a timeline of over 10 that may go.
    :param selected: whether a snapshot may be deleted, as far as the caller narrowed it.
    """
    spared = {s.snapshot_id: "not selected" for s in snapshots if s.record and not selected(s)}
    verdicts, timelines = retention.judge(
        snapshots, policy_of, now, replace(protection, spared=spared)
    )
    going = {verdict.snapshot.snapshot_id for verdict in verdicts if not verdict.keep}
    braked = []
    for timeline, members in timelines.items():
        deleted = sum(snapshot.snapshot_id in going for snapshot in members)
        if len(members) > SMALLEST_BRAKED and deleted * 100 > max_delete * len(members):
            braked.append(Braked(timeline, len(members), deleted))
    return TrimPlan(
        place=place,
        broken=tuple(plan_broken(snapshots, now)),
        verdicts=tuple(verdicts),
        braked=tuple(braked),
    )


def plan_broken(snapshots: Iterable[Snapshot], now: datetime) -> list[Broken]:
    """Answer the broken snapshots, oldest first, with what is known of each."""
    broken = []
    last_good: dict[str, datetime] = {}
    for snapshot in snapshots:
        if snapshot.state == "error":
            broken.append(snapshot)
        elif snapshot.state == "completed":
            volume, at = _volume(snapshot), taken_at(snapshot)
            last_good[volume] = max(at, last_good.get(volume, at))
    return [
        Broken(
            snapshot,
            ours=_is_ours(snapshot),
            reason=_why_broken(snapshot, last_good.get(_volume(snapshot)), now),
        )
        for snapshot in sorted(broken, key=lambda s: (s.started_at, s.snapshot_id))
    ]


def _is_ours(snapshot: Snapshot) -> bool:
    if our_tags.manager_of(snapshot.tags):
        return False
    return snapshot.record is not None or our_tags.is_ours(snapshot.tags)


def _why_broken(snapshot: Snapshot, last_good: datetime | None, now: datetime) -> str:
    good = f"last good one {age(now - last_good)} old" if last_good else "no good one is left"
    return f"{_volume(snapshot)}: {snapshot.state_message or 'EC2 gives no reason'}; {good}"


def _volume(snapshot: Snapshot) -> str:
    return snapshot.record.volume if snapshot.record else snapshot.volume_id
