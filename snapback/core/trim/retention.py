"""The trim logic: which snapshots to keep, which to delete, and why. Pure: it is given the time.

A timeline is the history of one volume: the completed snapshots with its record. Looking back from
the timeline's newest snapshot, the last N hours, days, weeks, months, quarters and years that have
a snapshot keep one each: the one with the best consistency, and of those the oldest. All in UTC;
weeks start on Sunday. What is kept for one volume keeps the whole set it belongs to.

Periods without a snapshot don't count. So an outage thins nothing, neither while it lasts nor
when it ends: one new snapshot pushes out at most one period of each kind.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from snapback.core.model import Home, SetKey, Snapshot, Timeline, by_age, record_of, set_key
from snapback.core.model import tags as our_tags
from snapback.core.model.reasons import Reason
from snapback.core.model.verdicts import GOOD, is_corrupt, verdict_of
from snapback.core.trim.policy import Policy
from snapback.core.trim.reach import Reach, earliest_period, reach_of
from snapback.core.trim.reasons import TrimReason

BY_THE_BRAKE = Reason(TrimReason.STOPPED, "stopped by the brake")


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
    """What is known about snapshots beyond themselves.

    :ivar in_use: snapshot id -> the AMI that uses it.
    :ivar locked: the ids of locked snapshots.
    :ivar in_flight: snapshot id -> what it is to a transfer into another region, in words.
    :ivar spared: snapshot id -> why the caller doesn't want it deleted, in words.
    :ivar kept: timeline -> the resource whose tag ``snapback:keep`` stops its trimming.
    :ivar unread_homes: account id and region -> why its tags can't be read, in words.
    :ivar gone: the timelines whose volume EC2 says is gone. Only these may fade.
    """

    in_use: Mapping[str, str] = field(default_factory=dict)
    locked: frozenset[str] = frozenset()
    in_flight: Mapping[str, str] = field(default_factory=dict)
    spared: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[Timeline, str] = field(default_factory=dict)
    unread_homes: Mapping[Home, str] = field(default_factory=dict)
    gone: frozenset[Timeline] = frozenset()


@dataclass(frozen=True)
class Judgement:
    """What becomes of the snapshots of one place.

    :ivar verdicts: one for each snapshot of ours, oldest first.
    :ivar timelines: the snapshots that count in each timeline, oldest first.
    :ivar faded: the timelines that were counted back from now.
    """

    verdicts: list[Verdict]
    timelines: dict[Timeline, list[Snapshot]]
    faded: frozenset[Timeline]


def plan(
    snapshots: Iterable[Snapshot],
    policy_of: Callable[[Snapshot], Policy | str],
    now: datetime,
    protection: Protection | None = None,
) -> list[Verdict]:
    """Decide for each snapshot of one place whether it is kept.

    Snapshots without a record, and those in ``error``, are not judged: they are missing from the
    answer. A timeline follows the policy of its newest snapshot with tags of ours.

    :param policy_of: the policy of a timeline, given that snapshot; or in words why there is none,
        and then all of the timeline is kept.
    :param now: aware UTC.
    :returns: a verdict for each snapshot that is ours, oldest first.
    """
    return judge(snapshots, policy_of, now, protection or Protection()).verdicts


def judge(
    snapshots: Iterable[Snapshot],
    policy_of: Callable[[Snapshot], Policy | str],
    now: datetime,
    protection: Protection,
    stopped: Collection[Timeline] = (),
) -> Judgement:
    """Return the verdicts of :func:`plan`, and what they were found by.

    :param stopped: the timelines that the brake keeps whole.
    """
    snapshots = list(snapshots)
    ours = _oldest_first(s for s in snapshots if s.state != "error")
    protection = replace(protection, kept={**kept_by_snapshots(snapshots), **protection.kept})
    reasons: dict[str, list[Reason[TrimReason]]] = defaultdict(list)
    losers: dict[str, Reason[TrimReason]] = {}

    for snapshot in ours:
        reasons[snapshot.snapshot_id] += protections(snapshot, now, protection)
    found = _timelines(ours, now)
    faded = set()
    for timeline, members in found.items():
        policy = policy_of(deciding(members))
        fades = timeline in protection.gone and is_idle(members, policy, now)
        kept, lost = _thin(members, policy, now if fades else None)
        if fades:
            faded.add(timeline)
        for snapshot_id, why in kept.items():
            reasons[snapshot_id] += why
        if timeline in stopped:
            for snapshot in members:
                reasons[snapshot.snapshot_id] = reasons[snapshot.snapshot_id] or [BY_THE_BRAKE]
        losers |= lost
    losers |= _keep_sets_whole(ours, reasons)

    verdicts = [
        Verdict(snapshot, True, tuple(reasons[snapshot.snapshot_id]))
        if reasons[snapshot.snapshot_id]
        else Verdict(snapshot, False, (losers[snapshot.snapshot_id],))
        for snapshot in ours
    ]
    return Judgement(verdicts, found, frozenset(faded))


def idle_timelines(
    snapshots: Iterable[Snapshot], policy_of: Callable[[Snapshot], Policy | str], now: datetime
) -> list[Timeline]:
    """Return the timelines that fade if their volume is gone."""
    return [
        timeline
        for timeline, members in timelines(snapshots, now).items()
        if is_idle(members, policy_of(deciding(members)), now)
    ]


def is_idle(timeline: Sequence[Snapshot], policy: Policy | str, now: datetime) -> bool:
    """Return whether a timeline has had no snapshot for as long as its policy says of fading.

    :param timeline: oldest first.
    """
    if isinstance(policy, str) or policy.fade_after_days is None:
        return False
    return now - record_of(timeline[-1]).taken_at > timedelta(days=policy.fade_after_days)


def timelines(snapshots: Iterable[Snapshot], now: datetime) -> dict[Timeline, list[Snapshot]]:
    """Return the timelines, each with its snapshots that count, oldest first.

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


def kept_by_snapshots(snapshots: Iterable[Snapshot]) -> dict[Timeline, str]:
    """Return the timelines that the tag of one of their snapshots keeps: timeline -> its id."""
    return {
        snapshot.record.timeline: snapshot.snapshot_id
        for snapshot in snapshots
        if snapshot.record and our_tags.KEEP in snapshot.tags
    }


def protections(
    snapshot: Snapshot, now: datetime, protection: Protection
) -> list[Reason[TrimReason]]:
    """Return why a snapshot must not be deleted, whatever the policy says."""
    return [
        *_kept_by_wish(snapshot, protection),
        *_kept_by_state(snapshot, now, protection),
    ]


def _kept_by_wish(snapshot: Snapshot, protection: Protection) -> Iterator[Reason[TrimReason]]:
    timeline = record_of(snapshot).timeline
    if our_tags.PIN in snapshot.tags:
        yield Reason(TrimReason.PINNED, f"tag {our_tags.PIN}")
    if resource := protection.kept.get(timeline):
        yield Reason(TrimReason.KEPT, f"tag {our_tags.KEEP} on {resource}")
    if timeline.home in protection.unread_homes:
        yield Reason(TrimReason.HOME_UNREAD, f"its home {timeline.region} can't be read")
    if why := protection.spared.get(snapshot.snapshot_id):
        yield Reason(TrimReason.NOT_SELECTED, why)


def _kept_by_state(
    snapshot: Snapshot, now: datetime, protection: Protection
) -> Iterator[Reason[TrimReason]]:
    if snapshot.state != "completed":
        yield Reason(TrimReason.PENDING, snapshot.state)
    if ami := protection.in_use.get(snapshot.snapshot_id):
        yield Reason(TrimReason.IN_USE, f"in use by {ami}")
    if snapshot.snapshot_id in protection.locked:
        yield Reason(TrimReason.LOCKED, "locked")
    if snapshot.is_archived:
        yield Reason(TrimReason.ARCHIVED, "archived")
    elif snapshot.restored_until:
        until = f"archived, restored until {snapshot.restored_until:%Y-%m-%d %H:%M}"
        yield Reason(TrimReason.ARCHIVED, until)
    if manager := our_tags.manager_of(snapshot.tags):
        yield Reason(TrimReason.MANAGED, f"managed by another service (tag {manager})")
    if record_of(snapshot).taken_at > now:
        yield Reason(TrimReason.FUTURE, "dated in the future")
    if part := protection.in_flight.get(snapshot.snapshot_id):
        yield Reason(TrimReason.IN_FLIGHT, part)


def _thin(
    timeline: Sequence[Snapshot], policy: Policy | str, back_from: datetime | None
) -> tuple[dict[str, list[Reason[TrimReason]]], dict[str, Reason[TrimReason]]]:
    """Return of one timeline why those kept are kept, and why each of the others isn't.

    :param back_from: as for :func:`~snapback.core.trim.reach.reach_of`.
    """
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
    reaches = reach_of(timeline, policy, back_from)
    for reach in reaches:
        for number, members in reach.members.items():
            best = max(members, key=_quality)
            kept[best.snapshot_id].append(reach.kind.period(number))
            for snapshot in members:
                if snapshot.snapshot_id not in lost and snapshot is not best:
                    lost[snapshot.snapshot_id] = Reason(
                        TrimReason.SURPASSED,
                        f"{reach.kind.period(number)} keeps {best.snapshot_id}",
                    )
    too_old = _too_old(reaches, faded=back_from is not None)
    for snapshot in timeline:
        lost.setdefault(snapshot.snapshot_id, too_old)
    return kept, lost


def _too_old(reaches: Sequence[Reach], *, faded: bool) -> Reason[TrimReason]:
    """Return why a snapshot goes that lies in none of the periods that keep one."""
    earliest = earliest_period(reaches)
    text = f"older than {earliest}, the earliest period that keeps one"
    if faded:
        text = f"faded: {text}" if earliest else "faded: no period back from now has a snapshot"
    return Reason(TrimReason.TOO_OLD, text)


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


def _quality(snapshot: Snapshot) -> tuple[bool, bool, int]:
    """Return the rank of a snapshot in its period: not corrupt, with tags of ours, consistent.

    Anybody who may create snapshots can write a record, and nobody but snapback its tags, where
    the policy that the documents give is in force.
    """
    return not _is_corrupt(snapshot), our_tags.is_ours(snapshot.tags), int(snapshot.consistency)


def deciding(timeline: Sequence[Snapshot]) -> Snapshot:
    """Return the snapshot whose tags decide the policy: the newest with tags of ours.

    Where none has any, as of django-fabfile, that is the newest.
    """
    return newest_of([one for one in timeline if our_tags.is_ours(one.tags)] or timeline)


def newest_of(timeline: Sequence[Snapshot]) -> Snapshot:
    """Answer the newest snapshot of a timeline.

    Of several of one instant that is the one that a period would keep: the best, then the one made
    first.
    """
    newest_at = record_of(timeline[-1]).taken_at
    begin = bisect_left(timeline, newest_at, key=lambda snapshot: record_of(snapshot).taken_at)
    return max(timeline[begin:], key=_quality)


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
            members[set_key(snapshot)].append(snapshot)
    for (_, set_id, _), snapshots_of_set in members.items():
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
