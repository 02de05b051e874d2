"""The calls of a restore: volumes, AMIs and instances as a plan says, and what is where they go."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from snapback.core.model import Instance, Place, Volume
from snapback.core.model import tags as our_tags
from snapback.core.model.launch_options import Options, request
from snapback.core.model.original import Disk
from snapback.core.restore.image_plan import ImagePlan, Mapped
from snapback.core.restore.options_plan import Cores
from snapback.core.restore.restore_plan import ANY, InstancePlan, Site, There, Wanted
from snapback.core.restore.restored import read_origin
from snapback.core.restore.volume_plan import VolumePlan
from snapback.ec2.calls import call, pages
from snapback.ec2.instances import instances_by_tag
from snapback.ec2.removal import pauses
from snapback.ec2.tags import write_tags
from snapback.ec2.volumes import read as read_volume
from snapback.errors import ApiError, SnapbackError

READY_S = 900.0
_TAKEN = "InvalidAMIName.Duplicate"

Pause = Callable[[float], None]


def look_there(conn: Any, wanted: Iterable[Wanted]) -> There:
    """Answer what there is of what is wanted at the place to restore into.

    Source: DescribeSubnets, DescribeSecurityGroups, DescribeKeyPairs, DescribeInstanceTypes; one
    call each.
    """
    everything = list(wanted)
    subnets = {
        said["SubnetId"]: said
        for said in pages(conn, "describe_subnets", "Subnets")
        if said.get("DefaultForAz") or said["SubnetId"] in {one.subnet_id for one in everything}
    }
    groups = {group for one in everything for group in one.security_group_ids}
    return There(
        subnets={
            name: Site(said["VpcId"], said["AvailabilityZone"]) for name, said in subnets.items()
        },
        default_subnets=tuple(
            said["SubnetId"]
            for said in sorted(subnets.values(), key=lambda said: str(said["AvailabilityZone"]))
            if said.get("DefaultForAz")
        ),
        security_groups={
            said["GroupId"]: said["VpcId"]
            for said in (
                pages(conn, "describe_security_groups", "SecurityGroups") if groups else ()
            )
            if said["GroupId"] in groups
        },
        key_names=frozenset(
            said["KeyName"]
            for said in (
                call(conn, "describe_key_pairs")["KeyPairs"]
                if any(one.key_name for one in everything)
                else ()
            )
        ),
        cores=_usual_cores(conn, {one.cores_of for one in everything} - {""}),
    )


def _usual_cores(conn: Any, instance_types: Collection[str]) -> dict[str, Cores]:
    """Return the CPUs of instance types; without those that EC2 doesn't tell.

    Roles of earlier states of this version may not call DescribeInstanceTypes. That fails no
    restore: the CPU options are told not to be restored.

    Source: DescribeInstanceTypes.
    """
    if not instance_types:
        return {}
    filters = [{"Name": "instance-type", "Values": sorted(instance_types)}]
    try:
        found = list(
            pages(conn, "describe_instance_types", "InstanceTypes", page_size=100, Filters=filters)
        )
    except ApiError:
        return {}
    usual = {said["InstanceType"]: said.get("VCpuInfo", {}) for said in found}
    return {
        name: Cores(cpus.get("DefaultCores", 0), cpus.get("DefaultThreadsPerCore", 0))
        for name, cpus in usual.items()
    }


def restored_before(conn: Any, place: Place, origins: str = ANY) -> list[Instance]:
    """Return the instances that were restored at a place and are whole.

    :param origins: a pattern of what they were restored of.

    Source: DescribeInstances.
    """
    found = instances_by_tag(conn, place, our_tags.RESTORED, origins)
    return [instance for instance in found if our_tags.EXPIRES not in instance.tags]


def restored_of(conn: Any, place: Place, original: str) -> list[Instance]:
    """Return the instances that were restored of an original at a place and are whole.

    Source: DescribeInstances.
    """
    return [
        instance
        for instance in restored_before(conn, place, f"{original} as of {ANY}")
        if (origin := read_origin(instance.tags)) and origin.original == original
    ]


def create_volume(conn: Any, plan: VolumePlan, token: str, tags: Mapping[str, str]) -> str:
    """Make a volume of a snapshot and answer its id. Source: CreateVolume."""
    answer = call(
        conn,
        "create_volume",
        AvailabilityZone=plan.zone,
        SnapshotId=plan.snapshot.snapshot_id,
        ClientToken=token,
        TagSpecifications=[{"ResourceType": "volume", "Tags": write_tags(tags)}],
        **_disk(plan.disk),
    )
    return str(answer["VolumeId"])


def _disk(disk: Disk) -> dict[str, Any]:
    said: dict[str, Any] = {"VolumeType": disk.volume_type}
    if disk.iops:
        said["Iops"] = disk.iops
    if disk.throughput:
        said["Throughput"] = disk.throughput
    return said


def attach_volume(conn: Any, volume_id: str, instance_id: str, device_name: str) -> None:
    """Attach a volume, which stays when its instance is terminated. Source: AttachVolume."""
    try:
        call(conn, "attach_volume", VolumeId=volume_id, InstanceId=instance_id, Device=device_name)
    except ApiError as error:
        if error.code != "VolumeInUse":  # by ourselves: the first answer was lost
            raise


def wait_for_volume(conn: Any, place: Place, volume_id: str, state: str, pause: Pause) -> Volume:
    """Answer a volume once it is ``available``, or ``in-use`` and attached.

    :raises SnapbackError: it isn't in time, or is in error.

    Source: DescribeVolumes.
    """
    filters = [{"Name": "volume-id", "Values": [volume_id]}]
    now = "not to be seen"
    for pause_s in pauses(READY_S):
        for said in call(conn, "describe_volumes", Filters=filters)["Volumes"]:
            now = said["State"]
            attached = all(one["State"] == "attached" for one in said.get("Attachments", ()))
            if now == state and attached:
                return read_volume(place, said)
        if now == "error":
            break
        pause(pause_s)
    raise SnapbackError(f"volume {volume_id} in {place} is {now} instead of {state}")


def image_named(conn: Any, name: str) -> str:
    """Answer the id of the account's own AMI of a name, or ``""``. Source: DescribeImages."""
    filters = [{"Name": "name", "Values": [name]}]
    found = call(conn, "describe_images", Owners=["self"], Filters=filters)["Images"]
    return next((str(said["ImageId"]) for said in found if said["Name"] == name), "")


def register_image(conn: Any, plan: ImagePlan, name: str, tags: Mapping[str, str]) -> str:
    """Register an AMI of a name that was free a moment ago, and answer its id.

    Source: RegisterImage.
    """
    words = {
        "BootMode": plan.boot_mode,
        "SriovNetSupport": plan.sriov_net_support,
        "TpmSupport": plan.tpm_support,
        "ImdsSupport": plan.imds_support,
    }
    try:
        answer = call(
            conn,
            "register_image",
            Name=name,
            Description=plan.description,
            Architecture=plan.architecture,
            RootDeviceName=plan.root_device_name,
            VirtualizationType=plan.virtualization_type,
            EnaSupport=plan.ena_support,
            BlockDeviceMappings=[_mapping(one) for one in plan.volumes],
            TagSpecifications=[{"ResourceType": "image", "Tags": write_tags(tags)}],
            **{key: value for key, value in words.items() if value},
        )
    except ApiError as error:
        found = image_named(conn, name) if error.code == _TAKEN else ""
        if not found:
            raise
        return found  # made by a call whose answer was lost
    return str(answer["ImageId"])


def _mapping(one: Mapped) -> dict[str, Any]:
    return {
        "DeviceName": one.device_name,
        "Ebs": {
            "SnapshotId": one.snapshot.snapshot_id,
            "DeleteOnTermination": one.ends_with_instance,
            **_disk(one.disk),
        },
    }


def wait_for_image(conn: Any, place: Place, image_id: str, pause: Pause) -> None:
    """Wait until an AMI is available. Source: DescribeImages.

    :raises SnapbackError: it isn't in time, or has failed.
    """
    filters = [{"Name": "image-id", "Values": [image_id]}]
    state = "not to be seen"
    for pause_s in pauses(READY_S):
        for said in call(conn, "describe_images", Owners=["self"], Filters=filters)["Images"]:
            state = said["State"]
        if state == "available":
            return
        if state not in ("pending", "not to be seen"):
            break
        pause(pause_s)
    raise SnapbackError(f"image {image_id} in {place} is {state}, not available")


def run_instance(
    conn: Any,
    plan: InstancePlan,
    image_id: str,
    token: str,
    tags: Mapping[str, str],
    volume_tags: Mapping[str, str],
    options: Options,
    *,
    user_data: str = "",
) -> str:
    """Launch an instance as planned and answer its id. Source: RunInstances.

    Until :func:`set_ending` all its volumes are deleted with it, so that nothing stays of one
    that doesn't become whole. Until :func:`set_shutdown` it is terminated when it shuts down.

    :param volume_tags: the tags of all its volumes.
    :param options: its settings; those that RunInstances doesn't take are for
        :func:`set_source_dest_check`.
    :param user_data: for its first boot; an instance that is restored for good gets none.
    """
    more = request(options)
    if plan.security_group_ids:
        more["SecurityGroupIds"] = list(plan.security_group_ids)
    if plan.key_name:
        more["KeyName"] = plan.key_name
    if plan.instance_profile:
        kind = "Arn" if plan.instance_profile.startswith("arn:") else "Name"
        more["IamInstanceProfile"] = {kind: plan.instance_profile}
    if user_data:
        more["UserData"] = user_data
    answer = call(
        conn,
        "run_instances",
        ImageId=image_id,
        InstanceType=plan.instance_type,
        SubnetId=plan.subnet_id,
        MinCount=1,
        MaxCount=1,
        ClientToken=token,
        InstanceInitiatedShutdownBehavior="terminate",
        BlockDeviceMappings=[
            {"DeviceName": one.device_name, "Ebs": {"DeleteOnTermination": True}}
            for one in plan.image.volumes
        ],
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": write_tags(tags)},
            {"ResourceType": "volume", "Tags": write_tags(volume_tags)},
        ],
        **more,
    )
    return str(answer["Instances"][0]["InstanceId"])


def set_ending(conn: Any, instance_id: str, device_names: Iterable[str], *, ends: bool) -> None:
    """Say whether the volumes of some devices are deleted with their instance.

    Source: ModifyInstanceAttribute.
    """
    mappings = [
        {"DeviceName": device, "Ebs": {"DeleteOnTermination": ends}} for device in device_names
    ]
    call(
        conn,
        "modify_instance_attribute",
        InstanceId=instance_id,
        BlockDeviceMappings=mappings,
    )


def set_source_dest_check(conn: Any, instance_id: str, *, enabled: bool) -> None:
    """Set whether EC2 drops packets that are neither from an instance nor for it.

    Source: ModifyInstanceAttribute.
    """
    call(
        conn,
        "modify_instance_attribute",
        InstanceId=instance_id,
        SourceDestCheck={"Value": enabled},
    )


def set_shutdown(conn: Any, instance_id: str, *, terminates: bool) -> None:
    """Say whether an instance that shuts itself down is terminated, or stopped.

    Source: ModifyInstanceAttribute.
    """
    behavior = {"Value": "terminate" if terminates else "stop"}
    call(
        conn,
        "modify_instance_attribute",
        InstanceId=instance_id,
        InstanceInitiatedShutdownBehavior=behavior,
    )


def status_checks(conn: Any, instance_id: str) -> tuple[str, str]:
    """Answer how EC2's checks of an instance stand: of the system and of the instance itself.

    :returns: each ``"ok"``, ``"initializing"``, ``"impaired"``, ``"insufficient-data"``, ``""``.

    Source: DescribeInstanceStatus.
    """
    answer = call(conn, "describe_instance_status", InstanceIds=[instance_id])
    for said in answer["InstanceStatuses"]:
        return said["SystemStatus"]["Status"], said["InstanceStatus"]["Status"]
    return "", ""
