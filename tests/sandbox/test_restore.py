"""Restores as one types them: what is made, and of what; and what is left of one that failed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest

from snapback import restore_instance
from snapback.core.model import Place
from snapback.core.model import tags as our_tags
from snapback.core.model.digest import Digest
from snapback.core.model.reasons import Reason
from snapback.core.model.verdicts import VerdictKind, Verified, write_verdict
from snapback.errors import ItemsFailed, UsageError
from snapback.snapshots.catalog import all_snapshots
from snapback.verify.copies import copies_elsewhere
from snapback.words import Word
from tests.sandbox.conftest import changing_calls, instance
from tests.sandbox.replicas import EAST, WEST
from tests.sandbox.test_temporary import things

IO2 = {
    "device": "/dev/sdf",
    "size": 20,
    "type": "gp2",
    "encrypted": True,
    "tags": {"Role": "data"},
}
ROOT = {"device": "/dev/sda1", "size": 8, "delete_on_termination": True}


@pytest.fixture
def web(load, fab, sandbox) -> dict[str, Any]:
    """An instance with two volumes, backed up."""
    ids = load(instance("web", type="m5.xlarge", volumes=[ROOT, IO2]))["web"]
    assert fab("backup_instances_by_tag").code == 0
    sandbox.complete_all()
    sandbox.clear_calls()
    return ids


def taken_of(world, volume_id: str, region: str = EAST) -> str:
    (found,) = [s["SnapshotId"] for s in world.snapshots(region) if s["VolumeId"] == volume_id]
    return found


def instances(world, region: str = EAST) -> dict[str, dict[str, Any]]:
    return {
        said["InstanceId"]: said
        for reservation in world.ec2(region).describe_instances()["Reservations"]
        for said in reservation["Instances"]
        if said["State"]["Name"] == "running"
    }


def volume(world, volume_id: str, region: str = EAST) -> dict[str, Any]:
    (found,) = world.ec2(region).describe_volumes(VolumeIds=[volume_id])["Volumes"]
    return found


def images(world, region: str = EAST) -> list[dict[str, Any]]:
    return world.ec2(region).describe_images(Owners=["self"])["Images"]


def everything(world, region: str = EAST) -> list[str]:
    return [*things(world, region), *(image["ImageId"] for image in images(world, region))]


def restored_to(world, ended, region: str = EAST) -> dict[str, Any]:
    """What a restore has made of its one instance, as EC2 tells it."""
    (item,) = ended.document["items"]
    return instances(world, region)[item["made"]]


def into(world, region: str = WEST) -> dict[str, Any]:
    """A configuration that says where things of another region go."""
    ec2 = world.ec2(region)
    subnet = ec2.describe_subnets()["Subnets"][1]["SubnetId"]
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    maps = {"subnets": {"*": subnet}, "security_groups": {"*": group}}
    return {"restore": {"into": {region: maps}}}


def replicate(fab) -> None:
    assert fab("rsync_region", EAST, WEST, "--engine=copy", "--synchronously").code == 0


# Volumes.


def test_a_volume_is_made_as_the_original_was(web, fab, world):
    of = web["volumes"]["/dev/sdf"]
    ended = fab("restore_volume", "--volume-id", of, "--json")
    assert ended.code == 0, ended
    (item,) = ended.document["items"]
    made, original = volume(world, item["made"]), volume(world, of)
    for what in ("VolumeType", "Size", "AvailabilityZone", "Encrypted", "KmsKeyId"):
        assert made[what] == original[what]
    assert made["State"] == "available"
    tags = world.tags(made)
    snapshot = taken_of(world, of)
    assert tags["Role"] == "data"
    assert tags["snapback:restored"].startswith(f"{of} as of ")
    assert tags["snapback:restored"].endswith(f" UTC from {snapshot}")
    assert not {our_tags.EXPIRES, our_tags.LENT, our_tags.PURPOSE} & tags.keys()


def test_a_dry_run_makes_nothing_and_says_all(web, fab, sandbox):
    ended = fab("restore_volume", "--volume-id", web["volumes"]["/dev/sda1"], "--dry-run")
    assert ended.code == 0
    assert "gp3 3000 IOPS 125 MiB/s, as the original" in ended.out
    assert "where the original was" in ended.out
    assert changing_calls(sandbox) == []


def test_it_is_attached_where_there_is_room(web, fab, world):
    given = ("restore_volume", "--volume-id", web["volumes"]["/dev/sdf"], "--json")
    attach = ("--attach", web["instance_id"])
    ended = fab(*given, *attach)
    assert ended.code == 0, ended
    (held,) = volume(world, ended.document["items"][0]["made"])["Attachments"]
    assert (held["InstanceId"], held["Device"]) == (web["instance_id"], "/dev/sdg")
    assert not held["DeleteOnTermination"]
    before = everything(world)
    for taken in ("/dev/sdf", "/dev/xvdf", "/dev/sdg"):
        ended = fab(*given, *attach, "--device", taken)
        assert ended.code == 2
        assert f"{taken} is taken on {web['instance_id']}" in ended.err
    assert everything(world) == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "exactly one of"),
        (("--snapshot-id=snap-0123456789abcdef0", "--volume-id=vol-0123456789abcdef0"), "exactly"),
        (("--snapshot-id=snap-0123456789abcdef0",), "there is no snapshot"),
        (("--snapshot-id=snap-0123456789abcdef0", "--at=2026-11-01"), "--at is for --volume-id"),
        (("--snapshot-id=vol-1",), "is no snapshot id"),
        (("--volume-id=vol-0123456789abcdef0",), "there is no snapshot with a record of"),
        (("--volume-id=vol-0123456789abcdef0", "--at=tomorrow"), "expected a time like"),
        (("--volume-id=x; rm -rf /",), "is no volume id"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(load, fab, sandbox, options, says):
    load(instance("web"))
    ended = fab("restore_volume", *options)
    assert ended.code == 2
    assert says in ended.err
    assert len(ended.err.splitlines()) == 1
    assert changing_calls(sandbox) == []


def test_a_replica_needs_to_be_told_its_zone(web, fab, world):
    replicate(fab)
    of = web["volumes"]["/dev/sdf"]
    ended = fab("restore_volume", "--volume-id", of, "--region-name", WEST)
    assert ended.code == 2
    assert "in which zone? Give --zone" in ended.err
    ended = fab("restore_volume", "--volume-id", of, f"--region-name={WEST}", "--zone=eu-west-1b",
                "--json")  # fmt: skip
    assert ended.code == 0, ended
    made = volume(world, ended.document["items"][0]["made"], WEST)
    assert (made["AvailabilityZone"], made["VolumeType"]) == ("eu-west-1b", "gp2")
    assert made["Encrypted"]


# Instances.


def test_an_instance_is_restored_as_it_was(web, fab, world):
    before = instances(world)[web["instance_id"]]
    ended = fab("restore_instance", "--instance-id", web["instance_id"], "--json")
    assert ended.code == 0, ended
    made = restored_to(world, ended)
    for what in ("InstanceType", "SubnetId", "SecurityGroups", "Architecture", "RootDeviceName",
                 "VirtualizationType", "EnaSupport"):  # fmt: skip
        assert made[what] == before[what]
    assert made["BootMode"] == before["CurrentInstanceBootMode"]
    tags = world.tags(made)
    assert (tags["Name"], tags["Earmarking"]) == ("web", "production")
    assert "Role" not in tags
    assert tags["snapback:restored"].startswith(f"{web['instance_id']} as of ")
    mappings = {m["DeviceName"]: m["Ebs"] for m in made["BlockDeviceMappings"]}
    assert {d: m["DeleteOnTermination"] for d, m in mappings.items()} == {
        "/dev/sda1": True,
        "/dev/sdf": False,
    }
    for device, of in web["volumes"].items():
        one, original = volume(world, mappings[device]["VolumeId"]), volume(world, of)
        assert one["SnapshotId"] == taken_of(world, of)
        assert (one["VolumeType"], one["Size"]) == (original["VolumeType"], original["Size"])
        assert world.tags(one)["snapback:restored"].startswith(f"{of} as of ")
        assert our_tags.EXPIRES not in world.tags(one)
    assert images(world) == []
    assert instances(world)[web["instance_id"]] == before


def test_nothing_of_it_is_swept_and_it_can_be_backed_up(web, fab, world, sandbox):
    assert fab("restore_instance", "--instance-id", web["instance_id"]).code == 0
    sandbox.advance(86_400)
    before = everything(world)
    assert "0 removed" in fab("sweep").out
    assert everything(world) == before
    ended = fab("backup_instances_by_tag", "--json")
    assert ended.code == 0
    tags = [world.tags(s) for s in world.snapshots()]
    assert len(tags) == 6
    assert not any(our_tags.RESTORED in one for one in tags)


def test_what_is_given_goes_before_what_was(web, fab, world):
    ec2 = world.ec2()
    subnet = ec2.describe_subnets()["Subnets"][2]
    group = ec2.create_security_group(GroupName="quiet", Description="x", VpcId=subnet["VpcId"])
    ec2.create_key_pair(KeyName="spare")
    ended = fab(
        "restore_instance", "--instance-id", web["instance_id"], "--subnet-id", subnet["SubnetId"],
        "--security-group-ids", group["GroupId"], "--key-name", "spare", "--instance-type",
        "m5.2xlarge", "--json",
    )  # fmt: skip
    assert ended.code == 0, ended
    made = restored_to(world, ended)
    assert made["SubnetId"] == subnet["SubnetId"]
    assert made["KeyName"] == "spare"
    assert made["InstanceType"] == "m5.2xlarge"
    assert [one["GroupName"] for one in made["SecurityGroups"]] == ["quiet"]


# Rights: whoever may tag a snapshot names any.


@pytest.fixture
def admin(sandbox, world) -> str:
    """The ARN of an instance profile; and in both regions mallory has a key pair."""
    for region in (EAST, WEST):
        world.ec2(region).create_key_pair(KeyName="mallory")
    iam = boto3.client("iam", region_name=EAST)
    return iam.create_instance_profile(InstanceProfileName="admin")["InstanceProfile"]["Arn"]


def say_in_tags(world, region: str = EAST, **lies: Any) -> None:
    """Write into the tags of all snapshots of a region what a restore is to believe."""
    for snapshot in world.snapshots(region):
        told = our_tags.read_long(our_tags.RESTORE, world.tags(snapshot)) | lies
        tags = our_tags.write_long(our_tags.RESTORE, told)
        world.ec2(region).create_tags(
            Resources=[snapshot["SnapshotId"]],
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )


def test_rights_that_a_tag_names_are_left_out_until_they_are_asked_for(
    web, fab, world, sandbox, admin
):
    say_in_tags(world, instance_profile=admin, key_name="mallory")
    sandbox.clear_calls()
    one = ("restore_instance", f"--instance-id={web['instance_id']}")
    told = f"no instance profile ({admin} is recorded: --instance-profile as-recorded takes it)"
    ended = fab(*one, "--dry-run")
    assert ended.code == 0, ended
    assert told in ended.out
    assert "no key pair (mallory is recorded: --key-name as-recorded takes it)" in ended.out
    assert changing_calls(sandbox) == []
    ended = fab(*one)
    assert ended.code == 0, ended
    assert told in ended.out
    assert "1 of 1 restored, 1 without the instance profile that is recorded" in ended.out
    for options, profile, key in (
        ((), None, None),
        (("--instance-profile=none",), None, None),
        (("--instance-profile=as-recorded",), admin, None),
        (("--instance-profile=admin", "--key-name=as-recorded"), admin, "mallory"),
    ):
        ended = fab(*one, *options, "--json")
        assert ended.code == 0, ended
        made = restored_to(world, ended)
        assert made.get("IamInstanceProfile", {}).get("Arn") == profile
        assert made.get("KeyName") == key
        recorded = {"instance_profile": admin, "key_name": "mallory"}
        taken = {"instance_profile": profile, "key_name": key}
        (item,) = ended.document["items"]
        assert item["left_out"] == {r: n for r, n in recorded.items() if not taken[r]}
        assert (told in item["explanation"]) == (profile is None)
    assert fab("backup_instance", EAST, f"--instance-id={made['InstanceId']}").code == 0
    newest = max(world.snapshots(), key=lambda snapshot: snapshot["StartTime"])
    told_anew = our_tags.read_long(our_tags.RESTORE, world.tags(newest))
    assert (told_anew["instance_profile"], told_anew["key_name"]) == (admin, "mallory")


def test_what_can_be_no_instance_profile_is_refused_before_anything_is_made(
    web, fab, world, sandbox
):
    one = ("restore_instance", f"--instance-id={web['instance_id']}")
    for task in (one, ("restore_instances_by_tag", WEST)):
        for name in ("", "$(id)", "web\n2", "arn:aws:iam::111122223333:role/admin"):
            ended = fab(*task, f"--instance-profile={name}")
            assert ended.code == 2
            assert "--instance-profile: expected an instance profile's name or ARN" in ended.err
            assert len(ended.err.splitlines()) == 1
    say_in_tags(world, instance_profile="$(id)", key_name="-x\x1b[2J")
    sandbox.clear_calls()
    ended = fab(*one, "--instance-profile=as-recorded", "--key-name=as-recorded")
    assert ended.code == 2
    assert "no instance profile can be $(id), which is recorded: give --instance" in ended.err
    assert changing_calls(sandbox) == []
    ended = fab(*one, "--json")
    assert ended.code == 0, ended
    assert ended.document["items"][0]["left_out"] == {"instance_profile": "$(id)"}
    assert "IamInstanceProfile" not in restored_to(world, ended)


def test_of_many_too_rights_are_left_out_until_they_are_asked_for(
    web, fab, world, configure, admin
):
    replicate(fab)
    say_in_tags(world, WEST, instance_profile=admin, key_name="mallory")
    configure(**into(world))
    ended = fab("restore_instances_by_tag", WEST, "--json")
    assert ended.code == 0, ended
    made = restored_to(world, ended, WEST)
    assert not {"IamInstanceProfile", "KeyName"} & made.keys()
    assert "as-recorded takes it" in ended.document["items"][0]["explanation"]
    world.ec2(WEST).terminate_instances(InstanceIds=[made["InstanceId"]])
    rights = ("--instance-profile=as-recorded", "--key-name=as-recorded")
    ended = fab("restore_instances_by_tag", WEST, *rights, "--json")
    assert ended.code == 0, ended
    made = restored_to(world, ended, WEST)
    assert (made["IamInstanceProfile"]["Arn"], made["KeyName"]) == (admin, "mallory")


def test_the_time_that_is_meant_is_told_in_utc_and_local(web, fab, world, sandbox):
    first = set_of(world)
    sandbox.advance(3600)
    fab("backup_instances_by_tag")
    sandbox.complete_all()
    at = sandbox.now() - timedelta(minutes=30)
    here = f"{at + timedelta(hours=9):%Y-%m-%d %H:%M:59} JST here"
    meant = f"not later than {at:%Y-%m-%d %H:%M:59} UTC ({here})"
    of = ("--instance-id", web["instance_id"])
    for task, given in (
        ("restore_instance", of),
        ("create_ami", of),
        ("restore_volume", ("--volume-id", web["volumes"]["/dev/sda1"])),
    ):
        ended = fab(task, *given, "--dry-run", f"--at={at:%Y-%m-%dT%H:%M}", TZ="Asia/Tokyo")
        assert ended.code == 0, ended
        assert meant in ended.out
        assert ended.out.count(" JST here)") == 2
        assert (first in ended.out) == (task != "restore_volume")
    ended = fab("restore_instance", *of, "--dry-run")
    assert first not in ended.out
    newest = max(world.snapshots(), key=lambda s: s["StartTime"])
    tag = {"Key": "snapback:verified", "Value": "2026-11-01T03:00:00Z corrupt ext4: bad"}
    world.ec2().create_tags(Resources=[newest["SnapshotId"]], Tags=[tag])
    ended = fab("restore_volume", "--volume-id", newest["VolumeId"], "--dry-run")
    assert ended.code == 0
    assert f"passed over: {newest['SnapshotId']} of " in ended.out
    ended = fab("restore_volume", "--snapshot-id", newest["SnapshotId"], "--dry-run")
    assert ended.code == 0
    assert "although it was found corrupt on 2026-11-01 03:00: ext4: bad" in ended.out
    ended = fab("restore_instance", *of, "--at=2001-01-01")
    assert ended.code == 2
    assert "the oldest set is of" in ended.err


def set_of(world) -> str:
    """The one set that there is."""
    (found,) = {world.tags(snapshot)["snapback:set"] for snapshot in world.snapshots()}
    return found


def test_a_set_that_is_not_whole_is_refused_and_listed(web, fab, world, sandbox):
    world.ec2().delete_snapshot(SnapshotId=taken_of(world, web["volumes"]["/dev/sdf"]))
    root = taken_of(world, web["volumes"]["/dev/sda1"])
    sandbox.clear_calls()
    for command in (
        ("restore_instance", "--instance-id", web["instance_id"]),
        ("create_ami", "--instance-id", web["instance_id"]),
        ("create_ami", "--snapshot-id", root),
    ):
        ended = fab(*command)
        assert ended.code == 2
        assert f"{web['volumes']['/dev/sdf']}: no snapshot of /dev/sdf" in ended.err
    assert changing_calls(sandbox) == []
    ended = fab("restore_instance", "--instance-id", web["instance_id"], "--incomplete", "--json")
    assert ended.code == 0
    assert "without what is missing" in ended.document["items"][0]["reasons"][0]
    assert len(restored_to(world, ended)["BlockDeviceMappings"]) == 1


def test_an_ami_keeps_and_is_named_once(web, fab, world):
    ended = fab(
        "create_ami", "--snapshot-id", taken_of(world, web["volumes"]["/dev/sdf"]), "--json"
    )
    assert ended.code == 0, ended
    (image,) = images(world)
    assert image["ImageId"] == ended.document["items"][0]["made"]
    assert (image["State"], image["RootDeviceName"]) == ("available", "/dev/sda1")
    mapped = {m["DeviceName"]: m["Ebs"] for m in image["BlockDeviceMappings"]}
    assert mapped["/dev/sdf"]["VolumeType"] == "gp2"
    assert not mapped["/dev/sdf"]["DeleteOnTermination"]
    assert mapped["/dev/sda1"]["DeleteOnTermination"]
    again = fab("create_ami", "--instance-id", web["instance_id"])
    assert again.code == 2
    assert f"{image['ImageId']} is called" in again.err
    assert "0 of 1 registered, 1 refused" in again.out
    other = fab("create_ami", "--instance-id", web["instance_id"], "--name", "other")
    assert "1 of 1 registered" in other.out
    odd = fab("create_ami", "--instance-id", web["instance_id"], "--name", "a:b")
    assert odd.code == 1
    assert "InvalidAMIName.Malformed" in odd.err
    assert len(images(world)) == 2


# From replicas, with the source region gone.


def gone(sandbox) -> None:
    sandbox.fault("*", "error", region=EAST, code="UnauthorizedOperation", count=None)
    sandbox.clear_calls()


def test_from_replicas_no_other_region_is_called(web, fab, world, sandbox, configure):
    replicate(fab)
    configure(**into(world))
    gone(sandbox)
    for task in ("restore_instance", "create_ami"):
        ended = fab(task, "--instance-id", web["instance_id"], "--region-name", WEST, "--json")
        assert ended.code == 0, ended
    ended = fab("restore_volume", "--volume-id", web["volumes"]["/dev/sdf"], "--region-name", WEST,
                "--zone", "eu-west-1a")  # fmt: skip
    assert ended.code == 0, ended
    ended = fab("restore_instances_by_tag", WEST, "--json")
    assert ended.code == 0, ended
    assert {call.region for call in sandbox.calls()} == {WEST}


def test_what_stands_for_a_subnet_of_another_region_is_never_guessed(web, fab, world, sandbox):
    replicate(fab)
    sandbox.clear_calls()
    ended = fab("restore_instance", "--instance-id", web["instance_id"], "--region-name", WEST)
    assert ended.code == 2
    assert "what stands for subnet subnet-" in ended.err
    assert "what stands for security group sg-" in ended.err
    assert changing_calls(sandbox) == []
    ec2 = world.ec2(WEST)
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    where = ("--subnet-id", subnet, "--security-group-ids")
    ended = fab("restore_instance", f"--instance-id={web['instance_id']}", f"--region-name={WEST}",
                *where, "sg-0123456789abcdef0")  # fmt: skip
    assert ended.code == 2
    assert "there is no security group sg-0123456789abcdef0 in eu-west-1" in ended.err
    ended = fab("restore_instance", f"--instance-id={web['instance_id']}", f"--region-name={WEST}",
                *where, group)  # fmt: skip
    assert ended.code == 0, ended


def test_all_of_a_region_is_restored_and_nothing_twice(load, fab, world, sandbox, configure):
    old = instance("old", 8)
    ids = load(instance("web", 8, 20), instance("db", 8), old)
    assert fab("backup_instances_by_tag").code == 0
    sandbox.complete_all()
    replicate(fab)
    world.ec2().terminate_instances(InstanceIds=[ids["old"]["instance_id"]])
    sandbox.advance(8 * 86_400)
    assert fab("backup_instances_by_tag").code == 0
    sandbox.complete_all()
    replicate(fab)
    configure(**into(world))
    gone(sandbox)
    ended = fab("restore_instances_by_tag", WEST, "--src-region-name", EAST, "--dry-run", "--json")
    assert ended.code == 0, ended
    assert changing_calls(sandbox) == []
    assert ended.item(ids["web"]["instance_id"])["outcome"] == "would do"
    assert ended.item(ids["old"]["instance_id"])["outcome"] == "excluded"
    sandbox.fault("RunInstances", "error", code="InsufficientInstanceCapacity")
    ended = fab("restore_instances_by_tag", WEST, "--json")
    assert ended.code == 1
    assert sorted(i["outcome"] for i in ended.document["items"]) == ["done", "excluded", "failed"]
    assert sorted(i["name"] for i in ended.document["items"]) == ["db", "old", "web"]
    assert len(instances(world, WEST)) == 1
    subnet = world.ec2(WEST).describe_subnets()["Subnets"][2]["SubnetId"]
    ended = fab("restore_instances_by_tag", WEST, "--within=30d", f"--subnet-map=*={subnet}",
                "--json")  # fmt: skip
    assert ended.code == 0, ended
    assert {i["subnet"] for i in ended.document["items"] if i["outcome"] == "done"} == {subnet}
    assert sorted(i["outcome"] for i in ended.document["items"]) == [
        "already restored",
        "done",
        "done",
    ]
    assert sorted(i["name"] for i in ended.document["items"]) == ["db", "old", "web"]
    names = sorted(world.tags(one)["Name"] for one in instances(world, WEST).values())
    assert names == ["db", "old", "web"]
    again = fab("restore_instances_by_tag", WEST, "--within=30d")
    assert again.code == 0
    assert "0 of 3 restored, 3 already restored" in again.out
    assert images(world, WEST) == []


def test_that_there_is_nothing_to_restore_is_a_failure(load, fab):
    load(instance("web"))
    ended = fab("restore_instances_by_tag", WEST)
    assert ended.code == 1
    assert "no replica in eu-west-1 has the tag Earmarking=production" in ended.err
    assert fab("restore_instances_by_tag", WEST, "--subnet-map", "nonsense").code == 2


# What goes wrong on the way.

STEPS = (
    "RegisterImage",
    "RunInstances",
    "CreateTags",
    "ModifyInstanceAttribute",
    "DeleteTags",
)


@pytest.mark.parametrize("action", STEPS)
@pytest.mark.parametrize("effect", ["error", "drop_after"])
def test_each_call_failing_once_leaves_all_or_nothing(web, run, world, sandbox, action, effect):
    before = sorted(everything(world))
    code = "UnauthorizedOperation" if effect == "error" else None
    sandbox.fault(action, effect, code=code)
    if effect == "drop_after":
        (outcome,) = restore_instance(web["instance_id"]).outcomes
        assert outcome.facts["made"] in instances(world)
        assert len(instances(world)) == 2
    else:
        with pytest.raises(ItemsFailed, match=action):
            restore_instance(web["instance_id"])
        assert sorted(everything(world)) == before


@pytest.mark.parametrize("action", ["CreateVolume", "AttachVolume", "DeleteTags"])
def test_a_volume_is_whole_or_gone(web, fab, world, sandbox, action):
    before = sorted(everything(world))
    sandbox.fault(action, "error", code="UnauthorizedOperation")
    ended = fab("restore_volume", "--volume-id", web["volumes"]["/dev/sdf"], "--attach",
                web["instance_id"])  # fmt: skip
    assert ended.code == 1
    assert action in ended.err
    assert sorted(everything(world)) == before


def test_what_cannot_be_taken_down_is_told(web, fab, run, world, sandbox):
    sandbox.fault("DeregisterImage", "error", code="UnauthorizedOperation", count=None)
    with pytest.raises(ItemsFailed, match="DeregisterImage") as failed:
        restore_instance(web["instance_id"])
    (outcome,) = failed.value.outcomes
    assert (outcome.word, failed.value.exit_code) == (Word.LEFT_BEHIND, 4)
    assert outcome.facts["made"] in instances(world)
    sandbox.clear_faults()
    assert fab("sweep", "--run", run.run_id).code == 0
    assert images(world) == []
    assert outcome.facts["made"] in instances(world)


def test_from_python_it_is_the_same(web, run, world):
    with pytest.raises(UsageError, match="has no zone"):
        restore_instance(web["instance_id"], at=datetime(2026, 11, 1))  # noqa: DTZ001
    (outcome,) = restore_instance(web["instance_id"], region_name="us-e").outcomes
    assert outcome.facts["made"] in instances(world)


# Where replicas are compared with their sources.


def test_copies_are_found_by_their_records_and_what_cannot_be_read_is_told(web, fab, run, world):
    replicate(fab)
    source = taken_of(world, web["volumes"]["/dev/sdf"])
    verdict = Verified(
        at=run.now(Place(EAST)),
        reason=Reason(VerdictKind.GOOD, ""),
        digest=Digest("a" * 32, "b" * 32),
    )
    tags = [{"Key": key, "Value": value} for key, value in write_verdict(verdict).items()]
    world.ec2().create_tags(Resources=[source], Tags=tags)
    elsewhere = copies_elsewhere(run, Place(WEST))
    there = {elsewhere.found_of(one)[0][0] if elsewhere.found_of(one) else "" for one in
             all_snapshots(run, Place(WEST))}  # fmt: skip
    assert there == {f"{source} in {EAST}", ""}
    for action, unread in (("DescribeSnapshots", EAST), ("DescribeRegions", "")):
        world.sandbox.fault(action, "error", region=EAST, code="UnauthorizedOperation")
        elsewhere = copies_elsewhere(run, Place(WEST))
        assert [place.region for place, _ in elsewhere.unread] == [unread]
