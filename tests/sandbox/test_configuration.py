"""Which configuration the programs use, what they say of it, and what is refused without one."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from snapback import config, delete_broken_snapshots, trim_snapshots
from snapback.errors import ConfigError
from snapback.run import Run, use
from tests.sandbox.conftest import BIN, Ended, changing_calls, instance
from tests.sandbox.histories import NOW, daily
from tests.sandbox.warm_fab import ROOT

MEANT = {"tag_name": "Backup", "tag_value": "yes", "retention": {"daily": 31}}
DELETING = ["trim_snapshots", "delete_broken_snapshots"]


@pytest.fixture(autouse=True)
def nothing_named(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration is named, as in a bare crontab."""
    if Path("/etc/snapback/config.yaml").exists():
        pytest.skip("this machine has a configuration in /etc/snapback, which would be found")
    monkeypatch.delenv("SNAPBACK_CONFIG")


@pytest.fixture
def meant(tmp_path: Path) -> Path:
    """The configuration that the operator wrote, in a folder where cron doesn't begin."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    path = folder / "snapback.yaml"
    path.write_text(yaml.safe_dump(MEANT))
    return path


@pytest.fixture
def fleet(sandbox: Any) -> dict[str, Any]:
    """Three instances with the default tag, two with the meant one, all with old backups."""
    history = [daily(16)]
    tags = [*[{"Earmarking": "production"}] * 3, *[{"Backup": "yes"}] * 2]
    region = {
        "instances": [
            instance(f"web-{number}", 8, tags=some, history=history)
            for number, some in enumerate(tags)
        ]
    }
    placed = sandbox.load_fleet({"now": NOW, "regions": {"us-east-1": region}})
    sandbox.clear_calls()
    found: dict[str, Any] = placed["us-east-1"]
    return found


@pytest.fixture
def shown(snapback: Callable[..., Ended]) -> Callable[..., dict[str, Any]]:
    """Returns what ``show_config`` says is in force."""

    def show(*arguments: str | Path, **more: Any) -> dict[str, Any]:
        ended = snapback(*arguments, "show_config", "--json", **more)
        assert ended.code == 0, ended.err
        return ended.document

    return show


# The night: cron begins in $HOME.


def test_from_cron_without_a_file_nothing_is_deleted_and_the_backup_says_so(
    sandbox, fleet, world, meant, snapback
):
    before = world.snapshot_ids()
    ended = snapback("backup_instances_by_tag", "trim_snapshots", SNAPBACK_QUIET="1")
    assert (ended.code, ended.out) == (2, "")
    assert sandbox.calls("DeleteSnapshot") == []
    assert before < world.snapshot_ids()
    backup, trim = ended.err.splitlines()
    assert backup.startswith("backup_instances_by_tag: by the defaults: no configuration was found")
    assert trim.startswith("trim_snapshots: no configuration was found, so nothing was deleted")
    for line in (backup, trim):
        assert "SNAPBACK_CONFIG=FILE" in line
        assert str(Path.home() / "snapback.yaml") in line
        assert "/etc/snapback/config.yaml" in line


def test_from_cron_with_the_file_named_the_meant_instances_are_backed_up(
    sandbox, fleet, world, meant, snapback
):
    before = world.snapshot_ids()
    ended = snapback(
        "backup_instances_by_tag", "trim_snapshots", SNAPBACK_QUIET="1", SNAPBACK_CONFIG=str(meant)
    )
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    taken = [one for one in world.snapshots() if one["SnapshotId"] not in before]
    assert len(taken) == 2
    assert {world.tags(one).get("Backup") for one in taken} == {"yes"}
    assert sandbox.calls("DeleteSnapshot") == []


@pytest.mark.parametrize("task", DELETING)
def test_what_deletes_is_refused_before_any_call_and_its_dry_run_goes_on(sandbox, fleet, fab, task):
    ended = fab(task, "--json")
    assert ended.code == 2
    assert ended.document["config"] is None
    assert ended.document["config_choice"] == "by the defaults"
    assert sandbox.calls() == []
    dry = fab(task, "--dry-run", "--json", "--quiet")
    assert dry.code == 0
    assert dry.document["config_choice"] == "by the defaults"
    (line,) = dry.err.splitlines()
    assert line.startswith(f"{task}: by the defaults: no configuration was found; looked for ")


@pytest.mark.parametrize("how", ["option", "environment"])
def test_none_says_that_the_defaults_are_meant(sandbox, fleet, how, snapback):
    arguments = ["--config", "none"] if how == "option" else []
    environment = {"SNAPBACK_CONFIG": "none"} if how == "environment" else {}
    ended = snapback(
        *arguments, "trim_snapshots", "--max-delete=100", SNAPBACK_QUIET="1", **environment
    )
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert sandbox.calls("DeleteSnapshot")


@pytest.mark.parametrize("helper", [trim_snapshots, delete_broken_snapshots])
def test_helpers_that_delete_are_refused_too(sandbox, fleet, helper):
    with use(Run(config.load(config.find()))), pytest.raises(ConfigError, match="nothing was del"):
        helper()
    assert sandbox.calls() == []
    with use(Run(config.load(config.find()))):
        assert helper(dry_run=True).plans
    with use(Run(config.Loaded(settings=config.Settings(max_delete=100)))):
        helper()


# --config


@pytest.mark.parametrize(
    "arguments",
    [("--config", "{}", "show_config"), ("-f", "{}", "show_config"), ("-f{}", "show_config"),
     ("--config={}", "show_config"), ("show_config", "--config", "{}"),
     ("show_config", "-f", "{}"), ("status", "--config={}", "show_config")],
)  # fmt: skip
def test_the_option_names_the_file_before_and_after_the_tasks(
    fleet, meant, arguments, tmp_path, snapback
):
    other = tmp_path / "other.yaml"
    other.write_text("workers: 7\n")
    words = [word.format(meant) for word in arguments]
    ended = snapback(*words, "--json", SNAPBACK_CONFIG=str(other))
    assert ended.code == 0, ended.err
    document = json.loads(ended.out.splitlines()[-1])
    assert (document["file"], document["config_choice"]) == (str(meant), "named")
    assert document["settings"]["tag_name"]["value"] == "Backup"
    assert document["settings"]["workers"]["from"] == "default"


@pytest.mark.parametrize("how", ["option", "environment"])
def test_a_named_file_that_is_not_there_is_refused(sandbox, fleet, how, snapback):
    arguments = ["--config", "gone.yaml"] if how == "option" else []
    environment = {"SNAPBACK_CONFIG": "gone.yaml"} if how == "environment" else {}
    said = "--config gone.yaml" if how == "option" else "SNAPBACK_CONFIG=gone.yaml"
    ended = snapback(*arguments, "backup_instances_by_tag", "trim_snapshots", **environment)
    assert ended.code == 2
    assert ended.err.startswith(f"backup_instances_by_tag: {said}: there is no such file; name it")
    assert ended.err.splitlines()[1:] == ["not begun: trim_snapshots"]
    assert sandbox.calls() == []


def test_the_option_given_twice_is_refused(sandbox, meant, snapback):
    ended = snapback("--config", meant, "status", "--config", "none")
    assert (ended.code, ended.out) == (2, "")
    assert "twice" in ended.err
    assert sandbox.calls() == []


def test_the_help_says_what_the_option_is(snapback):
    shown = " ".join(snapback("--help").out.split())
    assert "snapback's configuration file" in shown
    assert "Runtime configuration" not in shown


def test_a_hook_that_runs_snapback_uses_the_same_file(fleet, meant, tmp_path, snapback):
    hook = f"cd / && {BIN}/snapback show_config --json > {tmp_path}/seen"
    meant.write_text(yaml.safe_dump({**MEANT, "hooks": {"on_success": hook, "timeout_s": 60}}))
    ended = snapback("--config", "checkout/snapback.yaml", "backup_instances_by_tag")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads((tmp_path / "seen").read_text())["file"] == str(meant)


# What is said.


def test_every_run_names_its_file(fleet, meant, tmp_path, snapback):
    log = tmp_path / "log"
    meant.write_text(yaml.safe_dump({**MEANT, "logging": {"file": str(log)}}))
    ended = snapback("--config", meant, "backup_instances_by_tag", "--verbose", "--json")
    assert (ended.document["config"], ended.document["config_choice"]) == (str(meant), "named")
    line = f"configuration: {meant}, named by --config"
    assert line in ended.err.splitlines()[0]
    assert line in log.read_text().splitlines()[0]
    here = snapback("backup_instances_by_tag", "--verbose", cwd=meant.parent)
    assert f"configuration: {meant}, found in the current folder" in here.err


def test_show_config_begins_with_the_file_or_where_it_was_looked_for(meant, tmp_path, snapback):
    first = snapback("show_config", cwd=meant.parent).out.splitlines()[0]
    assert first == f"configuration: {meant}, found in the current folder"
    first = snapback("show_config").out.splitlines()[0]
    assert first.startswith("configuration: the defaults: no file was found; looked for ")
    assert f"{tmp_path}/.config/snapback/config.yaml, /etc/snapback/config.yaml" in first


@pytest.mark.parametrize(
    ("where", "level", "advice"),
    [("here", "warning", "set SNAPBACK_CONFIG={}"), ("named", "ok", ""),
     ("nowhere", "warning", "write one"), ("none", "ok", "")],
)  # fmt: skip
def test_doctor_warns_of_a_file_that_cron_will_not_find(
    fleet, fab, meant, monkeypatch, where, level, advice
):
    if where == "here":
        monkeypatch.chdir(meant.parent)
    named = {"named": str(meant), "none": "none"}.get(where)
    ended = fab("doctor", "--json", **({"SNAPBACK_CONFIG": named} if named else {}))
    (item,) = [item for item in ended.document["items"] if item["check"] == "configuration"]
    assert item["outcome"] == level
    assert advice.format(meant) in item["advice"]
    assert item["subject"] == (str(meant) if where in ("here", "named") else "none")


# Fabric's own files.


@pytest.mark.parametrize("file", ["fabric.yaml", ".fabric.yaml", "runtime.yaml"])
def test_settings_for_snapback_in_files_of_fabric_are_refused(sandbox, fleet, tmp_path, file):
    (tmp_path / "fabfile.py").write_text("from snapback.tasks import *\n")
    (tmp_path / file).write_text("snapback: {retention: {daily: 31}}\n")
    options = ["-f", file] if file == "runtime.yaml" else []
    ended = fab_here(*options, "backup-instances-by-tag", "trim-snapshots")
    assert ended.code == 2
    assert f"{file}: snapback: isn't read" in ended.err
    assert "SNAPBACK_CONFIG" in ended.err
    assert sandbox.calls() == []


def test_settings_for_snapback_in_the_fabric_file_at_home_are_refused(
    sandbox, fleet, tmp_path, snapback
):
    (tmp_path / ".fabric.yaml").write_text("snapback: {retention: {daily: 31}}\n")
    ended = snapback("trim_snapshots", SNAPBACK_CONFIG="none")
    assert ended.code == 2
    assert ".fabric.yaml: snapback: isn't read" in ended.err
    assert sandbox.calls() == []


def test_a_configuration_given_to_the_option_of_fab_is_refused(sandbox, fleet, meant):
    ended = fab_here("-r", ROOT, "--config", meant, "trim_snapshots")
    assert ended.code == 2
    assert f"name snapback's with SNAPBACK_CONFIG={meant}" in ended.err
    assert sandbox.calls() == []


def test_the_option_of_fab_stays_fabrics(fleet, tmp_path):
    (tmp_path / "mine.yaml").write_text("run: {echo: true}\nregions: [a]\n")
    ended = fab_here("-r", ROOT, "-f", "mine.yaml", "show_config", "--json")
    assert ended.code == 0, ended.err
    assert ended.document["config_choice"] == "by the defaults"


def fab_here(*arguments: str | Path) -> Ended:
    """Run the real ``fab`` to its end, with Fabric's own files as a person has them."""
    ended = subprocess.run(
        [BIN / "fab", *arguments], text=True, capture_output=True, check=False, timeout=120,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return Ended(ended.returncode, ended.stdout, ended.stderr)


# Who may have written it.


def test_a_file_found_where_others_may_write_is_refused_and_its_hooks_do_not_run(
    sandbox, fleet, meant, tmp_path, snapback
):
    ran = tmp_path / "ran"
    meant.write_text(yaml.safe_dump({**MEANT, "hooks": {"on_failure": f"touch {ran}"}}))
    meant.parent.chmod(0o1777)
    ended = snapback("backup_instances_by_tag", "--json", cwd=meant.parent)
    assert ended.code == 2
    assert ended.document["config_choice"] == "refused"
    assert f"everybody may write to its folder {meant.parent}" in ended.err
    assert sandbox.calls() == []
    (meant.parent / "fabfile.py").write_text("from snapback.tasks import show_config\n")
    assert fab_here("-r", meant.parent, "show-config").code == 2
    assert not ran.exists()


def test_a_named_file_that_others_may_write_is_warned_of(sandbox, fleet, meant, snapback):
    meant.chmod(0o666)
    ended = snapback("--config", meant, "backup_instances_by_tag", "trim_snapshots")
    assert ended.code == 0
    warning = f"backup_instances_by_tag: warning: {meant}: everybody may write to it"
    assert ended.err.splitlines() == [warning]
    ended = snapback("--config", meant, "trim_snapshots", "--quiet")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_found_that_belongs_to_somebody_else_is_refused(sandbox, fleet, meant, snapback):
    os.chown(meant, 12_345, -1)
    ended = snapback("trim_snapshots", cwd=meant.parent)
    assert ended.code == 2
    assert "it belongs to the user 12345" in ended.err
    assert f"SNAPBACK_CONFIG={meant}" in ended.err
    assert changing_calls(sandbox) == []
