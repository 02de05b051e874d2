"""Several accounts: every task in all of them, or in one; one that is closed fails alone."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import boto3
import pytest

from snapback import (
    backup_instance,
    backup_instances_by_tag,
    create_snapshot,
    get_oldest_replica,
    get_region_conn,
    get_relevant_snapshots,
    trim_snapshots,
)
from snapback.core.leases import lease
from snapback.core.model import Place, Volume
from snapback.errors import CredentialsError, ItemsFailed, UsageError
from snapback.run import use
from tests.sandbox.conftest import World, instance
from tests.sandbox.histories import daily

PROD, TEST = "111122223333", "444455556666"
ROLES = {
    f"arn:aws:iam::{PROD}:role/snapback": "of-prod",
    f"arn:aws:iam::{TEST}:role/snapback": "",
}
ACCOUNTS = [
    {
        "name": "prod",
        "role_arn": f"arn:aws:iam::{PROD}:role/snapback",
        "external_id": "of-prod",
        "regions": ["us-east-1", "eu-west-1"],
    },
    {"name": "test", "role_arn": f"arn:aws:iam::{TEST}:role/snapback"},
    {"name": "ops", "regions": ["us-east-1"]},
]


@pytest.fixture
def accounts(sandbox, configure):
    """Three accounts: two by roles, and the AWS chain's own."""
    sandbox.configure(roles=ROLES)
    return configure(accounts=ACCOUNTS)


@pytest.fixture
def fleets(sandbox, accounts):
    """Lays out an instance for each account; answers account -> region -> name -> ids."""

    def lay_out(**of_accounts):
        numbers = {"prod": PROD, "test": TEST}
        placed = {}
        for account, instances in of_accounts.items():
            whose = {"account": numbers[account]} if account in numbers else {}
            regions = {"us-east-1": {"instances": list(instances)}}
            placed[account] = sandbox.load_fleet({**whose, "regions": regions})["us-east-1"]
        sandbox.clear_calls()
        return placed

    return lay_out


@pytest.fixture
def three(fleets):
    return fleets(
        prod=[instance("web", 8, 20)], test=[instance("toy", 8)], ops=[instance("hub", 8)]
    )


def close(sandbox, account=PROD):
    """Have the role of an account refused."""
    sandbox.configure(roles={arn: "another" if account in arn else ROLES[arn] for arn in ROLES})


class Inside(World):
    """An account as a bystander sees it who has assumed its role."""

    def __init__(self, sandbox, account):
        super().__init__(sandbox)
        self._account = account

    def ec2(self, region="us-east-1"):
        sts = boto3.client("sts", region_name=region)
        arn = f"arn:aws:iam::{self._account}:role/snapback"
        more = {"ExternalId": ROLES[arn]} if ROLES[arn] else {}
        said = sts.assume_role(RoleArn=arn, RoleSessionName="bystander", **more)["Credentials"]
        return boto3.client(
            "ec2",
            region_name=region,
            aws_access_key_id=said["AccessKeyId"],
            aws_secret_access_key=said["SecretAccessKey"],
            aws_session_token=said["SessionToken"],
        )


def test_a_backup_works_in_all_accounts_and_the_table_says_which(sandbox, three, fab, world):
    ended = fab("backup_instances_by_tag")
    assert (ended.code, ended.err) == (0, "")
    head, *rows = ended.out.splitlines()
    assert head.split()[:3] == ["account", "instance", "name"]
    assert sorted((row.split()[0], row.split()[2]) for row in rows[:3]) == [
        ("ops", "hub"), ("prod", "web"), ("test", "toy"),
    ]  # fmt: skip
    assert rows[3] == "3 of 3 backed up; 4 snapshots taken"
    assert len(Inside(sandbox, PROD).snapshots()) == 2
    assert len(Inside(sandbox, TEST).snapshots()) == 1
    assert len(world.snapshots()) == 1


def test_each_account_has_its_regions(sandbox, three, fab):
    fab("backup_instances_by_tag", "--json")
    asked = [(call.region, call.access_key) for call in sandbox.calls("DescribeInstances")]
    assert sorted(region for region, _ in asked) == [
        "ap-southeast-1", "eu-west-1", "eu-west-1", "us-east-1", "us-east-1", "us-east-1",
    ]  # fmt: skip
    assert len({key for _, key in asked}) == 3
    assert len(sandbox.calls("DescribeRegions")) == 1
    assert len(sandbox.calls("AssumeRole")) == 2
    sessions = {call.parameters["RoleSessionName"] for call in sandbox.calls("AssumeRole")}
    assert {name[:13] for name in sessions} == {"snapback-run-"}


def test_one_account_is_chosen_by_its_name(sandbox, three, fab):
    ended = fab("backup_instances_by_tag", "--account", "test", "--json")
    assert [item["account"] for item in ended.document["items"]] == ["test"]
    assert {call.parameters["RoleArn"] for call in sandbox.calls("AssumeRole")} == {
        f"arn:aws:iam::{TEST}:role/snapback"
    }
    unknown = fab("backup_instances_by_tag", "--account", "stage")
    assert unknown.code == 2
    assert "no account is called 'stage': there are prod, test, ops" in unknown.err


def test_without_accounts_there_is_none_to_choose(sandbox, load, fab):
    load(instance("web", 8))
    ended = fab("backup_instances_by_tag", "--account", "prod")
    assert ended.code == 2
    assert "none below `accounts`" in ended.err
    assert sandbox.calls() == []


def test_a_region_is_that_of_every_account_that_uses_it(sandbox, three, fab):
    ended = fab("backup_instances_by_tag", "--region-name", "us-e", "--json")
    assert sorted(item["account"] for item in ended.document["items"]) == ["ops", "prod", "test"]
    ended = fab("backup_instances_by_tag", "--region-name", "eu-west-1", "--dry-run", "--json")
    assert ended.code == 1  # no instance
    assert "no instance in prod:eu-west-1, test:eu-west-1 has the tag" in ended.err
    refused = fab("backup_instances_by_tag", "--region-name", "eu-west-1", "--account", "ops")
    assert refused.code == 2
    assert "no account uses the region eu-west-1" in refused.err


@pytest.mark.parametrize("region", [(), ("--region-name", "us-east-1"), ("--region-name", "us-e")])
def test_an_account_whose_role_is_refused_fails_alone_and_loudly(sandbox, three, fab, region):
    close(sandbox)
    ended = fab("backup_instances_by_tag", *region, "--json")
    assert ended.code == 1
    told = {item["subject"]: item for item in ended.document["items"]}
    assert set(told) == {
        "prod", three["test"]["toy"]["instance_id"], three["ops"]["hub"]["instance_id"],
    }  # fmt: skip
    assert (told["prod"]["outcome"], told["prod"]["account"]) == ("failed", "prod")
    (line,) = ended.err.splitlines()
    assert line.startswith(
        f"prod: failed: the role arn:aws:iam::{PROD}:role/snapback of the account prod can't be "
        "assumed (AccessDenied: "
    )


def test_an_account_that_is_closed_is_told_by_every_task(sandbox, fleets, fab):
    fleets(prod=[instance("web", 8, history=[daily(3)])], ops=[instance("hub", 8)])
    close(sandbox)
    for task, code in (
        (("trim_snapshots",), 1),
        (("delete_broken_snapshots",), 1),
        (("sweep",), 1),
        (("status",), 1),
        (("check",), 2),
        (("rsync_region", "us-east-1", "eu-west-1", "--engine", "copy"), 1),
        (("rsync_all_regions", "us-east-1", "eu-west-1", "--engine", "copy"), 1),
    ):
        ended = fab(*task)
        assert ended.code == code, task
        assert "of the account prod can't be assumed" in ended.out + ended.err, task
        assert "Traceback" not in ended.err


def test_all_accounts_closed_is_one_refusal(sandbox, three, fab):
    sandbox.configure(roles={})
    for arguments in ((), ("--region-name", "us-east-1"), ("--region-name", "us-e")):
        ended = fab("trim_snapshots", "--account", "prod", *arguments)
        assert ended.code == 2
        (line,) = ended.err.splitlines()
        assert "can't be assumed" in line


def test_an_account_whose_regions_may_not_be_asked_for_is_not_taken_for_one_region(
    sandbox, three, fab
):
    sandbox.fault(
        "DescribeRegions", "error", count=None, code="UnauthorizedOperation", status=403,
        message="no",
    )  # fmt: skip
    ended = fab("backup_instances_by_tag", "--json")
    assert ended.code == 1
    (failed,) = [item for item in ended.document["items"] if item["outcome"] == "failed"]
    assert (failed["subject"], failed["region"]) == ("test", "")
    assert "ec2:DescribeRegions" in failed["explanation"]


def test_an_account_that_sts_does_not_answer_for_fails_alone(sandbox, three, fab):
    arn = f"arn:aws:iam::{PROD}:role/snapback"
    sandbox.fault(
        "AssumeRole",
        "error",
        count=None,
        code="InternalFailure",
        status=500,
        where={"RoleArn": arn},
    )
    ended = fab("backup_instances_by_tag", "--json")
    assert ended.code == 1
    assert [i["subject"] for i in ended.document["items"] if i["outcome"] == "failed"] == ["prod"]
    assert len([c for c in sandbox.calls("AssumeRole") if c.outcome != "ok"]) == 5


def test_credentials_are_renewed_in_a_long_run(sandbox, three, fab, world):
    sandbox.configure(session_seconds=1.5, snapshot_seconds=4)
    ended = fab("backup_instances_by_tag", "--synchronously", "--account", "prod")
    assert (ended.code, ended.err) == (0, "")
    assert len(sandbox.calls("AssumeRole")) > 2
    assert {call.outcome for call in sandbox.calls()} == {"ok"}


def test_credentials_hold_for_their_time(sandbox, three, fab):
    fab("backup_instances_by_tag", "--synchronously", "--account", "prod")
    assert len(sandbox.calls("AssumeRole")) == 1


def test_a_turn_brings_fresh_credentials(sandbox, three, accounts, begin):
    """What is called while a file system is frozen finds them renewed."""
    sandbox.configure(session_seconds=1.0)
    place = Place("us-east-1", "prod")
    run = begin(accounts)
    conn = run.conn_at_once(place, 3)
    conn.describe_regions()
    before = len(sandbox.calls("AssumeRole"))
    time.sleep(1.1)
    with run.turn(place, "CreateSnapshots"):
        assert len(sandbox.calls("AssumeRole")) == before + 1
    run.connections.close()


def test_trimming_names_who_deletes_in_each_account(sandbox, fleets, fab, tmp_path):
    fleets(
        prod=[instance("web", 8, history=[daily(12)])],
        ops=[instance("hub", 8, history=[daily(12)])],
    )
    ended = fab("trim_snapshots", "--json")
    assert (ended.code, ended.err) == (0, "")
    items = ended.document["items"]
    assert {item["account"] for item in items} == {"prod", "ops"}
    assert set(ended.document["kept"]) == {
        "ops:us-east-1", "prod:eu-west-1", "prod:us-east-1",
        "test:ap-southeast-1", "test:eu-west-1", "test:us-east-1",
    }  # fmt: skip
    log = (tmp_path / ".local/state/snapback/deletions.jsonl").read_text()
    assert log.count(f"arn:aws:sts::{PROD}:assumed-role/snapback/") == 2 * sum(
        item["account"] == "prod" for item in items
    )
    assert len(sandbox.calls("GetCallerIdentity")) == 2
    lines = fab("trim_snapshots", "--dry-run").out.splitlines()
    assert any(line.startswith("prod:us-east-1: 0 to be deleted, ") for line in lines)


def test_the_state_of_all_accounts(sandbox, fleets, fab, tmp_path):
    fleets(prod=[instance("web", 8, history=[daily(2)])], ops=[instance("hub", 8)])
    page, metrics = tmp_path / "page.html", tmp_path / "metrics.prom"
    ended = fab("status", "--html", str(page), "--prometheus", str(metrics))
    assert ended.code == 0
    head, *rows = ended.out.splitlines()
    assert head.split()[:2] == ["account", "region"]
    assert {tuple(row.split()[:2]) for row in rows[:2]} == {
        ("ops", "us-east-1"), ("prod", "us-east-1"),
    }  # fmt: skip
    assert 'snapback_volume_state{account="prod",region="us-east-1"' in metrics.read_text()
    assert "prod:us-east-1" in page.read_text()
    assert "ops:us-east-1" in fab("check").out
    one = fab("check", "--account", "prod")
    assert "ops" not in one.out


def test_replicas_stay_in_their_account(sandbox, fleets, fab):
    fleets(
        prod=[instance("web", 8, history=[daily(2)])], test=[instance("toy", 8, history=[daily(2)])]
    )
    ended = fab("rsync_region", "us-east-1", "eu-west-1", "--engine", "copy", "--json")
    assert ended.code in (0, 1)
    begun = [item for item in ended.document["items"] if item["outcome"] != "failed"]
    assert sorted(item["account"] for item in begun) == ["prod", "test"]
    assert {e["account"] for e in ended.document["estimates"]} >= {"prod", "test"}
    for account in (PROD, TEST):
        assert len(Inside(sandbox, account).snapshots("eu-west-1")) == 1


def test_one_snapshot_is_found_in_its_account(sandbox, fleets, fab):
    fleets(test=[instance("toy", 8, history=[daily(1)])])
    source = Inside(sandbox, TEST).snapshots()[0]
    ended = fab(
        "rsync_snapshot", "us-east-1", source["SnapshotId"], "eu-west-1", "--engine", "copy"
    )
    assert (ended.code, ended.err) == (0, "")
    assert len(Inside(sandbox, TEST).snapshots("eu-west-1")) == 1


def test_one_instance_is_found_in_its_account(sandbox, three, fab):
    wanted = three["test"]["toy"]["instance_id"]
    ended = fab("backup_instance", "us-east-1", "--instance-id", wanted, "--json")
    assert ended.code == 0
    assert [item["account"] for item in ended.document["items"]] == ["test"]
    nowhere = fab("backup_instance", "us-east-1", "--instance-id", "i-0123456789abcdef0")
    assert nowhere.code == 2
    close(sandbox)
    unsure = fab("backup_instance", "us-east-1", "--instance-id", "i-0123456789abcdef0")
    assert "of the account prod can't be assumed" in unsure.err


def test_sweeping_works_in_all_accounts(sandbox, three, fab):
    tags = lease.marks("run-x", "a test", "token", datetime(2020, 1, 1, tzinfo=UTC))
    tags = [{"Key": key, "Value": value} for key, value in tags.items()]
    for where in (Inside(sandbox, PROD), Inside(sandbox, TEST)):
        where.ec2().create_volume(
            AvailabilityZone="us-east-1a", Size=1,
            TagSpecifications=[{"ResourceType": "volume", "Tags": tags}],
        )  # fmt: skip
    ended = fab("sweep", "--json")
    assert ended.code == 0
    assert sorted(item["account"] for item in ended.document["items"]) == ["prod", "test"]


def test_show_config_shows_the_accounts(accounts, fab):
    ended = fab("show_config", "--json")
    assert ended.document["settings"]["accounts"]["value"] == ACCOUNTS
    assert f"arn:aws:iam::{PROD}:role/snapback" in fab("show_config").out


def test_the_helpers_know_accounts(sandbox, fleets, accounts, begin):
    placed = fleets(
        prod=[instance("web", 8, history=[daily(2)])], test=[instance("toy", 8, history=[daily(1)])]
    )
    with use(begin(accounts)):
        with pytest.raises(UsageError, match="several accounts: name one of prod, test, ops"):
            get_region_conn("us-east-1")
        prod, away = get_region_conn("us-e", "prod"), get_region_conn("eu-w", account="prod")
        assert get_region_conn("us-east-1", "prod") is prod
        assert {s.place for s in get_relevant_snapshots(prod)} == {Place("us-east-1", "prod")}
        assert len(get_oldest_replica(prod, away)) == 1
        volume = Volume(
            place=Place("us-east-1", "prod"),
            volume_id=placed["prod"]["web"]["volumes"]["/dev/sda1"],
        )
        assert create_snapshot(volume).place == volume.place
        resource = boto3.resource("ec2", region_name="us-east-1")
        toy = placed["test"]["toy"]
        with pytest.raises(UsageError, match="several accounts"):
            create_snapshot(resource.Volume(toy["volumes"]["/dev/sda1"]))
        made = create_snapshot(resource.Volume(toy["volumes"]["/dev/sda1"]), account="test")
        assert made.place == Place("us-east-1", "test")
        (taken,) = backup_instance("us-east-1", toy["instance_id"])
        assert taken.place.account == "test"
        outcomes = backup_instances_by_tag(account="prod")
        assert {outcome.place.account for outcome in outcomes} == {"prod"}
        assert {p.place.account for p in trim_snapshots(dry_run=True, account="test").plans} == {
            "test"
        }
        with pytest.raises(UsageError, match="no account is called 'mars'"):
            trim_snapshots(account="mars")


def test_one_closed_account_raises_with_all_outcomes(sandbox, three, accounts, begin):
    close(sandbox)
    with use(begin(accounts)):
        with pytest.raises(ItemsFailed) as raised:
            backup_instances_by_tag()
        assert sorted(outcome.place.account for outcome in raised.value.outcomes) == [
            "ops", "prod", "test",
        ]  # fmt: skip
        with pytest.raises(CredentialsError):
            backup_instances_by_tag(account="prod")
