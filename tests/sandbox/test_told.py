"""Who is told of a task, and what is written down of it, through the real fab."""

from __future__ import annotations

import base64
import json
import logging
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from snapback.core.leases.cloud_config import cloud_config
from snapback.ec2 import launching
from snapback.ec2.key_pairs import create_key_pair
from snapback.ec2.launching import Launch
from snapback.run import use
from snapback.run.logs.lines import TextLines
from snapback.ssh.keys import new_key
from snapback.workers.sweep import lender_at
from tests.monitor import Monitor
from tests.sandbox.conftest import BIN, instance
from tests.sandbox.test_temporary import HERE, IMAGE
from tests.sandbox.warm_fab import ROOT
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("sandbox")

TELL = 'echo "$SNAPBACK_TASK $SNAPBACK_EVENT $SNAPBACK_EXIT_CODE" >>told'


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    with Monitor() as listening:
        yield listening


def told() -> list[str]:
    path = Path("told")
    return [line.strip() for line in path.read_text().splitlines()] if path.exists() else []


def hooks(**more):
    return {"on_start": TELL, "on_success": TELL, "on_failure": TELL, **more}


def test_each_task_of_a_chain_is_told_of(sandbox, load, fab, configure, monitor):
    load(instance("web", 8))
    configure(hooks=hooks(ping_url=f"{monitor.url}/{{task}}"))
    sandbox.fault(
        "DescribeLockedSnapshots", "error", count=None, code="Nope", status=400, message="why"
    )
    ended = fab("backup_instances_by_tag", "trim_snapshots", "status", "--json")
    assert ended.code == 1
    assert told() == [
        "backup_instances_by_tag start", "backup_instances_by_tag success 0",
        "trim_snapshots start", "trim_snapshots failure 1",
        "status start", "status success 0",
    ]  # fmt: skip
    assert monitor.paths == [
        "/backup_instances_by_tag/start", "/backup_instances_by_tag",
        "/trim_snapshots/start", "/trim_snapshots/fail",
        "/status/start", "/status",
    ]  # fmt: skip
    body = dict(monitor.told)["/trim_snapshots/fail"]
    assert "us-east-1: failed: DescribeLockedSnapshots in us-east-1: Nope: why" in body


def test_no_name_takes_others_out_of_what_is_told(sandbox, load, snapback, configure, monitor):
    names = [
        "it's password: 'x",
        'password="x',
        "it's web\n$(touch caught)",
        "-----BEGIN PRIVATE KEY-----",
    ]
    hidden = ["it's password: (hidden)", "password=(hidden)", names[2], "(hidden)"]
    tags = {"Earmarking": "production"}
    placed = load(
        *(instance(f"web-{n}", 8, tags={**tags, "Name": name}) for n, name in enumerate(names))
    )
    message = "AWS_SECRET_ACCESS_KEY: run 'aws configure'; it's passphrase: 'x\nforged"
    sandbox.fault("CreateSnapshots", "error", count=None, code="Nope", status=400, message=message)
    written = 'cat >"$SNAPBACK_TASK.json"; printf %s "$SNAPBACK_PROBLEMS" >"$SNAPBACK_TASK.txt"'
    configure(
        hooks={"on_failure": written, "ping_url": f"{monitor.url}/{{task}}"},
        logging={"file": "log"},
    )
    assert snapback("backup_instances_by_tag", "check").code == 1
    assert not Path("caught").exists()
    said = r"AWS_SECRET_ACCESS_KEY: run 'aws configure'; it's passphrase: (hidden)"
    ids = {one["instance_id"] for one in placed.values()}
    summary, *told = dict(monitor.told)["/backup_instances_by_tag/fail"].splitlines()
    assert summary.startswith("0 of 4 ")
    assert {line.split()[0] for line in told} == ids
    assert all(said in line and line.endswith("forged") for line in told)
    assert Path("backup_instances_by_tag.txt").read_text().splitlines() == told
    document = json.loads(Path("backup_instances_by_tag.json").read_text())
    assert {item["subject"]: item["name"] for item in document["items"]} == {
        one["instance_id"]: name for one, name in zip(placed.values(), hidden, strict=True)
    }
    line = dict(monitor.told)["/check/fail"]
    assert len(line.splitlines()) == 1
    for name in hidden:
        assert f"{name} /dev/sda1 (vol-".replace("\n", r"\n") in line
    log = Path("log").read_text().splitlines()
    assert all(" run-20" in line for line in log)
    assert sum(said in line for line in log if " ERROR run-" in line) == 4


def test_an_address_that_tasks_share_is_not_told_that_all_is_well_of_half(
    sandbox, load, fab, configure, monitor
):
    configure(hooks={"ping_url": f"{monitor.url}/shared"})
    assert fab("backup_instances_by_tag", "trim_snapshots", "show_config").code == 1
    assert monitor.paths == ["/shared/start", "/shared/fail", "/shared/start"]


def test_a_dry_run_tells_nobody(load, fab, configure, monitor):
    load(instance("web", 8))
    configure(hooks=hooks(ping_url=f"{monitor.url}/x"))
    assert fab("backup_instances_by_tag", "--dry-run").code == 0
    assert fab("--dry", "backup_instances_by_tag").code == 0
    assert (told(), monitor.paths) == ([], [])


@pytest.mark.parametrize("code", [0, 3])
def test_hooks_that_fail_change_nothing_but_are_warnings(
    load, fab, configure, monitor, world, code
):
    tags = {"Earmarking": "production", **({"Retention": "a typo"} if code else {})}
    load(instance("web", 8, tags=tags))
    monitor.answers = [404, 404] * 2
    failing = "echo oh no >&2; exit 9"
    configure(
        quiet=True,
        hooks={
            "on_start": failing, "on_success": failing, "on_failure": failing,
            "ping_url": f"{monitor.url}/VaNqkIGAkDbhcRLQvxQGYQ",
        },
    )  # fmt: skip
    assert fab("backup_instances_by_tag", "--json").document["exit_code"] == 0
    world.sandbox.complete_all()
    ended = fab("trim_snapshots")
    assert ended.code == code
    assert world.snapshots()
    end = "on_failure" if code else "on_success"
    lines = ended.err.splitlines()
    assert [line for line in lines if "warning" in line] == [
        "trim_snapshots: warning: hooks.ping_url: HTTP 404 from 127.0.0.1",
        "trim_snapshots: warning: hooks.on_start: it ended with 9: oh no",
        "trim_snapshots: warning: hooks.ping_url: HTTP 404 from 127.0.0.1",
        f"trim_snapshots: warning: hooks.{end}: it ended with 9: oh no",
    ]
    assert "VaNqkIGAkDbhcRLQvxQGYQ" not in ended.err


def test_a_task_that_a_hook_runs_has_no_hooks_of_its_own(load, fab, configure):
    load(instance("web", 8))
    again = f"{TELL}; {BIN}/fab -r {ROOT} status --json >status.json"
    configure(hooks=hooks(on_success=again, timeout_s=120))
    assert fab("backup_instances_by_tag", "--synchronously").code == 0
    assert told() == ["backup_instances_by_tag start", "backup_instances_by_tag success 0"]
    assert json.loads(Path("status.json").read_text())["exit_code"] == 0


@pytest.mark.parametrize("wrong", [
    {"nonsense": 1},
    {"hooks": {"on_start": 3}},
    {"hooks": {"tasks": {"bakcup_instance": {"on_start": "true"}}}},
])  # fmt: skip
def test_a_broken_configuration_is_told_as_far_as_it_can_be_read(
    fab, configure, sandbox, monitor, wrong
):
    more = wrong.pop("hooks", {})
    configure(hooks={**hooks(ping_url=f"{monitor.url}/x"), **more}, **wrong)
    ended = fab("backup_instances_by_tag", "trim_snapshots")
    assert ended.code == 2
    assert monitor.paths == ["/x/fail"]
    assert told() == ["backup_instances_by_tag failure 2"]
    assert sandbox.calls() == []
    assert "Traceback" not in ended.err


def test_of_what_is_no_yaml_nothing_can_be_told_and_no_secret_is(fab, configure, monitor):
    path = configure()
    path.write_text(f"hooks:\n  ping_url: {monitor.url}/VaNqkIGAkDbhcRLQvxQGYQ: x\n")
    ended = fab("backup_instances_by_tag")
    assert ended.code == 2
    assert "isn't YAML: line 2, column" in ended.err
    assert "VaNqk" not in ended.err
    assert monitor.paths == []


def test_wrong_usage_is_told(fab, configure, monitor):
    configure(hooks={"ping_url": f"{monitor.url}/x"})
    assert fab("trim_snapshots", "--region-name", "mars").code == 2
    assert fab("-H", "web", "trim_snapshots").code == 2
    assert monitor.paths == ["/x/start", "/x/fail", "/x/fail"]


def test_a_run_that_is_stopped_is_a_failure(sandbox, load, configure, monitor):
    load(*(instance(f"web-{n}", 8) for n in range(2)))
    configure(hooks=hooks(ping_url=f"{monitor.url}/x"), logging={"file": "log"}, workers=1)
    sandbox.fault("CreateSnapshots", "hang", seconds=100, count=None)
    process = subprocess.Popen(
        [BIN / "fab", "-r", ROOT, "backup_instances_by_tag", "--json", "trim_snapshots"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_until(sandbox.calls_hanging, "a call hangs")
    process.send_signal(signal.SIGINT)
    assert process.stderr
    assert "stopping" in process.stderr.readline()
    sandbox.clear_faults()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert json.loads(out)["exit_code"] == 1
    assert monitor.paths == ["/x/start", "/x/fail"]
    assert told() == ["backup_instances_by_tag start", "backup_instances_by_tag failure 1"]


def test_the_check_pings_its_own_address_only_and_is_told_by_its_exit_code(
    sandbox, load, fab, configure, monitor
):
    load(instance("web", 8))
    shared = f"{monitor.url}/shared"
    configure(hooks={"ping_url": shared, "tasks": {"check": {"ping_url": f"{monitor.url}/check"}}})
    assert fab("check").code == 2
    assert fab("status").code == 0
    assert monitor.told[0] == ("/check/start", "")
    path, text = monitor.told[1]
    assert path == "/check/fail"
    assert text.startswith("SNAPBACK CRITICAL - web")
    assert len(monitor.told) == 2


def test_the_settings_are_shown_without_the_secret_of_an_address(fab, configure):
    url = "https://hc-ping.com/VaNqkIGAkDbhcRLQvxQGYQ/backup"
    configure(hooks={"ping_url": url, "tasks": {"check": {"ping_url": url}}})
    ended = fab("show_config", "--json")
    settings = ended.document["settings"]
    assert settings["hooks.ping_url"]["value"] == "https://hc-ping.com/(hidden)"
    assert settings["hooks.tasks.check.ping_url"]["value"] == "https://hc-ping.com/(hidden)"
    assert "VaNqk" not in ended.out + fab("show_config").out
    configure(hooks={"ping_url": "hc-ping.com/VaNqkIGAkDbhcRLQvxQGYQ"}, nonsense=1)
    assert "VaNqk" not in fab("show_config").err


# The log.


def test_every_line_of_the_log_has_run_region_and_resource(load, fab, configure):
    placed = load(instance("web", 8), instance("db", 8))
    configure(logging={"file": "log", "format": "json"})
    run = fab("backup_instances_by_tag", "--json").document["run"]
    lines = [json.loads(line) for line in Path("log").read_text().splitlines()]
    assert {line["run"] for line in lines} == {run}
    assert {line["task"] for line in lines} == {"backup_instances_by_tag"}
    assert [line["message"] for line in lines if not line["region"]] == [
        lines[0]["message"], lines[-1]["message"],
    ]  # fmt: skip
    assert lines[0]["message"].endswith(" begins")
    assert lines[-1]["message"].startswith("ended with 0 after ")
    done = {
        line["resource"]: line for line in lines[1:-1] if line["message"].startswith("done (snap-")
    }
    assert set(done) == {placed["web"]["instance_id"], placed["db"]["instance_id"]}
    assert {line["region"] for line in done.values()} == {"us-east-1"}


def test_verbose_tells_on_stderr_and_quiet_with_it_is_refused(load, fab, configure):
    load(instance("web", 8))
    ended = fab("backup_instances_by_tag", "--verbose", "--json")
    assert ended.code == 0
    assert ended.document["exit_code"] == 0
    first, *_, last = ended.err.splitlines()
    assert first.endswith(" begins")
    assert ": ended with 0 after " in last
    refused = fab("backup_instances_by_tag", "--verbose", "--quiet")
    assert refused.code == 2
    assert "--quiet and --verbose" in refused.err


def test_a_log_that_can_not_be_written_is_a_warning_and_no_more(load, fab, configure, world):
    load(instance("web", 8))
    configure(logging={"file": "/dev/full", "syslog": "/no/such", "journald": "/no/such"})
    ended = fab("backup_instances_by_tag")
    assert ended.code == 0
    assert len(world.snapshots()) == 1
    assert sorted(line.split("logging.")[1].split()[0] for line in ended.err.splitlines()) == [
        "file", "journald", "syslog",
    ]  # fmt: skip


SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY12",
    "AWS_SESSION_TOKEN": "IQoJb3JpZ2luX2VjEXAMPLEexampleTOKENtokenTOKEN",
}


@pytest.fixture
def everything_logged(tmp_path: Path) -> Iterator[Path]:
    """What our lines would be, if all that all libraries say in detail were taken."""
    path = tmp_path / "everything"
    handler = logging.FileHandler(path)
    handler.setFormatter(TextLines())
    loggers = [logging.getLogger(name) for name in (None, "botocore", "urllib3", "paramiko")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    logging.getLogger().addHandler(handler)
    yield path
    logging.getLogger().removeHandler(handler)
    handler.close()
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def test_not_even_what_botocore_says_in_detail_would_tell_a_secret(
    begin, sandbox, monkeypatch, everything_logged
):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    host, login = new_key(), new_key()
    user_data = cloud_config(host.private, host.public, login.public, 60)
    with use(begin()) as run, lender_at(run, HERE) as lender:
        conn = run.conn(HERE)
        launch = Launch(
            image=launching.newest_image(conn, HERE, "099720109477", IMAGE, "x86_64"),
            instance_types=["t3.small"],
            subnets=launching.subnets_for(conn, HERE, ()),
            security_group_ids=[],
            user_data=user_data,
        )
        with lender.instance(launch, "helper"):
            create_key_pair(conn, "a claim", {"snapback:run": run.run_id})
    (sent,) = (call.parameters["UserData"] for call in sandbox.calls("RunInstances"))
    assert base64.b64decode(sent).decode() == user_data
    said = everything_logged.read_text()
    assert "RunInstances" in said
    assert "UserData" in said
    body = host.private.splitlines()[2]
    for secret in (*SECRETS.values(), sent, quote(sent), body, quote(body), "PRIVATE KEY"):
        assert secret not in said


def test_no_secret_is_ever_in_the_log(sandbox, load, fab, configure, monitor):
    token = "VaNqkIGAkDbhcRLQvxQGYQ"
    load(instance("web", 8))
    configure(
        hooks={"ping_url": f"{monitor.url}/{token}", "on_failure": f"echo {token}; exit 1"},
        logging={"file": "log", "level": "debug"},
    )
    monitor.answers = [404] * 99
    assert fab("backup_instances_by_tag", "--verbose", **SECRETS).code == 0
    sandbox.fault("DescribeSnapshots", "error", count=None, code="Odd", status=400,
                  message=f"no {SECRETS['AWS_SESSION_TOKEN']}")  # fmt: skip
    ended = fab("trim_snapshots", "--verbose", **SECRETS)
    assert ended.code == 1
    log = Path("log").read_text()
    assert "DescribeSnapshots in us-east-1: HTTP 400 Odd, request" in log
    assert "hooks.on_failure: it ended with 1: (hidden)" in log
    for secret in (*SECRETS.values(), token):
        assert secret not in log
        assert secret not in ended.err + ended.out
    assert Path("log").stat().st_mode & 0o777 == 0o600
