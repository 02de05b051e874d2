"""Locks on snapshots, which moto does not have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ec2_sandbox.corrections.answer import Answer
from ec2_sandbox.corrections.filters import apply_filters
from ec2_sandbox.corrections.paging import page
from ec2_sandbox.corrections.response_part import ResponsePart
from ec2_sandbox.corrections.snapshot import Lock, StrictSnapshot
from ec2_sandbox.errors import ApiError, invalid

MAX_DAYS = 36500


class LockCalls(ResponsePart):
    """Of the response: LockSnapshot, UnlockSnapshot, DescribeLockedSnapshots."""

    def lock_snapshot(self) -> Answer:
        """Locks a snapshot. Source: LockSnapshot."""
        snapshot = self.ec2_backend.get_snapshot(self._needed("SnapshotId"))
        mode = self._needed("LockMode")
        if mode not in ("governance", "compliance"):
            raise invalid(f"Value ({mode}) for parameter lockMode is invalid.")
        if snapshot.status != "completed":
            raise ApiError("IncorrectState", f"Snapshot {snapshot.id} is not completed.")
        now = self._now()
        days, expires_at = self._term(now)
        self.error_on_dryrun()
        snapshot.lock = Lock(mode, now, expires_at, days, self.params.get("CoolOffPeriod") or 0)
        return Answer(view(snapshot, now, whole=False))

    def unlock_snapshot(self) -> Answer:
        """Takes a lock off; one in compliance mode stays. Source: UnlockSnapshot."""
        snapshot = self.ec2_backend.get_snapshot(self._needed("SnapshotId"))
        state = snapshot.lock.state(self._now()) if snapshot.lock else None
        if state is None or state == "expired":
            raise ApiError("InvalidRequest", f"Snapshot {snapshot.id} is not locked.")
        if state == "compliance":
            raise ApiError("SnapshotLocked", f"{snapshot.id} is locked in compliance mode.")
        self.error_on_dryrun()
        snapshot.lock = None
        return Answer({"SnapshotId": snapshot.id})

    def describe_locked_snapshots(self) -> Answer:
        """Shows the locked snapshots. Source: DescribeLockedSnapshots."""
        now = self._now()
        ids = self.params.get("SnapshotIds") or []
        found = [each for each in self.ec2_backend.visible_snapshots(ids) if each.lock]
        found = apply_filters(
            found,
            self._filters_from_querystring(),
            {"lock-state": lambda each: each.lock.state(now)},
        )
        chosen, token = page(
            found,
            lambda each: each.sequence,
            self.flat,
            self.ec2_backend.world.epoch,
            ids="SnapshotId",
        )
        return Answer({"Snapshots": [view(each, now) for each in chosen], "NextToken": token})

    def _term(self, now: datetime) -> tuple[int, datetime]:
        days: int | None = self.params.get("LockDuration")
        expires_at: datetime | None = self.params.get("ExpirationDate")
        if (days is None) == (expires_at is None):
            raise ApiError(
                "InvalidParameterCombination",
                "Give exactly one of LockDuration and ExpirationDate.",
            )
        if days is None and expires_at is not None:
            expires_at = expires_at.replace(tzinfo=UTC)
            days = max(1, (expires_at - now).days)
        if days is None or not 1 <= days <= MAX_DAYS:
            raise invalid(f"LockDuration must be from 1 to {MAX_DAYS} days.")
        return days, expires_at or now + timedelta(days=days)

    def _now(self) -> datetime:
        now: datetime = self.ec2_backend.world.clock.now()
        return now


def view(snapshot: StrictSnapshot, now: datetime, whole: bool = True) -> dict[str, Any]:
    """Answers a lock as the API does; ``whole`` as DescribeLockedSnapshots does."""
    lock = snapshot.lock
    if lock is None:
        return {"SnapshotId": snapshot.id}
    compliance = lock.mode == "compliance"
    shown = {
        "SnapshotId": snapshot.id,
        "LockState": lock.state(now),
        "LockDuration": lock.duration_days,
        "CoolOffPeriod": lock.cool_off_hours if compliance else None,
        "CoolOffPeriodExpiresOn": lock.cool_off_ends_at if compliance else None,
        "LockCreatedOn": lock.created_at,
        "LockExpiresOn": lock.expires_at,
    }
    if whole:
        shown |= {"OwnerId": snapshot.owner_id, "LockDurationStartTime": lock.created_at}
    return shown
