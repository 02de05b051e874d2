"""The calls about images: RegisterImage, CreateImage, DescribeImages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ec2_sandbox.corrections.answer import Answer
from ec2_sandbox.corrections.filters import apply_filters
from ec2_sandbox.corrections.images import NewImage, StrictAmi
from ec2_sandbox.corrections.kms import default_key
from ec2_sandbox.corrections.paging import page
from ec2_sandbox.corrections.response_part import ResponsePart
from ec2_sandbox.corrections.snapshot import NewSnapshot
from ec2_sandbox.corrections.snapshots import COPY_VOLUME_ID, check_description
from ec2_sandbox.corrections.tags import tag_list
from ec2_sandbox.errors import ApiError, invalid

_NAME = re.compile(r"[A-Za-z0-9()\[\] ./'@_-]{3,128}\Z")
_FILTERS = {
    "architecture": lambda each: each.architecture,
    "block-device-mapping.device-name": lambda each: each.devices,
    "block-device-mapping.snapshot-id": lambda each: sorted(each.snapshot_ids),
    "boot-mode": lambda each: each.boot_mode,
    "creation-date": lambda each: _date(each.creation_date),
    "description": lambda each: each.description,
    "ena-support": lambda each: each.ena_support,
    "hypervisor": lambda each: each.hypervisor,
    "image-id": lambda each: each.id,
    "image-type": lambda each: each.image_type,
    "is-public": lambda each: each.is_public,
    "name": lambda each: each.name,
    "owner-alias": lambda each: each.owner_alias,
    "owner-id": lambda each: each.owner_id,
    "platform": lambda each: each.platform,
    "root-device-name": lambda each: each.root_device_name,
    "root-device-type": lambda each: each.root_device_type,
    "source-instance-id": lambda each: each.instance_id,
    "state": lambda each: each.state,
    "virtualization-type": lambda each: each.virtualization_type,
}


class ImageCalls(ResponsePart):
    """Of the response: the calls about images."""

    def register_image(self) -> Answer:
        """Makes an image of snapshots. Source: RegisterImage."""
        wanted = self.params
        tags = self._parse_tag_specification().get("image", {})
        mappings = [_full_mapping(self.ec2_backend, each) for each in self._mappings()]
        root = wanted.get("RootDeviceName")
        if not mappings or not root:
            raise ApiError(
                "MissingParameter", "Give RootDeviceName and a BlockDeviceMapping for it."
            )
        if root not in [each["DeviceName"] for each in mappings]:
            raise ApiError(
                "InvalidBlockDeviceMapping", f"No snapshot is mapped to the root device {root}."
            )
        if wanted.get("TpmSupport") and wanted.get("BootMode") != "uefi":
            raise ApiError("InvalidParameterCombination", "TpmSupport takes the boot mode uefi.")
        name = self._new_name()
        self.error_on_dryrun()
        image = self.ec2_backend.add_image(
            NewImage(
                name=name,
                mappings=mappings,
                imds_support=wanted.get("ImdsSupport"),
                tpm_support=wanted.get("TpmSupport"),
                description=check_description(wanted.get("Description", "")),
                architecture=wanted.get("Architecture") or "i386",
                root_device_name=root,
                virtualization_type=wanted.get("VirtualizationType") or "paravirtual",
                boot_mode=wanted.get("BootMode"),
                ena_support=bool(wanted.get("EnaSupport")),
                tags=tags,
            )
        )
        return Answer({"ImageId": image.id})

    def create_image(self) -> Answer:
        """Makes an image of an instance, and snapshots of its volumes. Source: CreateImage."""
        wanted, backend = self.params, self.ec2_backend
        instance = backend.get_instance(self._needed("InstanceId"))
        tags = self._parse_tag_specification()
        name = self._new_name()
        self.error_on_dryrun()
        image_id = backend.new_image_id()
        blocks = instance.get_block_device_mapping
        volumes = [backend.get_volume(block.volume_id) for _, block in blocks]
        made = backend.snapshot_volumes(
            volumes,
            f"Created by CreateImage({instance.id}) for {image_id}",
            [tags.get("snapshot", {})] * len(volumes),
        )
        backend.add_image(
            NewImage(
                name=name,
                mappings=[
                    _full_mapping(
                        backend,
                        {
                            "DeviceName": device,
                            "Ebs": {
                                "SnapshotId": snapshot.id,
                                "VolumeType": volume.volume_type,
                                "DeleteOnTermination": block.delete_on_termination,
                            },
                        },
                    )
                    for (device, block), volume, snapshot in zip(blocks, volumes, made, strict=True)
                ],
                description=check_description(wanted.get("Description", "")),
                architecture=instance.architecture,
                root_device_name=instance.root_device_name,
                virtualization_type=instance.virtualization_type,
                boot_mode=getattr(instance, "boot_mode", None),
                image_id=image_id,
                instance_id=instance.id,
                tags=tags.get("image", {}),
            )
        )
        return Answer({"ImageId": image_id})

    def copy_image(self) -> Answer:
        """Copies an image and its snapshots into this region. Source: CopyImage."""
        backend, region = self.ec2_backend, self._needed("SourceRegion")
        if region not in backend.world.enabled_regions():
            raise invalid(f"Value ({region}) for parameter sourceRegion is invalid.")
        origin = backend.world.backend(region, backend.account_id)
        source = origin.get_image(self._needed("SourceImageId"))
        if source.state != "available":
            raise ApiError("InvalidAMIID.Unavailable", f"The image '{source.id}' is {source.state}")
        name = self._new_name()
        self.error_on_dryrun()
        image = backend.add_image(
            NewImage(
                name=name,
                mappings=[_copied(origin, backend, each) for each in source.mappings],
                description=check_description(self.params.get("Description", "")),
                architecture=source.architecture,
                root_device_name=source.root_device_name,
                virtualization_type=source.virtualization_type,
                boot_mode=source.boot_mode,
                ena_support=source.ena_support,
            )
        )
        return Answer({"ImageId": image.id})

    def describe_images(self) -> Answer:
        """Shows images by id, owner, user; disabled ones only if asked. Source: DescribeImages."""
        self.error_on_dryrun()
        wanted, backend = self.params, self.ec2_backend
        ids = wanted.get("ImageIds") or []
        found = [backend.get_image(each) for each in ids] or list(backend.amis.values())
        found = [each for each in found if self._may_use(each)]
        if not ids and not wanted.get("IncludeDisabled"):
            found = [each for each in found if not each.disabled]
        if wanted.get("Owners"):
            owners = {self.current_account if x == "self" else x for x in wanted["Owners"]}
            found = [x for x in found if x.owner_id in owners or x.owner_alias in owners]
        if wanted.get("ExecutableUsers"):
            users = {self.current_account if x == "self" else x for x in wanted["ExecutableUsers"]}
            found = [
                x for x in found
                if any({each.get("Group"), each.get("UserId")} & users
                       for each in x.launch_permissions)
            ]  # fmt: skip
        found = apply_filters(
            found,
            self._filters_from_querystring(),
            _FILTERS,
            lambda each: backend.tags_of(each.id),
        )
        chosen, token = page(
            found,
            lambda each: each.sequence,
            self.flat,
            backend.world.epoch,
            limits=(1, 1000),
            ids="ImageId",
        )
        return Answer({"Images": [view(each) for each in chosen], "NextToken": token})

    def _may_use(self, image: StrictAmi) -> bool:
        return (
            image.owner_id == self.current_account
            or image.is_public
            or {"UserId": self.current_account} in image.launch_permissions
        )

    def _new_name(self) -> str:
        name = self._needed("Name")
        if not _NAME.match(name):
            raise ApiError(
                "InvalidAMIName.Malformed",
                "AMI names must be between 3 and 128 characters long, and may contain letters, "
                "numbers, '(', ')', '[', ']', ' ', '.', '/', '-', \"'\", '@', and '_'",
            )
        for image in self.ec2_backend.amis.values():
            if image.name == name and image.owner_id == self.current_account:
                raise ApiError(
                    "InvalidAMIName.Duplicate",
                    f"AMI name {name} is already in use by AMI {image.id}",
                )
        return name

    def _mappings(self) -> list[dict[str, Any]]:
        return self.params.get("BlockDeviceMappings") or []


def _full_mapping(backend: Any, mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Answers a mapping with its snapshot's size; an ephemeral one as it is."""
    ebs = dict(mapping.get("Ebs") or {})
    snapshot_id = ebs.get("SnapshotId")
    if not ebs:
        return dict(mapping)
    if snapshot_id:
        snapshot = backend.get_snapshot(snapshot_id)
        if snapshot.status == "error":
            raise invalid(f"Snapshot {snapshot_id} is in state 'error'.")
        ebs.setdefault("VolumeSize", snapshot.volume_size)
        ebs["Encrypted"] = snapshot.encrypted
    ebs.setdefault("VolumeType", "gp2")
    ebs.setdefault("DeleteOnTermination", True)
    return {"DeviceName": mapping["DeviceName"], "Ebs": ebs}


def _copied(origin: Any, backend: Any, mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Answers an image's mapping with a copy of its snapshot, which is pending at first."""
    ebs = mapping.get("Ebs", {})
    source = origin.snapshots.get(ebs.get("SnapshotId"))
    if source is None:
        return dict(mapping)
    copy = backend.start_snapshot(
        NewSnapshot(
            volume_id=COPY_VOLUME_ID,
            volume_size=source.volume_size,
            description=f"Copied for DestinationAmi from SourceSnapshot {source.id}",
            encrypted=source.encrypted,
            kms_key_id=default_key(backend.region_name, backend.account_id)
            if source.encrypted
            else None,
            is_copy=True,
            data_of=source.id,
        )
    )
    return {**mapping, "Ebs": {**ebs, "SnapshotId": copy.id}}


def view(image: StrictAmi) -> dict[str, Any]:
    """Answers an image as DescribeImages does."""
    return {
        "ImageId": image.id,
        "Name": image.name,
        "Description": image.description,
        "State": image.state,
        "OwnerId": image.owner_id,
        "ImageOwnerAlias": image.owner_alias,
        "Public": image.is_public,
        "CreationDate": _date(image.creation_date),
        "Architecture": image.architecture,
        "ImageType": image.image_type,
        "ImageLocation": image.image_location,
        "RootDeviceName": image.root_device_name,
        "RootDeviceType": image.root_device_type,
        "VirtualizationType": image.virtualization_type,
        "Hypervisor": image.hypervisor,
        "BootMode": image.boot_mode,
        "ImdsSupport": image.imds_support,
        "TpmSupport": image.tpm_support,
        "EnaSupport": image.ena_support,
        "SourceInstanceId": image.instance_id,
        "BlockDeviceMappings": image.mappings,
        "Tags": tag_list(image.ec2_backend.tags_of(image.id)),
    }


def _date(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"
