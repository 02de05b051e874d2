"""Whatever goes wrong with the engine rsync: every replica is exact, nothing temporary left."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ec2_sandbox import Sandbox

from tests.hosts.helpers import HANG_S, fab_running, let_go, wait_until
from tests.hosts.replicas import DATA, LEG, ROOT, Fleet, replicas, web
from tests.sandbox.conftest import World, instance
from tests.sandbox.permissions import actions_of, bound_by, called
from tests.sandbox.replicas import EAST, SOUTH, WEST


@pytest.fixture
def fleet(lay_out) -> Fleet:
    found: Fleet = lay_out(us_east_1=[web()])
    found.back_up()
    return found


def helpers_at(world: World, region: str) -> list[str]:
    """The temporary instances that run in a region."""
    wanted = [
        {"Name": "tag-key", "Values": ["snapback:lent"]},
        {"Name": "instance-state-name", "Values": ["running"]},
    ]
    found = world.ec2(region).describe_instances(Filters=wanted)["Reservations"]
    return [each["InstanceId"] for reservation in found for each in reservation["Instances"]]


_VALVE = """#!/bin/sh
case " $* " in *" --server "*) ;; *) exec /usr/bin/unshare "$@" ;; esac
mkfifo "/run/valve.$$"
exec 3<&0
{
    dd bs=1 count=100000
    touch /run/held-up
    until [ -e /run/let-go ]; do sleep 0.1; done
    exec cat
} <&3 3<&- >"/run/valve.$$" 2>/dev/null &
exec /usr/bin/unshare "$@" <"/run/valve.$$" 3<&-
"""
_INSTALL = """
printf '%s' "$1" >/usr/local/bin/.unshare
chmod 755 /usr/local/bin/.unshare
mv /usr/local/bin/.unshare /usr/local/bin/unshare
"""


@contextmanager
def held_up(
    sandbox: Sandbox, world: World, *arguments: str, into: str = ""
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run ``fab`` up to the middle of a transfer into WEST, and answer the instance it goes to.

    While EC2 attaches the volume, the program that confines that instance's rsync is replaced: it
    takes in 100,000 bytes of the data, and the rest when it is let go on. So the transfer can't be
    over before it is held up.

    :param into: that instance; the temporary ones where it is empty.
    """
    sandbox.fault("AttachVolume", "hang", seconds=HANG_S, count=None, region=WEST)
    with fab_running(*arguments) as process:
        wait_until(sandbox.calls_hanging, "AttachVolume")
        receivers = [into] if into else helpers_at(world, WEST)
        for receiver in receivers:
            install = ["sh", "-c", _INSTALL, "install", _VALVE]
            assert sandbox.hosts.run(receiver, install)[0] == 0
        sandbox.clear_faults()

        def receiving() -> str:
            test = ["test", "-e", "/run/held-up"]
            return next((each for each in receivers if not sandbox.hosts.run(each, test)[0]), "")

        yield process, wait_until(receiving, "the middle of a transfer")


def go_on(sandbox: Sandbox, receiver: str) -> None:
    """Let a transfer go on that is held up."""
    assert sandbox.hosts.run(receiver, ["touch", "/run/let-go"])[0] == 0


def run_id_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().split()[-1]


STAGES = (
    ("CreateKeyPair", WEST),
    ("RunInstances", EAST),
    ("AttachVolume", WEST),
    ("the transfer", WEST),
    ("CreateSnapshot", WEST),
    ("TerminateInstances", EAST),
)


@contextmanager
def running_up_to(
    sandbox: Sandbox, world: World, stage: str, region: str
) -> Iterator[subprocess.Popen[str]]:
    """Replicate up to a stage: a call that hangs, or the middle of the transfer."""
    if stage == "the transfer":
        with held_up(sandbox, world, *LEG) as (process, _):
            yield process
        return
    sandbox.fault(stage, "hang", seconds=HANG_S, region=region)
    with fab_running(*LEG) as process:
        wait_until(sandbox.calls_hanging, stage)
        yield process


@pytest.mark.parametrize(("stage", "region"), STAGES, ids=[stage for stage, _ in STAGES])
def test_killed_swept_and_run_again(fleet, sandbox, world, stage, region):
    with running_up_to(sandbox, world, stage, region) as process:
        run_id = run_id_of(process)
        process.send_signal(signal.SIGKILL)
    let_go(sandbox)
    swept = fleet.fab("sweep", "--run", run_id)
    assert swept.code == 0, swept.err
    there = len(replicas(world, WEST))
    fleet.demand(there)
    ended = fleet.fab(*LEG)
    assert ended.code == 0, ended.err
    fleet.demand(1)


def test_all_regions_killed_in_the_middle_swept_and_run_again(lay_out, sandbox, world):
    fleet = lay_out(
        us_east_1=[web(name="east")],
        ap_southeast_1=[web(name="south")],
        eu_west_1=[web(name="west")],
    )
    fleet.back_up()
    with held_up(sandbox, world, "rsync_all_regions", WEST, EAST) as (process, _):
        run_id = run_id_of(process)
        process.send_signal(signal.SIGKILL)
    assert fleet.fab("sweep", "--run", run_id).code == 0
    fleet.demand(len(replicas(world, WEST)))
    ended = fleet.fab("rsync_all_regions", WEST, EAST, "--json")
    assert ended.code == 0, ended.err
    count = {region: len(replicas(world, region)) for region in (EAST, WEST, SOUTH)}
    assert count == {EAST: 1, WEST: 2, SOUTH: 0}
    fleet.demand(3)


def idle(name: str) -> dict[str, Any]:
    """An instance that isn't backed up."""
    return instance(name, volumes=[ROOT, DATA], tags={})


def detach_what_is_lent(world: World, region: str) -> None:
    """Detach the volumes that are lent, once the host has unmounted them by itself."""
    ec2 = world.ec2(region)
    wanted = [{"Name": "tag-key", "Values": ["snapback:lent"]}]

    def are_off() -> bool:
        volumes = ec2.describe_volumes(Filters=wanted)["Volumes"]
        held = [one for volume in volumes for one in volume["Attachments"]]
        for one in held:
            if one["State"] == "attached":
                ec2.detach_volume(VolumeId=one["VolumeId"])
        return not held

    wait_until(are_off, "the volumes to come off")


def test_instances_of_ones_own_stay_as_they_are_even_where_it_is_killed(lay_out, sandbox, world):
    fleet = lay_out(us_east_1=[web()], eu_west_1=[idle("there")], ap_southeast_1=[idle("x")])
    fleet.back_up()
    source, destination, elsewhere = (
        fleet.ids[region][name]["instance_id"]
        for region, name in ((EAST, "web"), (WEST, "there"), (SOUTH, "x"))
    )
    before = [fleet.shell(LOOK, name) for name in ("web", "there")]
    (snapshot,) = world.snapshot_ids(EAST)
    asked = ("rsync_snapshot", EAST, snapshot, WEST)
    assert fleet.fab(*asked, "--dst-inst", elsewhere).code == 2
    asked += ("--src-inst", source, "--dst-inst", destination)
    with held_up(sandbox, world, *asked, into=destination) as (process, _):
        run_id = run_id_of(process)
        assert [fleet.shell(LOOK, name) for name in ("web", "there")] != before
        process.send_signal(signal.SIGKILL)
    go_on(sandbox, destination)
    fleet.shell("rm /usr/local/bin/unshare", "there")
    swept = fleet.fab("sweep", "--run", run_id)
    assert swept.code == 4, swept.err
    for region, own in ((EAST, source), (WEST, destination)):
        assert f"attached to {own}, which is not snapback's: unmount and detach it" in swept.err
        detach_what_is_lent(world, region)
    swept = fleet.fab("sweep", "--run", run_id)
    assert swept.code == 0, swept.err
    fleet.demand(0)
    of_the_engine = ("rsync_engine", "temporary_instances", "own_instances", "console")
    with bound_by(sandbox, "rsync_snapshot", *of_the_engine):
        ended = fleet.fab(*asked)
    assert ended.code == 0, ended.err
    assert sandbox.calls("RunInstances") == []
    assert actions_of("own_instances") <= called(sandbox)
    assert [fleet.shell(LOOK, name) for name in ("web", "there")] == before
    fleet.demand(1)


LOOK = (
    "grep -h snapback /proc/mounts ~ubuntu/.ssh/authorized_keys; ls -d /run/snapback-*; "
    "ls -A ~ubuntu/.ssh; lsblk -no NAME,MOUNTPOINT; pgrep -r S,R,D rsync; true"
)


def test_stopped_by_ctrl_c(fleet, sandbox, world):
    with held_up(sandbox, world, *LEG, "--json") as (process, helper):
        process.send_signal(signal.SIGINT)
        assert process.stderr
        assert "stopping" in process.stderr.readline()
        go_on(sandbox, helper)
        said, complaint = process.communicate(timeout=100)
    assert process.returncode == 1, complaint
    (item,) = json.loads(said)["items"]
    assert item["outcome"] == "not done", item
    fleet.demand(0)


def test_a_helper_that_is_lost_is_replaced_for_the_next_volume(lay_out, sandbox, world):
    fleet = lay_out(
        settings={"replication": {"replication_workers": 1}},
        us_east_1=[web({**DATA, "device": "/dev/sdg", "mount_point": "/more"})],
    )
    fleet.back_up()
    with held_up(sandbox, world, *LEG, "--json") as (process, helper):
        world.ec2(WEST).terminate_instances(InstanceIds=[helper])
        said, complaint = process.communicate(timeout=100)
    assert process.returncode == 1, complaint
    assert sorted(item["outcome"] for item in json.loads(said)["items"]) == ["done", "failed"]
    fleet.demand(1)
    assert fleet.fab(*LEG).code == 0
    fleet.demand(2)


PASSING = {
    "500": {"effect": "error", "code": "InternalError", "status": 500},
    "no answer": {"effect": "drop_after"},
}


@pytest.mark.parametrize("fault", PASSING)
def test_each_call_failing_once_costs_nothing(fleet, sandbox, fault):
    for action in ACTIONS:
        sandbox.fault(action, **PASSING[fault])
    ended = fleet.fab(*LEG)
    assert ended.code == 0, ended.err
    assert not set(ACTIONS) - {call.action for call in sandbox.calls()}
    fleet.demand(1)


ACTIONS = (
    "AttachVolume",
    "AuthorizeSecurityGroupIngress",
    "CreateKeyPair",
    "CreateSecurityGroup",
    "CreateSnapshot",
    "CreateTags",
    "CreateVolume",
    "DeleteKeyPair",
    "DeleteSecurityGroup",
    "DeleteVolume",
    "DescribeImages",
    "DescribeInstances",
    "DescribeKeyPairs",
    "DescribeSecurityGroups",
    "DescribeSnapshots",
    "DescribeSubnets",
    "DescribeVolumes",
    "DetachVolume",
    "ModifyInstanceAttribute",
    "RunInstances",
    "TerminateInstances",
)
REFUSED = (
    "CreateKeyPair",
    "RunInstances",
    "CreateTags",
    "CreateVolume",
    "AttachVolume",
    "DetachVolume",
    "CreateSnapshot",
)


def test_each_call_refused_is_told_and_leaves_nothing(fleet, sandbox, world):
    for action in REFUSED:
        sandbox.fault(action, "error", code="UnauthorizedOperation", status=403, region=WEST)
        ended = fleet.fab(*LEG)
        sandbox.clear_faults()
        assert ended.code == 1, (action, ended)
        assert f"not allowed to call ec2:{action} in eu-west-1" in ended.err
        fleet.demand(0)
    assert fleet.fab(*LEG).code == 0
    fleet.demand(1)


def test_two_runs_at_once_make_one_replica(fleet, sandbox, world):
    with fab_running(*LEG, "--json") as one, fab_running(*LEG, "--json") as other:
        said = [process.communicate(timeout=100) for process in (one, other)]
    assert (one.returncode, other.returncode) == (0, 0), said
    words = sorted(json.loads(out)["items"][0]["outcome"] for out, _ in said)
    assert words[0] in ("already replicated", "being replicated")
    assert words[1] in ("begun", "done")
    fleet.demand(1)


def test_a_snapshot_that_ends_in_error_is_no_replica(fleet, sandbox, world):
    sandbox.fail_next_snapshot(region=WEST, message="The key is gone")
    ended = fleet.fab(*LEG, "--synchronously")
    assert ended.code == 1
    assert "ended in error: The key is gone" in ended.err
    fleet.demand(0)
    again = fleet.fab(*LEG)
    assert again.code == 1, "the broken one is told"
    assert "us-east-1 to eu-west-1: 1 " in again.out
    fleet.demand(1)


def test_what_can_not_be_taken_down_is_told(fleet, sandbox, world):
    sandbox.fault("DeleteSecurityGroup", "error", code="UnauthorizedOperation", count=None)
    ended = fleet.fab(*LEG)
    assert ended.code == 4
    assert "sg-" in ended.err
    sandbox.clear_faults()
    sandbox.advance(3700)
    assert fleet.fab(*LEG).code == 0, "it sweeps what has expired"
    fleet.demand(1)
