"""Chains of which a part only is a dry run: refused before anything is done."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from snapback.tasks import ns
from snapback.tasks.executor import NO_DRY_RUN
from tests.sandbox.conftest import BIN, changing_calls, instance
from tests.sandbox.histories import NOW, daily

pytestmark = pytest.mark.usefixtures("sandbox")
ONLY_LOOK = {"check", "doctor", "show_config", "status"}


@pytest.fixture
def fleet(sandbox):
    """An instance with snapshots of which a trimming would delete some."""
    web = instance("web", 8, history=[daily(16)])
    placed = sandbox.load_fleet({"now": NOW, "regions": {"us-east-1": {"instances": [web]}}})
    sandbox.clear_calls()
    return placed["us-east-1"]


@pytest.mark.parametrize(
    "chain",
    [
        ("trim_snapshots", "backup_instances_by_tag", "--dry-run"),
        ("trim_snapshots", "--dry-run", "backup_instances_by_tag"),
        ("status", "trim_snapshots", "backup_instances_by_tag", "--dry-run", "status"),
        ("trim_snapshots", "--dry-run", "trim_snapshots"),
        ("delete_broken_snapshots", "--dry-run", "update_volumes_tags"),
        ("sweep", "rsync_region", "us-east-1", "eu-west-1", "--dry-run"),
    ],
)
def test_a_chain_that_is_dry_in_part_is_refused(sandbox, fleet, fab, chain):
    ended = fab(*chain)
    assert ended.code == 2
    assert ended.out == ""
    (line,) = ended.err.splitlines()
    assert line.startswith("nothing was done: ")
    assert "give --dry-run to each of them, or --dry before the first" in line
    assert sandbox.calls() == []


def test_the_refusal_names_which_is_which(fleet, fab):
    ended = fab("trim_snapshots", "backup_instances_by_tag", "--dry-run")
    assert "backup_instances_by_tag would be a dry run, but trim_snapshots would not" in ended.err


@pytest.mark.parametrize(
    "chain",
    [
        ("trim_snapshots", "--dry-run", "backup_instances_by_tag", "--dry-run"),
        ("status", "trim_snapshots", "--dry-run", "show_config"),
        ("--dry", "trim_snapshots", "backup_instances_by_tag"),
        ("-R", "trim_snapshots", "--dry-run", "backup_instances_by_tag"),
        ("trim_snapshots", "backup_instances_by_tag", "--dry"),
    ],
)
def test_a_chain_that_is_dry_throughout_changes_nothing(sandbox, fleet, fab, chain):
    ended = fab(*chain)
    assert ended.code == 0, ended.err
    assert sandbox.calls("DescribeSnapshots")
    assert changing_calls(sandbox) == []


def test_the_environment_of_fabric_makes_all_of_it_dry(sandbox, fleet, fab):
    ended = fab("trim_snapshots", "backup_instances_by_tag", "--dry-run", FABRIC_RUN_DRY="1")
    assert ended.code == 0, ended.err
    assert changing_calls(sandbox) == []


def test_the_command_snapback_refuses_it_too_and_has_dry_for_all(sandbox, fleet, snapback):
    ended = snapback("trim_snapshots", "backup_instances_by_tag", "--dry-run")
    assert (ended.code, ended.out) == (2, "")
    assert "nothing was done" in ended.err
    assert sandbox.calls() == []
    ended = snapback("--dry", "backup_instances_by_tag", "trim_snapshots")
    assert ended.code == 0, ended.err
    assert "would do" in ended.out
    assert changing_calls(sandbox) == []
    assert "Make a dry run of every task" in snapback("--help").out


@pytest.mark.parametrize("option", ["--dry-run=yes", "--dry-run=no", "--no-dry-run", "--dry_run"])
def test_other_forms_of_the_option_do_nothing(sandbox, fleet, option, snapback):
    ended = snapback("trim_snapshots", option)
    assert ended.code == 1
    assert sandbox.calls() == []
    assert snapback("--dry-run", "trim_snapshots").code == 1
    assert sandbox.calls() == []


def test_a_mount_has_no_dry_run_and_is_refused(sandbox, fleet, fab, world):
    mount = ("mount_snapshot", "--snapshot-id", min(world.snapshot_ids()))
    for chain in (("--dry", *mount), ("trim_snapshots", "--dry-run", *mount),
                  ("--dry", "trim_snapshots", *mount)):  # fmt: skip
        sandbox.clear_calls()
        ended = fab(*chain)
        assert ended.code == 2
        assert "mount_snapshot" in ended.err
        assert sandbox.calls() == []


def test_every_task_that_changes_something_is_known_to() -> None:
    without = {name for name, task in ns.tasks.items() if not has_dry_run(task)}
    assert without == ONLY_LOOK | NO_DRY_RUN


def has_dry_run(task) -> bool:
    return "dry_run" in {argument.attr_name or argument.name for argument in task.get_arguments()}


def test_in_ones_own_fabfile_with_dashes_and_tasks_of_ones_own(sandbox, fleet, tmp_path: Path):
    (tmp_path / "fabfile.py").write_text(
        "from fabric import task\n"
        "from snapback.tasks import backup_instances_by_tag, trim_snapshots\n"
        "@task(pre=[backup_instances_by_tag])\n"
        "def deploy(c, dry_run=False):\n"
        "    print('DEPLOYED', dry_run)\n"
        "@task\n"
        "def hello(c, dry_run=False):\n"
        "    print('HELLO', dry_run)\n"
    )
    (tmp_path / "fabric.yaml").write_text(
        "tasks: {executor_class: snapback.tasks.executor.ChainExecutor}\n"
    )

    def fab(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BIN / "fab", *arguments], capture_output=True, text=True, check=False, timeout=60,
            env=os.environ,
        )  # fmt: skip

    ended = fab("backup-instances-by-tag", "trim-snapshots", "--dry-run")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "nothing was done" in ended.stderr
    ended = fab("deploy", "trim-snapshots", "--dry-run")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert sandbox.calls() == []
    ended = fab("hello", "trim-snapshots", "--dry-run")
    assert ended.returncode == 0, ended.stderr
    assert "HELLO False" in ended.stdout
    assert changing_calls(sandbox) == []
