"""Other accounts: roles are assumed, and each account has its own world and buckets."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ec2_sandbox import Sandbox

ROLE = "arn:aws:iam::111122223333:role/backup"
OTHER = "111122223333"


@pytest.fixture
def roles(sandbox: Sandbox) -> Sandbox:
    sandbox.configure(roles={ROLE: "secret"})
    return sandbox


def client(sandbox: Sandbox, service: str, **keys: str) -> Any:
    keys = keys or {"aws_access_key_id": "AKIA", "aws_secret_access_key": "x"}
    return boto3.client(service, region_name="us-east-1", endpoint_url=sandbox.url, **keys)


def assume(sandbox: Sandbox, role: str = ROLE, **more: str) -> dict[str, str]:
    sts = client(sandbox, "sts")
    said = sts.assume_role(RoleArn=role, RoleSessionName="test", **more)["Credentials"]
    return {
        "aws_access_key_id": said["AccessKeyId"],
        "aws_secret_access_key": said["SecretAccessKey"],
        "aws_session_token": said["SessionToken"],
    }


def refused(call: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def instances(ec2: Any) -> set[str]:
    found = ec2.describe_instances(MaxResults=1000)["Reservations"]
    return {each["InstanceId"] for reservation in found for each in reservation["Instances"]}


def test_each_account_has_its_own_fleet(roles: Sandbox) -> None:
    mine = roles.load_fleet({"regions": {"us-east-1": {"instances": [{"name": "a"}]}}})
    theirs = roles.load_fleet(
        {"account": OTHER, "regions": {"us-east-1": {"instances": [{"name": "b"}]}}}
    )
    keys = assume(roles, ExternalId="secret")
    ec2 = client(roles, "ec2", **keys)
    assert instances(client(roles, "ec2")) == {mine["us-east-1"]["a"]["instance_id"]}
    assert instances(ec2) == {theirs["us-east-1"]["b"]["instance_id"]}
    volume = theirs["us-east-1"]["b"]["volumes"]["/dev/sda1"]
    made = ec2.create_snapshot(VolumeId=volume)
    assert made["OwnerId"] == OTHER
    assert client(roles, "ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"] == []
    assert client(roles, "sts", **keys).get_caller_identity()["Arn"] == (
        f"arn:aws:sts::{OTHER}:assumed-role/backup/test"
    )


def test_a_role_is_given_to_whom_knows_its_external_id(roles: Sandbox) -> None:
    assert refused(lambda: assume(roles)) == "AccessDenied"
    assert refused(lambda: assume(roles, ExternalId="guess")) == "AccessDenied"
    other = "arn:aws:iam::111122223333:role/admin"
    assert refused(lambda: assume(roles, other, ExternalId="secret")) == "AccessDenied"


def test_a_session_ends_by_the_clock(roles: Sandbox) -> None:
    roles.configure(session_seconds=60)
    ec2 = client(roles, "ec2", **assume(roles, ExternalId="secret"))
    assert instances(ec2) == set()
    roles.advance(61)
    assert refused(ec2.describe_instances) == "RequestExpired"
    unknown = {"aws_access_key_id": "ASIA0", "aws_secret_access_key": "x"}
    assert refused(client(roles, "ec2", **unknown).describe_instances) == "AuthFailure"


def test_each_account_has_its_own_buckets(roles: Sandbox) -> None:
    roles.configure(buckets={"DescribeRegions": [1, 0.001]})
    mine, theirs = client(roles, "ec2"), client(roles, "ec2", **assume(roles, ExternalId="secret"))
    config = mine.meta.config
    assert config is not None
    mine.describe_regions()
    theirs.describe_regions()
    assert {call.access_key for call in roles.calls("DescribeRegions")} > {"AKIA"}
    assert len({call.access_key for call in roles.calls("DescribeRegions")}) == 2
