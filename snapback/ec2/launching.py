"""Launching a temporary instance: its image, subnet, security group, and where there is room."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from snapback.core.model import Instance, Place
from snapback.core.secrets import keep_encoded
from snapback.ec2.calls import call, pages
from snapback.ec2.instances import instance_by_id
from snapback.ec2.removal import pauses
from snapback.errors import ApiError, SnapbackError, UsageError

log = logging.getLogger(__name__)

BOOT_S = 600.0

NO_ROOM = {
    "InsufficientCapacity",
    "InsufficientHostCapacity",
    "InsufficientInstanceCapacity",
    "Unsupported",
    "UnsupportedOperation",
}


@dataclass(frozen=True)
class Image:
    """An AMI. Source: DescribeImages."""

    image_id: str
    name: str
    root_device_name: str


@dataclass(frozen=True)
class Subnet:
    """A subnet. Source: DescribeSubnets."""

    subnet_id: str
    vpc_id: str
    zone: str


@dataclass(frozen=True, kw_only=True)
class Launch:
    """An instance as it is wanted.

    :ivar instance_types: the first of which there is room is taken...
    :ivar subnets: ...in the first of these where there is.
    """

    image: Image
    instance_types: Sequence[str]
    subnets: Sequence[Subnet]
    security_group_ids: Sequence[str]
    user_data: str


def newest_image(conn: Any, place: Place, owner: str, name: str, architecture: str) -> Image:
    """Answer the newest image of an owner with such a name. Source: DescribeImages.

    :param name: with EC2's wildcards.
    :raises SnapbackError: there is none.
    """
    filters = [
        {"Name": "name", "Values": [name]},
        {"Name": "architecture", "Values": [architecture]},
        {"Name": "state", "Values": ["available"]},
    ]
    found = list(pages(conn, "describe_images", "Images", Owners=[owner], Filters=filters))
    if not found:
        raise SnapbackError(
            f"no image of {owner} in {place} is called {name} and is for {architecture}: see "
            "temporary.image_name and temporary.image_owner"
        )
    newest = max(found, key=lambda said: str(said["CreationDate"]))
    return Image(newest["ImageId"], newest["Name"], newest["RootDeviceName"])


def subnets_for(conn: Any, place: Place, subnet_ids: Sequence[str]) -> list[Subnet]:
    """Answer some subnets in the order given; of none given, each zone's default one.

    :raises UsageError: one isn't there, or there are no default ones.

    Source: DescribeSubnets.
    """
    wanted = (
        {"Name": "subnet-id", "Values": list(subnet_ids)}
        if subnet_ids
        else {"Name": "default-for-az", "Values": ["true"]}
    )
    found = {
        said["SubnetId"]: Subnet(said["SubnetId"], said["VpcId"], said["AvailabilityZone"])
        for said in pages(conn, "describe_subnets", "Subnets", Filters=[wanted])
    }
    if missing := [one for one in subnet_ids if one not in found]:
        raise UsageError(f"there is no subnet {', '.join(missing)} in {place}")
    if not found:
        raise UsageError(
            f"there is no default subnet in {place}: name one for the temporary instances, "
            "temporary.subnets"
        )
    return [found[one] for one in subnet_ids] or sorted(found.values(), key=lambda one: one.zone)


def launch(conn: Any, place: Place, wish: Launch, token: str, tags: list[dict[str, Any]]) -> str:
    """Launch an instance that ends for good when it shuts down, and answer its id.

    Source: RunInstances.

    :raises ApiError: EC2 refuses, or there is no room in any subnet for any type: its last answer.
    """
    keep_encoded(wish.user_data)
    attempts = [(kind, subnet) for kind in wish.instance_types for subnet in wish.subnets]
    for number, (instance_type, subnet) in enumerate(attempts, 1):
        try:
            return _run(conn, wish, instance_type, subnet, f"{token}-{number}", tags)
        except ApiError as error:
            if error.code not in NO_ROOM or number == len(attempts):
                raise
            log.info("no %s in %s: %s", instance_type, subnet.zone, error.reason)
    raise UsageError(f"temporary.instance_types names none to launch in {place}")


def _run(
    conn: Any,
    wish: Launch,
    instance_type: str,
    subnet: Subnet,
    client_token: str,
    tags: list[dict[str, Any]],
) -> str:
    root = {"VolumeType": "gp3", "DeleteOnTermination": True}
    answer = call(
        conn,
        "run_instances",
        ImageId=wish.image.image_id,
        InstanceType=instance_type,
        MinCount=1,
        MaxCount=1,
        ClientToken=client_token,
        SubnetId=subnet.subnet_id,
        SecurityGroupIds=list(wish.security_group_ids),
        UserData=wish.user_data,
        InstanceInitiatedShutdownBehavior="terminate",
        MetadataOptions={"HttpTokens": "required"},
        BlockDeviceMappings=[{"DeviceName": wish.image.root_device_name, "Ebs": root}],
        TagSpecifications=tags,
    )
    return str(answer["Instances"][0]["InstanceId"])


def wait_until_running(
    conn: Any, place: Place, instance_id: str, pause: Callable[[float], None]
) -> Instance:
    """Answer an instance once it is running. Source: DescribeInstances.

    :raises SnapbackError: it ended instead, or is not running after ten minutes.
    """
    filters = [{"Name": "instance-id", "Values": [instance_id]}]
    state = "not to be seen"
    for pause_s in pauses(BOOT_S):
        for reservation in call(conn, "describe_instances", Filters=filters)["Reservations"]:
            said = reservation["Instances"][0]
            state = said["State"]["Name"]
            if state == "running":
                return instance_by_id(conn, place, instance_id)
            if state in ("shutting-down", "terminated"):
                reason = (said.get("StateReason") or {}).get("Message", "no reason given")
                raise SnapbackError(f"{instance_id} in {place} ended while it booted: {reason}")
        pause(pause_s)
    raise SnapbackError(f"{instance_id} in {place} is {state} after {BOOT_S:g} s, not running")


def create_group(conn: Any, name: str, vpc_id: str, tags: list[dict[str, Any]]) -> str:
    """Make a security group of a name that is nobody else's, and answer its id.

    Source: CreateSecurityGroup, DescribeSecurityGroups.
    """
    try:
        answer = call(
            conn,
            "create_security_group",
            GroupName=name,
            Description="SSH to temporary instances of snapback",
            VpcId=vpc_id,
            TagSpecifications=tags,
        )
        return str(answer["GroupId"])
    except ApiError as error:
        if error.code != "InvalidGroup.Duplicate":
            raise
        filters = [{"Name": "group-name", "Values": [name]}]
        (ours,) = call(conn, "describe_security_groups", Filters=filters)["SecurityGroups"]
        return str(ours["GroupId"])  # made by a call whose answer was lost


def let_in(conn: Any, group_id: str, cidrs: Sequence[str]) -> None:
    """Let SSH in from some addresses, also where it is let in already.

    Source: AuthorizeSecurityGroupIngress.
    """
    for cidr in cidrs:
        source = (
            {"Ipv6Ranges": [{"CidrIpv6": cidr}]}
            if ":" in cidr
            else {"IpRanges": [{"CidrIp": cidr}]}
        )
        rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, **source}
        try:
            call(conn, "authorize_security_group_ingress", GroupId=group_id, IpPermissions=[rule])
        except ApiError as error:
            if error.code != "InvalidPermission.Duplicate":
                raise
