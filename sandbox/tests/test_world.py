"""The clock, the regions, the settings, the reset, the other services."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from helpers import FLEET, UBUNTU, code, own

from ec2_sandbox import LaunchedSandbox, Sandbox, SandboxError

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)


def test_a_frozen_clock_is_stepped(sandbox: LaunchedSandbox) -> None:
    assert sandbox.now() == sandbox.now() == NOON
    assert sandbox.advance(90) == NOON + timedelta(seconds=90)
    assert sandbox.set_clock(datetime(2030, 1, 1, tzinfo=UTC)) == sandbox.now()


def test_a_clock_runs_fast(sandbox: LaunchedSandbox) -> None:
    sandbox.set_clock(speed=100_000)
    first = sandbox.now()
    time.sleep(0.01)
    assert sandbox.now() - first > timedelta(seconds=900)
    sandbox.set_clock(speed=0)
    assert sandbox.now() == sandbox.now()


def test_the_date_header_is_the_clocks(sandbox: LaunchedSandbox, ec2: Any) -> None:
    sandbox.advance(3600)
    good = ec2.describe_regions()["ResponseMetadata"]["HTTPHeaders"]["date"]
    assert good == "Sat, 01 Jun 2024 13:00:00 GMT"
    with pytest.raises(ec2.exceptions.ClientError) as caught:
        ec2.describe_snapshots(SnapshotIds=["snap-00000000"])
    headers = caught.value.response["ResponseMetadata"]["HTTPHeaders"]
    assert headers["date"] == good


def test_every_time_is_the_clocks(sandbox: LaunchedSandbox, ec2: Any) -> None:
    given = {"ImageId": UBUNTU, "MinCount": 1, "MaxCount": 1}
    instance = ec2.run_instances(**given)["Instances"][0]
    volume = ec2.describe_volumes()["Volumes"][0]
    times = [
        instance["LaunchTime"],
        volume["CreateTime"],
        volume["Attachments"][0]["AttachTime"],
        ec2.create_snapshot(VolumeId=volume["VolumeId"])["StartTime"],
    ]
    assert times == [NOON] * 4


def test_a_reset_empties_the_world_and_is_fast(sandbox: LaunchedSandbox, ec2: Any) -> None:
    sandbox.load_fleet(FLEET)
    sandbox.configure(snapshot_seconds=77)
    sandbox.fault("*", "error", code="InternalError", count=None)
    sandbox.advance(60)
    began = time.monotonic()
    sandbox.reset()
    assert time.monotonic() - began < 0.5, "it takes some 2 ms"
    assert sandbox.calls() == []
    assert sandbox.now() == NOON
    assert ec2.describe_volumes()["Volumes"] == []
    sandbox.load_fleet(FLEET)
    volume = ec2.describe_volumes()["Volumes"][0]["VolumeId"]
    ec2.create_snapshot(VolumeId=volume)
    sandbox.advance(3)
    assert own(ec2)[0]["State"] == "completed"


def test_regions(sandbox: LaunchedSandbox, ec2: Any, client: Callable[..., Any]) -> None:
    sandbox.configure(enabled_regions=["us-east-1", "eu-south-1"])

    def shown(**given: Any) -> dict[str, str]:
        regions = ec2.describe_regions(**given)["Regions"]
        return {x["RegionName"]: x["OptInStatus"] for x in regions}

    assert shown() == {"eu-south-1": "opted-in", "us-east-1": "opt-in-not-required"}
    assert sandbox.environ["AWS_DEFAULT_REGION"] == "us-east-1"
    assert shown(AllRegions=True)["eu-south-2"] == "not-opted-in"
    assert code(client("eu-south-1").describe_volumes) is None
    assert code(client("eu-south-2").describe_volumes) == "OptInRequired"
    assert code(client("eu-west-1").describe_volumes) == "AuthFailure"
    assert code(lambda: ec2.describe_regions(RegionNames=["xx-west-9"])) == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"snapshot_second": 1}, "snapshot_second"),
        ({"snapshot_seconds": -1}, "snapshot_seconds"),
        ({"enabled_regions": ["xx-west-9"]}, "xx-west-9"),
        ({"throttle": 1}, "throttle"),
        ({"buckets": {"CreateTags": 1}}, "CreateTags"),
    ],
)
def test_a_bad_setting_is_refused(
    given: dict[str, Any], says: str, sandbox: LaunchedSandbox
) -> None:
    with pytest.raises(SandboxError, match=says):
        sandbox.configure(**given)


def test_a_handle_from_elsewhere(sandbox: LaunchedSandbox) -> None:
    with Sandbox(sandbox.url) as other:
        assert other.now() == NOON
    assert sandbox.now() == NOON
    with pytest.raises(SandboxError, match="no sandbox answers"):
        Sandbox("http://127.0.0.1:1").now()


def test_sts_and_ssm_answer(client: Callable[..., Any]) -> None:
    sts = client(service="sts")
    assert sts.get_caller_identity()["Account"] == "123456789012"
    role = {"RoleArn": "arn:aws:iam::123456789012:role/x", "RoleSessionName": "session"}
    assert "AccessKeyId" in sts.assume_role(**role)["Credentials"]
    ssm = client(service="ssm")
    name = UBUNTU.removeprefix("resolve:ssm:")
    image = ssm.get_parameter(Name=name)["Parameter"]["Value"]
    found = client().describe_images(ImageIds=[image])["Images"][0]
    assert (found["Architecture"], found["OwnerId"]) == ("x86_64", "099720109477")
    missing = ssm.get_parameters(Names=["/aws/service/nothing"])
    assert missing["InvalidParameters"] == ["/aws/service/nothing"]


def test_what_is_no_request_gets_an_answer(sandbox: LaunchedSandbox) -> None:
    where = urlsplit(sandbox.url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=5)
    for method, path, body, status in (
        ("GET", "/", None, 400),
        ("POST", "/", b"Action=Nonsense", 400),
        ("POST", "/", b"Action=DescribeVolumes&Nonsense=1", 400),
        ("POST", "/", b"Action=DescribeVolumes&MaxResults=x", 400),
        ("POST", "/_sandbox/nonsense", b"{}", 400),
        ("POST", "/_sandbox/clock", b"[]", 400),
        ("POST", "/_sandbox/ping", b"", 200),
    ):
        connection.request(method, path, body)
        response = connection.getresponse()
        response.read()
        assert response.status == status, (method, path, body)
    connection.close()


def test_the_life_of_a_temporary_instance(ec2: Any, client: Callable[..., Any]) -> None:
    ec2.create_key_pair(KeyName="k", KeyType="ed25519")
    profile = client(service="iam").create_instance_profile(InstanceProfileName="p")
    network = ec2.describe_subnets()["Subnets"][0]
    group = ec2.create_security_group(GroupName="g", Description="d", VpcId=network["VpcId"])
    rule = {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
    }
    ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=[rule])
    given = {
        "ImageId": UBUNTU,
        "MinCount": 1,
        "MaxCount": 1,
        "InstanceType": "t3.small",
        "SubnetId": network["SubnetId"],
        "SecurityGroupIds": [group["GroupId"]],
        "UserData": "#cloud-config\n",
    }
    assert code(lambda: ec2.run_instances(**given, KeyName="none")) == "InvalidKeyPair.NotFound"
    given["IamInstanceProfile"] = {"Name": "p"}
    made = ec2.run_instances(**given, KeyName="k")["Instances"][0]
    assert made["State"]["Name"] == "pending"
    ids = [made["InstanceId"]]
    ec2.get_waiter("instance_running").wait(InstanceIds=ids)
    ec2.get_waiter("instance_status_ok").wait(InstanceIds=ids)
    shown = ec2.describe_instances(InstanceIds=ids)["Reservations"][0]["Instances"][0]
    assert shown["SecurityGroups"] == [{"GroupId": group["GroupId"], "GroupName": "g"}]
    assert (shown["KeyName"], shown["SubnetId"]) == ("k", network["SubnetId"])
    assert shown["IamInstanceProfile"]["Arn"] == profile["InstanceProfile"]["Arn"]
    ec2.terminate_instances(InstanceIds=ids)
    ec2.get_waiter("instance_terminated").wait(InstanceIds=ids)
    ec2.delete_security_group(GroupId=group["GroupId"])
    ec2.delete_key_pair(KeyName="k")


def test_an_image_is_copied_with_its_snapshots(
    sandbox: LaunchedSandbox, ec2: Any, client: Callable[..., Any]
) -> None:
    used = {"size": 9, "used_by_ami": "gold"}
    sandbox.load_fleet({"regions": {"us-east-1": {"snapshots": [used]}}})
    source = ec2.describe_images(Owners=["self"])["Images"][0]["ImageId"]
    there = client("eu-west-1")
    copy = there.copy_image(SourceRegion="us-east-1", SourceImageId=source, Name="gold")["ImageId"]

    def state() -> str:
        return str(there.describe_images(ImageIds=[copy])["Images"][0]["State"])

    assert (state(), [x["VolumeSize"] for x in own(there)]) == ("pending", [9])
    sandbox.advance(5)
    assert state() == "available"
    assert code(lambda: there.delete_snapshot(SnapshotId=own(there)[0]["SnapshotId"])) == (
        "InvalidSnapshot.InUse"
    )


def test_a_launch_that_fails_leaves_nothing(ec2: Any) -> None:
    made = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    pending = ec2.create_snapshot(VolumeId=made)["SnapshotId"]
    mapping = {"DeviceName": "/dev/sdf", "Ebs": {"SnapshotId": pending}}
    given = {"ImageId": UBUNTU, "MinCount": 2, "MaxCount": 2, "BlockDeviceMappings": [mapping]}
    assert code(lambda: ec2.run_instances(**given)) == "IncorrectState"
    assert ec2.describe_instances()["Reservations"] == []
    assert [x["VolumeId"] for x in ec2.describe_volumes()["Volumes"]] == [made]
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []


def test_instances_end_and_their_volumes_with_them(ec2: Any) -> None:
    given = {"ImageId": UBUNTU, "MinCount": 1, "MaxCount": 1}
    instance = ec2.run_instances(**given)["Instances"][0]["InstanceId"]
    volume = ec2.describe_volumes()["Volumes"][0]["VolumeId"]
    call = code(lambda: ec2.delete_volume(VolumeId=volume))
    assert call == "VolumeInUse"
    ec2.stop_instances(InstanceIds=[instance])
    ec2.detach_volume(VolumeId=volume)
    assert code(lambda: ec2.detach_volume(VolumeId=volume)) == "IncorrectState"
    ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sda1")
    ec2.terminate_instances(InstanceIds=[instance])
    spec = {"InstanceId": instance}
    assert code(lambda: ec2.create_snapshots(InstanceSpecification=spec)) == "IncorrectState"
    states = ec2.describe_instances()["Reservations"][0]["Instances"][0]["State"]["Name"]
    assert states == "terminated"
    missing = code(lambda: ec2.terminate_instances(InstanceIds=["i-00000000"]))
    assert missing == "InvalidInstanceID.NotFound"
