"""Permissions as far as the sandbox has them: denied actions, dry runs, who calls, what is kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from helpers import FLEET, code, own, specification, status

from ec2_sandbox import Sandbox, SandboxError


def message(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Message"])


def everything(ec2: Any) -> list[Any]:
    """What there is, as far as an account pays for it or may lose it."""
    return [
        ec2.describe_instances()["Reservations"],
        ec2.describe_volumes()["Volumes"],
        own(ec2),
        ec2.describe_key_pairs()["KeyPairs"],
        ec2.describe_security_groups()["SecurityGroups"],
        ec2.describe_locked_snapshots()["Snapshots"],
        ec2.describe_images(Owners=["self"])["Images"],
        ec2.describe_addresses()["Addresses"],
        ec2.get_ebs_encryption_by_default()["EbsEncryptionByDefault"],
    ]


def test_a_dry_run_is_answered_by_every_action_and_changes_nothing(
    sandbox: Sandbox, ec2: Any
) -> None:
    web = sandbox.load_fleet(FLEET)["us-east-1"]["web-1"]
    instance, volume = web["instance_id"], web["volumes"]["/dev/sdf"]
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    loose = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    group = ec2.create_security_group(GroupName="some", Description="x")["GroupId"]
    key = ec2.create_key_pair(KeyName="some")["KeyPairId"]
    image = ec2.describe_images(Owners=["099720109477"])["Images"][0]["ImageId"]
    sandbox.complete_all()
    tags = specification("snapshot", {"a": "b"})
    rule = {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "IpRanges": [{"CidrIp": "1.2.3.4/32"}],
    }
    before = everything(ec2)
    asked: dict[str, dict[str, Any]] = {
        "allocate_address": {},
        "attach_volume": {"VolumeId": loose, "InstanceId": instance, "Device": "/dev/sdp"},
        "authorize_security_group_ingress": {"GroupId": group, "IpPermissions": [rule]},
        "copy_snapshot": {"SourceRegion": "us-east-1", "SourceSnapshotId": snapshot},
        "create_image": {"InstanceId": instance, "Name": "some"},
        "create_key_pair": {"KeyName": "other"},
        "create_security_group": {"GroupName": "other", "Description": "x"},
        "create_snapshot": {"VolumeId": volume, "TagSpecifications": tags},
        "create_snapshots": {"InstanceSpecification": {"InstanceId": instance}},
        "create_tags": {"Resources": [snapshot], "Tags": [{"Key": "a", "Value": "b"}]},
        "create_volume": {"AvailabilityZone": "us-east-1a", "Size": 1},
        "delete_key_pair": {"KeyPairId": key},
        "delete_security_group": {"GroupId": group},
        "delete_snapshot": {"SnapshotId": snapshot},
        "delete_tags": {"Resources": [instance]},
        "delete_volume": {"VolumeId": loose},
        "describe_images": {"Owners": ["self"]},
        "describe_instances": {},
        "describe_key_pairs": {},
        "describe_locked_snapshots": {},
        "describe_regions": {},
        "describe_security_groups": {},
        "describe_snapshots": {"OwnerIds": ["self"]},
        "describe_subnets": {},
        "describe_tags": {},
        "describe_volumes": {},
        "detach_volume": {"VolumeId": volume},
        "enable_ebs_encryption_by_default": {},
        "get_console_output": {"InstanceId": instance},
        "get_ebs_default_kms_key_id": {},
        "get_ebs_encryption_by_default": {},
        "lock_snapshot": {"SnapshotId": snapshot, "LockMode": "governance", "LockDuration": 1},
        "modify_instance_attribute": {"InstanceId": instance, "SourceDestCheck": {"Value": False}},
        "modify_snapshot_tier": {"SnapshotId": snapshot, "StorageTier": "archive"},
        "register_image": {"Name": "some", "RootDeviceName": "/dev/sda1", "BlockDeviceMappings": [
            {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}]},
        "run_instances": {"ImageId": image, "MinCount": 1, "MaxCount": 1},
        "start_instances": {"InstanceIds": [instance]},
        "stop_instances": {"InstanceIds": [instance]},
        "terminate_instances": {"InstanceIds": [instance]},
    }  # fmt: skip
    for operation, given in asked.items():
        call = getattr(ec2, operation)
        assert code(lambda: call(DryRun=True, **given)) == "DryRunOperation", operation  # noqa: B023
    assert status(lambda: ec2.describe_regions(DryRun=True)) == 412
    assert everything(ec2) == before


def test_a_dry_run_tells_what_is_missing(ec2: Any) -> None:
    call = ec2.modify_instance_attribute
    given = {"InstanceId": "i-0123456789abcdef0", "DryRun": True}
    assert code(lambda: call(**given)) == "InvalidInstanceID.NotFound"
    given = {"GroupId": "sg-0123456789abcdef0", "VolumeId": "vol-0123456789abcdef0"}
    call = ec2.delete_volume
    assert code(lambda: call(VolumeId=given["VolumeId"], DryRun=True)) != "DryRunOperation"


def test_what_is_denied_is_refused_by_name_in_that_region(
    sandbox: Sandbox, client: Callable[..., Any]
) -> None:
    sandbox.configure(denied={"us-east-1": ["DeleteSnapshot"], "*": ["ec2:DescribeRegions"]})
    here, there = client("us-east-1"), client("eu-west-1")
    gone = {"SnapshotId": "snap-0123456789abcdef0"}
    for dry in (True, False):
        said = message(lambda: here.delete_snapshot(DryRun=dry, **gone))  # noqa: B023
        assert "is not authorized to perform: ec2:DeleteSnapshot" in said
        assert "Encoded authorization failure message: " in said
    assert status(lambda: here.delete_snapshot(**gone)) == 403
    assert code(lambda: there.delete_snapshot(**gone)) == "InvalidSnapshot.NotFound"
    assert code(there.describe_regions) == "UnauthorizedOperation"


def test_to_tag_what_one_makes_is_a_permission_of_its_own(sandbox: Sandbox, ec2: Any) -> None:
    sandbox.configure(denied={"*": ["CreateTags"]})
    given = {"AvailabilityZone": "us-east-1a", "Size": 1, "DryRun": True}
    assert code(lambda: ec2.create_volume(**given)) == "DryRunOperation"
    tagged = given | {"TagSpecifications": specification("volume", {"a": "b"})}
    assert "to perform: ec2:CreateTags" in message(lambda: ec2.create_volume(**tagged))


def test_a_role_is_named_where_it_is_refused(sandbox: Sandbox, client: Callable[..., Any]) -> None:
    sandbox.configure(denied={"*": ["DescribeVolumes"]})
    caller = client(service="sts").get_caller_identity()["Arn"]
    assert f"User: {caller} is not" in message(client().describe_volumes)


def test_other_services_can_be_denied_too(sandbox: Sandbox, client: Callable[..., Any]) -> None:
    sandbox.configure(denied={"*": ["rbin:ListRules", "iam:ListUsers", "ssm:GetParameters"]})
    rbin, iam, ssm = (client(service=name) for name in ("rbin", "iam", "ssm"))
    assert code(lambda: rbin.list_rules(ResourceType="EBS_SNAPSHOT")) == "AccessDeniedException"
    assert code(iam.list_users) == "AccessDenied"
    assert code(lambda: ssm.get_parameters(Names=["x"])) == "AccessDeniedException"
    assert iam.list_roles()["Roles"] == []


def test_the_recycle_bin_has_the_rules_of_the_settings(
    sandbox: Sandbox, client: Callable[..., Any]
) -> None:
    kept = {"days": 7, "tags": {"Earmarking": "production", "any": ""}}
    images = {"days": 1, "resource_type": "EC2_IMAGE"}
    sandbox.configure(recycle_bin={"us-east-1": [kept, images]})
    rbin = client(service="rbin")
    (rule,) = rbin.list_rules(ResourceType="EBS_SNAPSHOT")["Rules"]
    assert rule["RetentionPeriod"]["RetentionPeriodValue"] == 7
    whole = rbin.get_rule(Identifier=rule["Identifier"])
    assert whole["Status"] == "available"
    assert whole["ResourceTags"] == [
        {"ResourceTagKey": "Earmarking", "ResourceTagValue": "production"},
        {"ResourceTagKey": "any"},
    ]
    assert (
        client("eu-west-1", service="rbin").list_rules(ResourceType="EBS_SNAPSHOT")["Rules"] == []
    )
    assert code(lambda: rbin.get_rule(Identifier="00000000000")) == "ResourceNotFoundException"
    assert [call.action for call in sandbox.calls() if call.service == "rbin"][:2] == [
        "ListRules",
        "GetRule",
    ]


OURS = {"Null": {"aws:ResourceTag/ours": "false"}}


def test_policies_bind_by_resource_tags_and_conditions(
    sandbox: Sandbox, client: Callable[..., Any]
) -> None:
    placed = sandbox.load_fleet(FLEET)["us-east-1"]
    web, db = (placed[name]["instance_id"] for name in ("web-1", "web-2"))
    ec2 = client()
    ec2.create_tags(Resources=[web], Tags=[{"Key": "ours", "Value": ""}])
    at_creation = {"StringEquals": {"ec2:CreateAction": ["CreateVolume"]}}
    one_key = {"ForAllValues:StringEquals": {"aws:TagKeys": ["until"]}, **OURS}
    given = [
        {"Action": "ec2:TerminateInstances", "Resource": "arn:*:instance/*", "Condition": OURS},
        {"Action": ["ec2:CreateVolume", "ec2:Describe*"], "Resource": "*"},
        {"Action": ["ec2:CreateTags"], "Resource": "*", "Condition": at_creation},
        {"Action": ["ec2:CreateTags"], "Resource": "*", "Condition": one_key},
    ]  # fmt: skip
    sandbox.configure(policies=[{"Statement": [{"Effect": "Allow", **one} for one in given]}])

    def dry(operation: str, **parameters: Any) -> str:
        return code(lambda: getattr(ec2, operation)(DryRun=True, **parameters))

    refused, fine = "UnauthorizedOperation", "DryRunOperation"
    assert dry("terminate_instances", InstanceIds=[web]) == fine
    assert dry("terminate_instances", InstanceIds=[web, db]) == refused
    assert dry("describe_volumes") == fine
    assert dry("create_key_pair", KeyName="x") == refused
    for keys, answer in ((["until"], fine), (["until", "Name"], refused)):
        tags = [{"Key": key, "Value": "x"} for key in keys]
        assert dry("create_tags", Resources=[web], Tags=tags) == answer
    assert dry("create_tags", Resources=[db], Tags=[{"Key": "until", "Value": "x"}]) == refused
    made = {"AvailabilityZone": "us-east-1a", "Size": 1}
    tagged = {"TagSpecifications": specification("volume", {"a": "b"})}
    assert dry("create_volume", **made, **tagged) == fine
    wrong = {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Bool": {"x": "y"}}}
    with pytest.raises(SandboxError, match="Bool is not known here"):
        sandbox.configure(policies=[{"Statement": [wrong]}])


ALL = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
OUR_ROLE, THEIRS = (f"arn:aws:iam::123456789012:role/{name}" for name in ("ours-backup", "theirs"))
NOT_OURS = {"ArnNotLike": {"aws:PrincipalArn": ["arn:aws:iam::*:role/ours-*"]}}
PROTECTED = {
    "Statement": [
        {
            "Effect": "Deny",
            "Action": ["ec2:CreateTags", "ec2:DeleteTags"],
            "Resource": "*",
            "Condition": {"ForAnyValue:StringEqualsIgnoreCase": {"aws:TagKeys": ["x"]}, **NOT_OURS},
        },
        {
            "Effect": "Deny",
            "Action": "ec2:DeleteTags",
            "Resource": "*",
            "Condition": {"Null": {"aws:TagKeys": "true"}, **NOT_OURS},
        },
    ]
}


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        ("service_control_policies", "service control policy"),
        ("boundary", "permissions boundary"),
        ("policies", "identity-based policy"),
    ],
)
def test_each_layer_denies_and_has_to_allow(
    sandbox: Sandbox, client: Callable[..., Any], layer: str, name: str
) -> None:
    web = sandbox.load_fleet(FLEET)["us-east-1"]["web-1"]["instance_id"]
    ec2 = client()
    sandbox.configure(**{layer: [ALL, PROTECTED]}, principal=THEIRS)

    def tagging(operation: str, *keys: str) -> str:
        tags = {"Tags": [{"Key": key} for key in keys]} if keys else {}
        call = getattr(ec2, operation)
        return code(lambda: call(DryRun=True, Resources=[web], **tags)) or ""

    refused, fine = "UnauthorizedOperation", "DryRunOperation"
    for operation in ("create_tags", "delete_tags"):
        assert tagging(operation, "a", "b") == fine
        for keys in (["x"], ["a", "x"], ["X"]):
            assert tagging(operation, *keys) == refused
    assert tagging("delete_tags") == refused
    of_x = {"TagSpecifications": specification("volume", {"x": ""})}
    made = {"AvailabilityZone": "us-east-1a", "Size": 1, **of_x}
    said = message(lambda: ec2.create_volume(**made))
    assert "ec2:CreateTags on resource: arn:aws:ec2:us-east-1:123456789012:volume/new with" in said
    assert re.search(f"with an explicit deny in an? {name}. Encoded", said)
    sandbox.configure(principal=OUR_ROLE)
    assert tagging("create_tags", "x") == tagging("delete_tags") == fine
    sandbox.configure(**{layer: [PROTECTED]})
    assert f"because no {name} allows the ec2:DescribeVolumes" in message(ec2.describe_volumes)


def test_a_service_control_policy_binds_roles_by_their_own_arn(
    sandbox: Sandbox, client: Callable[..., Any]
) -> None:
    web = sandbox.load_fleet(FLEET)["us-east-1"]["web-1"]["instance_id"]
    sandbox.configure(service_control_policies=[ALL, PROTECTED])

    def tag(role: str) -> str | None:
        given = client(service="sts").assume_role(RoleArn=role, RoleSessionName="night")[
            "Credentials"
        ]
        keys = ("AccessKeyId", "SecretAccessKey", "SessionToken")
        names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
        session = dict(zip(names, (given[key] for key in keys), strict=True))
        ec2 = boto3.client("ec2", region_name="us-east-1", endpoint_url=sandbox.url, **session)
        return code(lambda: ec2.create_tags(Resources=[web], Tags=[{"Key": "x", "Value": ""}]))

    assert tag(THEIRS) == "UnauthorizedOperation"
    assert tag(OUR_ROLE) is None


def test_a_launch_needs_all_that_it_takes(sandbox: Sandbox, client: Callable[..., Any]) -> None:
    """That is: what it makes, each with its tags, what it is made of, and the role it is given."""
    ec2, iam = client(), client(service="iam")
    role = iam.create_role(RoleName="web", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    iam.create_instance_profile(InstanceProfileName="servers")
    iam.add_role_to_instance_profile(InstanceProfileName="servers", RoleName="web")
    demanded = {"Null": {"aws:RequestTag/Until": "false"}}
    passed = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    made = ["arn:aws:ec2:*:*:instance/*", "arn:aws:ec2:*:*:volume/*"]
    of = [f"arn:aws:ec2:*:*:{kind}/*" for kind in ("image", "network-interface", "key-pair")]
    launch, tag, give = (
        {"Effect": "Allow", "Action": action, "Resource": resource, "Condition": condition}
        for action, resource, condition in (
            ("ec2:RunInstances", made, demanded),
            ("ec2:CreateTags", "*", {"StringEquals": {"ec2:CreateAction": "RunInstances"}}),
            ("iam:PassRole", role, passed),
        )
    )
    launch_of = {"Effect": "Allow", "Action": "ec2:RunInstances", "Resource": of}
    image = ec2.describe_images(Owners=["099720109477"])["Images"][0]["ImageId"]
    ec2.create_key_pair(KeyName="i-am-a-key")

    def run(*kinds: str, **more: Any) -> str:
        tags = [one for kind in kinds for one in specification(kind, {"until": "x"})]
        given = {"ImageId": image, "MinCount": 1, "MaxCount": 1, "TagSpecifications": tags, **more}
        return message(lambda: ec2.run_instances(DryRun=True, **given)).partition(" because")[0]

    sandbox.configure(policies=[{"Statement": [launch, launch_of, tag]}])
    fine = "Request would have succeeded, but DryRun flag is set."
    assert run("instance", "volume") == fine
    assert run("instance").endswith("volume/new")
    assert run("volume").endswith("instance/new")
    assert run("instance", "volume", SecurityGroupIds=["sg-1"]).endswith("security-group/sg-1")
    with_profile = {"IamInstanceProfile": {"Name": "servers"}}
    assert run("instance", "volume", **with_profile).endswith(f"iam:PassRole on resource: {role}")
    sandbox.configure(policies=[{"Statement": [launch, launch_of, tag, give]}])
    assert run("instance", "volume", KeyName="i-am-a-key", **with_profile) == fine


def test_kms_tells_of_keys_and_whether_they_may_be_used(
    sandbox: Sandbox, client: Callable[..., Any]
) -> None:
    sandbox.configure(kms_keys=["alias/ours"], denied={"*": ["kms:CreateGrant"]})
    kms = client(service="kms")
    assert kms.describe_key(KeyId="alias/aws/ebs")["KeyMetadata"]["KeyManager"] == "AWS"
    assert kms.describe_key(KeyId="alias/ours")["KeyMetadata"]["KeyState"] == "Enabled"
    assert code(lambda: kms.describe_key(KeyId="alias/theirs")) == "NotFoundException"
    use = {"KeyId": "alias/ours", "DryRun": True}
    assert (
        code(lambda: kms.generate_data_key_without_plaintext(KeySpec="AES_256", **use))
        == "DryRunOperationException"
    )
    grant = {"GranteePrincipal": "arn:aws:iam::123456789012:root", "Operations": ["Decrypt"]}
    assert code(lambda: kms.create_grant(**grant, **use)) == "AccessDeniedException"
    assert sandbox.calls("CreateGrant")[0].parameters["DryRun"] == "true"


def test_a_reset_takes_users_and_roles_away(sandbox: Sandbox, client: Callable[..., Any]) -> None:
    iam = client(service="iam")
    iam.create_user(UserName="someone")
    sandbox.reset()
    assert iam.list_users()["Users"] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("denied", ["DeleteSnapshot"]), ("recycle_bin", {"us-east-1": [{"nonsense": 1}]})],
)
def test_settings_are_checked(sandbox: Sandbox, name: str, value: Any) -> None:
    with pytest.raises(SandboxError, match=name):
        sandbox.configure(**{name: value})
