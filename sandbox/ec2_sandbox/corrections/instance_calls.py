"""The calls about instances: launching, changing, ending and describing them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from ec2_sandbox.corrections.answer import Answer
from ec2_sandbox.corrections.filters import apply_filters
from ec2_sandbox.corrections.fitness import check_fit
from ec2_sandbox.corrections.interface_view import interface_view
from ec2_sandbox.corrections.launch_settings import (
    change_metadata,
    check_settings,
    settings_of,
    take_settings,
)
from ec2_sandbox.corrections.paging import page
from ec2_sandbox.corrections.parameters import public_parameter
from ec2_sandbox.corrections.response_part import ResponsePart
from ec2_sandbox.corrections.tags import tag_list
from ec2_sandbox.corrections.volume_calls import aware
from ec2_sandbox.errors import ApiError, invalid
from ec2_sandbox.wire import write_time

_FILTERS = {
    "affinity": lambda each: None,
    "architecture": lambda each: each.architecture,
    "availability-zone": lambda each: each.availability_zone,
    "block-device-mapping.device-name": lambda each: list(each.block_device_mapping),
    "block-device-mapping.volume-id": lambda each: [
        block.volume_id for block in each.block_device_mapping.values()
    ],
    "boot-mode": lambda each: getattr(each, "boot_mode", None),
    "client-token": lambda each: each.client_token,
    "dns-name": lambda each: each.public_dns_name,
    "hypervisor": lambda each: each.hypervisor,
    "image-id": lambda each: each.image_id,
    "instance-id": lambda each: each.id,
    "instance-lifecycle": lambda each: each.lifecycle,
    "instance-state-code": lambda each: each.state_code,
    "instance-state-name": lambda each: each.state,
    "instance-type": lambda each: each.instance_type,
    "instance.group-id": lambda each: [group.id for group in groups_of(each)],
    "instance.group-name": lambda each: [group.name for group in groups_of(each)],
    "ip-address": lambda each: each.public_ip,
    "key-name": lambda each: each.key_name,
    "launch-time": lambda each: write_time(each.launch_time),
    "network-interface.network-interface-id": lambda each: [x.id for x in each.nics.values()],
    "owner-id": lambda each: each.owner_id,
    "platform": lambda each: each.platform,
    "private-dns-name": lambda each: each.private_dns_name,
    "private-ip-address": lambda each: each.private_ip,
    "reservation-id": lambda each: each.reservation_id,
    "root-device-name": lambda each: each.root_device_name,
    "root-device-type": lambda each: each.root_device_type,
    "subnet-id": lambda each: each.subnet_id,
    "virtualization-type": lambda each: each.virtualization_type,
    "vpc-id": lambda each: each.vpc_id,
}


def groups_of(instance: Any) -> list[Any]:
    """Answers the security groups of an instance: those asked for, else its interface's."""
    if instance.security_groups:
        return list(instance.security_groups)
    return list(instance.nics[0].group_set) if instance.nics else []


class InstanceCalls(ResponsePart):
    """Of the response: what launches, changes, ends and shows instances."""

    def run_instances(self) -> Any:
        """Launches instances; a ClientToken launches them once only. Source: RunInstances."""
        backend, wanted = self.ec2_backend, self.params
        token = wanted.get("ClientToken")
        asked = repr(sorted(self.flat.items()))
        if token and token in backend.instance_tokens:
            before, reservation = backend.instance_tokens[token]
            if before != asked:
                raise ApiError(
                    "IdempotentParameterMismatch",
                    "The client token was used with other parameters before.",
                )
            return Answer(_reservation(reservation, reservation.instances))
        self._check_launch()
        image = self._image()
        check_fit(image, wanted.get("InstanceType"))
        check_settings(wanted)
        mappings = list(_merged(image.mappings, wanted.get("BlockDeviceMappings") or []))
        wanted["ImageId"] = image.id
        wanted["MinCount"] = wanted["MaxCount"]
        wanted["BlockDeviceMappings"] = _launchable(mappings, backend)
        try:
            reservation = super().run_instances().result
        except BaseException:
            backend.drop_half_launched()
            raise
        for instance in reservation.instances:
            instance.boot_mode = image.boot_mode
            instance.ena_support = image.ena_support
            take_settings(instance, wanted, image, backend.metadata_defaults)
        backend.index()
        if backend.world.hosts is not None:
            for instance in reservation.instances:
                backend.world.hosts.launched(instance)
        if token:
            backend.instance_tokens[token] = (asked, reservation)
        answer = _reservation(reservation, reservation.instances)
        for shown in answer["Instances"]:
            shown["State"] = {"Code": 0, "Name": "pending"}
        return Answer(answer)

    def _check_launch(self) -> None:
        wanted = self.params
        least, most = wanted.get("MinCount"), wanted.get("MaxCount")
        if least is None or most is None:
            message = "The request must contain the parameters MinCount and MaxCount"
            raise ApiError("MissingParameter", message)
        if not 1 <= least <= most:
            raise invalid(f"MinCount {least} and MaxCount {most} do not fit.")
        key = wanted.get("KeyName")
        if key and key not in self.ec2_backend.key_pairs:
            raise ApiError("InvalidKeyPair.NotFound", f"The key pair '{key}' does not exist")

    def _image(self) -> Any:
        image_id = self._needed("ImageId")
        if image_id.startswith("resolve:ssm:"):
            name = image_id.removeprefix("resolve:ssm:")
            found = public_parameter(self.region, name)
            if found is None:
                raise invalid(f"Parameter {name} could not be resolved.")
            image_id = found
        image = self.ec2_backend.get_image(image_id)
        if image.state != "available":
            raise ApiError(
                "InvalidAMIID.Unavailable", f"The image ID '{image_id}' is {image.state}"
            )
        return image

    def modify_instance_attribute(self) -> Any:
        """Changes what a shutdown from inside does; the rest is moto's.

        Moto takes the security groups away instead. Source: ModifyInstanceAttribute.
        """
        instance = self.ec2_backend.get_instance(self._needed("InstanceId"))
        self.error_on_dryrun()
        asked = self.params.get("InstanceInitiatedShutdownBehavior")
        if checked := self.params.get("SourceDestCheck"):
            for interface in instance.nics.values():
                interface.source_dest_check = checked["Value"]
        if asked is None:
            return super().modify_instance_attribute()
        behavior = asked.get("Value")
        if behavior not in ("stop", "terminate"):
            raise invalid(f"Value ({behavior}) for parameter instanceInitiatedShutdownBehavior")
        instance.instance_initiated_shutdown_behavior = behavior
        return Answer({})

    def modify_instance_metadata_options(self) -> Answer:
        """Changes the options that are given; moto forgets the others.

        Source: ModifyInstanceMetadataOptions.
        """
        instance = self.ec2_backend.get_instance(self._needed("InstanceId"))
        self.error_on_dryrun()
        change_metadata(instance, self.params)
        options = settings_of(instance)["MetadataOptions"]
        return Answer({"InstanceId": instance.id, "InstanceMetadataOptions": options})

    def modify_instance_metadata_defaults(self) -> Answer:
        """Sets what launches get by default. Source: ModifyInstanceMetadataDefaults."""
        self.error_on_dryrun()
        defaults = self.ec2_backend.metadata_defaults
        for name in ("HttpTokens", "HttpPutResponseHopLimit", "HttpEndpoint"):
            if (value := self.params.get(name)) in ("no-preference", -1):
                defaults.pop(name, None)
            elif value is not None:
                defaults[name] = value
        return Answer({"Return": True})

    def stop_instances(self) -> Answer:
        """Stops instances; without bodies they may all hibernate. Source: StopInstances."""
        ids = self.params.get("InstanceIds") or []
        self.ec2_backend.get_multi_instances_by_id(ids)
        hibernate = bool(self.params.get("Hibernate"))
        if hibernate and self.ec2_backend.world.hosts is not None:
            raise ApiError(
                "UnsupportedHibernationConfiguration", "The sandbox's hosts don't hibernate."
            )
        self.error_on_dryrun()
        if self.ec2_backend.world.hosts is None:
            stopped = self.ec2_backend.stop_instances(ids)
        else:
            force = bool(self.params.get("Force"))
            stopped = self.ec2_backend.stop_instances(ids, force=force)
        for instance, _ in stopped if hibernate else ():
            code = "Client.UserInitiatedHibernate"
            instance.state_reason.code = code
            instance.state_reason.message = f"{code}: User initiated hibernate"
        return Answer(
            {
                "StoppingInstances": [
                    {
                        "InstanceId": instance.id,
                        "CurrentState": {"Code": 64, "Name": "stopping"},
                        "PreviousState": {"Code": before.code, "Name": before.name},
                    }
                    for instance, before in stopped
                ]
            }
        )

    def get_console_output(self) -> Any:
        """Shows what an instance wrote on its console. Source: GetConsoleOutput."""
        hosts = self.ec2_backend.world.hosts
        if hosts is None:
            return super().get_console_output()
        instance = self.ec2_backend.get_instance(self.params.get("InstanceId") or "")
        self.error_on_dryrun()
        return Answer(
            {
                "InstanceId": instance.id,
                "Timestamp": self.ec2_backend.world.clock.now(),
                "Output": base64.b64encode(hosts.console(instance.id)).decode(),
            }
        )

    def terminate_instances(self) -> Answer:
        """Ends instances; moto's would load two more services. Source: TerminateInstances."""
        ids = self.params.get("InstanceIds") or []
        self.ec2_backend.get_multi_instances_by_id(ids)
        self.error_on_dryrun()
        ended = self.ec2_backend.terminate_instances(ids)
        return Answer(
            {
                "TerminatingInstances": [
                    {
                        "InstanceId": instance.id,
                        "CurrentState": {"Code": 32, "Name": "shutting-down"},
                        "PreviousState": {"Code": before.code, "Name": before.name},
                    }
                    for instance, before in ended
                ]
            }
        )

    def describe_instances(self) -> Answer:
        """Shows instances, paged by instance, not by reservation. Source: DescribeInstances."""
        self.error_on_dryrun()
        backend = self.ec2_backend
        ids = self.params.get("InstanceIds")
        index = backend.index()
        found = [backend.get_instance(each) for each in ids] if ids else list(index.values())
        found = apply_filters(
            found,
            self._filters_from_querystring(),
            _FILTERS,
            lambda each: backend.tags_of(each.id),
        )
        chosen, token = page(
            found, lambda each: each.sequence, self.flat, backend.world.epoch, ids="InstanceId"
        )
        reservations = [
            _reservation(backend.reservations[reservation_id], list(instances))
            for reservation_id, instances in groupby(chosen, lambda each: each.reservation_id)
        ]
        return Answer({"Reservations": reservations, "NextToken": token})


def _merged(
    own: Sequence[Mapping[str, Any]], asked: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Yields an image's mappings as a launch changes and extends them."""
    by_device = {each["DeviceName"]: each for each in asked if each.get("DeviceName")}
    for each in own:
        change = by_device.pop(each["DeviceName"], None)
        if change is None:
            yield dict(each)
        elif "NoDevice" not in change:
            yield {**each, **change, "Ebs": {**each.get("Ebs", {}), **change.get("Ebs", {})}}
    yield from (dict(each) for each in by_device.values() if "NoDevice" not in each)


def _launchable(mappings: Sequence[dict[str, Any]], backend: Any) -> list[dict[str, Any]]:
    """Answers mappings that moto can launch: no ephemeral disks, no snapshot of a public image."""
    launchable = []
    for mapping in mappings:
        ebs = mapping.get("Ebs")
        if not ebs:
            continue
        snapshot_id = ebs.get("SnapshotId")
        if snapshot_id and snapshot_id not in backend.snapshots and ebs.get("VolumeSize"):
            ebs = {key: value for key, value in ebs.items() if key != "SnapshotId"}
        launchable.append(
            {"DeviceName": mapping["DeviceName"], "Ebs": {"DeleteOnTermination": True, **ebs}}
        )
    return launchable


def _reservation(reservation: Any, instances: Sequence[Any]) -> dict[str, Any]:
    return {
        "ReservationId": reservation.id,
        "OwnerId": reservation.owner_id,
        "Groups": [],
        "Instances": [view(each) for each in instances],
    }


def view(instance: Any) -> dict[str, Any]:
    """Answers an instance as DescribeInstances does."""
    groups = [{"GroupId": each.id, "GroupName": each.name} for each in groups_of(instance)]
    gone = instance.state == "terminated"
    #: names of real hosts would not resolve, so they have none
    unnamed = gone or instance.ec2_backend.world.hosts is not None
    reason, settings = instance.state_reason, settings_of(instance)
    return {
        "InstanceId": instance.id,
        "ImageId": instance.image_id,
        "State": {"Code": instance.state_code, "Name": instance.state},
        "StateTransitionReason": instance.state_transition_reason or "",
        "StateReason": {"Code": reason.code, "Message": reason.message} if reason.code else None,
        "InstanceType": instance.instance_type,
        "Architecture": instance.architecture,
        "RootDeviceName": instance.root_device_name,
        "RootDeviceType": instance.root_device_type,
        "VirtualizationType": instance.virtualization_type,
        "Hypervisor": instance.hypervisor,
        "BootMode": getattr(instance, "boot_mode", None),
        "CurrentInstanceBootMode": _current_boot(getattr(instance, "boot_mode", None)),
        "EnaSupport": getattr(instance, "ena_support", True),
        "EbsOptimized": bool(instance.ebs_optimized),
        "SriovNetSupport": "simple",
        "LaunchTime": aware(instance.launch_time),
        "AmiLaunchIndex": instance.ami_launch_index,
        "Monitoring": {"State": instance.monitoring_state},
        "KeyName": instance.key_name,
        "ClientToken": instance.client_token or "",
        "SubnetId": None if gone else instance.subnet_id,
        "VpcId": None if gone else instance.vpc_id,
        "PrivateIpAddress": None if gone else instance.private_ip,
        "PrivateDnsName": "" if unnamed else instance.private_dns_name,
        "PublicIpAddress": None if gone else instance.public_ip,
        "PublicDnsName": "" if unnamed else instance.public_dns_name or "",
        "SourceDestCheck": bool(instance.source_dest_check),
        "SecurityGroups": groups,
        "PlatformDetails": "Linux/UNIX",
        "UsageOperation": "RunInstances",
        "InstanceLifecycle": instance.lifecycle,
        "IamInstanceProfile": instance.iam_instance_profile,
        "BlockDeviceMappings": [
            {
                "DeviceName": device,
                "Ebs": {
                    "VolumeId": block.volume_id,
                    "Status": "attached",
                    "AttachTime": aware(block.attach_time),
                    "DeleteOnTermination": bool(block.delete_on_termination),
                },
            }
            for device, block in instance.get_block_device_mapping
        ],
        "NetworkInterfaces": []
        if gone
        else [interface_view(x, groups) for x in instance.nics.values()],
        **settings,
        "Placement": {
            **settings["Placement"],
            "AvailabilityZone": instance.availability_zone,
        },
        "Tags": tag_list(instance.ec2_backend.tags_of(instance.id)),
    }


def _current_boot(boot_mode: str | None) -> str:
    return "uefi" if boot_mode in ("uefi", "uefi-preferred") else "legacy-bios"
