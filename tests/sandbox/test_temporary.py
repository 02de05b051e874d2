"""What is lent for a moment is tagged from the start, and gone at the end, however that comes."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from ec2_sandbox import Sandbox

from snapback.core.leases.cloud_config import cloud_config
from snapback.core.leases.lease import CLAIMS
from snapback.core.model import Place
from snapback.core.model import tags as our_tags
from snapback.ec2 import launching
from snapback.ec2.launching import Launch
from snapback.ec2.temporary import Lender, VolumeWish
from snapback.errors import LeftBehind, SnapbackError, UsageError
from snapback.run import Run
from snapback.workers.sweep import lender_at
from tests.sandbox.conftest import Ended, World, instance

HERE = Place("us-east-1")
IMAGE = "ubuntu/images/hvm-ssd*/ubuntu-*-24.04-*-server-*"
OWN = "203.0.113.7/32"
KINDS = ("RunInstances", "CreateVolume", "CreateSecurityGroup")


class Lost(Exception):
    """Something else that goes wrong."""


def things(world: World, region: str = "us-east-1") -> list[str]:
    """Whatever there is that somebody has to pay or to clear away."""
    ec2 = world.ec2(region)
    instances = [
        said["InstanceId"]
        for reservation in ec2.describe_instances()["Reservations"]
        for said in reservation["Instances"]
        if said["State"]["Name"] not in ("terminated", "shutting-down")
    ]
    volumes = [said["VolumeId"] for said in ec2.describe_volumes()["Volumes"]]
    groups = [
        said["GroupId"]
        for said in ec2.describe_security_groups()["SecurityGroups"]
        if said["GroupName"] != "default"
    ]
    keys = [said["KeyPairId"] for said in ec2.describe_key_pairs()["KeyPairs"]]
    return [*instances, *volumes, *groups, *keys]


def tags(said: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in said.get("Tags", ())}


def wish(run: Run, lender: Lender, group_id: str, types: tuple[str, ...] = ("t3.small",)) -> Launch:
    conn = run.conn(HERE)
    return Launch(
        image=launching.newest_image(conn, HERE, "099720109477", IMAGE, "x86_64"),
        instance_types=types,
        subnets=launching.subnets_for(conn, HERE, ()),
        security_group_ids=[group_id],
        user_data=cloud_config("private", "public", "login", 60),
    )


def zone_of(world: World, instance_id: str) -> str:
    (found,) = world.ec2().describe_instances(InstanceIds=[instance_id])["Reservations"]
    return str(found["Instances"][0]["Placement"]["AvailabilityZone"])


@pytest.fixture
def lend(run: Run, world: World) -> Callable[..., None]:
    """Lends one thing of each kind, does something with them, and gives all back."""

    def lend_all(meanwhile: Callable[[], None] = lambda: None, **more: Any) -> None:
        vpc = launching.subnets_for(run.conn(HERE), HERE, ())[0].vpc_id
        with (
            lender_at(run, HERE) as lender,
            lender.security_group(vpc, [OWN]) as group_id,
            lender.instance(wish(run, lender, group_id, **more), "helper") as helper,
            lender.volume(
                VolumeWish(size_gib=1), helper, zone_of(world, helper.instance_id)
            ) as volume,
        ):
            assert volume.instance_id == helper.instance_id
            meanwhile()

    return lend_all


def test_a_helper_knows_the_zone_where_its_volumes_have_to_be(run, world):
    vpc = launching.subnets_for(run.conn(HERE), HERE, ())[0].vpc_id
    with (
        lender_at(run, HERE) as lender,
        lender.security_group(vpc, [OWN]) as group_id,
        lender.instance(wish(run, lender, group_id), "helper") as helper,
    ):
        assert helper.zone == zone_of(world, helper.instance_id) != ""


def test_all_is_tagged_in_the_call_that_creates_it(lend, run, world, sandbox):
    def look() -> None:
        ec2 = world.ec2()
        (reservation,) = ec2.describe_instances()["Reservations"]
        volumes = ec2.describe_volumes()["Volumes"]
        groups = ec2.describe_security_groups(
            Filters=[{"Name": "tag-key", "Values": [our_tags.EXPIRES]}]
        )["SecurityGroups"]
        assert len(volumes) == 2
        assert all(volume["Attachments"][0]["DeleteOnTermination"] for volume in volumes)
        assert {volume["VolumeType"] for volume in volumes} == {"gp3"}
        for said in (reservation["Instances"][0], *volumes, *groups):
            assert tags(said)[our_tags.RUN] == run.run_id
            assert tags(said)[our_tags.PURPOSE]
            left = datetime.fromisoformat(tags(said)[our_tags.EXPIRES]) - run.now(HERE)
            assert timedelta(minutes=59) < left < timedelta(minutes=61)
        (rule,) = groups[0]["IpPermissions"]
        assert (rule["FromPort"], rule["ToPort"]) == (22, 22)
        assert [one["CidrIp"] for one in rule["IpRanges"]] == [OWN]

    lend(look)
    assert "CreateTags" not in {call.action for call in sandbox.calls()}
    (launched,) = sandbox.calls("RunInstances")
    assert launched.parameters["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert launched.parameters["MetadataOptions.HttpTokens"] == "required"


@pytest.mark.parametrize("error", [None, Lost, KeyboardInterrupt])
def test_nothing_is_left_however_it_ends(lend, world, error):
    def fail() -> None:
        assert len(things(world)) == 4
        if error:
            raise error

    if error:
        with pytest.raises(error):
            lend(fail)
    else:
        lend(fail)
    assert things(world) == []


def test_nothing_is_left_where_the_run_is_asked_to_stop(lend, begin, world, run):
    def stop() -> None:
        run.stop.set()
        raise Lost

    with pytest.raises(Lost):
        lend(stop)
    assert things(world) == []


@pytest.mark.parametrize("effect", ["error", "drop_after"])
@pytest.mark.parametrize(
    "action",
    [
        "CreateSecurityGroup",
        "AuthorizeSecurityGroupIngress",
        "RunInstances",
        "CreateVolume",
        "AttachVolume",
        "ModifyInstanceAttribute",
        "DescribeInstances",
        "DescribeVolumes",
    ],
)
def test_a_call_that_always_fails_leaves_nothing(lend, world, sandbox, action, effect):
    sandbox.fault(
        action,
        effect,
        count=4 if action.startswith("Describe") else None,
        code="Unsupported" if effect == "error" else None,
    )
    with suppress(SnapbackError):
        lend()
    sandbox.clear_faults()
    assert things(world) == []


@pytest.mark.parametrize(
    "action",
    [
        "CreateSecurityGroup",
        "AuthorizeSecurityGroupIngress",
        "RunInstances",
        "CreateVolume",
        "AttachVolume",
        "ModifyInstanceAttribute",
        "DetachVolume",
        "DeleteVolume",
        "TerminateInstances",
        "DeleteSecurityGroup",
    ],
)
def test_a_lost_answer_makes_nothing_twice(lend, world, sandbox, action):
    sandbox.fault(action, "drop_after")
    lend(lambda: [None for _ in [0] if len(things(world)) != 4] and pytest.fail("made twice"))
    assert things(world) == []


def test_where_there_is_no_capacity_the_next_zone_and_type_are_tried(lend, world, sandbox):
    sandbox.fault("RunInstances", "error", code="InsufficientInstanceCapacity", count=7)
    lend(types=("t3.small", "m5.large"))
    zones = [
        (call.parameters["InstanceType"], call.parameters["SubnetId"])
        for call in sandbox.calls("RunInstances")
    ]
    assert len(set(zones)) == 8
    assert [kind for kind, _ in zones] == ["t3.small"] * 6 + ["m5.large"] * 2
    assert things(world) == []


def test_what_cant_be_taken_down_is_told(lend, world, sandbox, run):
    sandbox.fault("DeleteSecurityGroup", "error", code="DependencyViolation", count=None)
    with pytest.raises(LeftBehind) as caught:
        lend()
    (left,) = caught.value.left
    assert left[0].resource_id == things(world)[0]
    assert f"fab sweep --run {run.run_id}" in str(caught.value)
    assert caught.value.exit_code == 4


def test_what_else_went_wrong_is_told_with_it(lend, sandbox):
    sandbox.fault("DeleteSecurityGroup", "error", code="DependencyViolation", count=None)

    def fail() -> None:
        raise Lost("first this")

    with pytest.raises(LeftBehind, match=r"first this; and left behind: security group sg-"):
        lend(fail)


def test_a_group_that_is_still_in_use_is_waited_for(lend, world, sandbox):
    sandbox.fault("DeleteSecurityGroup", "error", code="DependencyViolation", count=5)
    lend()
    assert things(world) == []


def test_a_volume_that_does_not_detach_goes_with_its_instance(lend, world, sandbox):
    sandbox.fault("DetachVolume", "error", code="IncorrectState", count=None)
    lend()
    assert things(world) == []


def test_a_volume_whose_key_can_not_be_used_is_told_at_once(run, world, sandbox):
    sandbox.configure(kms_keys=["alias/other"])
    wanted = VolumeWish(size_gib=1, encrypted=True, kms_key_id="alias/backup")
    vpc = launching.subnets_for(run.conn(HERE), HERE, ())[0].vpc_id
    with (
        pytest.raises(SnapbackError, match="its KMS key can't be used"),
        lender_at(run, HERE) as lender,
        lender.security_group(vpc, [OWN]) as group_id,
        lender.instance(wish(run, lender, group_id), "helper") as helper,
        lender.volume(wanted, helper, zone_of(world, helper.instance_id)),
    ):
        pass
    assert things(world) == []


def test_the_lease_is_renewed(run, world, sandbox):
    vpc = launching.subnets_for(run.conn(HERE), HERE, ())[0].vpc_id
    with lender_at(run, HERE) as lender, lender.security_group(vpc, [OWN]) as group_id:
        sandbox.advance(1800)
        run.conn(HERE).describe_regions()  # whose answer tells the time
        lender.renew()
        (said,) = world.ec2().describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
        left = datetime.fromisoformat(tags(said)[our_tags.EXPIRES]) - sandbox.now()
        assert timedelta(minutes=59) < left < timedelta(minutes=61)


def test_an_unknown_subnet_is_refused(run):
    with pytest.raises(UsageError, match="no subnet subnet-1 in us-east-1"):
        launching.subnets_for(run.conn(HERE), HERE, ["subnet-1"])


# fab sweep


@pytest.fixture
def left(run: Run, lend: Callable[..., None], sandbox: Sandbox) -> Run:
    """A run that was killed, as EC2 sees it: nothing could be taken back."""
    for action in ("DetachVolume", "DeleteVolume", "TerminateInstances", "DeleteSecurityGroup"):
        sandbox.fault(action, "error", code="UnauthorizedOperation", count=None)
    with pytest.raises(LeftBehind):
        lend()
    sandbox.clear_faults()
    conn = run.conn(HERE)
    conn.create_key_pair(
        KeyName=f"{CLAIMS}0123456789abcdef",
        TagSpecifications=[
            {
                "ResourceType": "key-pair",
                "Tags": [
                    {"Key": our_tags.RUN, "Value": run.run_id},
                    {"Key": our_tags.PURPOSE, "Value": "claim"},
                    {"Key": our_tags.LENT, "Value": "0123456789abcdef"},
                    {
                        "Key": our_tags.EXPIRES,
                        "Value": (sandbox.now() - timedelta(seconds=2)).isoformat(),
                    },
                ],
            }
        ],
    )
    return run


def swept(ended: Ended) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for item in ended.document["items"]:
        found.setdefault(item["outcome"], []).append(item["kind"])
    return found


def test_what_has_expired_is_swept_and_what_is_in_use_is_not(left, fab, world, sandbox, load):
    load(instance("web", 8))
    before = fab("sweep", "--json")
    assert before.code == 0
    assert swept(before) == {"deleted": ["key pair"]}
    sandbox.advance(3700)
    ended = fab("sweep", "--region-name", "us-east-1", "--json")
    assert ended.code == 0
    kinds = swept(ended)
    assert kinds == {"deleted": ["instance", "volume", "volume", "security group"]}
    assert len(things(world)) == 2, "somebody else's instance and its volume"


def test_a_runs_things_are_swept_at_once(left, fab, world):
    assert fab("sweep", "--run", "run-of-somebody").code == 0
    assert len(things(world)) == 5
    ended = fab("sweep", "--run", left.run_id)
    assert ended.code == 0
    assert "5 removed" in ended.out
    assert things(world) == []


def test_a_dry_run_sweeps_nothing(left, fab, world):
    before = things(world)
    ended = fab("sweep", "--dry-run", "--json")
    assert swept(ended)["in use"] == ["instance", "volume", "volume", "security group"]
    assert swept(ended)["would do"] == ["key pair"]
    assert things(world) == before


def test_what_only_looks_like_ours_is_left_alone(fab, world, sandbox):
    made = world.ec2().create_volume(
        AvailabilityZone="us-east-1a",
        Size=1,
        TagSpecifications=[
            {
                "ResourceType": "volume",
                "Tags": [{"Key": our_tags.EXPIRES, "Value": "yesterday"}],
            }
        ],
    )
    ended = fab("sweep", "--json")
    assert ended.code == 0
    assert ended.item(made["VolumeId"])["outcome"] == "not ours"
    assert things(world) == [made["VolumeId"]]


def test_what_cant_be_swept_ends_with_4(left, fab, sandbox, world):
    sandbox.fault("DeleteKeyPair", "error", code="UnauthorizedOperation", count=None)
    ended = fab("sweep", "--run", left.run_id, "--json")
    assert ended.code == 4
    assert json.dumps(ended.document["items"]).count("left behind") == 1
    assert "not allowed to call ec2:DeleteKeyPair" in ended.err
