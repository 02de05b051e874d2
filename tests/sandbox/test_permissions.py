"""The policies of docs/reference/iam/ allow what the tasks call, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snapback import create_snapshot
from snapback.core.doctor.permissions import CALLS_NOTHING, EXTRAS_OF
from snapback.core.model import Place, Volume
from snapback.ec2 import launching
from snapback.ec2.temporary import VolumeWish
from snapback.errors import BeingReplicated
from snapback.replication.claims import held
from snapback.run import use
from snapback.workers.claims import renew
from snapback.workers.sweep import lender_at
from snapback.workers.watch import Pulse
from tests.sandbox.conftest import instance
from tests.sandbox.permissions import (
    SEEN_ELSEWHERE,
    WAYS,
    Kit,
    actions_of,
    bound_by,
    called,
    check_log,
    logged,
)
from tests.sandbox.replicas import sets
from tests.sandbox.test_claims import step
from tests.sandbox.test_temporary import HERE, OWN, wish, zone_of


@pytest.fixture
def kit_of(sandbox, world, load, fab, configure, begin, tmp_path: Path) -> Callable[[str], Kit]:
    def make(task: str) -> Kit:
        return Kit(task, sandbox, world, load, fab, logged(configure, tmp_path), begin, tmp_path)

    return make


@pytest.mark.parametrize("task", sorted(WAYS))
def test_a_policy_allows_what_its_task_calls_and_nothing_else(kit_of, task):
    kit = kit_of(task)
    WAYS[task](kit)
    check_log(kit.sandbox, kit.folder)
    if task not in CALLS_NOTHING:
        kit.check(extras=set(EXTRAS_OF.get(task, ())) - SEEN_ELSEWHERE)


def test_the_policy_of_create_snapshot(kit_of, begin, sandbox):
    kit = kit_of("create_snapshot")
    ids = kit.load(instance("web", 8), instance("db", 8, state="stopped"))

    def take(name: str, **options: Any) -> None:
        volume_id = ids[name]["volumes"]["/dev/sda1"]
        create_snapshot(Volume(place=Place("us-east-1"), volume_id=volume_id), **options)

    with use(begin()):
        with kit.way():
            sandbox.fault("CreateSnapshot", "drop_after")
            take("web", synchronously=False)
        with kit.way():
            take("db", consistent=True, synchronously=False)
        with kit.way("synchronously"):
            sandbox.fail_next_snapshot()
            take("web")
    kit.check(extras=["synchronously"])


def test_the_policy_of_what_lends_temporary_instances(run, world, sandbox):
    def lend() -> None:
        vpc = launching.subnets_for(run.conn(HERE), HERE, ())[0].vpc_id
        with (
            lender_at(run, HERE) as lender,
            lender.security_group(vpc, [OWN]) as group_id,
            lender.instance(wish(run, lender, group_id), "helper") as helper,
            lender.volume(VolumeWish(size_gib=1), helper, zone_of(world, helper.instance_id)),
        ):
            lender.renew()

    with bound_by(sandbox, "temporary_instances"):
        lend()
        sandbox.fault("CreateSecurityGroup", "drop_after")
        lend()
        sandbox.fault("RunInstances", "error", code="InternalError", status=500, count=None)
        with pytest.raises(Exception, match="InternalError"):
            lend()
    assert called(sandbox) == actions_of("temporary_instances")


def test_the_policy_of_claims(run, begin, sandbox):
    with (
        bound_by(sandbox, "rsync_snapshot", "rsync_engine"),
        held(run, step(), [], Pulse(run)) as claim,
    ):
        renew(run, claim)
        with pytest.raises(BeingReplicated), held(begin(), step(), [], Pulse(run)):
            pass
    of_the_task = actions_of("rsync_snapshot")
    seen = called(sandbox)
    assert seen - of_the_task <= actions_of("rsync_engine")
    assert {action for action in actions_of("rsync_engine") if "KeyPair" in action} <= seen


def test_doctor_tries_what_is_lent_with_its_tag(sandbox, load, fab):
    load(instance("web", 8, history=[sets(1)]))
    policies = ("restore_instance", "restore_volume", "mount_snapshot", "temporary_instances")
    with bound_by(sandbox, "doctor", *policies):
        ended = fab("doctor", "--tasks", ",".join(policies[:3]))
        assert (ended.code, "not allowed" in ended.out) == (0, False), ended
    with bound_by(sandbox, "doctor"):
        ended = fab("doctor", "--tasks", "restore_volume")
        assert "not allowed: ec2:CreateVolume in us-east-1" in ended.err, ended


ROLES = {
    "backs up": ("backup_instances_by_tag", "status", "check"),
    "trims": ("trim_snapshots", "delete_broken_snapshots"),
}


def test_one_role_backs_up_and_another_one_trims(sandbox, load, fab, world):
    load(instance("web", 8, history=[{**sets(60), "every": "1d"}]))
    before = world.snapshot_ids()
    with bound_by(sandbox, "doctor", *ROLES["backs up"]):
        assert fab("doctor", "--tasks", ",".join(ROLES["backs up"])).code == 0
        assert fab("backup_instances_by_tag").code == 0
        assert fab("status").code == 0
        assert fab("trim_snapshots", "--max-delete=100").code == 1
        assert "ec2:DeleteSnapshot" in fab("doctor", "--tasks", "trim_snapshots").err
    after = world.snapshot_ids()
    assert before < after
    with bound_by(sandbox, "doctor", *ROLES["trims"]):
        assert fab("doctor", "--tasks", ",".join(ROLES["trims"])).code == 0
        assert fab("backup_instances_by_tag").code == 1
        assert fab("trim_snapshots", "--max-delete=100").code == 0
    assert world.snapshot_ids() < after
