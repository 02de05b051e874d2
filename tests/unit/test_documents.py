"""The documents say what the code does: what they promise is checked here, not hoped for."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from copy import deepcopy
from itertools import cycle
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from fabric.tasks import Task
from invoke.parser import Parser

from snapback import config, errors, trim
from snapback.backup import volume_tags
from snapback.backup.outcomes import outcome_planned
from snapback.config import (
    Account,
    Check,
    CheckOverride,
    Loaded,
    Override,
    Region,
    Retention,
    Settings,
    Ssh,
    Temporary,
    load,
    named_file,
)
from snapback.core.backup.set_plan import Earmark, plan_set
from snapback.core.backup.volume_tags import VolumeTags
from snapback.core.doctor.permissions import Need
from snapback.core.doctor.probe_results import State, Tried, Verdict, judge_task
from snapback.core.model import Place
from snapback.core.model.backup_sets import BackupSet
from snapback.core.model.outcome import Outcome
from snapback.core.model.reasons import Reason
from snapback.core.replication.replication_plan import ReplicationPlan, Step
from snapback.core.restore.image_plan import plan_image
from snapback.core.restore.restore_plan import Given, Maps, There, plan_instance, wanted_there
from snapback.core.trim.trim_plan import TrimPlan
from snapback.core.undelete.reasons import Fate
from snapback.core.undelete.undelete_plan import Verdict as Undeleted
from snapback.replication.engine import Options
from snapback.replication.execute import would
from snapback.replication.routes import Replication
from snapback.report.backups import backup_report
from snapback.report.examinations import examination_report
from snapback.report.replications import replication_report
from snapback.report.report import document
from snapback.report.restores import restore_report
from snapback.report.statuses import check_report
from snapback.report.trims import trim_report
from snapback.report.undeletions import undelete_report
from snapback.report.volume_tags import volume_tags_report
from snapback.restore.common import Restoration
from snapback.restore.instances import outcome_of
from snapback.run import Run
from snapback.tasks import ns, program
from snapback.tasks.boundary import ABANDONED
from snapback.trim import deletions
from snapback.undelete import Undeletion
from snapback.undelete.execute import shown
from snapback.words import Word, worst_of
from tests.unit.builders import an_instance, at, instance, seen, snapshot, status_of, volume

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
EXAMPLE = ROOT / "config.example.yaml"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *DOCS.glob("[!_]*/*.md")])

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"(?:^|/bin/)(?:fab|snapback) (.+?)(?: +#.*)?$", re.MULTILINE)


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(page: str, *languages: str) -> list[str]:
    """Answer the code blocks of a page that are in one of some languages."""
    return [code for language, code in _FENCE.findall(page) if language in languages]


def module_of(path: Path) -> ModuleType:
    """Answer a script of the documentation as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# The design: where things are.


def test_the_design_names_what_is_there() -> None:
    page, home = text("docs/design.md"), ROOT / "snapback"
    answers = re.findall(r"`([a-z0-9_]+(?:/[a-z0-9_]+)*(?:\.py|/))`", page)
    assert len(answers) > 12
    assert [answer for answer in answers if not (home / answer).exists()] == []
    rooms = [path.parent.name for path in home.glob("*/__init__.py")]
    core = [path.parent.name for path in home.glob("core/*/__init__.py")]
    assert [room for room in (*rooms, *core) if f"  {room}/  " not in page] == []


# config.example.yaml: `# text` explains, `#option` is switched off.


def switched_on() -> str:
    return re.sub(r"^#(?=\S|  )", "", text("config.example.yaml"), flags=re.MULTILINE)


def test_the_example_as_it_stands_is_the_defaults() -> None:
    assert load(named_file(EXAMPLE)).settings == Settings()


def test_the_example_shows_every_option(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(switched_on())
    settings = load(named_file(path)).settings
    assert settings.model_fields_set == set(Settings.model_fields)
    assert settings.retention.model_fields_set == set(Retention.model_fields)
    assert settings.replication.model_fields_set == set(config.Replication.model_fields)
    assert settings.temporary.model_fields_set == set(Temporary.model_fields)
    assert settings.verify.model_fields_set == set(config.Verify.model_fields)
    assert settings.restore.model_fields_set == set(config.Restore.model_fields)
    (into,) = settings.restore.into.values()
    assert into.model_fields_set == set(config.RestoreInto.model_fields)
    regions = (settings.regions or {}).values()
    assert set().union(*(r.model_fields_set for r in regions)) == set(Region.model_fields)
    assert settings.accounts[0].model_fields_set == set(Account.model_fields)
    assert settings.ssh.model_fields_set == set(Ssh.model_fields)
    assert settings.overrides[0].model_fields_set == set(Override.model_fields)
    assert settings.retentions["short"].model_fields_set == set(Retention.model_fields)
    assert settings.check.model_fields_set == set(Check.model_fields)
    assert settings.hooks.model_fields_set == set(config.Hooks.model_fields)
    assert settings.hooks.tasks["trim_snapshots"].model_fields_set == set(
        config.TaskHooks.model_fields
    )
    assert settings.logging.model_fields_set == set(config.Logging.model_fields)
    (differing,) = settings.check.overrides
    assert differing.model_fields_set == set(CheckOverride.model_fields)


def test_what_the_example_switches_off_has_no_default_to_show() -> None:
    shown = set(yaml.safe_load(text("config.example.yaml")))
    defaults = Settings().model_dump()
    assert {name for name in defaults if name not in shown} == {
        name for name, value in defaults.items() if value is None or value in ({}, [])
    }


def test_the_reference_has_every_option_and_every_task() -> None:
    generated = module_of(DOCS / "_ext" / "generated.py")
    settings, tasks = generated.settings(), generated.tasks()
    for model in (
        Settings,
        Account,
        Retention,
        Region,
        Ssh,
        Override,
        config.Replication,
        Check,
        Temporary,
        config.Verify,
        config.Restore,
        config.RestoreInto,
        config.Hooks,
        config.Logging,
    ):
        assert all(f"| `{name}` |" in settings for name in model.model_fields)
    for name, task in ns.tasks.items():
        assert f"## `{name}`" in tasks
        assert all(argument.help in tasks for argument in deepcopy(task).get_arguments())


def test_every_task_can_be_watched_and_read_by_programs() -> None:
    for name, task in ns.tasks.items():
        options = {argument.name for argument in deepcopy(task).get_arguments()}
        assert options >= {"verbose", "json"}, name


# Exit codes.


@pytest.mark.parametrize("name", ["README.md", "docs/reference/exit-codes.md"])
def test_the_exit_codes_are_those_of_the_code(name: str) -> None:
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", text(name), re.MULTILINE)}
    of_errors = {
        error.exit_code
        for error in vars(errors).values()
        if isinstance(error, type) and isinstance(getattr(error, "exit_code", None), int)
    }
    assert told == {word.exit_code for word in Word} | of_errors | {ABANDONED}
    (order,) = re.findall(r"4, then (\d), (\d), (\d), (\d)\.", text(name))
    gravest_first = [4, *map(int, order)]
    for number, code in enumerate(gravest_first):
        assert worst_of(gravest_first[number:]) == code


def test_both_tables_of_exit_codes_are_one() -> None:
    rows = [
        re.findall(r"^\| \d+ \|.*$", text(name), re.MULTILINE)
        for name in ("README.md", "docs/reference/exit-codes.md")
    ]
    assert rows[0] == rows[1]


# What one types, and what one copies.


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_command_line_can_be_parsed(page: Path) -> None:
    for code in blocks(page.read_text(), "sh", "text", "ini"):
        for line in _COMMAND.findall(code):
            Parser(deepcopy(ns).to_contexts(), initial=program.initial_context).parse_argv(
                line.split()
            )


def test_the_command_lines_are_found() -> None:
    lines = _COMMAND.findall("\n".join(blocks(text("README.md"), "sh", "text", "ini")))
    assert len(lines) == 18


def test_every_make_target_is_there_and_told() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", text("Makefile"), re.MULTILINE))
    told = {name for page in PAGES for name in re.findall(r"[`\n]make ([a-z]+)", page.read_text())}
    assert told <= targets
    assert set(re.findall(r"^\| `make ([a-z]+)`", text("CONTRIBUTING.md"), re.MULTILINE)) == targets


def test_the_units_in_the_readme_are_the_files() -> None:
    folder = DOCS / "how-to" / "systemd"
    assert blocks(text("README.md"), "ini") == [
        (folder / "snapback.service").read_text(),
        (folder / "snapback.timer").read_text(),
    ]


@pytest.mark.parametrize("name", ["README.md", "docs/how-to/own-fabfile.md"])
def test_the_fabfile_in_the_documents_works(name: str) -> None:
    names: dict[str, Any] = {}
    exec(compile(blocks(text(name), "python")[0], name, "exec"), names)
    assert {
        key for key, value in names.items() if isinstance(value, Task | type(ns["show_config"]))
    } == {
        "backup_instances_by_tag",
        "newest",
        "trim_snapshots",
    }
    (settings,) = (yaml.safe_load(code) for code in blocks(text(name), "yaml"))
    assert settings == yaml.safe_load(text("fabric.yaml"))


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text(name))
    assert all((ROOT / link).is_file() for link in links if "://" not in link)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_examples_of_json_and_yaml_are_valid(page: Path) -> None:
    for code in blocks(page.read_text(), "json"):
        json.loads(code)
    for code in blocks(page.read_text(), "yaml"):
        said = yaml.safe_load(code)
        if "tasks" not in said:
            Settings.model_validate(said)


# JSON output.


def restored() -> Outcome:
    """What becomes of an instance that is restored."""
    source = BackupSet(
        place=Place("eu-west-1"),
        instance_id="i-1",
        set_id="set-1",
        taken_at=at("2026-11-25T03:00"),
        members=(snapshot(),),
    )
    plan = plan_instance(
        plan_image(source), Given(), wanted_there(source, Given(), Maps()), There()
    )
    return outcome_of(plan, Word.DONE, "", instance())


def test_the_json_documents_are_as_told() -> None:
    page = text("docs/reference/json.md")
    (
        of_backup,
        of_trim,
        of_undelete,
        of_replication,
        of_restore,
        of_status,
        of_tags,
        of_doctor,
        of_config,
    ) = map(json.loads, blocks(page, "json"))
    plan = plan_set(instance(devices={"/dev/sda1": "vol-1"}), {}, Earmark("x", ()), "run-1")
    taken = backup_report([outcome_planned(plan, None, None)], dry_run=True)
    gone = trim.Trimming(
        (TrimPlan(place=snapshot().place, broken=(), verdicts=()),),
        (
            deletions.outcome_of(snapshot(), Word.BROKEN, "deleted: why", deletion=Word.DELETED),
            deletions.outcome_of(snapshot(), Word.DELETED, "why"),
        ),
    )
    back = Undeleted(place=snapshot().place, snapshot_id="snap-1", reason=Reason(Fate.BACK, "x"))
    undeleted = Undeletion((shown(back),))
    step = Step(source=snapshot(), destination=Place("eu-west-1"))
    leg = ReplicationPlan(source=snapshot().place, destination=step.destination, steps=(step,))
    run = Run(Loaded(settings=Settings()))
    shown_steps = tuple(would(run, leg, Options(engine="copy")))
    replicated = replication_report(run, Replication((leg,), shown_steps), dry_run=True)
    assert list(of_replication["estimates"][0]) == list(replicated.facts["estimates"][0])
    tagging = volume_tags._outcome(VolumeTags(volume=volume(), instances=(instance(),)), {}, False)
    status = status_of(seen([an_instance("web", "a")], [snapshot("2026-11-24T03:00")]))
    need = Need("ec2:X", {"Sid": "A"}, "trim_snapshots")
    refused = Tried(Place("us-east-1"), need, Verdict(State.MISSING))
    line, lacking = judge_task("trim_snapshots", [refused], {})
    examined = examination_report([line], lacking)
    assert list(of_doctor["items"][0]["missing"][0]) == list(line.facts["missing"][0])
    for told, report in (
        (of_backup, taken),
        (of_trim, trim_report(gone, dry_run=False)),
        (of_undelete, undelete_report(undeleted, dry_run=False)),
        (of_replication, replicated),
        (of_restore, restore_report(Restoration((restored(),)), dry_run=False)),
        (of_status, check_report(status)),
        (of_tags, volume_tags_report([tagging], dry_run=False)),
        (of_doctor, examined),
    ):
        real = document("task", run, False, report, 0)
        assert list(told) == list(real)
        for item, like in zip(told["items"], cycle(real["items"]), strict=False):
            assert list(item) == list(like)
    common = document("task", run, False, None, 0)
    assert list(of_config)[: len(common)] == list(common)
    assert re.findall(r"^\| `(\w+)` \| ", page, re.MULTILINE)[: len(common)] == list(common)


def test_every_word_of_an_outcome_is_told_with_its_exit_code() -> None:
    page = text("docs/reference/json.md")
    rows = re.findall(r"^\| `([a-z, ]+)` \| (\d) \|", page, re.MULTILINE)
    assert {word: int(code) for word, code in rows} == {
        outcome.word.text: outcome.exit_code
        for outcome in (Outcome(subject="x", word=word) for word in Word)
    }


# Several accounts.


def test_the_policies_for_several_accounts_are_those_of_the_example() -> None:
    (said,) = (yaml.safe_load(code) for code in blocks(text("docs/how-to/accounts.md"), "yaml"))
    accounts = {one["name"]: one for one in said["accounts"]}
    folder = DOCS / "how-to" / "accounts"
    (trust,) = json.loads((folder / "trust.json").read_text())["Statement"]
    (assume,) = json.loads((folder / "assume.json").read_text())["Statement"]
    wanted = trust["Condition"]["StringEquals"]["sts:ExternalId"]
    assert wanted == accounts["prod"]["external_id"]
    assert {trust["Action"]} == set(assume["Action"]) == {"sts:AssumeRole"}
    assert assume["Resource"] == [one["role_arn"] for one in accounts.values() if "role_arn" in one]


def test_every_task_can_be_narrowed_to_an_account() -> None:
    for name, task in ns.tasks.items():
        options = {argument.name for argument in deepcopy(task).get_arguments()}
        assert name == "show_config" or "account" in options, name


def test_every_outcome_that_says_its_region_says_its_account() -> None:
    for path in (ROOT / "snapback").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Outcome":
                given = {keyword.arg for keyword in node.keywords}
                assert "region" not in given or "account" in given, f"{path}:{node.lineno}"


# The picture.


def test_the_picture_of_what_survives_is_what_the_planner_says() -> None:
    drawn = module_of(DOCS / "draw_survivors.py")
    picture = drawn.drawing(drawn.verdicts())
    assert drawn.TARGET.read_text(encoding="utf-8") == picture, "run: python docs/draw_survivors.py"
