"""The policies of docs/reference/iam/ allow what tasks call where they log in to hosts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from snapback.core.doctor.permissions import EXTRAS_OF
from tests.hosts.permissions import WAYS_ON_HOSTS
from tests.hosts.replicas import ROOT, SETTINGS
from tests.sandbox.conftest import instance
from tests.sandbox.permissions import Kit, actions_of, check_log, logged
from tests.sandbox.replicas import EAST, WEST

DATA = {"device": "/dev/sdf", "size": 1, "filesystem": "ext4", "mount_point": "/data"}


@pytest.fixture
def kit_of(sandbox, world, load, fab, reachable, begin, tmp_path: Path) -> Callable[[str], Kit]:
    """Kits whose ``configure`` makes the hosts reachable, with ``host_keys: console``."""

    def make(task: str) -> Kit:
        return Kit(task, sandbox, world, load, fab, logged(reachable, tmp_path), begin, tmp_path)

    return make


@pytest.mark.parametrize("task", sorted(WAYS_ON_HOSTS))
def test_a_policy_allows_what_its_task_calls_and_nothing_else(kit_of, task):
    kit = kit_of(task)
    WAYS_ON_HOSTS[task](kit)
    check_log(kit.sandbox, kit.folder)
    kit.check(extras=set(EXTRAS_OF.get(task, ())) - {"temporary_instances"})


@pytest.mark.parametrize("task", ["backup_instance", "backup_instances_by_tag"])
def test_host_keys_are_read_from_the_console(kit_of, task):
    kit = kit_of(task)
    kit.configure()
    ids = kit.load(instance("web", volumes=[{"device": "/dev/sda1", "size": 4}, DATA]))
    where = (
        [] if task.endswith("tag") else ["us-east-1", f"--instance-id={ids['web']['instance_id']}"]
    )
    with kit.way("console"):
        kit.fab(*where, "--consistent")
    assert actions_of("console") <= kit.seen


def test_the_policies_of_the_engine_rsync(kit_of):
    kit = kit_of("rsync_region")
    kit.configure(**SETTINGS)
    kit.load(instance("web", volumes=[ROOT, DATA]))
    assert kit.run_fab("backup_instances_by_tag", "--synchronously").code == 0
    with kit.way("rsync_engine", "temporary_instances"):
        kit.sandbox.fault("CreateSnapshot", "drop_after")
        kit.fab(EAST, WEST)
    assert actions_of("rsync_engine") | actions_of("temporary_instances") <= kit.seen
