"""The sets of an instance's snapshots at one place: what belongs together, and what is missing.

The members of a set that snapback took name each other, in their tags, all in the same words, and
are of one instant: what names others, or names them otherwise, or is of another instant, is another
set. Snapshots that were taken
one by one (by ``create_snapshot``, and all of django-fabfile's) belong together where they were
taken within ten minutes. All goes by the record's time, which survives replication.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto

from snapback.core.model import Place, SetKey, Snapshot, by_age, record_of, set_key
from snapback.core.model import tags as our_tags
from snapback.core.model.reasons import Reason
from snapback.core.model.verdicts import verdict_of

CLOSE = timedelta(minutes=10)
UNARCHIVE = "restore it from the archive tier first (RestoreSnapshotTier; hours, up to 3 days)"


class NotRestorable(Enum):
    """Why nothing is restored from a snapshot, or of a volume from a set."""

    NO_SNAPSHOT = auto()
    NO_ROOT = auto()
    NOT_CLOSE = auto()
    LEFT_OUT = auto()
    SHARED = auto()
    IN_ERROR = auto()
    PENDING = auto()
    ARCHIVED = auto()
    CORRUPT = auto()
    DISPUTED = auto()


class NoSet(Enum):
    """Why there is no set to restore from."""

    NONE = auto()
    NONE_SO_OLD = auto()
    NONE_WHOLE = auto()


@dataclass(frozen=True, kw_only=True)
class BackupSet:
    """The snapshots of an instance as it was at one instant, as far as they are at a place.

    :ivar members: one of each volume, completed; by device.
    :ivar missing: each volume of the instance that can't be restored from it -> why.
    """

    place: Place
    instance_id: str
    set_id: str
    taken_at: datetime
    members: tuple[Snapshot, ...]
    missing: Mapping[str, Reason[NotRestorable]] = field(default_factory=dict)

    @property
    def root(self) -> Snapshot | None:
        """The snapshot of the volume that the instance boots from; ``None``: not just one is."""
        found = [
            member
            for member in self.members
            if (record := record_of(member)).device and record.device == record.root_device_name
        ]
        return found[0] if len(found) == 1 else None

    @property
    def shortcoming(self) -> str:
        """What is missing, in words; empty where the set is whole."""
        return "; ".join(f"{volume}: {why}" for volume, why in sorted(self.missing.items()))

    @property
    def name(self) -> str:
        """What people call it: its id, or else its first snapshot's."""
        return self.set_id or next((m.snapshot_id for m in self.members), "no snapshot")

    def __str__(self) -> str:
        return self.name


NO_ROOT = "root"
"""What is missing where the set was taken without the root volume, as its tag demands."""


@dataclass(frozen=True)
class Choice:
    """The set that is meant.

    :ivar passed_over: newer ones that aren't whole.
    :ivar is_unrelated: whether there are older sets, and none of its volumes is in one. EC2 doesn't
        say which instance a volume was attached to, so a set of other volumes may be forged.
    """

    chosen: BackupSet
    passed_over: tuple[BackupSet, ...] = ()
    is_unrelated: bool = False


def sets_of(snapshots: Iterable[Snapshot], instance_id: str) -> list[BackupSet]:
    """Answer the sets of an instance among the snapshots of one place, the newest first."""
    named: dict[tuple[SetKey, str], list[Snapshot]] = defaultdict(list)
    lone: list[Snapshot] = []
    for snapshot in snapshots:
        if snapshot.record and snapshot.record.instance == instance_id:
            if devices := _devices(snapshot):
                said = json.dumps(devices, sort_keys=True)
                named[set_key(snapshot), said].append(snapshot)
            else:
                lone.append(snapshot)
    found = [_named(members) for members in named.values()]
    found += _lone(lone, found)
    return sorted(found, key=lambda one: (one.taken_at, str(one)), reverse=True)


def choose(
    sets: Sequence[BackupSet], at: datetime | None, incomplete: bool
) -> Choice | Reason[NoSet]:
    """Return the newest whole set not later than an instant; or why there is none.

    :param sets: the newest first.
    :param at: ``None``: whenever.
    :param incomplete: take it although volumes are missing, but for the root.
    """
    passed_over: list[BackupSet] = []
    for number, one in enumerate(sets):
        if at is not None and one.taken_at > at:
            continue
        if not one.missing or (incomplete and one.root):
            return Choice(one, tuple(passed_over), _is_unrelated(one, sets[number + 1 :]))
        passed_over.append(one)
    if passed_over:
        listed = " | ".join(
            f"{one} of {one.taken_at:%Y-%m-%d %H:%M:%S}: {one.shortcoming}"
            for one in passed_over[:3]
        )
        return Reason(NoSet.NONE_WHOLE, f"no set is whole: {listed}")
    if sets:
        oldest = f"the oldest set is of {sets[-1].taken_at:%Y-%m-%d %H:%M:%S} UTC"
        return Reason(NoSet.NONE_SO_OLD, oldest)
    return Reason(NoSet.NONE, "there is none")


def _is_unrelated(one: BackupSet, older: Sequence[BackupSet]) -> bool:
    volumes = {record_of(member).volume for member in one.members}
    earlier = {record_of(member).volume for other in older for member in other.members}
    return bool(earlier) and not volumes & earlier


def set_with(sets: Iterable[BackupSet], snapshot_id: str) -> BackupSet | None:
    """Answer the set that a snapshot is a member of."""
    return next((s for s in sets if snapshot_id in {m.snapshot_id for m in s.members}), None)


def _devices(snapshot: Snapshot) -> dict[str, str]:
    """Answer what the set's map of devices says, device name -> volume id; empty: there is none."""
    said = our_tags.read_long(our_tags.DEVICES, snapshot.tags)
    return said if isinstance(said, dict) and snapshot.set_id else {}


def _named(snapshots: Sequence[Snapshot]) -> BackupSet:
    """Answer a set whose members name each other."""
    expected: dict[str, str] = {}
    for snapshot in snapshots:
        expected |= {str(volume): device for device, volume in _devices(snapshot).items()}
    left_out = {v for s in snapshots for v in s.tags.get(our_tags.PARTIAL, "").split()}
    members, missing = _best_of_each(snapshots)
    for volume, device in expected.items():
        if volume not in members and volume not in missing:
            why = f"no snapshot of {device} in {snapshots[0].place}"
            missing[volume] = Reason(NotRestorable.NO_SNAPSHOT, why)
    for volume in left_out - members.keys():
        why = "left out when the set was taken: EC2 had no room for its snapshot"
        missing[volume] = Reason(NotRestorable.LEFT_OUT, why)
    shared = {v: i for s in snapshots for v, i in our_tags.read_shared(s.tags).items()}
    for volume in shared.keys() - members.keys():
        why = f"left to the set of {shared[volume]}, which shares it"
        missing[volume] = Reason(NotRestorable.SHARED, why)
    return _set(snapshots[0].set_id, snapshots, members, missing)


def _lone(snapshots: Iterable[Snapshot], named: Sequence[BackupSet]) -> list[BackupSet]:
    """Answer the sets of snapshots that were taken one by one."""
    clusters: list[list[Snapshot]] = []
    for snapshot in sorted(snapshots, key=by_age):
        taken_at = record_of(snapshot).taken_at
        if clusters and taken_at - record_of(clusters[-1][0]).taken_at <= CLOSE:
            clusters[-1].append(snapshot)
        else:
            clusters.append([snapshot])
    found = []
    for number, cluster in enumerate(clusters):
        members, missing = _best_of_each(cluster)
        for volume in _expected(clusters, number, named) - members.keys():
            why = f"no snapshot within {CLOSE // timedelta(minutes=1)} min"
            missing.setdefault(volume, Reason(NotRestorable.NOT_CLOSE, why))
        found.append(_set("", cluster, members, missing))
    return found


def _expected(
    clusters: Sequence[Sequence[Snapshot]], number: int, named: Sequence[BackupSet]
) -> set[str]:
    """Answer the volumes that the instance is likely to have had when a cluster was taken.

    The last set before it that names its volumes says so. Where there is none: those of the cluster
    before, and those that were seen both earlier and later.
    """
    taken_at = record_of(clusters[number][0]).taken_at
    before = [one for one in named if one.taken_at <= taken_at]
    if before:
        last = max(before, key=lambda one: one.taken_at)
        return {record_of(member).volume for member in last.members} | last.missing.keys()
    volumes = [{record_of(s).volume for s in cluster} for cluster in clusters]
    earlier = set[str]().union(*volumes[:number])
    later = set[str]().union(*volumes[number + 1 :])
    return (volumes[number - 1] if number else set()) | (earlier & later)


def _best_of_each(
    snapshots: Iterable[Snapshot],
) -> tuple[dict[str, Snapshot], dict[str, Reason[NotRestorable]]]:
    """Answer of each volume the snapshot to restore from, or why there is none."""
    of: dict[str, list[Snapshot]] = defaultdict(list)
    for snapshot in snapshots:
        of[record_of(snapshot).volume].append(snapshot)
    members: dict[str, Snapshot] = {}
    missing: dict[str, Reason[NotRestorable]] = {}
    for volume, some in of.items():
        some.sort(key=lambda s: (bool(unfit(s)), s.state != "completed", by_age(s)))
        if why := unfit(some[0]):
            missing[volume] = Reason(why.kind, f"{some[0].snapshot_id} {why}")
        else:
            members[volume] = some[0]
    return members, missing


def unfit(snapshot: Snapshot) -> Reason[NotRestorable] | None:
    """Return why nothing is restored from a snapshot, unless it is named."""
    return unusable(snapshot) or found_corrupt(snapshot)


def unusable(snapshot: Snapshot) -> Reason[NotRestorable] | None:
    """Return why nothing can be restored from a snapshot."""
    if snapshot.state == "error":
        why = f"ended in error: {snapshot.state_message or 'EC2 gives no reason'}"
        return Reason(NotRestorable.IN_ERROR, why)
    if snapshot.state != "completed":
        why = f"is {snapshot.state} ({snapshot.progress or '0%'})"
        return Reason(NotRestorable.PENDING, why)
    if snapshot.is_archived:
        why = f"is archived: {UNARCHIVE}"
        return Reason(NotRestorable.ARCHIVED, why)
    return None


def found_corrupt(snapshot: Snapshot) -> Reason[NotRestorable] | None:
    """Return that a snapshot was found corrupt, with the evidence, where it was."""
    verdict = verdict_of(snapshot.tags)
    if verdict and verdict.is_corrupt:
        why = f"was found {verdict.word} on {verdict.at:%Y-%m-%d %H:%M}: {verdict.evidence}"
        return Reason(NotRestorable.CORRUPT, why)
    return None


def _set(
    set_id: str,
    snapshots: Sequence[Snapshot],
    members: Mapping[str, Snapshot],
    missing: dict[str, Reason[NotRestorable]],
) -> BackupSet:
    disputed = _disputed(members.values())
    members = {volume: member for volume, member in members.items() if volume not in disputed}
    missing |= disputed
    roots = sorted({record_of(member).root_device_name for member in members.values()} - {""})
    devices = {record_of(member).device for member in members.values()}
    if len(roots) > 1:
        why = f"its snapshots name several root devices: {', '.join(roots)}"
        missing[NO_ROOT] = Reason(NotRestorable.DISPUTED, why)
    elif roots and roots[0] not in devices and not missing:
        why = f"no snapshot of {roots[0]}, the root device, in {snapshots[0].place}"
        missing[NO_ROOT] = Reason(NotRestorable.NO_ROOT, why)
    return BackupSet(
        place=snapshots[0].place,
        instance_id=record_of(snapshots[0]).instance,
        set_id=set_id,
        taken_at=max(record_of(s).taken_at for s in snapshots),
        members=tuple(sorted(members.values(), key=lambda m: record_of(m).device)),
        missing=missing,
    )


def _disputed(members: Iterable[Snapshot]) -> dict[str, Reason[NotRestorable]]:
    """Return the volumes that were one device of the instance at one instant, each with why not.

    Anybody who may create snapshots can write the record of one more disk for a set.
    """
    of: dict[str, list[Snapshot]] = defaultdict(list)
    for member in members:
        of[record_of(member).device].append(member)
    return {
        record_of(member).volume: Reason(
            NotRestorable.DISPUTED,
            f"{' and '.join(sorted(s.snapshot_id for s in some))} are both of {device}",
        )
        for device, some in of.items()
        if device and len(some) > 1
        for member in some
    }
