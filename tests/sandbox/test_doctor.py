"""``fab doctor``: what is amiss is named, with what to do; and nothing is changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.sandbox.conftest import Ended, instance
from tests.sandbox.histories import daily
from tests.sandbox.permissions import FOLDER, actions_of, bound_by
from tests.sandbox.replicas import EAST, SOUTH, WEST, sets
from tests.sandbox.test_accounts import ACCOUNTS, PROD

BY_COPY = {"engine": "copy"}


@pytest.fixture
def fleet(load):
    """An instance with backups, so that all can be tried on something."""
    return load(instance("web", 8, 20, history=[sets(3)]))


def lines(ended: Ended, check: str) -> list[dict[str, Any]]:
    return [item for item in ended.document["items"] if item["check"] == check]


def one(ended: Ended, check: str, subject: str = "") -> dict[str, Any]:
    (found,) = [item for item in lines(ended, check) if subject in ("", item["subject"])]
    return found


def really_changing(sandbox) -> list[str]:
    """What was called that neither reads only nor is a dry run."""
    return [
        call.action
        for call in sandbox.calls()
        if not call.action.startswith(("Describe", "Get", "List"))
        and call.parameters.get("DryRun") != "true"
    ]


def test_where_all_is_well_it_says_so_and_changes_nothing(fleet, fab, sandbox, world, tmp_path):
    sandbox.configure(recycle_bin={EAST: [{"days": 7}]})
    before = world.snapshot_ids()
    files = sorted(tmp_path.rglob("*"))
    with bound_by(sandbox, *(path.stem for path in FOLDER.glob("*.json"))):
        ended = fab("doctor")
    assert (ended.code, ended.err) == (0, "")
    assert len({call.action for call in sandbox.calls()} & {"RunInstances", "DeleteSnapshot"}) == 2
    assert "nothing to be mended" in ended.out
    assert "to be added" not in ended.out
    assert really_changing(sandbox) == []
    assert world.snapshot_ids() == before
    assert sorted(tmp_path.rglob("*")) == files


def test_an_action_that_a_policy_lacks_is_named_with_the_statement(fleet, fab, sandbox):
    task = "trim_snapshots"
    for action in ("ec2:DeleteSnapshot", "ec2:DescribeImages", "ec2:DescribeSnapshots"):
        sandbox.configure(denied={EAST: [action]})
        ended = fab("doctor", "--tasks", task, "--json")
        assert ended.code == 1
        line = one(ended, "permissions", task)
        assert line["outcome"] == "failed", action
        assert f"{action} in {EAST}" in line["found"]
        missing = {each["action"] for each in line["missing"]}
        assert missing == {action}
        assert all(s["Action"] == [action] for s in ended.document["statements"])


def test_it_shows_the_statement_to_add(fleet, fab, sandbox):
    sandbox.configure(denied={"*": ["DeleteSnapshot"]})
    ended = fab("doctor", "--tasks", "trim_snapshots")
    assert ended.code == 1
    assert "not allowed: ec2:DeleteSnapshot in us-east-1" in ended.err
    statement = json.loads(ended.out[ended.out.index("{") : ended.out.rindex("}") + 1])
    assert statement["Action"] == ["ec2:DeleteSnapshot"]
    assert statement["Condition"] == {"Null": {"aws:ResourceTag/snapback:set": "false"}}


def test_tags_that_may_not_be_given_are_told_apart_from_snapshots_not_taken(fleet, fab, sandbox):
    sandbox.configure(denied={"*": ["CreateTags"]})
    ended = fab("doctor", "--tasks", "backup_instance", "--json")
    missing = one(ended, "permissions")["missing"]
    assert {each["action"] for each in missing} == {"ec2:CreateTags"}
    assert {each["statement"]["Sid"] for each in missing} == {"TagAtCreation", "TagAfterwards"}
    sandbox.configure(denied={"*": ["CreateSnapshots"]})
    ended = fab("doctor", "--tasks", "backup_instance", "--json")
    line = one(ended, "permissions")
    assert {each["action"] for each in line["missing"]} == {"ec2:CreateSnapshots"}
    assert "ec2:CreateSnapshots is not allowed, which goes before" in line["found"]


def test_refusals_without_a_name_are_told_apart_too(fleet, fab, sandbox):
    tagging = {"TagSpecification.1.ResourceType": "snapshot", "DryRun": "true"}
    sandbox.fault(
        "CreateSnapshots", "error", code="UnauthorizedOperation", where=tagging, count=None,
        message="You are not authorized to perform this operation.",
    )  # fmt: skip
    line = one(fab("doctor", "--tasks", "backup_instance", "--json"), "permissions")
    assert [each["statement"]["Sid"] for each in line["missing"]] == ["TagAtCreation"]


def test_only_where_it_is_denied(load, fab, sandbox):
    load(**{
        EAST: {"instances": [instance("web", 8, history=[sets(1)])]},
        WEST: {"instances": [instance("db", 8, history=[sets(1)])]},
    })  # fmt: skip
    sandbox.configure(denied={WEST: ["DeleteSnapshot"]})
    ended = fab("doctor", "--tasks", "trim_snapshots", "--json")
    assert "not allowed: ec2:DeleteSnapshot in eu-west-1" in one(ended, "permissions")["found"]
    assert fab("doctor", "--tasks", "trim_snapshots", "--region-name", EAST).code == 0


def test_a_backup_role_need_not_delete(fleet, fab, sandbox):
    sandbox.configure(denied={"*": ["DeleteSnapshot"]})
    ended = fab("doctor", "--tasks", "backup_instances_by_tag", "--json")
    assert ended.code == 0
    assert "which it needs only with --synchronously" in one(ended, "permissions")["found"]
    assert ended.document["statements"] == []


def test_before_the_first_backup_it_says_what_could_not_be_tried(load, fab):
    load(instance("web", 8))
    ended = fab("doctor", "--tasks", "trim_snapshots", "--json")
    line = one(ended, "permissions")
    assert (ended.code, line["outcome"]) == (0, "warning")
    assert "ec2:DeleteSnapshot (there is no snapshot of ours yet)" in line["found"]
    assert "after the first backup" in line["advice"]


def test_snapshots_of_django_fabfile_take_an_extra(load, fab, sandbox):
    load(instance("web", 8, history=[daily(3)]), instance("db", 8, history=[sets(1)]))
    old = [s["SnapshotId"] for s in _without_a_set(sandbox)]
    for snapshot_id in old:
        sandbox.fault(
            "DeleteSnapshot", "error", code="UnauthorizedOperation", count=None,
            where={"SnapshotId": snapshot_id}, message="You are not authorized.",
        )  # fmt: skip
    ended = fab("doctor", "--tasks", "trim_snapshots", "--json")
    (missing,) = one(ended, "permissions")["missing"]
    assert missing["statement"]["Sid"] == "DeleteUntagged"


def _without_a_set(sandbox) -> list[dict[str, Any]]:
    ec2 = boto3.client("ec2", region_name=EAST)
    found = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    return [s for s in found if "snapback:set" not in {tag["Key"] for tag in s["Tags"]}]


def test_replication_is_tried_from_where_the_backups_are(fleet, fab, sandbox, configure):
    configure(destinations={EAST: [WEST]}, replication=BY_COPY)
    sandbox.configure(denied={WEST: ["CopySnapshot"]})
    ended = fab("doctor", "--tasks", "rsync_region", "--json")
    assert "ec2:CopySnapshot in eu-west-1" in one(ended, "permissions")["found"]
    assert lines(ended, "image") == []


def test_what_temporary_instances_take_is_looked_at(fleet, fab, sandbox, configure, world):
    group = world.ec2().describe_security_groups()["SecurityGroups"][0]["GroupId"]
    configure(
        temporary={
            "image_name": "none-*",
            "subnets": {EAST: ["subnet-0123456789abcdef0"]},
            "security_groups": {EAST: [group, "sg-0123456789abcdef0"]},
        }
    )
    ended = fab("doctor", "--tasks", "rsync_region", "--json")
    assert ended.code == 1
    for check, says in (
        ("image", "temporary.image_name"),
        ("subnet", "there is no subnet subnet-0123456789abcdef0"),
        ("security group", "there is no sg-0123456789abcdef0"),
    ):
        line = one(ended, check)
        assert line["outcome"] == "failed"
        assert says in line["explanation"]
    assert "there is no image or subnet" in one(ended, "permissions")["found"]


def test_encryption_and_the_recycle_bin_are_told(fleet, fab, sandbox, configure, world):
    world.ec2().enable_ebs_encryption_by_default()
    sandbox.configure(recycle_bin={EAST: [{"days": 5, "tags": {"Earmarking": "production"}}]})
    configure(regions={EAST: {}, WEST: {}})
    ended = fab("doctor", "--tasks", "status", "--json")
    assert one(ended, "encryption", EAST)["encrypted_by_default"] is True
    assert one(ended, "encryption", WEST)["key"] == "alias/aws/ebs"
    assert one(ended, "recycle bin", EAST)["days"] == 5
    assert one(ended, "recycle bin", WEST)["outcome"] == "warning"


def test_rules_that_keep_temporary_volumes_are_named(fleet, fab, sandbox, configure):
    def rule(**more):
        return {"days": 3, "resource_type": "EBS_VOLUME", **more}

    rules = {
        EAST: [rule(lock_state="locked"), {"days": 7}],
        WEST: [rule(tags={"snapback:purpose": "", "Name": "db"}), rule(tags={"Name": "db"})],
        SOUTH: [rule(exclude_tags={"snapback:expires": ""}), rule(status="pending")],
    }
    sandbox.configure(recycle_bin=rules)
    configure(regions={EAST: {}, WEST: {}, SOUTH: {}})
    ended = fab("doctor", "--tasks", "status", "--json")
    assert ended.code == 0
    found = {line["region"]: line for line in lines(ended, "temporary volumes")}
    assert set(found) == {EAST, WEST}
    assert {line["outcome"] for line in found.values()} == {"warning"}
    assert all("for 3 days" in line["found"] for line in found.values())
    assert found[EAST]["advice"].startswith("unlock the rule, and add the exclusion tag")
    assert "take snapback:purpose out of the tags" in found[WEST]["advice"]
    assert one(ended, "recycle bin", EAST)["outcome"] == "ok"


def test_snapshots_that_no_rule_keeps_are_counted(load, fab, sandbox):
    load(instance("web", 8, history=[sets(1)]), instance("db", 8, 8, history=[sets(1)]))
    sandbox.configure(recycle_bin={EAST: [{"days": 5, "tags": {"Name": "web"}}]})
    line = one(fab("doctor", "--tasks", "status", "--json"), "recycle bin", EAST)
    assert (line["outcome"], line["days"]) == ("warning", 0)
    assert "no rule keeps 2 of our 3 snapshots" in line["found"]
    sandbox.configure(recycle_bin={EAST: [{"days": 5, "exclude_tags": {"Name": "x"}}]})
    line = one(fab("doctor", "--tasks", "status", "--json"), "recycle bin", EAST)
    assert (line["outcome"], line["days"]) == ("ok", 5)


def test_keys_of_ones_own_are_looked_at(fleet, fab, sandbox, configure):
    sandbox.configure(kms_keys=["alias/backup"])
    configure(replication={"kms_keys": {EAST: "alias/backup", WEST: "alias/none"}},
              regions={EAST: {}, WEST: {}})  # fmt: skip
    ended = fab("doctor", "--tasks", "status", "--json")
    assert ended.code == 1
    assert one(ended, "KMS key", f"{WEST} alias/none")["outcome"] == "failed"
    line = one(ended, "KMS key", f"{EAST} alias/backup")
    assert (line["outcome"], "kms:CreateGrant" in line["found"]) == ("ok", True)
    sandbox.configure(denied={"*": ["kms:CreateGrant"], WEST: ["kms:DescribeKey"]})
    ended = fab("doctor", "--tasks", "status", "--json")
    assert one(ended, "KMS key", f"{EAST} alias/backup")["missing"] == ["kms:CreateGrant"]
    assert "not examined" in one(ended, "KMS key", WEST)["found"]
    assert really_changing(sandbox) == []


def test_whom_to_tell_is_looked_at_and_not_tried(fleet, fab, configure, tmp_path: Path):
    script = tmp_path / "tell me"
    script.write_text("#!/bin/sh\ntouch told\n")
    hooks = {
        "on_start": f"'{script}'; echo",
        "on_success": "printf x | no-such-mail root",
        "on_failure": "echo 'unbalanced",
        "ping_url": "https://127.0.0.1:9/VaNqkIGAkDbhcRLQvxQGYQ",
        "tasks": {"check": {"on_failure": "touch told"}},
    }
    log = {"file": str(script / "log"), "syslog": "/no/such", "journald": "/no/such"}
    configure(hooks=hooks, logging=log)
    ended = fab("doctor", "--tasks", "status", "--json")
    assert ended.code == 1
    found = {line["subject"]: line for line in ended.document["items"]}
    assert "echo" in found["hooks.on_start"]["found"]
    assert "no-such-mail isn't found in the PATH" in found["hooks.on_success"]["found"]
    assert "sh can't read it" in found["hooks.on_failure"]["found"]
    assert found["hooks.tasks.check.on_failure"]["outcome"] == "ok"
    assert found["hooks.ping_url"]["outcome"] == "ok"
    for subject in (str(script / "log"), "syslog /no/such", "journald /no/such"):
        assert found[subject]["outcome"] == "failed", subject
    assert not Path("told").exists()
    assert "VaNqk" not in ended.out + ended.err


def test_who_may_delete_snapshots_is_told(fleet, fab, sandbox):
    iam = boto3.client("iam", region_name=EAST)
    iam.create_user(UserName="alice")
    anything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [anything]})
    iam.put_user_policy(UserName="alice", PolicyName="all", PolicyDocument=document)
    for number in range(3):
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        iam.create_role(RoleName=f"role-{number}", AssumeRolePolicyDocument=trust)
    policy = (Path(__file__).parents[2] / "docs/reference/iam/trim_snapshots.json").read_text()
    iam.put_role_policy(RoleName="role-1", PolicyName="trim", PolicyDocument=policy)
    line = one(fab("doctor", "--tasks", "status", "--json"), "who may delete")
    assert [p["name"] for p in line["principals"]] == ["role-1", "alice"]
    assert [p["on_conditions"] for p in line["principals"]] == [True, False]


def test_what_doctor_itself_may_not_read_is_not_called_ok(fleet, fab, sandbox):
    own = actions_of("doctor") - {"ec2:DescribeRegions", "ec2:DescribeVolumes"}
    sandbox.configure(denied={"*": sorted(own)})
    ended = fab("doctor", "--json")
    assert ended.code == 1
    for check in ("recycle bin", "encryption", "who may delete", "snapshots", "security group"):
        found = lines(ended, check)
        if check == "security group":
            continue
        assert [line["outcome"] for line in found][:1] == ["warning"], check
        assert "not examined" in found[0]["found"]
    assert "Traceback" not in ended.err


def test_regions_that_are_not_enabled_are_named(load, fab, configure):
    load(instance("web", 8))
    configure(regions={EAST: {}, "me-south-1": {}}, destinations={EAST: ["ap-east-1"]})
    ended = fab("doctor", "--tasks", "status", "--json")
    assert ended.code == 1
    states = {line["subject"]: line["outcome"] for line in lines(ended, "region")}
    assert states == {EAST: "ok", "me-south-1": "failed", "ap-east-1": "failed"}


def test_that_nothing_is_earmarked_is_a_failure(load, fab):
    load(instance("toy", 8, tags={}))
    ended = fab("doctor", "--json", "--tasks", "status")
    assert ended.code == 1
    assert "no instance has this tag" in one(ended, "instances")["found"]
    assert SOUTH in one(ended, "region", "all")["regions"]


def test_credentials_come_first(fab, sandbox):
    ended = fab("doctor", "--json", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert ended.code == 1
    line = one(ended, "credentials")
    assert "no usable AWS credentials" in line["found"]
    assert "nothing there was examined" in line["advice"]
    assert ended.document["items"][-1] == line
    assert sandbox.calls() == []


def test_a_broken_configuration_is_refused(fab, configure, sandbox):
    configure(nonsense=1)
    ended = fab("doctor")
    assert ended.code == 2
    assert "nonsense" in ended.err
    assert sandbox.calls() == []


def test_the_configuration_and_its_files_are_looked_at(load, fab, configure, tmp_path: Path):
    load(instance("web", 8))
    key = tmp_path / "key"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")
    key.chmod(0o644)
    blocked = tmp_path / "file"
    blocked.write_text("")
    path = configure(
        ssh={"key_filename": str(key)},
        regions={EAST: {"key_filename": "~/none"}},
        deletion_log=str(blocked / "deletions.jsonl"),
        logging={"file": "~no-such-user/log"},
        overrides=[{"match": {"Name": "x"}, "key_filename": "~no-such-user/key"}],
    )
    ended = fab("doctor", "--tasks", "status", "--json")
    assert ended.code == 1
    assert one(ended, "configuration")["subject"] == str(path)
    assert one(ended, "deletion log")["outcome"] == "failed"
    assert "nobody's home" in one(ended, "log")["found"]
    assert "no such home" in one(ended, "key file", "~no-such-user/key")["found"]
    assert one(ended, "key file", str(key))["advice"] == f"chmod 600 {key}"
    assert "No such file" in one(ended, "key file", str(tmp_path / "none"))["found"]


def test_unknown_tasks_and_regions_are_refused(fab):
    ended = fab("doctor", "--tasks", "trim_snapshot")
    assert (ended.code, "there is no task trim_snapshot" in ended.err) == (2, True)
    assert fab("doctor", "--region-name", "mars").code == 2


def test_quiet_says_only_what_is_to_be_mended(fleet, fab, sandbox):
    sandbox.configure(denied={"*": ["DeleteSnapshot"]})
    assert fab("doctor", "--tasks", "status", "--quiet").out == ""
    ended = fab("doctor", "--tasks", "trim_snapshots", "--quiet")
    assert ended.out == ""
    (line,) = ended.err.splitlines()
    assert "docs/reference/iam/trim_snapshots.json" in line


def test_each_account_is_looked_at_by_its_own_role(sandbox, fab, configure):
    sandbox.configure(roles={f"arn:aws:iam::{PROD}:role/snapback": "of-prod"})
    configure(accounts=ACCOUNTS)
    fleet = {"instances": [instance("web", 8, history=[sets(1)])]}
    sandbox.load_fleet({"account": PROD, "regions": {EAST: fleet}})
    ended = fab("doctor", "--tasks", "status", "--json")
    assert ended.code == 1
    states = {line["subject"]: line["outcome"] for line in lines(ended, "credentials")}
    assert states == {"prod": "ok", "test": "failed", "ops": "ok"}
    assert "1 in prod:us-east-1" in one(ended, "instances")["found"]
    assert {line["subject"] for line in lines(ended, "region")} == {
        "prod:eu-west-1",
        "prod:us-east-1",
        "ops:us-east-1",
    }
    assert fab("doctor", "--account", "prod", "--tasks", "status").code == 0
    assert fab("doctor", "--account", "nobody").code == 2
