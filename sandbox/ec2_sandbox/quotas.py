"""Quotas: token buckets, snapshots in progress, snapshots in quick succession, copies."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ec2_sandbox.errors import ApiError
from ec2_sandbox.settings import Settings

#: Capacity and refill per second of EC2's buckets, by action; a class of actions in angle brackets.
EC2_BUCKETS: dict[str, tuple[float, float]] = {
    "CreateSnapshot": (100, 5),
    "CreateSnapshots": (100, 5),
    "DeleteSnapshot": (100, 5),
    "CreateVolume": (100, 5),
    "DeleteVolume": (100, 5),
    "CreateTags": (100, 10),
    "CopySnapshot": (50, 5),
    "RunInstances": (5, 2),
    "TerminateInstances": (100, 5),
    "CreateKeyPair": (50, 5),
    "AuthorizeSecurityGroupIngress": (50, 5),
    "Describe": (100, 20),
    "DescribeUnfiltered": (50, 10),
}
HDD_TYPES = ("st1", "sc1")


class Buckets:
    """Token buckets, one an account, region and action, on the real clock."""

    def __init__(self) -> None:
        self._levels: dict[tuple[str, str], tuple[float, float]] = {}
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Fills all buckets."""
        with self._lock:
            self._levels.clear()

    def take(
        self, settings: Settings, place: str, action: str, parameters: Mapping[str, str]
    ) -> None:
        """Takes a token for one call.

        :param place: the account's part of a region
        :raises ApiError: ``RequestLimitExceeded`` when there is none left
        """
        size = self._size(settings, action, parameters)
        if size is None:
            return
        capacity, refill = size
        now = time.monotonic()
        with self._lock:
            level, seen = self._levels.get((place, action), (capacity, now))
            level = min(capacity, level + (now - seen) * refill)
            if level < 1:
                self._levels[place, action] = (level, now)
                raise ApiError("RequestLimitExceeded", "Request limit exceeded.")
            self._levels[place, action] = (level - 1, now)

    @staticmethod
    def _size(
        settings: Settings, action: str, parameters: Mapping[str, str]
    ) -> tuple[float, float] | None:
        names = [action]
        if action.startswith("Describe"):
            narrowed = any(key == "MaxResults" or key.startswith("Filter.") for key in parameters)
            names.append("Describe" if narrowed else "DescribeUnfiltered")
        tables = [settings.buckets, EC2_BUCKETS] if settings.throttle else [settings.buckets]
        return next((table[name] for table in tables for name in names if name in table), None)


@dataclass
class Slot:
    """What one snapshot takes of its volume's quota, until a moment."""

    snapshot_id: str
    until: datetime


class SnapshotQuota:
    """How many snapshots of each volume are in progress, and when the last one was taken.

    A snapshot that ended in error, or was deleted while pending, counts until its time would
    have been over; one in error that is deleted counts no longer.
    """

    def __init__(self) -> None:
        self._slots: dict[str, list[Slot]] = {}
        self._last: dict[str, datetime] = {}

    def check(self, settings: Settings, volumes: Iterable[tuple[str, str]], now: datetime) -> None:
        """Refuses a request that any of its volumes has no room for; takes nothing.

        :param volumes: pairs of volume id and volume type
        :raises ApiError: ``SnapshotCreationPerVolumeRateExceeded``,
            ``ConcurrentSnapshotLimitExceeded``
        """
        pause = timedelta(seconds=settings.seconds_between_snapshots)
        for volume_id, volume_type in volumes:
            last = self._last.get(volume_id)
            if last is not None and last <= now < last + pause:
                raise ApiError(
                    "SnapshotCreationPerVolumeRateExceeded",
                    "The maximum per volume CreateSnapshot request rate has been exceeded. "
                    "Use an increasing or variable sleep interval between requests.",
                )
            slots = [slot for slot in self._slots.get(volume_id, ()) if now < slot.until]
            self._slots[volume_id] = slots
            hdd = volume_type in HDD_TYPES
            limit = settings.pending_per_hdd_volume if hdd else settings.pending_per_volume
            if len(slots) >= limit:
                raise ApiError(
                    "ConcurrentSnapshotLimitExceeded",
                    "Maximum allowed in-progress snapshots for a single volume exceeded.",
                )

    def take(self, volume_id: str, snapshot_id: str, now: datetime, until: datetime) -> None:
        """Counts a snapshot that was just made."""
        self._last[volume_id] = now
        self._slots.setdefault(volume_id, []).append(Slot(snapshot_id, until))

    def release(self, volume_id: str, snapshot_id: str) -> None:
        """Counts a snapshot no longer."""
        slots = self._slots.get(volume_id)
        if slots:
            slots[:] = [slot for slot in slots if slot.snapshot_id != snapshot_id]
