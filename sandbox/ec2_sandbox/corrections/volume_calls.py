"""The calls about volumes: CreateVolume, DescribeVolumes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ec2_sandbox.corrections.answer import Answer
from ec2_sandbox.corrections.filters import apply_filters
from ec2_sandbox.corrections.kms import key_problem
from ec2_sandbox.corrections.paging import page
from ec2_sandbox.corrections.response_part import ResponsePart
from ec2_sandbox.corrections.tags import tag_list
from ec2_sandbox.errors import ApiError
from ec2_sandbox.wire import write_time

_FILTERS = {
    "attachment.attach-time": lambda each: [write_time(one.attach_time) for one in each.held_by],
    "attachment.delete-on-termination": lambda each: [
        _deleted_with_instance(one) for one in each.held_by
    ],
    "attachment.device": lambda each: [one.device for one in each.held_by],
    "attachment.instance-id": lambda each: [one.instance_id for one in each.held_by],
    "attachment.status": lambda each: [one.status for one in each.held_by],
    "availability-zone": lambda each: each.availability_zone,
    "create-time": lambda each: write_time(each.create_time),
    "encrypted": lambda each: bool(each.encrypted),
    "fast-restored": lambda each: False,
    "multi-attach-enabled": lambda each: bool(each.multi_attach_enabled),
    "size": lambda each: each.size,
    "snapshot-id": lambda each: each.snapshot_id,
    "status": lambda each: each.status,
    "volume-id": lambda each: each.id,
    "volume-type": lambda each: each.volume_type,
}


class VolumeCalls(ResponsePart):
    """Of the response: CreateVolume and DescribeVolumes."""

    def create_volume(self) -> Answer:
        """Makes a volume; a ClientToken makes it once only. Source: CreateVolume."""
        wanted = self.params
        tags = self._parse_tag_specification("volume").get("volume", {})
        backend = self.ec2_backend
        token = wanted.get("ClientToken")
        asked = repr(sorted(self.flat.items()))
        if token and token in backend.volume_tokens:
            before, volume_id = backend.volume_tokens[token]
            if before != asked:
                raise ApiError(
                    "IdempotentParameterMismatch",
                    "The client token was used with other parameters before.",
                )
            return Answer(view(backend.get_volume(volume_id)))
        self.error_on_dryrun()
        volume = backend.create_volume(
            size=wanted.get("Size"),
            zone_name=self._needed("AvailabilityZone"),
            snapshot_id=wanted.get("SnapshotId"),
            encrypted=bool(wanted.get("Encrypted")),
            kms_key_id=wanted.get("KmsKeyId"),
            volume_type=wanted.get("VolumeType"),
            iops=wanted.get("Iops"),
            throughput=wanted.get("Throughput"),
            multi_attach_enabled=wanted.get("MultiAttachEnabled"),
        )
        backend.set_tags(volume.id, tags)
        if token:
            backend.volume_tokens[token] = (asked, volume.id)
        key, known = wanted.get("KmsKeyId"), backend.world.settings.kms_keys
        volume.vanishes = bool(key and key_problem(key, backend.region_name, known))
        return Answer(view(volume) | {"State": "creating"})

    def describe_volumes(self) -> Answer:
        """Shows volumes, filtered and paged. Source: DescribeVolumes."""
        self.error_on_dryrun()
        backend = self.ec2_backend
        found = apply_filters(
            backend.describe_volumes(self.params.get("VolumeIds")),
            self._filters_from_querystring(),
            _FILTERS,
            lambda each: backend.tags_of(each.id),
        )
        chosen, token = page(
            found, lambda each: each.sequence, self.flat, backend.world.epoch, ids="VolumeId"
        )
        answer = Answer({"Volumes": [view(each) for each in chosen], "NextToken": token})
        for each in chosen:
            if each.vanishes and each.id in backend.volumes:
                backend.delete_volume(each.id)
        return answer


def view(volume: Any) -> dict[str, Any]:
    """Answers a volume as DescribeVolumes does."""
    attached = [
        {
            "VolumeId": volume.id,
            "InstanceId": attachment.instance.id,
            "Device": attachment.device,
            "State": attachment.status,
            "AttachTime": aware(attachment.attach_time),
            "DeleteOnTermination": _deleted_with_instance(attachment),
        }
        for attachment in volume.held_by
    ]
    return {
        "VolumeId": volume.id,
        "Size": volume.size,
        "SnapshotId": volume.snapshot_id or "",
        "AvailabilityZone": volume.availability_zone,
        "State": "creating" if volume.vanishes else volume.status,
        "CreateTime": aware(volume.create_time),
        "Attachments": attached,
        "Encrypted": bool(volume.encrypted),
        "KmsKeyId": volume.kms_key_id,
        "VolumeType": volume.volume_type,
        "Iops": volume.iops,
        "Throughput": volume.throughput,
        "MultiAttachEnabled": bool(volume.multi_attach_enabled),
        "Tags": tag_list(volume.ec2_backend.tags_of(volume.id)),
    }


def aware(moment: datetime) -> datetime:
    """Answers a time that knows its zone; moto's are UTC without saying so."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _deleted_with_instance(attachment: Any) -> bool:
    block = attachment.instance.block_device_mapping.get(attachment.device)
    return bool(block and block.delete_on_termination)
