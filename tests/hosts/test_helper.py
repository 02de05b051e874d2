"""Temporary instances: known from the first connection, renewed, gone at the end."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime
from typing import Any

import pytest

from snapback.core.model import Place
from snapback.core.model import tags as our_tags
from snapback.ec2.instances import instance_by_id
from snapback.ec2.temporary import VolumeWish
from snapback.errors import HostKeyError, UsageError
from snapback.run import Run
from snapback.ssh.host_keys import HostKey
from snapback.ssh.keys import new_key
from snapback.workers import borrowed, helper, renew
from tests.hosts.helpers import wait_until
from tests.sandbox.conftest import instance
from tests.sandbox.test_temporary import things

HERE = Place("us-east-1")
SCHEDULED = ["cat", "/run/systemd/shutdown/scheduled"]


def ends_at(one: Any) -> int:
    """The second at which a helper ends by itself."""
    said = one.host.sudo(SCHEDULED).stdout
    return int(said.split("USEC=")[1].split("\n")[0]) // 1_000_000


def test_a_helper_works_and_leaves_nothing(real_run, sandbox, world):
    with helper(real_run, HERE, "test") as one:
        assert one.host.sudo(["id", "-u"]).stdout == "0\n"
        other = HostKey.read(*new_key().public.split())
        with pytest.raises(HostKeyError):
            real_run.host(one.instance, host_keys=[other])
        assert one.zone.startswith("us-east-1")
        with one.volume(VolumeWish(size_gib=1)) as (volume, block_device):
            assert volume.zone == one.zone
            size = one.host.sudo(["blockdev", "--getsize64", block_device]).stdout
            assert int(size) == 1 << 30
            serial = one.host.run(["lsblk", "-dno", "SERIAL", block_device]).stdout.strip()
            assert serial == volume.volume_id.replace("-", "")
            with one.volume(VolumeWish(size_gib=2)) as (_, other):
                assert other != block_device
        (volume,) = world.ec2().describe_volumes()["Volumes"]
        assert volume["Attachments"][0]["DeleteOnTermination"]
        one.let_in("198.51.100.9/32")
        (group,) = world.ec2().describe_security_groups(GroupIds=[one.group_id])["SecurityGroups"]
        let_in = {r["CidrIp"] for rule in group["IpPermissions"] for r in rule["IpRanges"]}
        assert let_in == {"203.0.113.7/32", "198.51.100.9/32"}
        wait_until(lambda: "finished" in console(real_run, one), "the end of cloud-init")
        one.host.sudo(["test", "-s", "/etc/udev/rules.d/69-lvm.rules"])
        first, left = ends_at(one), expiry(world)
        one.host.sudo(["sleep", "1.1"])
        renew(one)
        assert ends_at(one) > first
        assert expiry(world) > left
    wait_until(lambda: not things(world), "the end of all that was lent")


def console(run: Run, one: Any) -> str:
    return run.conn(HERE).get_console_output(InstanceId=one.instance.instance_id)["Output"]


def expiry(world: Any) -> datetime:
    (volume,) = world.ec2().describe_volumes()["Volumes"]
    return datetime.fromisoformat(world.tags(volume)[our_tags.EXPIRES])


def test_a_helper_that_nobody_renews_ends_by_itself(real_run, world):
    with ExitStack() as stack:
        one = stack.enter_context(helper(real_run, HERE, "test"))
        wait_until(lambda: "finished" in console(real_run, one), "the end of cloud-init")
        one.host.sudo(["sh", "-c", "echo 0.01 >/run/cloud/minute"])
        renew(one)
        wait_until(lambda: state(world, one) == "terminated", "its end")
    wait_until(lambda: not things(world), "the end of all that was lent")


def state(world: Any, one: Any) -> str:
    (found,) = world.ec2().describe_instances(InstanceIds=[one.instance.instance_id])[
        "Reservations"
    ]
    return str(found["Instances"][0]["State"]["Name"])


def test_an_instance_of_ones_own_is_used_and_stays(real_run, world, load):
    ids = load(instance("web", 4))["web"]
    own = instance_by_id(real_run.conn(HERE), HERE, ids["instance_id"])
    before = things(world)
    with (
        borrowed(real_run, own) as one,
        one.volume(VolumeWish(size_gib=1)) as (volume, block_device),
    ):
        assert not one.is_temporary
        assert volume.volume_id not in before
        assert one.host.sudo(["test", "-b", block_device]).returncode == 0
    assert things(world) == before


def test_a_zone_without_a_subnet_is_refused_before_anything_is_launched(real_run, sandbox):
    with (
        pytest.raises(UsageError, match="is in us-east-1z"),
        helper(real_run, HERE, "x", "us-east-1z"),
    ):
        pass
    assert sandbox.calls("RunInstances") == []
    assert sandbox.calls("CreateSecurityGroup") == []
