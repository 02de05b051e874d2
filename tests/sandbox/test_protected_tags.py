"""Who can set our tags: attacks that are bound by the policies that the documents give.

Each attack is a call that EC2 would carry out for whoever may do anything with EC2, and refuses him
once the policy binds him. Dry runs ask for it, so nothing changes from one attack to the next.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from ec2_sandbox import Sandbox

from snapback.core.model import tags as our_tags
from tests.sandbox.conftest import World, instance
from tests.sandbox.permissions import ALL, FOLDER, OUR_ROLE, PROTECT_TAGS, bound_as, bound_by
from tests.sandbox.replicas import EAST, WEST, sets

ATTACKER = "arn:aws:iam::123456789012:role/developer"
FINE = "DryRunOperation"
BY_CONTROL_POLICY = "with an explicit deny in a service control policy"
BY_BOUNDARY = "with an explicit deny in a permissions boundary"
NOT_ALLOWED = "because no identity-based policy allows"
PEOPLES = ("snapback:exclude", "snapback:keep")
OURS = sorted(
    {
        *(
            key
            for key in vars(our_tags).values()
            if isinstance(key, str) and our_tags.is_ours([key])
        ),
        *our_tags.write_long(our_tags.DEVICES, "x" * 600),
        *our_tags.write_long(our_tags.RESTORE, "x" * 600),
    }
    - {our_tags.OURS}
)
PERIODS = ("hourly", "daily", "weekly", "monthly", "quarterly", "yearly")
LEFT_BY_OTHERS = {"every": "1d", "from": "2d", "until": "1d", "description": "of the vendor"}


def tags(*keys: str) -> dict[str, Any]:
    return {"Tags": [{"Key": key, "Value": "x"} for key in keys]}


def specified(*keys: str, kinds: tuple[str, ...] = ("snapshot",)) -> dict[str, Any]:
    return {"TagSpecifications": [{"ResourceType": kind, **tags(*keys)} for kind in kinds]}


class Caller:
    """Whoever has the sandbox's own access key, and what there is for him to lay hands on."""

    def __init__(self, world: World, ids: dict[str, Any]) -> None:
        self.instance, self.volume = ids["instance_id"], ids["volumes"]["/dev/sda1"]
        one = world.snapshots()
        self.ours = next(s["SnapshotId"] for s in one if our_tags.SET in world.tags(s))
        self.others = next(s["SnapshotId"] for s in one if our_tags.SET not in world.tags(s))
        self._clients = {region: boto3.client("ec2", region) for region in (EAST, WEST)}
        self.image = world.ec2().describe_images(Owners=["099720109477"])["Images"][0]["ImageId"]

    def can(self, operation: str, region: str = EAST, **parameters: Any) -> str:
        """Return what EC2 says to a call: that it would succeed, or by what it is refused."""
        try:
            getattr(self._clients[region], operation)(DryRun=True, **parameters)
        except ClientError as error:
            said = error.response["Error"]
            if said["Code"] == FINE:
                return FINE
            return str(said["Message"])
        raise AssertionError(f"{operation} was no dry run")

    def sets_tags(self, *keys: str) -> Iterator[str]:
        """Return what EC2 says to each way of giving tags to what there is or what is made."""
        for resource in (self.ours, self.others, self.instance, self.volume):
            yield self.can("create_tags", Resources=[resource], **tags(*keys))
            yield self.can("delete_tags", Resources=[resource], **tags(*keys))
        yield from self.makes_snapshots(*keys)
        of_it = specified(*keys, kinds=("volume",))
        yield self.can("create_volume", AvailabilityZone=f"{EAST}a", Size=1, **of_it)
        of_it = specified(*keys, kinds=("instance",))
        yield self.can("run_instances", ImageId=self.image, MinCount=1, MaxCount=1, **of_it)
        of_it = specified(*keys, kinds=("key-pair",))
        yield self.can("create_key_pair", KeyName="snapback-claim-x", **of_it)

    def makes_snapshots(self, *keys: str) -> Iterator[str]:
        """Return what EC2 says to each way of giving tags to a snapshot as it is made."""
        of_it = specified(*keys)
        forged = {"Description": '{"Volume": "vol-0123456789abcdef0"}', **of_it}
        yield self.can("create_snapshot", VolumeId=self.volume, **forged)
        whole = {"InstanceSpecification": {"InstanceId": self.instance}}
        yield self.can("create_snapshots", **whole, **forged)
        source = {"SourceRegion": EAST, "SourceSnapshotId": self.ours}
        yield self.can("copy_snapshot", WEST, **source, **forged)


@pytest.fixture
def caller(world: World, load: Callable[..., Any]) -> Caller:
    ids = load(instance("web", 8, history=[sets(3)]), instance("db", 8, history=[LEFT_BY_OTHERS]))
    return Caller(world, ids["web"])


def test_the_policy_is_one_that_aws_takes() -> None:
    assert len(json.dumps(PROTECT_TAGS, separators=(",", ":"))) <= 5120
    for statement in PROTECT_TAGS["Statement"]:
        assert statement["Effect"] == "Deny"
        assert "aws:PrincipalArn" in statement["Condition"]["ArnNotLike"]


@pytest.mark.parametrize(
    ("layer", "why", "keys"),
    [("service_control_policies", BY_CONTROL_POLICY, OURS), ("boundary", BY_BOUNDARY, OURS[-1:])],
    ids=["service control policy", "permissions boundary"],
)
def test_only_our_roles_set_or_remove_our_tags(
    sandbox: Sandbox, caller: Caller, layer: str, why: str, keys: list[str]
) -> None:
    assert set(caller.sets_tags(*OURS[:1])) == {FINE}  # with nothing that binds him
    with bound_as(sandbox, ATTACKER, policies=[ALL], **{layer: [ALL, PROTECT_TAGS]}):
        for key in (*keys, "SNAPBACK:SET", "Snapback:Expires"):
            assert all(why in said for said in caller.sets_tags(key)), key
        for both in (("Name", "snapback:set"), ("snapback:keep", "snapback:verified")):
            assert all(why in said for said in caller.sets_tags(*both)), both
        assert set(caller.sets_tags("Earmarking", "Name", *PEOPLES)) == {FINE}
        for resource in (caller.ours, caller.instance, caller.volume):
            assert why in caller.can("delete_tags", Resources=[resource])
    with bound_as(sandbox, OUR_ROLE, policies=[ALL], **{layer: [ALL, PROTECT_TAGS]}):
        assert set(caller.sets_tags(*OURS[:9], "Retention")) == {FINE}


def test_only_our_roles_say_by_which_retention_snapshots_are_trimmed(
    sandbox: Sandbox, caller: Caller
) -> None:
    attacks = (
        lambda: caller.can("create_tags", Resources=[caller.ours], **tags("Retention")),
        lambda: caller.can("delete_tags", Resources=[caller.ours], **tags("Name", "Retention")),
        lambda: caller.can("create_tags", Resources=[caller.others], **tags("Retention")),
        lambda: caller.can("create_snapshot", VolumeId=caller.volume, **specified("Retention")),
    )
    assert {attack() for attack in attacks} == {FINE}
    both = [ALL, PROTECT_TAGS]
    with bound_as(sandbox, ATTACKER, policies=[ALL], service_control_policies=both):
        for attack in (*attacks, lambda: next(caller.makes_snapshots("Retention"))):
            assert BY_CONTROL_POLICY in attack()
        of_servers = [caller.instance, caller.volume]
        assert caller.can("create_tags", Resources=of_servers, **tags("Retention")) == FINE


def test_an_attack_by_retention_ends_at_the_policy(
    sandbox: Sandbox, world: World, load: Any, fab: Any, configure: Any
) -> None:
    configure(
        retention={"daily": 90},
        retentions={"short": {**dict.fromkeys(PERIODS, 0), "daily": 1}},
        max_delete=100,
    )
    load(instance("web", 8, history=[sets(12)]))
    newest = max(world.snapshots(), key=lambda one: one["StartTime"])["SnapshotId"]
    ec2 = boto3.client("ec2", EAST)

    def attack() -> None:
        ec2.create_tags(Resources=[newest], Tags=[{"Key": "Retention", "Value": "short"}])

    def doomed() -> int:
        return len(fab("trim_snapshots", "--dry-run", "--json").document["items"])

    both = [ALL, PROTECT_TAGS]
    with (
        bound_as(sandbox, ATTACKER, policies=[ALL], service_control_policies=both),
        pytest.raises(ClientError, match=BY_CONTROL_POLICY),
    ):
        attack()
    assert doomed() == 0
    attack()
    assert doomed() == 11


def test_what_the_role_that_backs_up_can_steer(sandbox: Sandbox, caller: Caller) -> None:
    """It writes what the next backups say, but changes no record that is there."""
    whole = {"InstanceSpecification": {"InstanceId": caller.instance}}

    def takes(*keys: str) -> str:
        return caller.can("create_snapshots", **whole, Description="forged", **specified(*keys))

    def tags_later(*keys: str, of: str = caller.ours) -> str:
        return caller.can("create_tags", Resources=[of], **tags(*keys))

    with bound_by(sandbox, "backup_instances_by_tag", "status", "check"):
        assert takes("snapback:set", "snapback:account", "snapback:consistency", "Name") == FINE
        assert tags_later("snapback:consistency", "snapback:devices.2", "Retention") == FINE
        for key in ("snapback:keep", "snapback:source", "snapback:verified"):
            assert NOT_ALLOWED in takes("snapback:set", key), key
        fixed = ("account", "keep", "restore", "restore.2", "run", "set", "source", "verified")
        for name in fixed:
            assert NOT_ALLOWED in tags_later(f"snapback:{name}", "Name"), name
        for resource in (caller.others, caller.instance, caller.volume):
            assert NOT_ALLOWED in tags_later("Name", of=resource)
        source = {"SourceRegion": EAST, "SourceSnapshotId": caller.ours}
        of_it = {"VolumeId": caller.volume}
        refused = [
            caller.can("delete_snapshot", SnapshotId=caller.ours),
            caller.can("delete_tags", Resources=[caller.ours], **tags("Name")),
            caller.can("copy_snapshot", WEST, **source),
            caller.can("create_snapshot", **of_it),
            caller.can("create_volume", AvailabilityZone=f"{EAST}a", SnapshotId=caller.ours),
        ]
        assert all(NOT_ALLOWED in said for said in refused), refused


def test_the_role_that_backs_up_is_bound_to_what_is_earmarked(
    sandbox: Sandbox, world: World, load: Any, fab: Any
) -> None:
    """By the statements that the documents show instead of one of its policy."""
    page = (FOLDER.parent / "iam.md").read_text()
    narrowed = json.loads(
        page.partition("divide its statement `Take`:\n\n```json\n")[2].partition("```")[0]
    )
    policy = json.loads((FOLDER / "backup_instances_by_tag.json").read_text())
    kept = [one for one in policy["Statement"] if one["Sid"] != "Take"]
    marked = {"device": "/dev/sda1", "size": 8, "tags": {"Earmarking": "production"}}
    ids = load(instance("web", volumes=[marked]), instance("own", 1, tags={"Name": "own"}))
    ec2 = boto3.client("ec2", EAST)
    with bound_as(sandbox, OUR_ROLE, policies=[{"Statement": [*kept, *narrowed]}]):
        assert fab("backup_instances_by_tag").code == 0
        for left_unmarked in ("own", "web"):
            of_it = {"InstanceId": ids[left_unmarked]["instance_id"]}
            with pytest.raises(ClientError, match=NOT_ALLOWED):
                ec2.create_snapshots(InstanceSpecification=of_it)
            unmarked = {"Resources": [ids["web"]["volumes"]["/dev/sda1"]]}
            world.ec2().delete_tags(**unmarked, Tags=[{"Key": "Earmarking"}])


@pytest.mark.parametrize("policy", ["verify_snapshot", "verify_region"])
def test_a_verdict_is_written_on_snapshots_of_ours_only(
    sandbox: Sandbox, caller: Caller, policy: str
) -> None:
    with bound_by(sandbox, policy):
        verdict = tags("snapback:verified")
        assert caller.can("create_tags", Resources=[caller.ours], **verdict) == FINE
        assert NOT_ALLOWED in caller.can("create_tags", Resources=[caller.others], **verdict)
        both = tags("snapback:verified", "snapback:consistency")
        assert NOT_ALLOWED in caller.can("create_tags", Resources=[caller.ours], **both)


def test_what_is_lent_is_created_with_its_expiry_only(sandbox: Sandbox, caller: Caller) -> None:
    disk = {"AvailabilityZone": f"{EAST}a", "Size": 1}
    root = [{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": caller.ours}}]
    image = {"Name": "some", "RootDeviceName": "/dev/sda1", "BlockDeviceMappings": root}
    server = {"ImageId": caller.image, "MinCount": 1, "MaxCount": 1}
    group = {"GroupName": "x", "Description": "x"}
    volume, launched = ("volume",), ("instance", "volume")
    made: list[tuple[str, str, dict[str, Any], tuple[str, ...]]] = [
        ("temporary_instances", "create_security_group", group, ("security-group",)),
        ("temporary_instances", "create_volume", disk, volume),
        ("temporary_instances", "create_volume", {**disk, "SnapshotId": caller.ours}, volume),
        ("temporary_instances", "run_instances", server, launched),
        ("restore_volume", "create_volume", {**disk, "SnapshotId": caller.ours}, volume),
        ("restore_instance", "register_image", image, ("image",)),
        ("restore_instance", "run_instances", server, launched),
        ("restore_instances_by_tag", "register_image", image, ("image",)),
        ("restore_instances_by_tag", "run_instances", server, launched),
        ("rsync_engine", "create_key_pair", {"KeyName": "snapback-claim-x"}, ("key-pair",)),
    ]
    for policy, operation, given, kinds in made:
        with bound_by(sandbox, policy):
            fully = caller.can(operation, **given, **specified("snapback:expires", kinds=kinds))
            assert fully == FINE, (policy, operation)
            for less in (
                {},
                specified("snapback:run", kinds=kinds),
                *(specified("snapback:expires", kinds=(kind,)) for kind in kinds if kinds[1:]),
            ):
                assert NOT_ALLOWED in caller.can(operation, **given, **less), (policy, operation)


def test_an_instance_profile_is_given_where_its_role_is_named_only(
    sandbox: Sandbox, caller: Caller
) -> None:
    iam = boto3.client("iam", EAST)
    for name in ("web", "admin"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
        iam.create_instance_profile(InstanceProfileName=name)
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    lent = specified("snapback:expires", kinds=("instance", "volume"))

    def launches(profile: str) -> str:
        given = {"ImageId": caller.image, "MinCount": 1, "MaxCount": 1, **lent}
        return caller.can("run_instances", IamInstanceProfile={"Name": profile}, **given)

    with bound_by(sandbox, "restore_instance"):
        assert "to perform: iam:PassRole on resource" in launches("web")
    for task in ("restore_instance", "restore_instances_by_tag"):
        with bound_by(sandbox, task, "instance_profile"):
            assert launches("web") == FINE
            assert "iam:PassRole" in launches("admin")
