"""Volumes, read into :class:`~snapback.core.model.Volume`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from snapback.core.model import Instance, Place, Volume
from snapback.core.model.ids import VOLUME_ID
from snapback.ec2.calls import call, pages
from snapback.ec2.tags import read_tags
from snapback.errors import UsageError

MOST_FILTER_VALUES = 200


def in_batches(instances: Sequence[Instance]) -> Iterator[Sequence[Instance]]:
    """Answer instances in as few batches as can be of which :func:`volumes_of` is one call.

    The smallest one comes first, so that something can be begun soon.
    """
    ends = range(len(instances) % MOST_FILTER_VALUES, len(instances) + 1, MOST_FILTER_VALUES)
    for end in ends:
        if batch := instances[max(0, end - MOST_FILTER_VALUES) : end]:
            yield batch


def volumes_of(conn: Any, place: Place, instances: Sequence[Instance]) -> Mapping[str, Volume]:
    """Answer the volumes attached to up to 200 instances, by id, in full pages.

    Source: DescribeVolumes.
    """
    wanted = {volume_id for instance in instances for volume_id in instance.devices.values()}
    ids = [instance.instance_id for instance in instances]
    filters = [{"Name": "attachment.instance-id", "Values": ids}]
    found = pages(conn, "describe_volumes", "Volumes", Filters=filters)
    return {said["VolumeId"]: read(place, said) for said in found if said["VolumeId"] in wanted}


def all_volumes(conn: Any, place: Place) -> dict[str, Volume]:
    """Return all volumes at a place, by id. Source: DescribeVolumes."""
    return {volume.volume_id: volume for volume in _volumes(conn, place)}


def volumes_with_key(conn: Any, place: Place, key: str) -> list[Volume]:
    """Return the volumes that have a tag of any value. Source: DescribeVolumes."""
    return list(_volumes(conn, place, {"Name": "tag-key", "Values": [key]}))


def volumes_by_id(conn: Any, place: Place, ids: Iterable[str]) -> dict[str, Volume]:
    """Return those of some volumes that are there, by id; one call for 200.

    Source: DescribeVolumes.
    """
    wanted = sorted(ids)
    found: dict[str, Volume] = {}
    for at in range(0, len(wanted), MOST_FILTER_VALUES):
        some = {"Name": "volume-id", "Values": wanted[at : at + MOST_FILTER_VALUES]}
        found |= {volume.volume_id: volume for volume in _volumes(conn, place, some)}
    return found


def _volumes(conn: Any, place: Place, *filters: dict[str, Any]) -> Iterator[Volume]:
    for said in pages(conn, "describe_volumes", "Volumes", Filters=[*filters]):
        yield read(place, said)


def volume_by_id(conn: Any, place: Place, volume_id: str) -> Volume:
    """Answer one volume. Source: DescribeVolumes.

    :raises UsageError: there is none.
    """
    filters = [{"Name": "volume-id", "Values": [volume_id]}]
    for said in call(conn, "describe_volumes", Filters=filters)["Volumes"]:
        return read(place, said)
    raise UsageError(f"there is no volume {volume_id} in {place}")


def read(place: Place, said: Mapping[str, Any]) -> Volume:
    """Answer a described volume."""
    attachments = {_holder(one): one.get("Device", "") for one in said.get("Attachments", ())}
    return Volume(
        place=place,
        volume_id=said["VolumeId"],
        size_gib=said.get("Size", 0),
        volume_type=said.get("VolumeType", ""),
        zone=said.get("AvailabilityZone", ""),
        iops=said.get("Iops", 0),
        throughput=said.get("Throughput", 0),
        encrypted=bool(said.get("Encrypted")),
        snapshot_id=said.get("SnapshotId") or "",
        attachments=dict(sorted(attachments.items())),
        created_at=said.get("CreateTime"),
        tags=read_tags(said),
    )


def _holder(attachment: Mapping[str, Any]) -> str:
    """Return what a volume is attached to: an instance's id, or the ARN of a task of ECS."""
    said = attachment.get("InstanceId") or attachment.get("AssociatedResource")
    return said or "something that EC2 doesn't name"


def check_id(volume_id: str) -> str:
    """Answer a volume's id if it can be one.

    :raises UsageError: it can't.
    """
    if isinstance(volume_id, str) and VOLUME_ID.match(volume_id):
        return volume_id
    raise UsageError(f"{volume_id!r} is no volume id: expected one like vol-0123456789abcdef0")
