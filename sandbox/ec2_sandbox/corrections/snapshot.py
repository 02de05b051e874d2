"""One snapshot, what it is made with, and the lock on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from moto.ec2.models.elastic_block_store import Snapshot


@dataclass
class Lock:
    """A lock on a snapshot."""

    mode: str
    created_at: datetime
    expires_at: datetime
    duration_days: int
    cool_off_hours: int = 0

    def state(self, now: datetime) -> str:
        """Answers ``governance``, ``compliance``, ``compliance-cooloff`` or ``expired``."""
        if now >= self.expires_at:
            return "expired"
        if self.mode == "compliance" and now < self.cool_off_ends_at:
            return "compliance-cooloff"
        return self.mode

    @property
    def cool_off_ends_at(self) -> datetime:
        """When a compliance lock can no longer be taken off."""
        return self.created_at + timedelta(hours=self.cool_off_hours)


@dataclass
class NewSnapshot:
    """What a snapshot is to be made with."""

    volume_id: str
    volume_size: int
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    encrypted: bool = False
    kms_key_id: str | None = None
    owner_id: str | None = None
    snapshot_id: str | None = None
    start_time: datetime | None = None
    is_copy: bool = False
    of_set: bool = False
    #: the volume or snapshot whose data it has, where there are data
    data_of: str | None = None


class StrictSnapshot(Snapshot):  # type: ignore[misc]
    """A snapshot that keeps what it was made of, instead of looking at its volume."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> StrictSnapshot:
        """Makes one without moto's list of everything ever made, which is never emptied."""
        return object.__new__(cls)

    def __init__(self, backend: Any, new: NewSnapshot, snapshot_id: str, now: datetime) -> None:
        self.ec2_backend = backend
        self.id = snapshot_id
        self.sequence: int = backend.world.next_sequence()
        self._volume_id = new.volume_id
        self._volume_size = new.volume_size
        self.description = new.description
        self.encrypted = new.encrypted or new.kms_key_id is not None
        self.kms_key_id = new.kms_key_id
        self.owner_id: str = new.owner_id or backend.account_id
        self.start_time = new.start_time or now
        self.visible_at: datetime | None = None
        self.is_copy = new.is_copy
        self.status = "completed"
        self.state_message: str | None = None
        self.doom: str | None = None
        self.ends_at: datetime | None = None
        self.completed_at: datetime | None = self.start_time
        self.set_members: list[StrictSnapshot] = []
        self.lock: Lock | None = None
        self.from_ami: str | None = None
        self.public = False
        self.create_volume_permission_groups: set[str] = set()
        self.create_volume_permission_userids: set[str] = set()
        self._storage_tier = "standard"
        self.last_tiering_start_time: datetime | None = None
        self.last_tiering_progress: int | None = None
        self.last_tiering_operation_status: str | None = None
        self.last_tiering_operation_status_detail: str | None = None
        self.archival_complete_time: datetime | None = None
        self.restore_expiry_time: datetime | None = None
        self.restore_start_time: datetime | None = None

    def __lt__(self, other: StrictSnapshot) -> bool:
        return self.sequence < other.sequence

    def is_visible(self, now: datetime) -> bool:
        """Says whether EC2 knows of it everywhere yet."""
        return self.visible_at is None or self.visible_at <= now

    @property
    def volume_id(self) -> str:
        """The id of the volume it was taken of; arbitrary for a copy."""
        return self._volume_id

    @property
    def volume_size(self) -> int:
        """The volume's size in GiB when the snapshot was taken."""
        return self._volume_size

    @property
    def volume(self) -> Any:
        """Stands in where moto asks a snapshot for its volume's id and size."""
        return _VolumeOfSnapshot(self._volume_id, self._volume_size)

    @property
    def progress(self) -> str:
        """How far it is, as EC2 writes it: ``0%`` to ``99%``, ``100%`` at its end."""
        if self.status == "completed":
            return "100%"
        span = (self.ends_at - self.start_time) if self.ends_at else timedelta(0)
        gone = self.ec2_backend.world.clock.now() - self.start_time
        share = gone / span if span > timedelta(0) else 0.0
        return f"{max(0, min(99, int(share * 100)))}%"

    @property
    def storage_tier(self) -> str:
        """``archive``, or ``standard``; of what was restored for some days until those are over."""
        expires_at = self.restore_expiry_time
        if expires_at and expires_at <= self.ec2_backend.world.clock.now():
            self._storage_tier, self.restore_expiry_time = "archive", None
        return self._storage_tier

    @storage_tier.setter
    def storage_tier(self, tier: str) -> None:
        self._storage_tier = tier

    @property
    def managed_by_backup(self) -> bool:
        """Whether AWS Backup made it, which alone may delete it."""
        return any(key.startswith("aws:backup:") for key in self.ec2_backend.tags_of(self.id))


@dataclass(frozen=True)
class _VolumeOfSnapshot:
    id: str
    size: int
