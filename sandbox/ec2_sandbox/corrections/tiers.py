"""Storage tiers of snapshots: only a completed snapshot that nothing uses can be archived."""

from __future__ import annotations

from ec2_sandbox.corrections.answer import Answer
from ec2_sandbox.corrections.response_part import ResponsePart
from ec2_sandbox.errors import ApiError, invalid


class TierCalls(ResponsePart):
    """Of the response: ModifySnapshotTier."""

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
