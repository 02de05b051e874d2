"""The trim logic: which snapshots to keep, which to delete, and why. Pure: it is given the time.

A timeline is the history of one volume: the completed snapshots with its record. Looking back from
the timeline's newest snapshot, the last N calendar hours, days, weeks, months, quarters and years
keep one snapshot each: the one with the best consistency, and of those the oldest. All in UTC;
weeks start on Sunday. What is kept for one volume keeps the whole set it belongs to.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from snapback.core.model import Snapshot, Timeline, by_age, record_of
from snapback.core.model import tags as our_tags
from snapback.core.model.reasons import Reason
from snapback.core.model.verdicts import GOOD, is_corrupt, verdict_of
from snapback.core.trim.periods import KINDS, Kind
from snapback.core.trim.reasons import TrimReason

SetKey = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How many periods of each kind keep a snapshot; 0 switches a kind off.

    A policy of zeros deletes nothing. Raising a count of any other can only keep more.

    :ivar fade_after_days: a timeline without a new snapshot for so many days is looked back on
        from now, so that it thins out; ``None``: never.
    """

    hourly: int = 24
    daily: int = 7
    weekly: int = 4
    monthly: int = 12
    quarterly: int = 4
    yearly: int = 10
    fade_after_days: float | None = None

    def counts(self) -> list[tuple[Kind, int]]:
        """Answer the kinds that are switched on with their counts, finest first."""
        counted = [(kind, getattr(self, kind.name)) for kind in KINDS]
        return [(kind, count) for kind, count in counted if count > 0]

    def reach(self, back_from: datetime) -> list[tuple[Kind, int, datetime]]:
        """Answer how far each kind reaches back: (kind, count, start of its first period)."""
        return [
            (kind, count, kind.start_of(kind.number_of(back_from) - count + 1))
            for kind, count in self.counts()
        ]


@dataclass(frozen=True)
class Verdict:
    """What becomes of one snapshot, and why.

    :ivar reasons: at least one; their kinds are of :class:`~snapback.core.trim.reasons.TrimReason`.
    """

    snapshot: Snapshot
    keep: bool
    reasons: tuple[Reason[TrimReason], ...]


@dataclass(frozen=True)
class Protection:
    """What is known about snapshots beyond themselves, and keeps them.

    :ivar in_use: snapshot id -> the AMI that uses it.
    :ivar locked: the ids of locked snapshots.
    :ivar in_flight: snapshot id -> what it is to a transfer into another region, in words.
    :ivar spared: snapshot id -> why the caller doesn't want it deleted, in words.
    """

    in_use: Mapping[str, str] = field(default_factory=dict)
    locked: frozenset[str] = frozenset()
    in_flight: Mapping[str, str] = field(default_factory=dict)
    spared: Mapping[str, str] = field(default_factory=dict)


def plan(
    snapshots: Iterable[Snapshot],
    policy_of: Callable[[Snapshot], Policy | str],
    now: datetime,
    protection: Protection | None = None,
) -> list[Verdict]:
    """Decide for each snapshot of one place whether it is kept.

    Snapshots without a record, and those in ``error``, are not judged: they are missing from the
    answer. A timeline follows the policy of its newest snapshot.

    :param policy_of: the policy of a timeline, given its newest snapshot; or in words why there is
        none, and then all of the timeline is kept.
    :param now: aware UTC.
    :returns: a verdict for each snapshot that is ours, oldest first.
    """
    return judge(snapshots, policy_of, now, protection or Protection())[0]


def judge(
    snapshots: Iterable[Snapshot],
    policy_of: Callable[[Snapshot], Policy | str],
    now: datetime,
    protection: Protection,
) -> tuple[list[Verdict], dict[Timeline, list[Snapshot]]]:
    """Answer what :func:`plan` answers, and the timelines."""
    ours = _oldest_first(s for s in snapshots if s.state != "error")
    reasons: dict[str, list[Reason[TrimReason]]] = defaultdict(list)
    losers: dict[str, Reason[TrimReason]] = {}

    for snapshot in ours:
        reasons[snapshot.snapshot_id] += protections(snapshot, now, protection)
    found = _timelines(ours, now)
    for timeline in found.values():
        kept, lost = _thin(timeline, policy_of(newest_of(timeline)), now)
        for snapshot_id, why in kept.items():
            reasons[snapshot_id] += why
        losers |= lost
    losers |= _keep_sets_whole(ours, reasons)

    verdicts = [
        Verdict(snapshot, True, tuple(reasons[snapshot.snapshot_id]))
        if reasons[snapshot.snapshot_id]
        else Verdict(snapshot, False, (losers[snapshot.snapshot_id],))
        for snapshot in ours
    ]
    return verdicts, found


def timelines(snapshots: Iterable[Snapshot], now: datetime) -> dict[Timeline, list[Snapshot]]:
    """Answer the timelines: (region, volume) -> its snapshots that count, oldest first.

    Completed ones with a record count; those dated in the future and those that DLM or AWS Backup
    manages don't.
    """
    return _timelines(_oldest_first(snapshots), now)


def _timelines(oldest_first: Iterable[Snapshot], now: datetime) -> dict[Timeline, list[Snapshot]]:
    found: dict[Timeline, list[Snapshot]] = defaultdict(list)
    for snapshot in oldest_first:
        record = record_of(snapshot)
        if (
            snapshot.state == "completed"
            and record.taken_at <= now
            and not our_tags.manager_of(snapshot.tags)
        ):
            found[record.timeline].append(snapshot)
    return dict(found)


def protections(
    snapshot: Snapshot, now: datetime, protection: Protection
) -> list[Reason[TrimReason]]:
    """Answer why a snapshot must not be deleted, whatever the policy says."""
    reasons = []
    if our_tags.PIN in snapshot.tags:
        reasons.append(Reason(TrimReason.PINNED, f"tag {our_tags.PIN}"))
    if snapshot.state != "completed":
        reasons.append(Reason(TrimReason.PENDING, snapshot.state))
    if ami := protection.in_use.get(snapshot.snapshot_id):
        reasons.append(Reason(TrimReason.IN_USE, f"in use by {ami}"))
    if snapshot.snapshot_id in protection.locked:
        reasons.append(Reason(TrimReason.LOCKED, "locked"))
    if snapshot.storage_tier == "archive":
        reasons.append(Reason(TrimReason.ARCHIVED, "archived"))
    if manager := our_tags.manager_of(snapshot.tags):
        text = f"managed by another service (tag {manager})"
        reasons.append(Reason(TrimReason.MANAGED, text))
    if record_of(snapshot).taken_at > now:
        reasons.append(Reason(TrimReason.FUTURE, "dated in the future"))
    if part := protection.in_flight.get(snapshot.snapshot_id):
        reasons.append(Reason(TrimReason.IN_FLIGHT, part))
    if why := protection.spared.get(snapshot.snapshot_id):
        reasons.append(Reason(TrimReason.NOT_SELECTED, why))
    return reasons


def _thin(
    timeline: Sequence[Snapshot], policy: Policy | str, now: datetime
) -> tuple[dict[str, list[Reason[TrimReason]]], dict[str, Reason[TrimReason]]]:
    """Answer of one timeline why those kept are kept, and why each of the others isn't."""
    if isinstance(policy, str):
        unknown = Reason(TrimReason.NO_POLICY, policy)
        return {snapshot.snapshot_id: [unknown] for snapshot in timeline}, {}
    if not policy.counts():
        zeros = Reason(TrimReason.NO_COUNTS, "the policy has no counts")
        return {snapshot.snapshot_id: [zeros] for snapshot in timeline}, {}

    kept: dict[str, list[Reason[TrimReason]]] = defaultdict(list)
    lost: dict[str, Reason[TrimReason]] = {}
    newest = newest_of(timeline)
    kept[newest.snapshot_id].append(Reason(TrimReason.NEWEST, "newest"))
    for snapshot_id, why in _kept_for_verdicts(timeline, newest).items():
        kept[snapshot_id].append(why)
    reach = policy.reach(_counted_from(newest, policy, now))
    taken = [record_of(snapshot).taken_at for snapshot in timeline]
    for kind, _, first in reach:
        begin = bisect_left(taken, first)
        numbers = [kind.number_of(taken_at) for taken_at in taken[begin:]]
        inside = list(zip(numbers, timeline[begin:], strict=True))
        best = _best_of_each_period(inside)
        for number, snapshot in best.items():
            kept[snapshot.snapshot_id].append(kind.period(number))
        for number, snapshot in inside:
            if snapshot.snapshot_id not in lost and snapshot is not best[number]:
                lost[snapshot.snapshot_id] = Reason(
                    TrimReason.SURPASSED,
                    f"{kind.period(number)} keeps {best[number].snapshot_id}",
                )
    ends = min(first for _, _, first in reach)
    too_old = Reason(TrimReason.TOO_OLD, f"older than all that is kept, from {ends:%Y-%m-%d}")
    for snapshot in timeline:
        lost.setdefault(snapshot.snapshot_id, too_old)
    return kept, lost


def _kept_for_verdicts(
    timeline: Sequence[Snapshot], newest: Snapshot
) -> dict[str, Reason[TrimReason]]:
    """Answer what verification demands to be kept: what is sound, and the evidence of what isn't.

    :param timeline: oldest first.
    """
    kept: dict[str, Reason[TrimReason]] = {}
    if _is_corrupt(newest):
        sound = [snapshot for snapshot in timeline if not _is_corrupt(snapshot)]
        if sound:
            kept[newest_of(sound).snapshot_id] = Reason(
                TrimReason.NEWEST_SOUND, "newest that isn't corrupt"
            )
    for snapshot in timeline if any(map(_is_corrupt, timeline)) else ():
        if _is_corrupt(snapshot) and not _good_after(snapshot, timeline):
            kept[snapshot.snapshot_id] = Reason(
                TrimReason.EVIDENCE, "found corrupt, and no newer one is known to be good"
            )
    return kept


def _good_after(snapshot: Snapshot, timeline: Iterable[Snapshot]) -> bool:
    """Tell whether a newer snapshot was verified and found good."""
    for other in timeline:
        verdict = verdict_of(other.tags) if our_tags.VERDICT in other.tags else None
        newer = record_of(other).taken_at > record_of(snapshot).taken_at
        if newer and verdict and verdict.word == GOOD:
            return True
    return False


def _is_corrupt(snapshot: Snapshot) -> bool:
    return our_tags.VERDICT in snapshot.tags and is_corrupt(snapshot.tags)


def _quality(snapshot: Snapshot) -> int:
    """Answer how good a snapshot is: its consistency, and less than any where it is corrupt."""
    return -1 if _is_corrupt(snapshot) else int(snapshot.consistency)


def newest_of(timeline: Sequence[Snapshot]) -> Snapshot:
    """Answer the newest snapshot of a timeline.

    Of several of one instant that is the one that a period would keep: the best, then the one made
    first.
    """
    newest_at = record_of(timeline[-1]).taken_at
    begin = bisect_left(timeline, newest_at, key=lambda snapshot: record_of(snapshot).taken_at)
    return max(timeline[begin:], key=_quality)


def _counted_from(newest: Snapshot, policy: Policy, now: datetime) -> datetime:
    """Answer the instant from which periods are counted back."""
    taken_at = record_of(newest).taken_at
    if policy.fade_after_days is None:
        return taken_at
    return now if now - taken_at > timedelta(days=policy.fade_after_days) else taken_at


def _best_of_each_period(inside: Iterable[tuple[int, Snapshot]]) -> dict[int, Snapshot]:
    """Answer the snapshot that each period keeps: not a corrupt one, the best, then the oldest.

    :param inside: (number of its period, snapshot), oldest first.
    """
    best: dict[int, Snapshot] = {}
    for number, snapshot in inside:
        if number not in best or _quality(snapshot) > _quality(best[number]):
            best[number] = snapshot
    return best


def _keep_sets_whole(
    oldest_first: Iterable[Snapshot], reasons: dict[str, list[Reason[TrimReason]]]
) -> dict[str, Reason[TrimReason]]:
    """Add the reason of belonging to a set of which another member is kept.

    Several replicas of one identity count as one member, of which one is kept.

    :returns: why the others of those are not kept.
    """
    members: dict[SetKey, list[Snapshot]] = defaultdict(list)
    doubles: dict[str, Reason[TrimReason]] = {}
    for snapshot in oldest_first:
        if snapshot.set_id:
            members[record_of(snapshot).region, snapshot.set_id].append(snapshot)
    for (_, set_id), snapshots_of_set in members.items():
        kept = [s for s in snapshots_of_set if reasons[s.snapshot_id]]
        kept_ids = {record_of(s).identity: s.snapshot_id for s in reversed(kept)}
        for snapshot in snapshots_of_set if kept else ():
            if reasons[snapshot.snapshot_id]:
                continue
            if other := kept_ids.get(record_of(snapshot).identity):
                doubles[snapshot.snapshot_id] = Reason(
                    TrimReason.DOUBLE, f"the same as {other}, which is kept"
                )
            else:
                kept_ids[record_of(snapshot).identity] = snapshot.snapshot_id
                reasons[snapshot.snapshot_id].append(
                    Reason(TrimReason.SET, f"{set_id} is kept for {kept[0].snapshot_id}")
                )
    return doubles


def _oldest_first(snapshots: Iterable[Snapshot]) -> list[Snapshot]:
    """Answer those that have a record."""
    return sorted((snapshot for snapshot in snapshots if snapshot.record), key=by_age)
