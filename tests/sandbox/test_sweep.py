"""Whoever may tag can't have a sweep, or a run, remove what snapback didn't create."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from snapback import restore_instance
from snapback.core.leases.lease import CLAIMS, HELPERS, RESTORES, Kind, Lent
from snapback.core.model import tags as our_tags
from snapback.ec2.key_pairs import create_key_pair
from snapback.ec2.removal import take_back
from snapback.errors import ItemsFailed, SnapbackError
from snapback.replication.claims import held, wish_of
from snapback.workers.sweep import lender_at
from snapback.workers.watch import Pulse
from tests.sandbox.conftest import instance
from tests.sandbox.permissions import bound_by
from tests.sandbox.test_claims import claims, step
from tests.sandbox.test_restore import everything, instances
from tests.sandbox.test_temporary import HERE
from tests.waiting import wait_until

RUN = "run-20261124T030000-1a2b3c"
STOPS = {"InstanceInitiatedShutdownBehavior": {"Value": "stop"}}
TERMINATES = {"InstanceInitiatedShutdownBehavior": {"Value": "terminate"}}


@pytest.fixture
def forged(sandbox):
    """Makes the tags of what is lent, and has expired."""

    def forge(token: str, run_id: str = RUN) -> list[dict[str, str]]:
        pairs = {
            our_tags.RUN: run_id,
            our_tags.PURPOSE: "helper",
            our_tags.LENT: token,
            our_tags.EXPIRES: (sandbox.now() - timedelta(hours=1)).isoformat(),
        }
        return [{"Key": key, "Value": value} for key, value in pairs.items()]

    return forge


@pytest.fixture
def tag(world, forged):
    """Tags things as a stranger does who may call CreateTags: as lent, and expired."""

    def forge(*resource_ids: str, token: str = f"{HELPERS}0123456789ab", **more: str) -> None:
        world.ec2().create_tags(Resources=resource_ids, Tags=forged(token, **more))

    return forge


@pytest.fixture
def sweep(fab, sandbox):
    """Sweeps with what the documented policy allows; answers what became of each thing."""

    def run(*options: str, code: int) -> dict[str, str]:
        with bound_by(sandbox, "sweep"):
            ended = fab("sweep", "--json", *options)
        assert ended.code == code, ended
        return {item["subject"]: item["outcome"] for item in ended.document["items"]}

    return run


@pytest.fixture
def production(load, world) -> dict[str, Any]:
    """An instance, its volumes, a group, a key pair and an AMI that are nothing of snapback's."""
    ids = load(instance("web", 8, 20))["web"]
    ec2 = world.ec2()
    snapshot = ec2.create_snapshot(VolumeId=ids["volumes"]["/dev/sda1"])["SnapshotId"]
    root = [{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}]
    image = ec2.register_image(Name="golden", RootDeviceName="/dev/sda1", BlockDeviceMappings=root)
    group = ec2.create_security_group(GroupName="web", Description="x")["GroupId"]
    key = ec2.create_key_pair(KeyName="of the operators")["KeyPairId"]
    others = [ids["instance_id"], image["ImageId"], group, key]
    return {"others": others, "volumes": list(ids["volumes"].values())}


@pytest.fixture
def backed_up(load, fab, sandbox) -> str:
    """An instance that can be restored; its id."""
    ids = load(instance("web", 8, 20))["web"]
    assert fab("backup_instances_by_tag").code == 0
    sandbox.complete_all()
    return str(ids["instance_id"])


def test_whatever_its_tags_say_nothing_of_production_is_removed(production, world, tag, sweep):
    before = sorted(everything(world))
    (web,) = instances(world).values()
    for token in (f"{HELPERS}0123456789ab", web["ClientToken"] or "none"):
        tag(*production["others"], *production["volumes"], token=token)
        for options in ((), ("--run", RUN)):
            found = sweep(*options, code=4)
            assert found == sweep("--dry-run", *options, code=4)
            assert {found[one] for one in production["others"]} == {"not ours"}
            assert {found[one] for one in production["volumes"]} == {"left behind"}
    assert sorted(everything(world)) == before


def test_a_volume_on_something_foreign_is_told_and_swept_once_it_is_detached(
    production, world, forged, fab
):
    (web,) = instances(world).values()
    given = {"AvailabilityZone": web["Placement"]["AvailabilityZone"], "Size": 1}
    tags = [{"ResourceType": "volume", "Tags": forged(f"{HELPERS}0123456789ab")}]
    ours = world.ec2().create_volume(**given, TagSpecifications=tags)["VolumeId"]
    where = {"VolumeId": ours, "InstanceId": web["InstanceId"]}
    world.ec2().attach_volume(**where, Device="/dev/sdp")
    ended = fab("sweep")
    assert ended.code == 4
    assert f"attached to {web['InstanceId']}, which is not snapback's" in ended.err
    world.ec2().detach_volume(**where)
    assert fab("sweep").code == 0
    assert ours not in everything(world)


def test_what_was_restored_and_kept_is_never_swept_again(backed_up, world, fab, tag, sweep):
    ended = fab("restore_instance", "--instance-id", backed_up, "--json")
    (item,) = ended.document["items"]
    volumes = list(item["volumes"].values())
    before = sorted(everything(world))
    tag(item["made"], *volumes, run_id=ended.document["run"], token=f"{RESTORES}0123456789ab")
    for options in ((), ("--run", ended.document["run"])):
        found = sweep(*options, code=4)
        assert found == {item["made"]: "not ours", **dict.fromkeys(volumes, "left behind")}
    assert sorted(everything(world)) == before


def test_what_a_restore_left_half_made_is_swept_unless_ec2_says_that_it_was_kept(
    backed_up, world, run, sandbox, sweep
):
    before = sorted(everything(world))
    for action in ("DeleteTags", "TerminateInstances", "DeregisterImage"):
        sandbox.fault(action, "error", code="UnauthorizedOperation", count=None)
    with pytest.raises(ItemsFailed, match="left behind"):
        restore_instance(backed_up)
    sandbox.clear_faults()
    (half,) = instances(world).keys() - {backed_up}
    world.ec2().modify_instance_attribute(InstanceId=half, **STOPS)
    found = sweep("--run", run.run_id, code=4)
    assert found.pop(half) == "not ours", "it is as if killed before it took the tags away"
    assert sorted(found.values()) == ["deleted", "left behind", "left behind"]
    world.ec2().modify_instance_attribute(InstanceId=half, **TERMINATES)
    sandbox.fault("DescribeInstanceAttribute", "error", code="UnauthorizedOperation", count=1)
    assert sweep("--run", run.run_id, code=4)[half] == "left behind"
    assert half in instances(world)
    sandbox.advance(86_400)
    assert sweep(code=0)[half] == "deleted"
    assert sorted(everything(world)) == before


def test_what_was_found_to_go_is_looked_at_again_before_it_does(production, world, run, sandbox):
    (web,) = instances(world)
    conn = run.conn(HERE)

    def remove(kind: Kind, resource_id: str, **more: Any) -> None:
        thing = Lent(place=HERE, kind=kind, resource_id=resource_id, **more)
        take_back(conn, thing, run.pause, 60)

    with pytest.raises(SnapbackError, match="restored and kept meanwhile"):
        remove(Kind.INSTANCE, web, created_as=f"{RESTORES}0123456789ab")
    sandbox.fault("DescribeInstanceAttribute", "error", code="UnauthorizedOperation")
    with pytest.raises(SnapbackError, match="not allowed to call ec2:DescribeInstanceAttribute"):
        remove(Kind.INSTANCE, web, created_as=f"{RESTORES}0123456789ab")
    with pytest.raises(SnapbackError, match=f"attached to {web} meanwhile"):
        remove(Kind.VOLUME, production["volumes"][1], attached_to=("i-0123456789abcdef0",))
    assert sandbox.calls("TerminateInstances") == sandbox.calls("DetachVolume") == []


def test_a_run_that_looks_for_a_lost_answer_removes_what_it_created_alone(
    production, world, run, tag
):
    """A stranger gives the token of each thing, as soon as it is seen, to all of production."""
    before = sorted(everything(world))
    conn = run.conn(HERE)
    (web,) = instances(world).values()

    def launch(token: str) -> None:
        given = {"ImageId": web["ImageId"], "MinCount": 1, "MaxCount": 1}
        conn.run_instances(**given, ClientToken=token, TagSpecifications=of("instance", token))

    def of(kind: str, token: str) -> list[dict[str, Any]]:
        return [{"ResourceType": kind, "Tags": [{"Key": our_tags.LENT, "Value": token}]}]

    creations = {
        Kind.INSTANCE: launch,
        Kind.VOLUME: lambda token: conn.create_volume(
            AvailabilityZone="us-east-1a", Size=1, TagSpecifications=of("volume", token)
        ),
        Kind.SECURITY_GROUP: lambda token: conn.create_security_group(
            GroupName=token, Description="x", TagSpecifications=of("security-group", token)
        ),
        Kind.IMAGE: lambda token: conn.register_image(
            Name=f"{token} of web", RootDeviceName="/dev/sda1",
            BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}],
            TagSpecifications=of("image", token),
        ),
    }  # fmt: skip
    (snapshot,) = world.snapshot_ids()
    for kind, create in creations.items():

        def lose(token: str, _: object, create: Any = create) -> str:
            create(token)
            assert len(everything(world)) > len(before)
            tag(*production["others"], *production["volumes"], token=token)
            raise SnapbackError("no answer")

        with (
            pytest.raises(SnapbackError, match="no answer"),
            lender_at(run, HERE) as lender,
            lender.until_kept(kind, "a test", lose),
        ):
            pass
        assert sorted(everything(world)) == before


def test_a_slow_sweep_leaves_the_claim_of_whoever_took_it_over(run, sandbox, world, fab, forged):
    there = run.conn(step().destination)
    create_key_pair(
        there, wish_of(run, step()).name, {tag["Key"]: tag["Value"] for tag in forged("x")}
    )
    sandbox.fault("DeleteKeyPair", "hang", seconds=100)
    ended = []
    slow = threading.Thread(target=lambda: ended.append(fab("sweep")))
    slow.start()
    wait_until(sandbox.calls_hanging, "DeleteKeyPair")
    with held(run, step(), [], Pulse(run)) as mine:
        sandbox.clear_faults()
        slow.join()
        assert [claim["KeyPairId"] for claim in claims(world)] == [mine.key_pair_id]
    assert (ended[0].code, claims(world)) == (0, [])
    assert wish_of(run, step()).name.startswith(CLAIMS)
