"""The life of a snapshot: pending, then completed or in error. All changes of state are here."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ec2_sandbox.corrections.snapshot import StrictSnapshot


@dataclass
class Destiny:
    """A rule that the next snapshots made, of a volume or a region or any, end in error."""

    message: str
    count: int
    volume_id: str | None = None
    region: str | None = None


class Lifecycle:
    """Brings pending snapshots to their end when the sandbox's clock has come to it.

    Nothing runs in the background: :meth:`settle` is called before each call is served.
    """

    def __init__(self) -> None:
        self._order = itertools.count()
        self._pending: list[tuple[datetime, int, StrictSnapshot]] = []
        self._destinies: list[Destiny] = []

    def fail_next(self, destiny: Destiny) -> None:
        """Dooms snapshots that are yet to be made."""
        self._destinies.append(destiny)

    def doom_of(self, region: str, volume_id: str) -> str | None:
        """Answers the message with which a snapshot made now will end in error, if it will."""
        for destiny in self._destinies:
            if destiny.count < 1 or destiny.region not in (None, region):
                continue
            if destiny.volume_id in (None, volume_id):
                destiny.count -= 1
                return destiny.message
        return None

    def begin(self, snapshot: StrictSnapshot, ends_at: datetime, doom: str | None) -> None:
        """Takes in a snapshot that is pending until a moment, and then fails if it is doomed."""
        snapshot.status = "pending"
        snapshot.ends_at = ends_at
        snapshot.doom = doom
        heapq.heappush(self._pending, (ends_at, next(self._order), snapshot))

    def settle(self, now: datetime) -> None:
        """Ends all snapshots whose time is over."""
        while self._pending and self._pending[0][0] <= now:
            ends_at, _, snapshot = heapq.heappop(self._pending)
            self._end(snapshot, ends_at)

    def complete_all(self, now: datetime) -> None:
        """Ends all pending snapshots at once, whatever their time."""
        pending, self._pending = self._pending, []
        for _, _, snapshot in sorted(pending):
            self._end(snapshot, now)
            snapshot.ec2_backend.quota.release(snapshot.volume_id, snapshot.id)

    def fail(self, snapshot: StrictSnapshot, message: str) -> None:
        """Puts a snapshot in error, and with it all of its set."""
        for member in snapshot.set_members or [snapshot]:
            if member.status == "error":
                continue
            member.status = "error"
            member.completed_at = None
            member.state_message = (
                message
                if member is snapshot
                else f"Another snapshot of the set failed: {snapshot.id}: {message}"
            )

    def _end(self, snapshot: StrictSnapshot, at: datetime) -> None:
        if snapshot.status != "pending":
            return
        if snapshot.doom is not None:
            self.fail(snapshot, snapshot.doom)
            return
        snapshot.status = "completed"
        snapshot.completed_at = at
