"""Storage tiers: only a completed snapshot that nothing uses can be archived, and come back."""

from __future__ import annotations

from datetime import timedelta

from ec2_sandbox.corrections.answer import Answer
from ec2_sandbox.corrections.response_part import ResponsePart
from ec2_sandbox.errors import ApiError, invalid


class TierCalls(ResponsePart):
    """Of the response: ModifySnapshotTier, RestoreSnapshotTier."""

    def modify_snapshot_tier(self) -> Answer:
        """Archives a snapshot. Source: ModifySnapshotTier."""
        snapshot = self.ec2_backend.get_snapshot(self._needed("SnapshotId"))
        tier = self.params.get("StorageTier") or "archive"
        if tier != "archive":
            raise invalid(f"Value ({tier}) for parameter storageTier is invalid.")
        if snapshot.status != "completed":
            raise ApiError("IncorrectState", f"Snapshot {snapshot.id} is not completed.")
        user = self.ec2_backend.users_of(snapshot.id)
        if user:
            raise ApiError(
                "InvalidSnapshot.InUse",
                f"The snapshot {snapshot.id} is currently in use by {user}",
            )
        self.error_on_dryrun()
        self.ec2_backend.modify_snapshot_tier(snapshot.id, tier)
        started = snapshot.last_tiering_start_time
        return Answer({"SnapshotId": snapshot.id, "TieringStartTime": started})

    def restore_snapshot_tier(self) -> Answer:
        """Brings an archived snapshot back, for good or for some days.

        Meanwhile its tier is ``standard``. Source: RestoreSnapshotTier.
        """
        snapshot = self.ec2_backend.get_snapshot(self._needed("SnapshotId"))
        for_good = self.params.get("PermanentRestore") in (True, "true")
        days = int(self.params.get("TemporaryRestoreDays") or 0)
        if for_good == bool(days):
            raise ApiError(
                "InvalidParameterCombination",
                "Specify either PermanentRestore or TemporaryRestoreDays.",
            )
        if snapshot.storage_tier != "archive" and snapshot.restore_expiry_time is None:
            raise ApiError("IncorrectState", f"Snapshot {snapshot.id} is not archived.")
        self.error_on_dryrun()
        now = self.ec2_backend.world.clock.now()
        snapshot.restore_start_time = now
        snapshot.storage_tier = "standard"
        snapshot.restore_expiry_time = None if for_good else now + timedelta(days=days)
        snapshot.last_tiering_start_time = now
        kind = "permanent" if for_good else "temporary"
        snapshot.last_tiering_operation_status = f"{kind}-restore-completed"
        return Answer(
            {
                "SnapshotId": snapshot.id,
                "RestoreStartTime": now,
                "RestoreDuration": None if for_good else days,
                "IsPermanentRestore": for_good,
            }
        )
