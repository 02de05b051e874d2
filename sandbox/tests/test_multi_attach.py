"""Multi-Attach volumes: several instances have one, and the last one's end may delete it."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import code

from ec2_sandbox import LaunchedSandbox, SandboxError

SHARED = {"device": "/dev/sdf", "type": "io2", "multi_attach": True}


def fleet(*instances: dict[str, Any]) -> dict[str, Any]:
    """Answers a fleet of one region."""
    return {"regions": {"us-east-1": {"instances": list(instances)}}}


def laid(sandbox: LaunchedSandbox, **of_second: Any) -> tuple[str, str, str]:
    """Lays out two instances that share a volume; answers the ids of the three."""
    second = {"device": "/dev/sdg", "shares": "a:/dev/sdf", **of_second}
    ids = sandbox.load_fleet(
        fleet({"name": "a", "volumes": [SHARED]}, {"name": "b", "volumes": [second]})
    )["us-east-1"]
    assert ids["a"]["volumes"]["/dev/sdf"] == ids["b"]["volumes"]["/dev/sdg"]
    return (
        ids["a"]["volumes"]["/dev/sdf"],
        ids["a"]["instance_id"],
        ids["b"]["instance_id"],
    )


def attached(ec2: Any, volume: str) -> list[tuple[str, str]]:
    """Answers the instances that have a volume, and as what."""
    (shown,) = ec2.describe_volumes(VolumeIds=[volume])["Volumes"]
    return [(one["InstanceId"], one["Device"]) for one in shown["Attachments"]]


def test_each_instance_and_the_volume_itself_show_it(sandbox: LaunchedSandbox, ec2: Any) -> None:
    volume, a, b = laid(sandbox)
    (shown,) = ec2.describe_volumes(VolumeIds=[volume])["Volumes"]
    assert (shown["MultiAttachEnabled"], shown["State"]) == (True, "in-use")
    assert attached(ec2, volume) == [(a, "/dev/sdf"), (b, "/dev/sdg")]
    for reservation in ec2.describe_instances()["Reservations"]:
        blocks = reservation["Instances"][0]["BlockDeviceMappings"]
        assert volume in [block["Ebs"]["VolumeId"] for block in blocks]
    for name, value in {
        "attachment.instance-id": b,
        "attachment.device": "/dev/sdg",
        "attachment.status": "attached",
        "attachment.delete-on-termination": "false",
        "multi-attach-enabled": "true",
    }.items():
        found = ec2.describe_volumes(Filters=[{"Name": name, "Values": [value]}])["Volumes"]
        assert volume in [one["VolumeId"] for one in found], name
    for instance in (a, b):
        taken = ec2.create_snapshots(InstanceSpecification={"InstanceId": instance})["Snapshots"]
        assert volume in [one["VolumeId"] for one in taken]


def test_a_detach_names_its_instance_where_there_are_several(
    sandbox: LaunchedSandbox, ec2: Any
) -> None:
    volume, a, b = laid(sandbox)
    assert code(lambda: ec2.detach_volume(VolumeId=volume)) == "MissingParameter"
    wrong = {"VolumeId": volume, "InstanceId": b, "Device": "/dev/sdf"}
    assert code(lambda: ec2.detach_volume(**wrong)) == "InvalidAttachment.NotFound"
    assert ec2.detach_volume(VolumeId=volume, InstanceId=a)["InstanceId"] == a
    assert attached(ec2, volume) == [(b, "/dev/sdg")]
    assert code(lambda: ec2.delete_volume(VolumeId=volume)) == "VolumeInUse"
    ec2.detach_volume(VolumeId=volume)
    assert ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"] == "available"
    assert code(lambda: ec2.delete_volume(VolumeId=volume)) is None


def test_the_last_instance_s_end_decides_whether_it_is_deleted(
    sandbox: LaunchedSandbox, ec2: Any
) -> None:
    volume, a, b = laid(sandbox, delete_on_termination=True)
    ec2.terminate_instances(InstanceIds=[a])
    assert attached(ec2, volume) == [(b, "/dev/sdg")]
    ec2.terminate_instances(InstanceIds=[b])
    assert code(lambda: ec2.describe_volumes(VolumeIds=[volume])) == "InvalidVolume.NotFound"


def test_the_end_of_one_leaves_it_to_the_others(sandbox: LaunchedSandbox, ec2: Any) -> None:
    volume, a, b = laid(sandbox, delete_on_termination=True)
    ec2.terminate_instances(InstanceIds=[b])
    assert attached(ec2, volume) == [(a, "/dev/sdf")]


def test_who_can_t_share(sandbox: LaunchedSandbox, ec2: Any) -> None:
    volume, a, _ = laid(sandbox)
    ids = sandbox.load_fleet(
        fleet(
            {"name": "xen", "type": "t2.small", "zone": "us-east-1a"},
            {"name": "far", "zone": "us-east-1b"},
            {"name": "many", "count": 15, "zone": "us-east-1a"},
        )
    )["us-east-1"]

    def attach(name: str, of: str = volume, device: str = "/dev/sdp") -> str | None:
        instance = ids[name]["instance_id"]
        call = {"VolumeId": of, "InstanceId": instance, "Device": device}
        return code(lambda: ec2.attach_volume(**call))

    again = {"VolumeId": volume, "InstanceId": a, "Device": "/dev/sdp"}
    assert code(lambda: ec2.attach_volume(**again)) == "VolumeInUse"
    assert attach("xen") == "UnsupportedOperation"
    assert attach("far") == "InvalidVolume.ZoneMismatch"
    assert {attach(f"many-{number}") for number in range(1, 15)} == {None}
    assert len(attached(ec2, volume)) == 16
    assert attach("many-15") == "AttachmentLimitExceeded"
    alone = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, VolumeType="io2", Iops=100)[
        "VolumeId"
    ]
    assert attach("many-1", alone) == "InvalidParameterValue"
    assert attach("many-1", alone, "/dev/sdq") is None
    assert attach("many-15", alone) == "VolumeInUse"
    wrong = {"AvailabilityZone": "us-east-1a", "Size": 1, "VolumeType": "gp3"}
    assert (
        code(lambda: ec2.create_volume(**wrong, MultiAttachEnabled=True)) == "InvalidParameterValue"
    )


@pytest.mark.parametrize(
    ("instances", "said"),
    [
        ([{"volumes": [{**SHARED, "type": "gp3"}]}], "its type must be io1 or io2"),
        ([{"volumes": [{**SHARED, "device": "/dev/sda1"}]}], "a root volume can't be"),
        ([{"volumes": [{"device": "/dev/sdg", "shares": "n0:/dev/sdf"}]}], "no instance before it"),
        (
            [
                {"volumes": [SHARED]},
                {"volumes": [{"device": "/dev/sdg", "shares": "n0:/dev/sdf", "size": 9}]},
            ],
            "only device and delete_on_termination",
        ),
        (
            [
                {"volumes": [SHARED]},
                {
                    "zone": "us-east-1b",
                    "volumes": [{"device": "/dev/sdg", "shares": "n0:/dev/sdf"}],
                },
            ],
            "n1 is in us-east-1b, and n0:/dev/sdf in us-east-1a",
        ),
        ([{"type": "m4.large", "volumes": [SHARED]}], "m4.large is no Nitro type"),
    ],
)
def test_a_fleet_that_can_t_be_is_refused(
    sandbox: LaunchedSandbox, instances: list[dict[str, Any]], said: str
) -> None:
    named = [{"name": f"n{number}", **one} for number, one in enumerate(instances)]
    with pytest.raises(SandboxError, match=said):
        sandbox.load_fleet(fleet(*named))
