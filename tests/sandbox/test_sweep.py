"""Whoever may tag can't have a sweep, or a run, remove what snapback didn't create."""

from __future__ import annotations

from datetime import timedelta

import pytest

from snapback.core.model import tags as our_tags
from tests.sandbox.conftest import instance
from tests.sandbox.permissions import bound_by
from tests.sandbox.test_restore import everything, instances

RUN = "run-20261124T030000-1a2b3c"


@pytest.fixture
def tag(world, sandbox):
    """Tags things as a stranger who may call CreateTags: as lent, and expired."""

    def forge(*resource_ids: str, token: str = "snapback-helper-0123456789ab", **more: str) -> None:
        forged = {
            our_tags.RUN: RUN,
            our_tags.PURPOSE: "helper",
            our_tags.LENT: token,
            our_tags.EXPIRES: (sandbox.now() - timedelta(hours=1)).isoformat(),
            **more,
        }
        pairs = [{"Key": key, "Value": value} for key, value in forged.items()]
        world.ec2().create_tags(Resources=resource_ids, Tags=pairs)

    return forge


@pytest.fixture
def sweep(fab, sandbox):
    """Sweeps as nothing but the documented policy allows; answers outcome by resource."""

    def run(*options: str, code: int) -> dict[str, str]:
        with bound_by(sandbox, "sweep"):
            ended = fab("sweep", "--json", *options)
        assert ended.code == code, ended
        return {item["subject"]: item["outcome"] for item in ended.document["items"]}

    return run


def test_whatever_tags_say_nothing_of_production_is_removed(load, world, tag, sweep):
    """An instance, its volumes, its group, a key pair and an AMI, all with all the tags."""
    ids = load(instance("web", 8, 20))["web"]
    ec2 = world.ec2()
    found = instances(world)[ids["instance_id"]]
    token = found["ClientToken"]
    (snapshot,) = (
        ec2.create_snapshot(VolumeId=ids["volumes"]["/dev/sda1"])["SnapshotId"] for _ in "1"
    )
    root = [{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}]
    image = ec2.register_image(Name="golden", RootDeviceName="/dev/sda1", BlockDeviceMappings=root)
    group = ec2.create_security_group(GroupName="web", Description="x")["GroupId"]
    key = ec2.create_key_pair(KeyName="of the operators")["KeyPairId"]
    volumes = list(ids["volumes"].values())
    loot = [ids["instance_id"], image["ImageId"], group, key]
    before = sorted(everything(world))
    for forged in ("snapback-helper-0123456789ab", token or "none"):
        tag(*loot, *volumes, token=forged)
        for options in ((), ("--run", RUN)):
            found = sweep("--dry-run", *options, code=4)
            assert found == sweep(*options, code=4)
            assert {found[one] for one in loot} == {"not ours"}
            assert {found[one] for one in volumes} == {"left behind"}
    assert sorted(everything(world)) == before
