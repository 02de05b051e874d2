"""What is known of one volume's backups: its snapshots, and its replicas elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from snapback.core.model import Consistency, Place, Snapshot


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
        """The one with the newest data."""
        return self.completed[-1] if self.completed else None


@dataclass(frozen=True, kw_only=True)
class History:
    """A volume, and what there is of its backups.

    :ivar why_no_longer: why it isn't backed up any more, in words.
    :ivar completed: the snapshots that can be restored, oldest first.
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
        """The newest completed snapshot."""
        return self.completed[-1] if self.completed else None

    def age(self, snapshot: Snapshot) -> timedelta:
        """Answer how old a snapshot's data are."""
        return self.now - taken_at(snapshot)


def taken_at(snapshot: Snapshot) -> datetime:
    """Answer the instant of a snapshot's data."""
    return snapshot.record.taken_at if snapshot.record else snapshot.started_at


def age_of(snapshot: Snapshot, now: datetime) -> timedelta:
    """Answer how long ago a snapshot was started."""
    return now - snapshot.started_at


def best_within(history: History, span: timedelta) -> Consistency | None:
    """Answer the best consistency among the completed snapshots that are no older than a span."""
    return max(
        (s.consistency for s in history.completed if history.age(s) <= span),
        default=None,
    )
