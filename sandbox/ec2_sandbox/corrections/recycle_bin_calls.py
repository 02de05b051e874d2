"""The calls about what is in the Recycle Bin, which moto does not have."""

from __future__ import annotations

from typing import Any

from ec2_sandbox.corrections.answer import Answer
from ec2_sandbox.corrections.paging import page
from ec2_sandbox.corrections.recycle_bin import Kept
from ec2_sandbox.corrections.response_part import ResponsePart
from ec2_sandbox.corrections.volume_calls import aware

_LIMITS = {"snap": (5, 1000), "vol": (5, 500)}


class RecycleBinCalls(ResponsePart):
    """Of the response: the calls that list, and restore, snapshots and volumes in the bin."""

    def list_snapshots_in_recycle_bin(self) -> Answer:
        """Return the deleted snapshots that are kept, without tags.

        Source: ListSnapshotsInRecycleBin.
        """
        found, token = self._page("snap", "SnapshotId")
        return Answer({"Snapshots": [_view_snapshot(kept) for kept in found], "NextToken": token})

    def list_volumes_in_recycle_bin(self) -> Answer:
        """Return the deleted volumes that are kept, without tags.

        Source: ListVolumesInRecycleBin.
        """
        found, token = self._page("vol", "VolumeId")
        return Answer({"Volumes": [_view_volume(kept) for kept in found], "NextToken": token})

    def restore_snapshot_from_recycle_bin(self) -> Answer:
        """Restore a snapshot, with its tags. Source: RestoreSnapshotFromRecycleBin."""
        snapshot_id = self._needed("SnapshotId")
        self.ec2_backend.check_in_bin(snapshot_id)
        self.error_on_dryrun()
        snapshot = self.ec2_backend.restore_from_bin(snapshot_id)
        return Answer(
            {
                "SnapshotId": snapshot.id,
                "Description": snapshot.description,
                "Encrypted": snapshot.encrypted,
                "OwnerId": snapshot.owner_id,
                "Progress": snapshot.progress,
                "StartTime": snapshot.start_time,
                "State": "recovering",
                "VolumeId": snapshot.volume_id,
                "VolumeSize": snapshot.volume_size,
                "SseType": "sse-kms" if snapshot.encrypted else "sse-ebs",
            }
        )

    def restore_volume_from_recycle_bin(self) -> Answer:
        """Restore a volume, with its tags. Source: RestoreVolumeFromRecycleBin."""
        volume_id = self._needed("VolumeId")
        self.ec2_backend.check_in_bin(volume_id)
        self.error_on_dryrun()
        self.ec2_backend.restore_from_bin(volume_id)
        return Answer({"Return": True})

    def _page(self, prefix: str, name: str) -> tuple[list[Kept], str | None]:
        """Return a page of what is in the bin, or of those of some ids."""
        self.error_on_dryrun()
        found = self.ec2_backend.in_bin(prefix)
        wanted = self.params.get(f"{name}s") or []
        if wanted:
            found = [self.ec2_backend.check_in_bin(each) for each in dict.fromkeys(wanted)]
        return page(
            found,
            lambda kept: kept.resource.sequence,
            self.flat,
            self.ec2_backend.world.epoch,
            _LIMITS[prefix],
            ids=name,
        )


def _view_snapshot(kept: Kept) -> dict[str, Any]:
    return {
        "SnapshotId": kept.resource.id,
        "RecycleBinEnterTime": kept.entered_at,
        "RecycleBinExitTime": kept.exits_at,
        "Description": kept.resource.description,
        "VolumeId": kept.resource.volume_id,
    }


def _view_volume(kept: Kept) -> dict[str, Any]:
    volume = kept.resource
    return {
        "VolumeId": volume.id,
        "VolumeType": volume.volume_type,
        "State": "available",
        "Size": volume.size,
        "Iops": volume.iops,
        "Throughput": volume.throughput,
        "AvailabilityZone": volume.availability_zone,
        "SnapshotId": volume.snapshot_id or "",
        "CreateTime": aware(volume.create_time),
        "RecycleBinEnterTime": kept.entered_at,
        "RecycleBinExitTime": kept.exits_at,
    }
