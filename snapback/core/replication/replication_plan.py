"""What a destination lacks: a pure comparison of the snapshots here and there.

What is replicated is of each volume its latest snapshot, and with it the whole set that it belongs
to, so that the destination has the instance's volumes as they were at one instant. A snapshot
without a set is a set of one. Nothing can be read from an archived snapshot, so a set that lacks
one in the destination is passed over for the newest that can be used.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from snapback.core.model import (
    Identity,
    Place,
    Record,
    SetKey,
    Snapshot,
    Timeline,
    by_age,
    record_of,
    set_key,
)
from snapback.core.model.backup_sets import UNARCHIVE
from snapback.core.model.reasons import Reason

Members = Sequence[Snapshot]
_REPLICA_STATES = ("pending", "completed")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One snapshot that is to be replicated.

    :ivar source: completed, not archived, with a record.
    :ivar base: the newest completed replica of the same volume in the destination that isn't
        archived, if any.
    :ivar is_base_newest: whether no newer replica is archived: EC2 copies the changes since the
        newest only.
    """

    source: Snapshot
    destination: Place
    base: Snapshot | None = None
    is_base_newest: bool = True

    @property
    def record(self) -> Record:
        """The record of the source, and of the replica."""
        assert self.source.record is not None
        return self.source.record


class Present(Enum):
    """Why a snapshot need not be replicated."""

    THERE = auto()
    NEWER = auto()
    PENDING = auto()


@dataclass(frozen=True)
class Known:
    """A snapshot that need not be replicated, the replica for which that is so, and why."""

    source: Snapshot
    replica: Snapshot

    @property
    def reason(self) -> Reason[Present]:
        """Why it need not be; without words where there is a completed replica of it."""
        replica = self.replica
        if replica.state == "pending":
            text = f"{replica.snapshot_id} is pending ({replica.progress or '0%'})"
            return Reason(Present.PENDING, text)
        if record_of(replica).identity != record_of(self.source).identity:
            text = f"there is a newer one of the volume, {replica.snapshot_id}"
            return Reason(Present.NEWER, text)
        return Reason(Present.THERE, "")


@dataclass(frozen=True)
class Waiting:
    """The latest set of some volumes, which isn't completed yet.

    :ivar pending: all its members that the destination lacks.
    :ivar instead: what is to be replicated where it doesn't complete in time: what is lacking of
        the newest completed sets.
    """

    pending: tuple[Step, ...]
    instead: tuple[Step, ...]


@dataclass(frozen=True)
class PassedOver:
    """A snapshot of the latest set of some volumes that can't be replicated with its set.

    :ivar archived: the members of its set that are archived, and have no replica.
    :ivar instead: the newest snapshot of its volume that can be used: to be replicated, waited for,
        or there already.
    """

    source: Snapshot
    archived: tuple[Snapshot, ...]
    instead: Snapshot | None

    @property
    def why(self) -> str:
        """Why it isn't replicated, and what takes its place, in words."""
        others = ", ".join(s.snapshot_id for s in self.archived)
        is_archived = self.source in self.archived
        why = UNARCHIVE if is_archived else f"its set can't be used whole without {others}"
        if self.instead is None:
            return f"{why}; there is no other snapshot of its volume to replicate"
        return f"{why}; {self.instead.snapshot_id} of the same volume counts instead"


@dataclass(frozen=True, kw_only=True)
class ReplicationPlan:
    """What is to be replicated from one place into another.

    :ivar steps: what can be begun at once, oldest first.
    :ivar waiting: what has to complete before.
    :ivar known: what need not be replicated.
    :ivar archived: what can't be, since it or others of its set are archived.
    :ivar broken: replicas of what is lacking that ended in ``error``.
    """

    source: Place
    destination: Place
    steps: tuple[Step, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    known: tuple[Known, ...] = ()
    archived: tuple[PassedOver, ...] = ()
    broken: tuple[Snapshot, ...] = ()

    @property
    def lacking(self) -> list[Snapshot]:
        """What the destination lacks, oldest first, also what is pending in the source."""
        waiting = [step for one in self.waiting for step in one.pending]
        return sorted((step.source for step in (*self.steps, *waiting)), key=by_age)


def plan_replication(
    source: Place,
    destination: Place,
    here: Iterable[Snapshot],
    there: Iterable[Snapshot],
) -> ReplicationPlan:
    """Decide what is to be replicated.

    A replica is known by its record's identity, never by the bytes of its description. One that is
    pending is being replicated, and isn't lacking either; one in ``error`` is none. Nothing goes
    back to the region where it was taken.

    :param here: the source's snapshots.
    :param there: all of the destination's.
    """
    view = View(destination, there)
    everything = _sets(_once(here, but_of=destination.region))
    sets, archived = _usable(everything, view)
    latest = _distinct(_latest_of_each_volume(sets).values())
    completed = _latest_of_each_volume(members for members in sets if _completed(members))
    steps = view.steps(s for members in latest if _completed(members) for s in members)
    waiting = [
        Waiting(view.steps(members), view.steps(_instead_of(members, completed)))
        for members in latest
        if not _completed(members)
    ]
    waiting = [one for one in waiting if one.pending]
    to_come = [*steps, *(step for one in waiting for step in (*one.pending, *one.instead))]
    return ReplicationPlan(
        source=source,
        destination=destination,
        steps=steps,
        waiting=tuple(waiting),
        known=tuple(view.known(snapshot for one in latest for snapshot in one)),
        archived=tuple(archived),
        broken=tuple(view.broken({step.record.identity for step in to_come})),
    )


class View:
    """The snapshots of a destination, as replicas of others."""

    def __init__(self, destination: Place, there: Iterable[Snapshot]) -> None:
        self._destination = destination
        self._replicas: dict[Identity, Snapshot] = {}
        self._broken: list[tuple[Identity, Snapshot]] = []
        self._newest: dict[Timeline, Snapshot] = {}
        self._bases: dict[Timeline, Snapshot] = {}
        for snapshot in sorted((s for s in there if s.record), key=by_age):
            record = record_of(snapshot)
            if snapshot.state == "error":
                self._broken.append((record.identity, snapshot))
            elif snapshot.state == "completed":
                self._newest[record.timeline] = snapshot
                if not snapshot.is_archived:
                    self._bases[record.timeline] = snapshot
            if snapshot.state in _REPLICA_STATES:
                self._replicas.setdefault(record.identity, snapshot)

    def replica_of(self, snapshot: Snapshot) -> Snapshot | None:
        """Answer the replica of a snapshot, completed or pending."""
        return self._replicas.get(record_of(snapshot).identity)

    def newer_than(self, snapshot: Snapshot) -> Snapshot | None:
        """Answer the newest completed snapshot of the same volume, if it is newer than this."""
        newest = self._newest.get(record_of(snapshot).timeline)
        if newest and record_of(newest).taken_at > record_of(snapshot).taken_at:
            return newest
        return None

    def step(self, snapshot: Snapshot) -> Step:
        """Answer the step that replicates a snapshot."""
        timeline = record_of(snapshot).timeline
        base = self._bases.get(timeline)
        return Step(
            source=snapshot,
            destination=self._destination,
            base=base,
            is_base_newest=base is self._newest.get(timeline),
        )

    def steps(self, snapshots: Iterable[Snapshot]) -> tuple[Step, ...]:
        """Answer the steps that replicate what is lacking of these, oldest first."""
        return tuple(self.step(s) for s in sorted(snapshots, key=by_age) if not self.replica_of(s))

    def known(self, snapshots: Iterable[Snapshot]) -> list[Known]:
        """Answer which of these need not be replicated, oldest first."""
        found = ((s, self.replica_of(s)) for s in sorted(snapshots, key=by_age))
        return [Known(snapshot, replica) for snapshot, replica in found if replica]

    def broken(self, identities: Collection[Identity]) -> list[Snapshot]:
        """Answer the broken replicas of some identities."""
        return [snapshot for identity, snapshot in self._broken if identity in identities]


def _once(snapshots: Iterable[Snapshot], but_of: str) -> list[Snapshot]:
    """Return the snapshots that count, one of each identity.

    A completed one goes before a pending one, and either before one that is archived.
    """
    found: dict[Identity, Snapshot] = {}
    counted = [s for s in snapshots if s.record and s.state in _REPLICA_STATES]
    for snapshot in sorted(
        counted, key=lambda s: (s.is_archived, s.state != "completed", by_age(s))
    ):
        if record_of(snapshot).region != but_of:
            found.setdefault(record_of(snapshot).identity, snapshot)
    return sorted(found.values(), key=by_age)


def _sets(snapshots: Iterable[Snapshot]) -> list[Members]:
    found: dict[SetKey, list[Snapshot]] = defaultdict(list)
    for snapshot in snapshots:
        found[set_key(snapshot)].append(snapshot)
    return list(found.values())


def _usable(sets: Sequence[Members], view: View) -> tuple[list[Members], list[PassedOver]]:
    """Return the sets without those that have an archived member which isn't replicated.

    And what is passed over of the latest ones. Of a volume that has no other set, the snapshot is
    usable by itself: a part of a set is better than nothing.
    """

    def blocked(members: Members) -> tuple[Snapshot, ...]:
        return tuple(s for s in members if s.is_archived and not view.replica_of(s))

    usable = [members for members in sets if not blocked(members)]
    others = _latest_of_each_volume(usable)
    archived: list[PassedOver] = []
    for members in _distinct(_latest_of_each_volume(sets).values()):
        if not (why := blocked(members)):
            continue
        alone = []
        for snapshot in members:
            timeline = record_of(snapshot).timeline
            if timeline not in others and snapshot not in why:
                alone.append(snapshot)
            elif not view.replica_of(snapshot):
                same = [s for s in others.get(timeline, ()) if record_of(s).timeline == timeline]
                archived.append(PassedOver(snapshot, why, max(same, key=by_age, default=None)))
        usable += [alone] if alone else []
    return usable, archived


def _latest_of_each_volume(sets: Iterable[Members]) -> dict[Timeline, Members]:
    """Answer for each volume the set that its latest snapshot belongs to."""
    latest: dict[Timeline, tuple[Snapshot, Members]] = {}
    for members in sets:
        for snapshot in members:
            timeline = record_of(snapshot).timeline
            if timeline not in latest or by_age(latest[timeline][0]) < by_age(snapshot):
                latest[timeline] = snapshot, members
    return {timeline: members for timeline, (_, members) in latest.items()}


def _distinct(sets: Iterable[Members]) -> list[Members]:
    """Answer each set once, the oldest first."""
    found = {members[0].snapshot_id: members for members in sets}
    return sorted(found.values(), key=lambda members: by_age(members[0]))


def _instead_of(pending: Members, completed: Mapping[Timeline, Members]) -> list[Snapshot]:
    """Answer the newest completed sets of the volumes of a pending one."""
    timelines = [record_of(snapshot).timeline for snapshot in pending]
    sets = _distinct(completed[timeline] for timeline in timelines if timeline in completed)
    return [snapshot for members in sets for snapshot in members]


def _completed(members: Iterable[Snapshot]) -> bool:
    return all(snapshot.state == "completed" for snapshot in members)
