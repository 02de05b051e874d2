"""How permissions are tried, and what EC2's answers mean."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError

from snapback.config import Loaded, Settings
from snapback.core.doctor.checkup import Level
from snapback.core.doctor.permission_probes import UNKNOWN, Things, Untried, trials_of
from snapback.core.doctor.permissions import Need, needs_in
from snapback.core.doctor.probe_results import (
    NO_DRY_RUNS,
    NOTHING_READ,
    State,
    Tried,
    Verdict,
    judge_task,
    verdict_of,
)
from snapback.core.model import Place
from snapback.doctor.permissions import try_tasks
from snapback.run import Run
from tests.sandbox.permissions import FOLDER

HERE = Things(
    place=Place("us-east-1"),
    instance_id="i-1",
    volume_id="vol-1",
    snapshot_id="snap-1",
    untagged_id="snap-2",
    source=("eu-west-1", "snap-3"),
    image_id="ami-1",
    instance_type="t3.small",
    subnet_id="subnet-1",
    vpc_id="vpc-1",
    zone="us-east-1a",
)
NOTHING = Things(place=Place("us-east-1"))
ALL = [
    need
    for path in sorted(FOLDER.glob("*.json"))
    for need in needs_in(path.stem, path.read_text())
    if need.action.startswith("ec2:")
]
REFUSAL = (
    "You are not authorized to perform this operation. User: arn:aws:iam::123456789012:user/x is "
    "not authorized to perform: ec2:DeleteSnapshot on resource: arn:aws:ec2:us-east-1::snapshot/x "
    "because no identity-based policy allows the ec2:DeleteSnapshot action. Encoded authorization "
    "failure message: abc"
)


def need(policy: str, action: str) -> Need:
    return next(one for one in ALL if (one.policy, one.action) == (policy, action))


@pytest.mark.parametrize("one", ALL, ids=lambda one: f"{one.policy} {one.action}")
def test_doctor_knows_of_every_action_whether_and_how_it_can_be_tried(one: Need) -> None:
    assert UNKNOWN not in (trials_of(one, HERE), trials_of(one, NOTHING)), (
        f"doctor doesn't know how to try {one.action}: add it to _WAYS in snapback/core/trials.py, "
        "with the parameters of a dry run, or as one that can't be tried"
    )


def test_what_is_limited_by_tags_is_tried_on_what_carries_them() -> None:
    (ours,) = trials_of(need("trim_snapshots", "ec2:DeleteSnapshot"), HERE)
    (legacy,) = trials_of(need("django_fabfile", "ec2:DeleteSnapshot"), HERE)
    assert (ours.parameters, legacy.parameters) == (
        {"SnapshotId": "snap-1"},
        {"SnapshotId": "snap-2"},
    )
    assert isinstance(trials_of(need("sweep", "ec2:TerminateInstances"), HERE), Untried)


def test_what_is_allowed_on_temporary_things_only_is_not_tried_on_others() -> None:
    """One statement allows it on any snapshot, and another only on temporary volumes."""
    for action in ("ec2:CreateSnapshot", "ec2:DeleteKeyPair"):
        of_it = [one for one in ALL if (one.policy, one.action) == ("rsync_engine", action)]
        assert of_it
        assert all(isinstance(trials_of(one, HERE), Untried) for one in of_it)
    tags = [one for one in ALL if (one.policy, one.action) == ("rsync_engine", "ec2:CreateTags")]
    tried = [one for one in tags if not isinstance(trials_of(one, HERE), Untried)]
    assert [one.when_created for one in tried] == [("CreateKeyPair",)]


def test_tags_are_tried_on_what_the_statement_is_about() -> None:
    (of_volumes,) = trials_of(need("update_volumes_tags", "ec2:CreateTags"), HERE)
    assert of_volumes.parameters["Resources"] == ["vol-1"]
    afterwards = [one for one in ALL if one.policy == "backup_instance"][-1]
    (of_snapshots,) = trials_of(afterwards, HERE)
    assert of_snapshots.parameters["Resources"] == ["snap-1"]


def test_tags_given_at_creation_are_tried_by_creating() -> None:
    trials = trials_of(need("temporary_instances", "ec2:CreateTags"), HERE)
    assert not isinstance(trials, Untried)
    assert [one.action for one in trials] == ["CreateSecurityGroup", "CreateVolume", "RunInstances"]
    assert all(one.tagged for one in trials)
    assert len((trials[2].tagged or {})["TagSpecifications"]) == 2


@pytest.mark.parametrize(
    ("policy", "action", "kinds"),
    [
        ("temporary_instances", "ec2:RunInstances", ["instance", "volume"]),
        ("temporary_instances", "ec2:CreateSecurityGroup", ["security-group"]),
        ("restore_volume", "ec2:CreateVolume", ["volume"]),
        ("restore_instance", "ec2:RegisterImage", ["image"]),
        ("rsync_engine", "ec2:CreateKeyPair", ["key-pair"]),
    ],
)
def test_what_is_lent_is_tried_with_its_tag(policy: str, action: str, kinds: list[str]) -> None:
    (trial,) = trials_of(need(policy, action), HERE)
    given = trial.parameters["TagSpecifications"]
    assert [one["ResourceType"] for one in given] == kinds
    assert all([tag["Key"] for tag in one["Tags"]] == ["snapback:expires"] for one in given)


@pytest.mark.parametrize(
    ("policy", "action", "later"),
    [
        ("backup_instance", "ec2:CreateSnapshots", True),
        ("backup_instance", "ec2:CreateTags", True),
        ("create_snapshot", "ec2:CreateSnapshot", True),
        ("console", "ec2:GetConsoleOutput", True),
        ("trim_snapshots", "ec2:DeleteSnapshot", True),
        ("django_fabfile", "ec2:DeleteSnapshot", False),
        ("copy_engine", "ec2:CopySnapshot", True),
        ("temporary_instances", "ec2:RunInstances", False),
        ("temporary_instances", "ec2:CreateVolume", False),
    ],
)
def test_without_anything_to_try_it_on_it_is_said_so(policy: str, action: str, later: bool) -> None:
    untried = trials_of(need(policy, action), NOTHING)
    assert isinstance(untried, Untried)
    assert untried.later is later


@pytest.mark.parametrize(
    ("code", "reason", "state", "says"),
    [
        ("DryRunOperation", "would have succeeded", State.ALLOWED, ""),
        ("", "", State.UNTRIED, "doesn't know dry runs"),
        ("UnauthorizedOperation", REFUSAL, State.MISSING, "no identity-based policy allows"),
        ("UnauthorizedOperation", "You are not authorized.", State.MISSING, ""),
        (
            "UnauthorizedOperation",
            "x is not authorized to perform: kms:Decrypt on resource: y",
            State.UNTRIED,
            "kms:Decrypt is not allowed",
        ),
        ("InvalidSnapshot.InUse", "it is used", State.UNTRIED, "InvalidSnapshot.InUse"),
        ("RequestLimitExceeded", "slow", State.UNTRIED, "RequestLimitExceeded"),
    ],
)
def test_what_an_answer_means(code: str, reason: str, state: State, says: str) -> None:
    verdict = verdict_of("ec2:DeleteSnapshot", code, reason)
    assert verdict.state is state
    assert says in verdict.why


def test_an_explicit_deny_is_told_as_such() -> None:
    reason = (
        "User: x is not authorized to perform: ec2:DeleteSnapshot on resource: y with an explicit "
        "deny in a service control policy. Encoded authorization failure message: abc"
    )
    verdict = verdict_of("ec2:DeleteSnapshot", "UnauthorizedOperation", reason)
    one = Tried(HERE.place, need("trim_snapshots", "ec2:DeleteSnapshot"), verdict)
    line, _ = judge_task("trim_snapshots", [one], {})
    assert "explicit deny in a service control policy" in line.text


# What a task may do.

ALLOWED, MISSING = Verdict(State.ALLOWED), Verdict(State.MISSING)
LATER, NEVER = Verdict(State.UNTRIED, "not yet", later=True), Verdict(State.UNTRIED, "never")
READ = need("trim_snapshots", "ec2:DescribeSnapshots")
DELETE = need("trim_snapshots", "ec2:DeleteSnapshot")
EAST, WEST = Place("us-east-1"), Place("eu-west-1")


def judged(*verdicts: tuple[Place, Need, Verdict]):
    return judge_task("trim_snapshots", [Tried(*one) for one in verdicts], {})


def test_a_task_that_may_do_all_is_ok() -> None:
    line, lacking = judged((EAST, READ, ALLOWED), (EAST, DELETE, ALLOWED))
    assert (line.level, lacking) == (Level.OK, [])
    assert line.text == "2 actions in 1 region allowed"


def test_a_missing_action_is_named_with_its_regions_and_its_statement() -> None:
    line, lacking = judged((EAST, DELETE, MISSING), (WEST, DELETE, MISSING), (EAST, READ, ALLOWED))
    assert line.level is Level.FAILURE
    assert "not allowed: ec2:DeleteSnapshot in eu-west-1, us-east-1" in line.text
    assert "docs/reference/iam/trim_snapshots.json" in line.advice
    assert {one.action for one in lacking} == {"ec2:DeleteSnapshot"}
    assert line.facts["missing"][0]["statement"] == DELETE.alone


def test_what_could_not_be_tried_is_never_called_allowed() -> None:
    line, _ = judged((EAST, DELETE, LATER), (EAST, READ, ALLOWED))
    assert line.level is Level.WARNING
    assert "ec2:DeleteSnapshot (not yet)" in line.text
    line, _ = judged((EAST, DELETE, NEVER))
    assert line.level is Level.OK
    assert "allowed as far as tried; not tried: ec2:DeleteSnapshot (never)" in line.text


def test_what_was_tried_somewhere_counts_as_tried() -> None:
    line, _ = judged((EAST, DELETE, ALLOWED), (WEST, DELETE, LATER))
    assert (line.level, line.facts["not_tried"]) == (Level.OK, [])


def test_two_statements_with_one_action_are_two_needs() -> None:
    at_once, afterwards = (
        one for one in ALL if (one.policy, one.action) == ("backup_instance", "ec2:CreateTags")
    )
    tried = [Tried(EAST, at_once, ALLOWED), Tried(EAST, afterwards, LATER)]
    line, _ = judge_task("backup_instance", tried, {})
    assert line.level is Level.WARNING


def test_what_a_task_can_do_without_is_no_failure() -> None:
    delete = replace(DELETE, policy="synchronously")
    without = {"with --synchronously": [Tried(EAST, delete, MISSING)]}
    line, lacking = judge_task("backup_instance", [Tried(EAST, READ, ALLOWED)], without)
    assert (line.level, lacking) == (Level.OK, [])
    assert "which it needs only with --synchronously" in line.text


def test_many_actions_of_one_reason_are_counted() -> None:
    many = [one for one in ALL if one.policy == "sweep"]
    line, _ = judge_task("sweep", [Tried(EAST, one, NEVER) for one in many], {})
    assert f"not tried: {len({one.action for one in many})} actions (never)" in line.text


class Deaf:
    """An EC2 that takes no notice of DryRun, and remembers what it did."""

    class meta:  # noqa: N801 (boto3's own)
        region_name = "us-east-1"
        method_to_api_mapping: ClassVar[dict[str, str]] = defaultdict(str)

    def __init__(self, answers: Mapping[str, str] | None = None) -> None:
        self.answers = answers or {}
        self.done: list[str] = []

    def __getattr__(self, operation: str) -> Any:
        def do(**_: Any) -> dict[str, Any]:
            if code := self.answers.get(operation, self.answers.get("*")):
                raise ClientError({"Error": {"Code": code, "Message": "x"}}, operation)
            self.done.append(operation)
            return {}

        return do


@pytest.mark.parametrize(
    ("answers", "why"),
    [({}, NO_DRY_RUNS), ({"*": "UnauthorizedOperation", "delete_snapshot": ""}, NOTHING_READ)],
)
def test_where_dry_runs_are_not_seen_to_be_honoured_nothing_is_risked(answers, why) -> None:
    deaf = Deaf(answers)
    run = Run(Loaded(settings=Settings()))
    run.conn = lambda _: deaf  # type: ignore[method-assign, assignment, return-value]
    (line,), lacking = try_tasks(run, [HERE], ["trim_snapshots"])
    assert all(operation.startswith("describe_") for operation in deaf.done)
    assert why in line.text
    assert line.level is not Level.OK
    assert "ec2:DeleteSnapshot" not in {one.action for one in lacking}


def test_the_verdict_is_tried_with_the_one_tag_that_may_be_written() -> None:
    (trial,) = trials_of(need("verify_snapshot", "ec2:CreateTags"), HERE)
    assert [tag["Key"] for tag in trial.parameters["Tags"]] == ["snapback:verified"]
