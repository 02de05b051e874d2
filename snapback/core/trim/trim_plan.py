"""What trimming would delete at one place: decided here, shown or done elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from snapback.core.model import Home, Place, Snapshot, Timeline, record_of, taken_at
from snapback.core.model import tags as our_tags
from snapback.core.model.provenance import objections
from snapback.core.model.times import age
from snapback.core.trim import retention
from snapback.core.trim.brake import Brake, Stopped, stopped_timelines
from snapback.core.trim.policy import Policy
from snapback.core.trim.retention import Protection, Verdict


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


@dataclass(frozen=True, kw_only=True)
class TrimPlan:
    """What trimming will do at one place.

    :ivar verdicts: one for each snapshot of ours, oldest first.
    :ivar timelines: the timelines there.
    :ivar instances: the instances that the newest snapshots of these name.
    :ivar stopped: the timelines that the brake keeps whole.
    :ivar faded: the timelines that thin out by the calendar, since their volume is gone.
    :ivar unread_homes: account id and region -> why the timelines of its volumes are kept whole,
        in words.
    :ivar unproven: snapshot id -> why its record isn't believed, in words. They are kept.
    """

    place: Place
    broken: tuple[Broken, ...]
    verdicts: tuple[Verdict, ...]
    timelines: frozenset[Timeline] = frozenset()
    instances: frozenset[str] = frozenset()
    stopped: tuple[Stopped, ...] = ()
    faded: frozenset[Timeline] = frozenset()
    unread_homes: Mapping[Home, str] = field(default_factory=dict)
    unproven: Mapping[str, str] = field(default_factory=dict)

    @property
    def deletions(self) -> list[Verdict]:
        """The verdicts by which a snapshot goes."""
        return [verdict for verdict in self.verdicts if not verdict.keep]

    @property
    def deletes_nothing(self) -> bool:
        """Whether no snapshot goes, neither an old one nor a broken one of ours."""
        return not self.deletions and not any(broken.ours for broken in self.broken)

    def kept_by_reason(self) -> Counter[str]:
        """How many are kept for which kind of reason, the first of each one's reasons."""
        return Counter(str(v.reasons[0].kind.value) for v in self.verdicts if v.keep)

    def kept_whole(self) -> TrimPlan:
        """Return the plan by which nothing at all goes, since the brake stops the whole run."""
        verdicts = tuple(
            v if v.keep else Verdict(v.snapshot, True, (retention.BY_THE_BRAKE,))
            for v in self.verdicts
        )
        return replace(self, broken=(), verdicts=verdicts)


def plan_trim(
    place: Place,
    snapshots: Sequence[Snapshot],
    policy_of: Callable[[Snapshot], Policy | str],
    now: datetime,
    protection: Protection,
    brake: Brake,
    selected: Callable[[Snapshot], bool] = lambda _: True,
) -> TrimPlan:
    """Decide what trimming deletes at a place.

    The brake judges the plan with sets whole and protections in. What it stops is kept whole, and
    the sets are completed anew.

    :param snapshots: all that the account owns there, ours or not.
    :param selected: whether a snapshot may be deleted, as far as the caller narrowed it.
    """
    spared = {s.snapshot_id: "not selected" for s in snapshots if s.record and not selected(s)}
    protection = replace(protection, spared=spared)
    judgement = retention.judge(snapshots, policy_of, now, protection)
    stopped = stopped_timelines(brake, judgement, snapshots)
    if stopped:
        names = {one.timeline for one in stopped}
        judgement = retention.judge(snapshots, policy_of, now, protection, names)
    newest = map(retention.newest_of, judgement.timelines.values())
    return TrimPlan(
        place=place,
        broken=tuple(plan_broken(snapshots, now)),
        verdicts=tuple(judgement.verdicts),
        timelines=frozenset(judgement.timelines),
        instances=frozenset(record_of(snapshot).instance for snapshot in newest),
        stopped=tuple(stopped),
        faded=judgement.faded,
        unread_homes=protection.unread_homes,
        unproven=objections(snapshots),
    )


def plan_broken(snapshots: Iterable[Snapshot], now: datetime) -> list[Broken]:
    """Return the broken snapshots, oldest first, with what is known of each."""
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
    if our_tags.manager_of(snapshot.tags) or snapshot.unproven:
        return False
    return snapshot.record is not None or our_tags.is_ours(snapshot.tags)


def _why_broken(snapshot: Snapshot, last_good: datetime | None, now: datetime) -> str:
    good = f"last good one {age(now - last_good)} old" if last_good else "no good one is left"
    return f"{_volume(snapshot)}: {snapshot.state_message or 'EC2 gives no reason'}; {good}"


def _volume(snapshot: Snapshot) -> str:
    return snapshot.record.volume if snapshot.record else snapshot.volume_id
