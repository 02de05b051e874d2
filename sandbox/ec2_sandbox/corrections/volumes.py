"""Volumes: strict creation and attachment, paging, ClientToken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from moto.ec2.models.elastic_block_store import Volume

from ec2_sandbox.corrections.backend_part import BackendPart
from ec2_sandbox.corrections.ids import stable_id
from ec2_sandbox.corrections.kms import default_key
from ec2_sandbox.errors import ApiError, invalid
from ec2_sandbox.hosts.devices import is_nitro

MAX_GIB = 65536
MOST_ATTACHMENTS = 16
TYPES = ("standard", "gp2", "gp3", "io1", "io2", "st1", "sc1")
SHARED_TYPES = ("io1", "io2")
#: The default IOPS of types that always have some.
_IOPS = {"gp3": 3000, "gp2": 100}


@dataclass
class NewVolume:
    """What a volume is to be made with."""

    size: int
    zone: str
    volume_type: str = "gp2"
    snapshot_id: str | None = None
    encrypted: bool = False
    kms_key_id: str | None = None
    iops: int | None = None
    throughput: int | None = None
    multi_attach: bool = False
    volume_id: str | None = None


class StrictVolumes(BackendPart):
    """Of the backend: the one place where volumes are made, attached and found."""

    def init_volumes(self) -> None:
        """Starts with no remembered client tokens."""
        self.volume_tokens: dict[str, tuple[str, str]] = {}

    def add_volume(self, new: NewVolume) -> Any:
        """Puts a volume into the world."""
        sequence = self.world.next_sequence()
        volume = Volume(
            self,
            volume_id=new.volume_id
            or stable_id("vol", self.region_name, self.world.epoch, sequence),
            size=new.size,
            zone=self.get_zone_by_name(new.zone),
            snapshot_id=new.snapshot_id,
            encrypted=new.encrypted,
            kms_key_id=new.kms_key_id,
            volume_type=new.volume_type,
            iops=new.iops or _IOPS.get(new.volume_type),
            throughput=new.throughput or (125 if new.volume_type == "gp3" else None),
            multi_attach_enabled=new.multi_attach,
        )
        volume.sequence = sequence
        #: its attachments, of which moto knows one: ``volume.attachment``, the first
        volume.held_by = []
        #: a volume whose key can't be used is to be seen creating once, and then gone
        volume.vanishes = False
        self.volumes[volume.id] = volume
        if self.world.hosts is not None:
            self.world.hosts.volume_made(volume)
        return volume

    def create_volume(
        self,
        size: int | None,
        zone_name: str,
        snapshot_id: str | None = None,
        encrypted: bool = False,
        kms_key_id: str | None = None,
        volume_type: str | None = None,
        iops: int | None = None,
        throughput: int | None = None,
        multi_attach_enabled: bool | None = None,
    ) -> Any:
        """Makes a volume as CreateVolume and RunInstances ask for it.

        :raises ApiError: the zone, type, size or snapshot won't do; ``IncorrectState`` for a
            snapshot that is pending or in error
        """
        if self.get_zone_by_name(zone_name) is None:
            raise ApiError("InvalidZone.NotFound", f"The zone '{zone_name}' does not exist.")
        kind = volume_type or "gp2"
        if kind not in TYPES:
            raise ApiError("UnknownVolumeType", f"Unsupported volume type '{kind}' for volume")
        if kms_key_id and not encrypted:
            raise ApiError(
                "InvalidParameterDependency",
                "The parameter [KmsKeyId] requires the parameter Encrypted to be set.",
            )
        if kind in ("io1", "io2") and not iops:
            raise ApiError("MissingParameter", "The request must contain the parameter iops")
        if multi_attach_enabled and kind not in SHARED_TYPES:
            raise invalid(f"Multi-Attach is not supported for volumes of type '{kind}'.")
        if snapshot_id:
            size, encrypted, kms_key_id = self._of_snapshot(
                snapshot_id, size, encrypted, kms_key_id
            )
        if size is None:
            raise ApiError("MissingParameter", "The request must contain the parameter size")
        if not 1 <= size <= MAX_GIB:
            raise invalid(f"Volume of {size}GiB is not from 1 to {MAX_GIB}GiB.")
        if encrypted and not kms_key_id:
            kms_key_id = default_key(self.region_name, self.account_id)
        return self.add_volume(
            NewVolume(
                size=size,
                zone=zone_name,
                volume_type=kind,
                snapshot_id=snapshot_id,
                encrypted=encrypted,
                kms_key_id=kms_key_id,
                iops=iops,
                throughput=throughput,
                multi_attach=bool(multi_attach_enabled),
            )
        )

    def _of_snapshot(
        self, snapshot_id: str, size: int | None, encrypted: bool, key: str | None
    ) -> tuple[int, bool, str | None]:
        snapshot = self.get_snapshot(snapshot_id)
        if snapshot.status != "completed":
            raise ApiError(
                "IncorrectState",
                f"Snapshot {snapshot_id} is not in the 'completed' state, but {snapshot.status}.",
            )
        if snapshot.storage_tier == "archive":
            raise ApiError("IncorrectState", f"Snapshot {snapshot_id} is archived.")
        if size is not None and size < snapshot.volume_size:
            raise invalid(
                f"The volume size {size} is smaller than snapshot {snapshot_id}'s, "
                f"which is {snapshot.volume_size}."
            )
        if snapshot.encrypted:
            encrypted, key = True, key or snapshot.kms_key_id
        return size or snapshot.volume_size, encrypted, key

    def get_volume(self, volume_id: str) -> Any:
        """Answers a volume by its id.

        :raises ApiError: ``InvalidVolume.NotFound``
        """
        volume = self.volumes.get(volume_id)
        if volume is None:
            raise ApiError("InvalidVolume.NotFound", f"The volume '{volume_id}' does not exist.")
        return volume

    def describe_volumes(
        self, volume_ids: Sequence[str] | None = None, filters: Any = None
    ) -> list[Any]:
        """Answers all volumes, or those of some ids."""
        if volume_ids:
            return [self.get_volume(each) for each in dict.fromkeys(volume_ids)]
        return list(self.volumes.values())

    def attach_volume(
        self,
        volume_id: str,
        instance_id: str,
        device_path: str,
        delete_on_termination: bool = False,
    ) -> Any:
        """Attaches a volume: the one place where that happens.

        :raises ApiError: in use, another zone, a device taken, an instance that is gone or that
            can't share a volume
        """
        volume = self.get_volume(volume_id)
        instance = self.get_instance(instance_id)
        _check_shareable(volume, instance)
        if instance.state not in ("running", "stopped"):
            raise ApiError(
                "IncorrectState", f"Instance '{instance_id}' is not 'running' or 'stopped'."
            )
        if volume.availability_zone != instance.availability_zone:
            raise ApiError(
                "InvalidVolume.ZoneMismatch",
                f"The volume '{volume_id}' is not in the same availability zone as instance "
                f"'{instance_id}'",
            )
        if not device_path:
            raise ApiError("MissingParameter", "The request must contain the parameter device")
        if device_path in instance.block_device_mapping:
            raise invalid(
                f"Invalid value '{device_path}' for unixDevice. Attachment point {device_path} "
                "is already in use"
            )
        attachment = super().attach_volume(
            volume_id, instance_id, device_path, delete_on_termination
        )
        volume.held_by.append(attachment)
        volume.attachment = volume.held_by[0]
        if self.world.hosts is not None:
            self.world.hosts.attached(instance, volume_id, device_path)
        return attachment

    def detach_volume(
        self, volume_id: str, instance_id: str | None = None, device_path: str | None = None
    ) -> Any:
        """Detaches a volume from an instance: the one place where that happens."""
        volume = self.get_volume(volume_id)
        attachment = _attachment_meant(volume, instance_id, device_path)
        instance = attachment.instance
        hosts = self.world.hosts
        if hosts is not None and not hosts.detach(instance, volume_id):
            attachment.status = "busy"
            return attachment
        if len(volume.held_by) > 1:
            # Only the last instance's end may delete it. moto asks this when it ends one.
            instance.block_device_mapping[attachment.device].delete_on_termination = False
        volume.attachment = attachment
        super().detach_volume(volume_id, instance.id, attachment.device)
        volume.held_by.remove(attachment)
        volume.attachment = next(iter(volume.held_by), None)
        return attachment

    def detach_those_busy(self) -> None:
        """Detaches volumes whose detaching had to wait until they were no longer in use."""
        for volume in list(self.volumes.values()):
            for attachment in [one for one in volume.held_by if one.status == "busy"]:
                self.detach_volume(volume.id, attachment.instance.id)

    def delete_volume(self, volume_id: str) -> Any:
        """Deletes a volume that is not attached; a rule of the Recycle Bin may keep it."""
        volume = self.get_volume(volume_id)
        if volume.held_by:
            holders = ", ".join(one.instance.id for one in volume.held_by)
            raise ApiError("VolumeInUse", f"Volume {volume_id} is currently attached to {holders}")
        del self.volumes[volume_id]
        if volume.vanishes or not self.keep_deleted(volume):
            self.forget(volume_id)
        return volume


def _check_shareable(volume: Any, instance: Any) -> None:
    """Refuses an attachment of a volume that can't have it, or not one more."""
    holders = [one.instance for one in volume.held_by]
    if instance in holders or (holders and not volume.multi_attach_enabled):
        raise ApiError("VolumeInUse", f"{volume.id} is already attached to an instance")
    if len(holders) >= MOST_ATTACHMENTS:
        raise ApiError(
            "AttachmentLimitExceeded",
            f"{volume.id} is attached to {MOST_ATTACHMENTS} instances, which is the maximum.",
        )
    nitro = is_nitro(instance.instance_type, instance.virtualization_type)
    if volume.multi_attach_enabled and not nitro:
        raise ApiError(
            "UnsupportedOperation",
            f"Multi-Attach is not supported on {instance.instance_type}, as {instance.id} is.",
        )


def _attachment_meant(volume: Any, instance_id: str | None, device_path: str | None) -> Any:
    """Answers the attachment that a call means.

    :raises ApiError: there is none, or there are several and the call names no instance
    """
    if not volume.held_by:
        raise ApiError("IncorrectState", f"Volume '{volume.id}' is in the 'available' state.")
    if instance_id is None and len(volume.held_by) > 1:
        raise ApiError(
            "MissingParameter",
            "The request must contain the parameter instanceId: "
            f"{volume.id} is attached to several instances",
        )
    for attachment in volume.held_by:
        if instance_id in (None, attachment.instance.id) and device_path in (
            None,
            attachment.device,
        ):
            return attachment
    raise ApiError(
        "InvalidAttachment.NotFound",
        f"The volume '{volume.id}' is not attached to instance '{instance_id}' "
        f"as device '{device_path}'.",
    )
