"""What is known of one volume's backups: its snapshots, and its replicas elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from snapback.core.model import Consistency, Place, Snapshot, taken_at
from snapback.core.model.verdicts import GOOD, Verified, verdict_of


class Standing(Enum):
    """Whether a volume should be backed up."""

    EARMARKED = "earmarked"
    NO_LONGER = "no longer backed up"
    ORPHAN = "volume gone"


@dataclass(frozen=True, kw_only=True)
class Replicas:
    """A volume's replicas at one place.

    :ivar wanted: whether the configuration says that there should be some.
    :ivar read: whether the place could be read.
    :ivar completed: oldest data first.
    :ivar pending: being replicated.
    """

    place: Place
    wanted: bool
    read: bool = True
    completed: tuple[Snapshot, ...] = ()
    pending: tuple[Snapshot, ...] = ()
    broken: tuple[Snapshot, ...] = ()

    @property
    def last(self) -> Snapshot | None:
        """The one with the newest data of those that aren't archived."""
        return _newest(self.completed)


@dataclass(frozen=True, kw_only=True)
class History:
    """A volume, and what there is of its backups.

    :ivar why_no_longer: why it isn't backed up any more, in words.
    :ivar completed: oldest first; archived ones too.
    """

    place: Place
    volume_id: str
    now: datetime
    standing: Standing
    size_gib: int = 0
    device_name: str = ""
    is_root: bool = False
    instance_id: str = ""
    name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    why_no_longer: str = ""
    completed: tuple[Snapshot, ...] = ()
    pending: tuple[Snapshot, ...] = ()
    broken: tuple[Snapshot, ...] = ()
    replicas: tuple[Replicas, ...] = ()

    @property
    def last(self) -> Snapshot | None:
        """The newest completed snapshot that can be restored at once: it isn't archived."""
        return _newest(self.completed)

    @property
    def all_broken(self) -> tuple[Snapshot, ...]:
        """The snapshots and replicas in ``error``, at all places."""
        return (*self.broken, *(s for replicas in self.replicas for s in replicas.broken))

    @property
    def verified(self) -> tuple[Snapshot, Verified] | None:
        """The snapshot that was verified last, and its verdict."""
        return last_verified(self.completed)

    def age(self, snapshot: Snapshot) -> timedelta:
        """Answer how old a snapshot's data are."""
        return self.now - taken_at(snapshot)


def _newest(completed: Sequence[Snapshot]) -> Snapshot | None:
    return next((one for one in reversed(completed) if not one.is_archived), None)


def archived_since(last: Snapshot | None, completed: Sequence[Snapshot]) -> list[Snapshot]:
    """Return the archived snapshots that are newer than the last one that isn't.

    :param completed: those of one volume at one place, oldest first.
    """
    newer = completed[completed.index(last) + 1 :] if last else completed
    return [one for one in newer if one.is_archived]


def last_verified(snapshots: Iterable[Snapshot]) -> tuple[Snapshot, Verified] | None:
    """Answer which of some snapshots was verified last, and its verdict; ``None``: none was."""
    found = [
        (one, verdict)
        for one in snapshots
        if (verdict := verdict_of(one.tags)) and verdict.is_known
    ]
    return max(found, key=lambda pair: pair[1].at, default=None)


def corrupt_now(snapshots: Sequence[Snapshot]) -> list[tuple[Snapshot, Verified]]:
    """Answer which of some snapshots were found corrupt, where no newer one was found good.

    :param snapshots: completed ones of one volume, oldest first.
    """
    found: list[tuple[Snapshot, Verified]] = []
    for one in snapshots:
        verdict = verdict_of(one.tags)
        if verdict and verdict.is_corrupt:
            found.append((one, verdict))
        elif verdict and verdict.word == GOOD:
            found.clear()
    return found


def age_of(snapshot: Snapshot, now: datetime) -> timedelta:
    """Answer how long ago a snapshot was started."""
    return now - snapshot.started_at


def best_within(history: History, span: timedelta) -> Consistency | None:
    """Return the best consistency among the snapshots that are no older than a span.

    Archived ones don't count: they can't be restored at once.
    """
    return max(
        (s.consistency for s in history.completed if history.age(s) <= span and not s.is_archived),
        default=None,
    )
