"""The person's side: chains, exit codes, output, signals, configuration, credentials."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox.conftest import BIN, instance
from tests.sandbox.warm_fab import ROOT
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("sandbox")

TASKS = {
    "backup_instance",
    "backup_instances_by_tag",
    "check",
    "delete_broken_snapshots",
    "doctor",
    "show_config",
    "status",
    "trim_snapshots",
}


def test_a_chain_runs_to_its_end_and_exits_with_the_worst(sandbox, load, fab, world):
    load(instance("web", 8))
    sandbox.fault(
        "DescribeVolumes", "error", count=None, code="UnauthorizedOperation", status=403, message=""
    )
    ended = fab("backup_instances_by_tag", "trim_snapshots", "delete_broken_snapshots")
    assert ended.code == 1
    assert {"DescribeImages", "DescribeSnapshots"} <= {call.action for call in sandbox.calls()}
    lists = [c for c in sandbox.calls("DescribeSnapshots") if "Filter.1.Name" not in c.parameters]
    assert len(lists) == 6


def test_wrong_usage_ends_the_chain(sandbox, load, fab):
    load(instance("web", 8))
    ended = fab("trim_snapshots", "--region-name", "mars", "backup_instances_by_tag")
    assert ended.code == 2
    assert sandbox.calls("CreateSnapshots") == []


def test_the_same_task_twice_in_a_chain_runs_once(sandbox, load, fab, world):
    load(instance("web", 8))
    assert fab("backup_instances_by_tag", "backup_instances_by_tag").code == 0
    assert len(world.snapshots()) == 1


def test_json_is_one_document_a_task_and_nothing_else(load, fab):
    load(instance("web", 8))
    ended = fab("backup_instances_by_tag", "--json", "trim_snapshots", "--json")
    assert ended.code == 0
    documents = [json.loads(line) for line in ended.out.splitlines()]
    assert [document["task"] for document in documents] == [
        "backup_instances_by_tag",
        "trim_snapshots",
    ]
    assert all(document["exit_code"] == 0 for document in documents)


def test_json_says_an_error_too(fab):
    ended = fab("trim_snapshots", "--region-name", "mars", "--json")
    assert ended.document["exit_code"] == 2
    assert "mars" in ended.document["error"]


@pytest.mark.parametrize("how", ["--quiet", "environment", "configuration"])
def test_quiet_prints_nothing_on_success_and_all_on_failure(sandbox, load, fab, configure, how):
    load(instance("web", 8))
    arguments = ["--quiet"] if how == "--quiet" else []
    environment = {"SNAPBACK_QUIET": "1"} if how == "environment" else {}
    if how == "configuration":
        configure(quiet=True)
    ended = fab("backup_instances_by_tag", *arguments, **environment)
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    sandbox.fault(
        "CreateSnapshots", "error", code="Nope", status=400, message="because", count=None
    )
    ended = fab("backup_instances_by_tag", *arguments, **environment)
    assert (ended.code, ended.out) == (1, "")
    assert "because" in ended.err


def test_on_a_terminal_there_is_a_table(load, sandbox):
    load(instance("web", 8))
    ours, theirs = pty.openpty()
    ended = subprocess.run(
        [BIN / "fab", "-r", ROOT, "backup_instances_by_tag", "--synchronously"],
        stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL, timeout=60, check=False,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "150"},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:
        pass
    assert ended.returncode == 0
    assert "┏━" in shown.decode()
    assert "done" in shown.decode()


def test_a_reader_that_has_gone_is_no_failure(load, sandbox):
    load(instance("web", 8))
    ours, theirs = os.pipe()
    os.close(ours)
    ended = subprocess.run(
        [BIN / "fab", "-r", ROOT, "backup_instances_by_tag"],
        stdout=theirs, stderr=subprocess.PIPE, timeout=60, check=False, text=True,
    )  # fmt: skip
    os.close(theirs)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_hosts_are_refused(sandbox, fab):
    ended = fab("-H", "web-1", "trim_snapshots")
    assert ended.code == 2
    assert "-H" in ended.err
    assert sandbox.calls() == []


def test_the_list_shows_every_task_and_loads_nothing_heavy():
    probe = (
        "import sys; sys.argv = ['fab', '-r', sys.argv[1], '--list']\n"
        "from fabric.main import program\n"
        "program.run(exit=False)\n"
        "heavy = {'boto3', 'botocore', 'dask', 'pydantic', 'rich'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", probe, ROOT], capture_output=True, text=True, timeout=60, check=True
    )
    assert "HEAVY []" in ended.stdout
    assert all(task in ended.stdout for task in TASKS)


@pytest.mark.parametrize("task", sorted(TASKS))
def test_the_help_of_every_task_reads_well(fab, task):
    ended = fab("--help", task)
    assert ended.code == 0
    assert "Exit codes: 0" in ended.out
    assert "--json" in ended.out
    assert " -j" not in ended.out


def test_the_command_snapback_has_the_same_tasks(load, world, sandbox):
    load(instance("web", 8))
    listed = subprocess.run(
        [BIN / "snapback", "--list"], capture_output=True, text=True, check=True
    )
    assert all(task in listed.stdout for task in TASKS)
    ended = subprocess.run(
        [BIN / "snapback", "backup_instances_by_tag", "trim_snapshots"], capture_output=True,
        text=True, check=False, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 0
    assert len(world.snapshots()) == 1


def test_in_ones_own_fabfile(load, world, sandbox, tmp_path: Path):
    load(instance("web", 8))
    (tmp_path / "fabfile.py").write_text(
        "from fabric import task\n"
        "from snapback import get_region_conn, get_relevant_snapshots\n"
        "from snapback.tasks import backup_instances_by_tag\n"
        "@task\n"
        "def count(c):\n"
        "    print('COUNTED', len(get_relevant_snapshots(get_region_conn('us-e'))))\n"
    )
    ended = subprocess.run(
        [BIN / "fab", "backup-instances-by-tag", "count"], cwd=tmp_path, capture_output=True,
        text=True, check=False, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "COUNTED 1" in ended.stdout


def test_the_configuration_is_found_beside_the_fabfile(load, sandbox, tmp_path: Path):
    project = tmp_path / "project"
    project.mkdir()
    (project / "fabfile.py").write_text("from snapback.tasks import show_config\n")
    (project / "snapback.yaml").write_text("workers: 7\n")
    ended = subprocess.run(
        [BIN / "fab", "-r", project, "show-config", "--json"], cwd=tmp_path, capture_output=True,
        text=True, check=True, timeout=60, env={**os.environ, "SNAPBACK_CONFIG": ""},
    )  # fmt: skip
    shown = json.loads(ended.stdout)
    assert shown["file"] == str(project / "snapback.yaml")
    assert shown["settings"]["workers"] == {"value": 7, "from": str(project / "snapback.yaml")}
    assert shown["settings"]["max_delete"] == {"value": 50, "from": "default"}


def test_a_broken_configuration_names_every_problem_and_does_nothing(fab, configure, sandbox):
    path = configure(tag_value=True, nonsense=1, retention={"daily": -1}, regions={"mars": {}})
    ended = fab("backup_instances_by_tag", "trim_snapshots")
    assert ended.code == 2
    for problem in (
        "tag_value: ",
        "nonsense: there is no such",
        "retention.daily: ",
        "regions.mars",
    ):
        assert f"{path}: {problem}" in ended.err
    assert "Traceback" not in ended.err
    assert sandbox.calls() == []


def test_the_configuration_is_shown_with_its_lists(fab, configure):
    overrides = [{"match": {"Environment": "test"}, "max_age": "7d"}]
    configure(destinations={"us-east-1": ["eu-west-1"]}, check={"overrides": overrides})
    shown = fab("show_config", "--json").document["settings"]
    assert shown["check.overrides"]["value"] == overrides
    assert shown["destinations.us-east-1"]["value"] == ["eu-west-1"]


def test_missing_credentials_are_one_line(fab):
    ended = fab("trim_snapshots", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 1
    assert "no usable AWS credentials" in ended.err
    assert "aws configure" in ended.err


def test_an_unknown_profile_is_one_line(fab):
    ended = fab("trim_snapshots", AWS_PROFILE="nobody")
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 1
    assert "nobody" in ended.err


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("RequestExpired", "have expired"),
        ("ExpiredToken", "have expired"),
        ("AuthFailure", "doesn't accept the credentials"),
    ],
)
def test_expired_or_refused_credentials_are_one_line(sandbox, load, fab, code, says):
    load(instance("web", 8))
    sandbox.fault("DescribeRegions", "error", count=None, code=code, status=401, message="no")
    sandbox.fault("DescribeInstances", "error", count=None, code=code, status=401, message="no")
    for arguments in ([], ["--region-name", "us-east-1"]):
        ended = fab("backup_instances_by_tag", *arguments)
        assert ended.code == 2
        assert len(ended.err.splitlines()) == 1
        assert says in ended.err


def test_credentials_refused_in_every_region_are_one_line(sandbox, load, fab):
    load(instance("web", 8))
    sandbox.fault(
        "DescribeInstances", "error", count=None, code="ExpiredToken", status=400, message="no"
    )
    ended = fab("backup_instances_by_tag")
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 1


def test_no_network_is_one_line_that_says_what_to_do(fab):
    ended = fab("trim_snapshots", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert ended.code == 1
    assert len(ended.err.splitlines()) == 1
    assert "can't be reached" in ended.err
    assert "check the network" in ended.err


def test_a_region_that_is_not_enabled_is_one_line(fab):
    ended = fab("trim_snapshots", "--region-name", "me-south-1")
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 1
    assert "isn't enabled" in ended.err


def test_contracted_names_are_taken_where_they_are_clear(sandbox, load, fab):
    assert fab("trim_snapshots", "--region-name", "eu-w").code == 0
    lists = [c for c in sandbox.calls("DescribeSnapshots") if "Filter.1.Name" not in c.parameters]
    assert [call.region for call in lists] == ["eu-west-1"]
    sandbox.configure(regions=["us-east-1", "us-east-2", "eu-west-1"])
    ended = fab("trim_snapshots", "--region-name", "us-e")
    assert ended.code == 2
    assert "us-east-1, us-east-2" in ended.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_finishes_what_is_in_flight(sandbox, load, world, configure, number):
    load(*(instance(f"web-{n}", 8) for n in range(6)))
    configure(workers=2)
    sandbox.fault("CreateSnapshots", "hang", seconds=100, count=None)
    process = subprocess.Popen(
        [BIN / "fab", "-r", ROOT, "backup_instances_by_tag", "--json", "trim_snapshots"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_until(lambda: sandbox.calls_hanging() == 2, "two calls hang")
    process.send_signal(number)
    assert process.stderr
    assert "stopping" in process.stderr.readline()
    sandbox.clear_faults()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    document = json.loads(out)
    outcomes = sorted(item["outcome"] for item in document["items"])
    assert outcomes == ["done"] * 2 + ["not done"] * 4
    assert len(world.snapshots()) == 2
    assert sandbox.calls("DescribeImages") == []


@pytest.mark.parametrize("more", [(), ("trim_snapshots",)])
def test_after_a_signal_the_exit_code_is_that_of_the_table(sandbox, load, world, configure, more):
    load(instance("web", 8))
    configure(workers=2)
    sandbox.fault("CreateSnapshots", "hang", seconds=100, count=None)
    process = subprocess.Popen(
        [BIN / "fab", "-r", ROOT, "backup_instances_by_tag", "--json", *more],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_until(sandbox.calls_hanging, "a call hangs")
    process.send_signal(signal.SIGTERM)
    assert process.stderr
    assert "stopping" in process.stderr.readline()
    sandbox.clear_faults()
    out, err = process.communicate(timeout=60)
    document = json.loads(out)
    assert ([item["outcome"] for item in document["items"]], document["exit_code"]) == (["done"], 0)
    assert len(world.snapshots()) == 1
    assert (process.returncode, err) == ((1, "not begun: trim_snapshots\n") if more else (0, ""))
    assert sandbox.calls("DescribeImages") == []


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_signal_at_pythons_own_end_changes_nothing(sandbox, load, tmp_path, number):
    load(instance("web", 8))
    fabfile = tmp_path / "fabfile.py"
    fabfile.write_text(
        "import atexit, os, signal\n"
        f"atexit.register(os.kill, os.getpid(), signal.{number})\n"
        "from snapback.tasks import backup_instances_by_tag\n"
    )
    (tmp_path / "fabric.yaml").write_text((ROOT / "fabric.yaml").read_text())
    ended = subprocess.run(
        [BIN / "fab", "backup_instances_by_tag"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout.count("done")) == (0, 1)


def test_the_second_signal_abandons_at_once(sandbox, load):
    load(instance("web", 8))
    sandbox.fault("CreateSnapshots", "hang", seconds=100, count=None)
    process = subprocess.Popen(
        [BIN / "fab", "-r", ROOT, "backup_instances_by_tag"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_until(sandbox.calls_hanging, "a call hangs")
    process.send_signal(signal.SIGINT)
    assert process.stderr
    assert "stopping" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "abandoned" in err


def test_each_task_that_lends_something_says_first_which_run_it_is(sandbox, load, fab):
    load(instance("web", 8))
    gone = ("--instance-id", "i-0123456789abcdef0")
    for task in (
        ("verify_region", "us-east-1"),
        ("mount_snapshot", "snap-0123456789abcdef0"),
        ("restore_instance", *gone),
        ("restore_instances_by_tag", "us-east-1"),
        ("rsync_region", "us-east-1", "eu-west-1"),
    ):
        assert fab(*task).out.startswith("this is run-"), task
    assert fab("verify_region", "us-east-1", "--json").document["task"] == "verify_region"
    assert "this is run-" not in fab("verify_region", "us-east-1", "--quiet").out
    for task in (("verify_region", "us-east-1", "--dry-run"), ("sweep",), ("check",)):
        assert "this is run-" not in fab(*task).out
