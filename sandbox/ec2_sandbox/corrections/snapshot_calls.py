"""The calls about snapshots: CreateSnapshot(s), CopySnapshot, DeleteSnapshot, DescribeSnapshots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ec2_sandbox.corrections.answer import Answer
from ec2_sandbox.corrections.filters import apply_filters
from ec2_sandbox.corrections.kms import default_key, key_problem
from ec2_sandbox.corrections.paging import page
from ec2_sandbox.corrections.response_part import ResponsePart
from ec2_sandbox.corrections.snapshot import NewSnapshot, StrictSnapshot
from ec2_sandbox.corrections.snapshots import (
    COPY_VOLUME_ID,
    check_description,
    not_found,
    tags_with_source,
)
from ec2_sandbox.corrections.tags import tag_list
from ec2_sandbox.errors import ApiError, invalid
from ec2_sandbox.wire import write_time

_FILTERS = {
    "description": lambda each: each.description,
    "encrypted": lambda each: each.encrypted,
    "owner-alias": lambda each: None,
    "owner-id": lambda each: each.owner_id,
    "progress": lambda each: each.progress,
    "snapshot-id": lambda each: each.id,
    "start-time": lambda each: write_time(each.start_time),
    "status": lambda each: each.status,
    "storage-tier": lambda each: each.storage_tier,
    "transfer-type": lambda each: None,
    "volume-id": lambda each: each.volume_id,
    "volume-size": lambda each: each.volume_size,
}


def view(snapshot: StrictSnapshot) -> dict[str, Any]:
    """Answers a snapshot as DescribeSnapshots does."""
    return {
        **view_new(snapshot),
        "StateMessage": snapshot.state_message,
        "KmsKeyId": snapshot.kms_key_id,
        "StorageTier": snapshot.storage_tier,
        "RestoreExpiryTime": snapshot.restore_expiry_time,
        "CompletionTime": snapshot.completed_at,
    }


def view_new(snapshot: StrictSnapshot) -> dict[str, Any]:
    """Answers a snapshot as CreateSnapshots does."""
    return {
        "SnapshotId": snapshot.id,
        "VolumeId": snapshot.volume_id,
        "State": snapshot.status,
        "StartTime": snapshot.start_time,
        "Progress": snapshot.progress,
        "OwnerId": snapshot.owner_id,
        "Description": snapshot.description,
        "VolumeSize": snapshot.volume_size,
        "Encrypted": snapshot.encrypted,
        "Tags": tag_list(snapshot.ec2_backend.tags_of(snapshot.id)),
    }


class SnapshotCalls(ResponsePart):
    """Of the response: the calls that make, copy, delete and show snapshots."""

    def create_snapshot(self) -> Answer:
        """Takes a snapshot of one volume. Source: CreateSnapshot."""
        volume = self.ec2_backend.get_volume(self._needed("VolumeId"))
        description = check_description(self.params.get("Description", ""))
        tags = self._parse_tag_specification("snapshot").get("snapshot", {})
        self.error_on_dryrun()
        made = self.ec2_backend.snapshot_volumes([volume], description, [tags])
        return Answer(view_new(made[0]) | {"KmsKeyId": made[0].kms_key_id})

    def create_snapshots(self) -> Answer:
        """Takes snapshots of an instance's volumes at one instant. Source: CreateSnapshots."""
        specification = self.params.get("InstanceSpecification") or {}
        if not specification.get("InstanceId"):
            message = "The request must contain the parameter InstanceSpecification.InstanceId"
            raise ApiError("MissingParameter", message)
        instance = self.ec2_backend.get_instance(specification["InstanceId"])
        description = check_description(self.params.get("Description", ""))
        given = self._parse_tag_specification("snapshot").get("snapshot", {})
        copy = self.params.get("CopyTagsFromSource")
        if copy not in (None, "volume"):
            raise invalid(f"Value ({copy}) for parameter copyTagsFromSource is invalid.")
        volumes = self._volumes_to_take(instance, specification)
        tags = [
            tags_with_source(each.id, given, self.ec2_backend.tags_of(each.id)) if copy else given
            for each in volumes
        ]
        self.error_on_dryrun()
        made = self.ec2_backend.snapshot_volumes(volumes, description, tags)
        return Answer({"Snapshots": [view_new(each) for each in made]})

    def _volumes_to_take(self, instance: Any, specification: Mapping[str, Any]) -> list[Any]:
        if instance.state == "terminated":
            raise ApiError("IncorrectState", f"The instance '{instance.id}' is terminated.")
        excluded = set(specification.get("ExcludeDataVolumeIds") or ())
        devices = {block.volume_id: name for name, block in instance.get_block_device_mapping}
        unknown = sorted(excluded - devices.keys())
        if unknown:
            raise invalid(f"Volume '{unknown[0]}' is not attached to instance '{instance.id}'.")
        root = {vol for vol, device in devices.items() if device == instance.root_device_name}
        if excluded & root:
            raise invalid(
                f"Volume '{min(root)}' is the root volume of instance '{instance.id}'; "
                "ExcludeDataVolumeIds takes data volumes only, use ExcludeBootVolume."
            )
        if specification.get("ExcludeBootVolume"):
            excluded |= root
        volumes = [self.ec2_backend.get_volume(each) for each in devices if each not in excluded]
        if not volumes:
            raise invalid(f"Instance '{instance.id}' has no volume left to take a snapshot of.")
        return volumes

    def copy_snapshot(self) -> Answer:
        """Copies a snapshot into this region. Source: CopySnapshot."""
        source_region = self._needed("SourceRegion")
        source_id = self._needed("SourceSnapshotId")
        world = self.ec2_backend.world
        description = check_description(self.params.get("Description", ""))
        tags = self._parse_tag_specification("snapshot").get("snapshot", {})
        if source_region not in world.enabled_regions():
            raise invalid(f"Value ({source_region}) for parameter sourceRegion is invalid.")
        origin = world.backend(source_region, self.current_account)
        origin.check_visible(source_id)
        source = origin.get_snapshot(source_id)
        if source.status != "completed" or source.storage_tier == "archive":
            state = "archived" if source.status == "completed" else source.status
            raise ApiError("IncorrectState", f"Snapshot {source_id} is in state '{state}'.")
        key = self.params.get("KmsKeyId")
        encrypted = source.encrypted or bool(self.params.get("Encrypted"))
        if key and not encrypted:
            raise ApiError(
                "InvalidParameterDependency",
                "The parameter [KmsKeyId] requires the parameter Encrypted to be set.",
            )
        self.error_on_dryrun()
        self._check_copies()
        new = NewSnapshot(
            volume_id=COPY_VOLUME_ID,
            volume_size=source.volume_size,
            description=description,
            tags=tags,
            encrypted=encrypted,
            kms_key_id=(key or default_key(self.region, self.current_account))
            if encrypted
            else None,
            is_copy=True,
            data_of=source_id,
        )
        doom = key_problem(key, self.region, world.settings.kms_keys) if key else None
        copy = self.ec2_backend.start_snapshot(new, doom)
        return Answer({"SnapshotId": copy.id, "Tags": tag_list(tags)})

    def _check_copies(self) -> None:
        limit = self.ec2_backend.world.settings.copies_per_region
        going = sum(
            each.is_copy and each.status == "pending"
            for each in self.ec2_backend.snapshots.values()
        )
        if going >= limit:
            raise ApiError(
                "ResourceLimitExceeded",
                f"Too many snapshot copies in progress. The limit is {limit} for this "
                "destination region.",
            )

    def delete_snapshot(self) -> Answer:
        """Deletes a snapshot. Source: DeleteSnapshot."""
        snapshot_id = self._needed("SnapshotId")
        self.ec2_backend.check_deletable(snapshot_id)
        self.error_on_dryrun()
        self.ec2_backend.delete_snapshot(snapshot_id)
        return Answer({})

    def describe_snapshots(self) -> Answer:
        """Shows snapshots: by id, or those the account may see. Source: DescribeSnapshots."""
        self.error_on_dryrun()
        ids = self.params.get("SnapshotIds") or []
        found = self.ec2_backend.visible_snapshots(ids)
        found = [each for each in found if self._may_see(each, bool(ids))]
        missing = set(ids) - {each.id for each in found}
        if missing:
            raise not_found(min(missing))
        owners = self.params.get("OwnerIds")
        if owners:
            wanted = {self.current_account if each == "self" else each for each in owners}
            found = [each for each in found if each.owner_id in wanted]
        users = self.params.get("RestorableByUserIds")
        if users:
            wanted = {self.current_account if each == "self" else each for each in users}
            found = [each for each in found if _restorable(each, wanted)]
        found = apply_filters(
            found,
            self._filters_from_querystring(),
            _FILTERS,
            lambda each: self.ec2_backend.tags_of(each.id),
        )
        chosen, token = page(
            found,
            lambda each: each.sequence,
            self.flat,
            self.ec2_backend.world.epoch,
            ids="SnapshotId",
        )
        return Answer({"Snapshots": [view(each) for each in chosen], "NextToken": token})

    def _may_see(self, snapshot: StrictSnapshot, by_id: bool) -> bool:
        return by_id or _restorable(snapshot, {self.current_account, "all"})


def _restorable(snapshot: StrictSnapshot, users: set[str]) -> bool:
    return bool(
        snapshot.owner_id in users
        or snapshot.create_volume_permission_userids & users
        or snapshot.create_volume_permission_groups & users
    )
