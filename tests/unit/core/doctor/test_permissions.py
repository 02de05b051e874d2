"""The IAM policies: each task has one, and they say what the code calls and the documents tell."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

import snapback
from snapback.core.doctor.permissions import (
    CALLS_NOTHING,
    EXTRAS,
    EXTRAS_OF,
    Need,
    merged,
    needs_in,
    table,
)
from snapback.tasks import ns
from tests.hosts.permissions import WAYS_ON_HOSTS
from tests.sandbox.permissions import FOLDER, HOW_TO_ADD, WAYS, actions_of

ROOT = FOLDER.parents[2]
POLICIES = sorted(FOLDER.glob("*.json"))
OF_HELPERS = {"create_snapshot"}
TASKS = sorted(ns.tasks)
UNCONDITIONED = {
    "django_fabfile": {"ec2:DeleteSnapshot"},  # which carry no tag that only we write
    "own_instances": {"ec2:AttachVolume", "ec2:DetachVolume", "ec2:ModifyInstanceAttribute"},
    "restore_volume": {"ec2:AttachVolume", "ec2:DetachVolume"},  # of ours, to any instance
}
DESTRUCTIVE = ("Attach", "Authorize", "Delete", "Deregister", "Detach", "Modify", "Terminate")
each_policy = pytest.mark.parametrize("policy", POLICIES, ids=lambda path: path.stem)


def statements(policy: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(policy.read_text())["Statement"]
    return found


def needs(policy: str) -> list[Need]:
    return needs_in(policy, (FOLDER / f"{policy}.json").read_text())


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_policy_and_ways_that_test_it(task: str) -> None:
    assert task in {*WAYS, *WAYS_ON_HOSTS}, HOW_TO_ADD.format(task=task, what="test of its calls")
    has_one = task in CALLS_NOTHING or (FOLDER / f"{task}.json").exists()
    assert has_one, HOW_TO_ADD.format(task=task, what="policy")


def test_every_policy_is_that_of_a_task_or_an_extra_of_one() -> None:
    assert {path.stem for path in POLICIES} == {*TASKS, *EXTRAS, *OF_HELPERS} - CALLS_NOTHING
    assert set(EXTRAS_OF) <= set(TASKS)
    assert {extra for extras in EXTRAS_OF.values() for extra in extras} == set(EXTRAS)


def test_the_package_has_the_policies_of_the_documents() -> None:
    assert (Path(snapback.__file__).parent / "policies").resolve() == FOLDER


def test_the_page_shows_every_policy() -> None:
    page = (ROOT / "docs" / "reference" / "iam.md").read_text()
    missing = [p.stem for p in POLICIES if f"{{literalinclude}} iam/{p.name}\n" not in page]
    assert not missing, f"docs/reference/iam.md has no section that includes {missing}"
    assert not [p.stem for p in POLICIES if f"\n## {p.stem}\n" not in page]


@each_policy
def test_a_policy_is_well_formed(policy: Path) -> None:
    assert json.loads(policy.read_text())["Version"] == "2012-10-17"
    sids = [statement["Sid"] for statement in statements(policy)]
    assert len(set(sids)) == len(sids)
    assert all(sid.isalnum() for sid in sids)
    for statement in statements(policy):
        assert statement["Effect"] == "Allow"
        assert statement["Action"] == sorted(statement["Action"])
        assert not any("*" in action for action in statement["Action"])


@each_policy
def test_what_deletes_or_changes_is_limited_by_our_tags(policy: Path) -> None:
    free = {
        need.action
        for need in needs(policy.stem)
        if need.action.partition(":")[2].startswith(DESTRUCTIVE)
        and "aws:ResourceTag/snapback:" not in json.dumps(need.statement.get("Condition", {}))
    }
    assert free == UNCONDITIONED.get(policy.stem, set())


def calls_of_the_code() -> set[str]:
    """The API operations that the code calls: they all go through ``call`` or ``pages``."""
    found = set()
    for path in (ROOT / "snapback").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = node.func
            if isinstance(called, ast.Name) and called.id in {"call", "pages"}:
                operation = node.args[1]
                if isinstance(operation, ast.Constant):
                    found.add("".join(word.capitalize() for word in operation.value.split("_")))
            if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
                around = called.value.id in {"conn", "client", "sts"} and called.attr != "close"
                assert not around, f"{path}:{node.lineno} calls past snapback.ec2.calls"
    return found


def test_the_policies_name_just_what_the_code_calls() -> None:
    named = {action for policy in POLICIES for action in actions_of(policy.stem)}
    no_calls = {"iam:PassRole"}  # which RunInstances asks for
    assert {action.partition(":")[2] for action in named - no_calls} == calls_of_the_code() - {
        "GetCallerIdentity"
    }


@each_policy
def test_a_policy_allows_what_its_helper_says_that_it_calls(policy: Path) -> None:
    helper = getattr(snapback, policy.stem, None)
    said = (helper.__doc__ or "").partition("Source: ")[2] if helper else ""
    told = {f"ec2:{name}" for name in re.findall(r"\b[A-Z][a-z]+[A-Z]\w+", said)}
    assert told <= set().union(*map(actions_of, [policy.stem, *EXTRAS_OF.get(policy.stem, ())]))


def test_backup_and_trim_separate() -> None:
    for name in ("backup_instance", "backup_instances_by_tag", "create_snapshot"):
        assert "ec2:DeleteSnapshot" not in actions_of(name)
    for name in ("trim_snapshots", "django_fabfile", "delete_broken_snapshots"):
        assert not any(action.startswith("ec2:Create") for action in actions_of(name))


# core.permissions


def test_an_action_alone_keeps_the_rest_of_its_statement() -> None:
    (need,) = [one for one in needs("trim_snapshots") if one.action == "ec2:DeleteSnapshot"]
    assert need.alone == {
        "Sid": "Delete",
        "Effect": "Allow",
        "Action": ["ec2:DeleteSnapshot"],
        "Resource": "arn:aws:ec2:*::snapshot/*",
        "Condition": {"Null": {"aws:ResourceTag/snapback:set": "false"}},
    }


def test_tags_given_at_creation_are_told_apart() -> None:
    tags = [one for one in needs("backup_instance") if one.action == "ec2:CreateTags"]
    assert [one.when_created for one in tags] == [("CreateSnapshots",), ()]
    (several,) = [one for one in needs("temporary_instances") if len(one.when_created) > 1]
    assert several.when_created == ("CreateSecurityGroup", "CreateVolume", "RunInstances")


def test_statements_are_put_together_and_none_twice() -> None:
    asked = needs("status") + needs("check") + needs("trim_snapshots") + needs("django_fabfile")
    found = merged(asked)
    assert [statement["Sid"] for statement in found] == ["Read", "Delete", "DeleteUntagged"]
    assert found[0]["Action"].count("ec2:DescribeSnapshots") == 1
    both = merged(needs("backup_instance") + needs("create_snapshot"))
    assert len({statement["Sid"] for statement in both}) == len(both)
    assert merged([]) == []


def test_the_table_names_what_each_task_needs() -> None:
    rows = table(TASKS).splitlines()
    assert len(rows) == len(TASKS) + 2
    (row,) = [row for row in rows if row.startswith("| `backup_instance` |")]
    assert "[backup_instance](#backup_instance)" in row
    assert "with `--synchronously`" in row
    assert "| `show_config` | none: it calls nothing | |" in rows
