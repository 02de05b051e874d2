"""Instances, read into :class:`~snapback.core.model.Instance`."""

from __future__ import annotations

from sys import intern
from typing import Any

from snapback.core.model import Instance, Place, Volume
from snapback.core.model.ids import INSTANCE_ID
from snapback.ec2.calls import call, pages
from snapback.ec2.launch_options import options_of, unrestorable_of
from snapback.ec2.tags import read_tags
from snapback.errors import ApiError, UsageError

_HIBERNATED = "Client.UserInitiatedHibernate"
_NOT_ON_ITS_WAY_OUT = ["pending", "running", "stopping", "stopped"]


def check_id(instance_id: str) -> str:
    """Answer an instance's id if it can be one.

    :raises UsageError: it can't.
    """
    if isinstance(instance_id, str) and INSTANCE_ID.match(instance_id):
        return instance_id
    raise UsageError(f"{instance_id!r} is no instance id: expected one like i-0123456789abcdef0")


def instances_by_tag(conn: Any, place: Place, tag_name: str, tag_value: str) -> list[Instance]:
    """Answer the instances with a tag, less those being terminated. Source: DescribeInstances."""
    return _instances(conn, place, {"Name": f"tag:{tag_name}", "Values": [tag_value]})


def instances_with_key(conn: Any, place: Place, key: str) -> list[Instance]:
    """Return the instances that have a tag of any value, except those being terminated.

    Source: DescribeInstances.
    """
    return _instances(conn, place, {"Name": "tag-key", "Values": [key]})


def all_instances(conn: Any, place: Place) -> list[Instance]:
    """Answer all instances at a place, less those being terminated. Source: DescribeInstances."""
    return _instances(conn, place)


def _instances(conn: Any, place: Place, *filters: dict[str, Any]) -> list[Instance]:
    reservations = pages(
        conn,
        "describe_instances",
        "Reservations",
        Filters=[*filters, {"Name": "instance-state-name", "Values": _NOT_ON_ITS_WAY_OUT}],
    )
    return [_read(place, one, said) for one in reservations for said in one["Instances"]]


def instances_with(conn: Any, volume: Volume) -> list[Instance]:
    """Return the instances that a volume is attached to, except those being terminated.

    Source: DescribeInstances.
    """
    wanted = {"Name": "instance-id", "Values": list(volume.attachments)}
    return _instances(conn, volume.place, wanted) if volume.attachments else []


def instance_by_id(conn: Any, place: Place, instance_id: str) -> Instance:
    """Answer one instance. Source: DescribeInstances.

    :raises UsageError: there is none, or it is being terminated.
    """
    found = described(conn, place, instance_id)
    if found is None or is_gone(found):
        raise UsageError(f"there is no instance {instance_id} in {place}")
    return found


def described(conn: Any, place: Place, instance_id: str) -> Instance | None:
    """Return an instance in whatever state; ``None``: EC2 knows none. Source: DescribeInstances."""
    answer = call(
        conn, "describe_instances", Filters=[{"Name": "instance-id", "Values": [instance_id]}]
    )
    for reservation in answer["Reservations"]:
        for said in reservation["Instances"]:
            return _read(place, reservation, said)
    return None


def is_gone(instance: Instance) -> bool:
    """Return whether an instance is terminated, or is being terminated."""
    return instance.state not in _NOT_ON_ITS_WAY_OUT


def is_terminated_by_shutdown(conn: Any, instance_id: str) -> bool:
    """Return whether an instance that shuts itself down is terminated, rather than stopped.

    Source: DescribeInstanceAttribute.
    """
    attribute = "instanceInitiatedShutdownBehavior"
    answer = call(conn, "describe_instance_attribute", InstanceId=instance_id, Attribute=attribute)
    return bool(answer["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate")


def console_output(conn: Any, instance_id: str) -> str:
    """Answer what an instance printed on its console: while it booted, and where EC2 has it, since.

    Source: GetConsoleOutput.
    """
    texts = [call(conn, "get_console_output", InstanceId=instance_id).get("Output", "")]
    try:
        answer = call(conn, "get_console_output", InstanceId=instance_id, Latest=True)
    except ApiError as error:
        if error.code != "UnsupportedOperation":  # Xen instances have no latest
            raise
    else:
        texts.append(answer.get("Output", ""))
    return "\n".join(texts)


def _read(place: Place, reservation: dict[str, Any], said: dict[str, Any]) -> Instance:
    """Return a described instance. Values that many have alike are held once."""
    return Instance(
        place=place,
        instance_id=said["InstanceId"],
        owner_id=intern(reservation.get("OwnerId", "")),
        state=intern(said["State"]["Name"]),
        is_hibernated=(said.get("StateReason") or {}).get("Code") == _HIBERNATED,
        instance_type=intern(said.get("InstanceType", "")),
        architecture=intern(said.get("Architecture", "")),
        root_device_name=intern(said.get("RootDeviceName", "")),
        boot_mode=intern(said.get("CurrentInstanceBootMode", "") or said.get("BootMode", "")),
        ena_support=bool(said.get("EnaSupport")),
        virtualization_type=intern(said.get("VirtualizationType", "")),
        subnet_id=intern(said.get("SubnetId", "")),
        zone=intern(said.get("Placement", {}).get("AvailabilityZone", "")),
        security_group_ids=tuple(
            intern(group["GroupId"]) for group in said.get("SecurityGroups", ())
        ),
        key_name=intern(said.get("KeyName", "")),
        instance_profile=intern(said.get("IamInstanceProfile", {}).get("Arn", "")),
        sriov_net_support=intern(said.get("SriovNetSupport", "")),
        platform=intern(said.get("Platform", "").lower()),
        tpm_support=intern(said.get("TpmSupport", "")),
        public_dns_name=said.get("PublicDnsName", ""),
        public_ip_address=said.get("PublicIpAddress", ""),
        private_ip_address=said.get("PrivateIpAddress", ""),
        launched_at=said.get("LaunchTime"),
        devices={
            intern(mapping["DeviceName"]): mapping["Ebs"]["VolumeId"]
            for mapping in said.get("BlockDeviceMappings", ())
            if "Ebs" in mapping
        },
        ends_with_it=tuple(
            intern(mapping["DeviceName"])
            for mapping in said.get("BlockDeviceMappings", ())
            if mapping.get("Ebs", {}).get("DeleteOnTermination")
        ),
        options=options_of(said),
        unrestorable=unrestorable_of(said),
        tags=read_tags(said),
    )
