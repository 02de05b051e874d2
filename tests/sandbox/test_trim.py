"""Trimming and deleting broken snapshots, through the real fab."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from snapback.run import use
from snapback.trim import trim
from tests.sandbox.conftest import changing_calls, instance
from tests.sandbox.histories import NOW, RECORD, SET_RECORD, daily, deleted

pytestmark = pytest.mark.usefixtures("sandbox")


@pytest.fixture
def doomed(begin):
    """Answers which snapshots a trimming would delete now, in order."""

    def planned() -> list[str]:
        with use(begin()) as run:
            return [outcome.subject for outcome in trim(run, dry_run=True).outcomes]

    return planned


def test_the_dry_run_changes_nothing_and_the_real_one_does_just_what_it_said(
    sandbox, fleet, fab, world
):
    fleet(instance("web", 8, history=[daily(15)]), instance("db", 8, 8, history=[daily(12)]))
    before = world.snapshot_ids()
    planned = fab("trim_snapshots", "--dry-run", "--json")
    assert planned.code == 0
    assert changing_calls(sandbox) == []
    doomed = {item["subject"] for item in planned.document["items"]}
    assert all(item["explanation"] for item in planned.document["items"])
    assert doomed

    done = fab("trim_snapshots", "--json")
    assert done.code == 0
    assert {item["subject"] for item in done.document["items"]} == doomed
    assert set(deleted(sandbox)) == doomed
    assert world.snapshot_ids() == before - doomed
    assert done.document["kept"] == planned.document["kept"]

    again = fab("trim_snapshots", "--json")
    assert again.document["items"] == []


def test_what_survives_is_the_policys(fleet, fab, world, configure):
    configure(
        retention={
            "hourly": 0, "daily": 3, "weekly": 0, "monthly": 2, "quarterly": 0, "yearly": 0,
        },
        max_delete=100,
    )  # fmt: skip
    fleet(instance("web", 8, history=[daily(40)]))
    assert fab("trim_snapshots").code == 0
    days = sorted(json.loads(s["Description"])["Time"][:10] for s in world.snapshots())
    assert days == ["2026-10-15", "2026-11-01", "2026-11-22", "2026-11-23", "2026-11-24"]


def test_only_ours_are_touched(sandbox, fleet, fab, world, configure):
    configure(
        retention=dict.fromkeys(["hourly", "daily", "weekly", "monthly", "quarterly"], 0)
        | {"yearly": 1},
        max_delete=100,
    )
    ids = fleet(
        instance("web", 8, history=[daily(15)]),
        snapshots=[
            {"volume": "web:/dev/sda1", "age": "20d", "description": "made by hand"},
            {"volume": "web:/dev/sda1", "age": "21d", "description": "Created by CreateImage(i-1)"},
            {"volume": "web:/dev/sda1", "age": "22d", "description": '{"Volume": "vol-1"}'},
            {"volume": "web:/dev/sda1", "age": "23d", "description": "[1, 2]"},
        ],
    )
    hand_made = {
        s["SnapshotId"]
        for s in world.snapshots()
        if not s["Description"].startswith('{"Volume": "vol-0')
    }
    assert fab("trim_snapshots").code == 0
    assert not hand_made & set(deleted(sandbox))
    assert len(deleted(sandbox)) >= 10
    assert ids


def protected(kind):
    """A snapshot of ours that is old enough to go, but for what protects it."""
    return {
        "volume": "web:/dev/sda1",
        "age": "11d",
        "description": RECORD,
        "tags": {"Earmarking": "production", **kind.pop("tags", {})},
        **kind,
    }


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ({"tags": {"preserve_snapshot": "no"}}, "tag preserve_snapshot"),
        ({"used_by_ami": "golden"}, "in use"),
        ({"used_by_ami": "golden", "disabled_ami": True}, "in use"),
        ({"locked": True}, "locked"),
        ({"archived": True}, "archived"),
        ({"tags": {"dlm:managed": "true"}}, "managed by another"),
        ({"tags": {"aws:backup:source-resource": "x"}}, "managed by another"),
    ],
)
def test_protected_ones_are_kept_with_the_reason(
    sandbox, fleet, fab, world, configure, kind, reason
):
    configure(
        retention=dict.fromkeys(("hourly", "weekly", "monthly", "quarterly", "yearly"), 0)
        | {"daily": 2}
    )
    fleet(instance("web", 8, history=[daily(2)]), snapshots=[protected(dict(kind))])
    before = world.snapshot_ids()
    ended = fab("trim_snapshots", "--json")
    assert ended.code == 0, ended.err
    assert ended.document["kept"]["us-east-1"].get(reason) == 1
    assert len(before - world.snapshot_ids()) == 1
    assert len(deleted(sandbox)) == 1


def test_sets_are_kept_and_deleted_whole(sandbox, fleet, fab, world, configure):
    configure(
        retention=dict.fromkeys(("hourly", "weekly", "monthly", "quarterly", "yearly"), 0)
        | {"daily": 3},
        max_delete=100,
    )
    tags = {"snapback:set": "$set_id", "snapback:devices": "$device_map"}
    sets = daily(9, **{"as": "set"}, description=SET_RECORD, tags=tags)
    fleet(instance("web", 8, 20, 30, history=[sets]))
    pinned = world.snapshots()[0]
    world.ec2().create_tags(
        Resources=[pinned["SnapshotId"]], Tags=[{"Key": "preserve_snapshot", "Value": ""}]
    )
    assert fab("trim_snapshots").code == 0
    left = world.snapshots()
    kept_sets = {world.tags(s)["snapback:set"] for s in left}
    assert world.tags(pinned)["snapback:set"] in kept_sets
    assert len(left) == 3 * len(kept_sets)


def test_broken_ones_go_first_each_with_its_story(sandbox, fleet, fab, world):
    broken = {
        "volume": "web:/dev/sda1", "age": "3h", "state": "error", "state_message": "bad key",
        "description": RECORD,
    }  # fmt: skip
    foreign = {**broken, "age": "4h", "description": "by hand", "state_message": "bad luck"}
    ids = fleet(instance("web", 8, history=[daily(15)]), snapshots=[broken, foreign])
    bad = {s["SnapshotId"]: s["StateMessage"] for s in world.snapshots() if s["State"] == "error"}
    ended = fab("trim_snapshots", "--json")
    assert ended.code == 3
    (first,) = [snapshot for snapshot, message in bad.items() if message == "bad key"]
    assert deleted(sandbox)[0] == first
    item = ended.item(first)
    assert item["outcome"] == "broken"
    assert "bad key" in item["explanation"]
    assert "last good one" in item["explanation"]
    assert item["volume"] == ids["web"]["volumes"]["/dev/sda1"]
    (other,) = [snapshot for snapshot, message in bad.items() if message == "bad luck"]
    assert ended.item(other)["outcome"] == "not ours"
    assert other in world.snapshot_ids()


def test_delete_broken_snapshots_deletes_those_of_ours_and_nothing_else(sandbox, fleet, fab, world):
    ours_by_record = {
        "volume": "web:/dev/sda1",
        "age": "3h",
        "state": "error",
        "description": RECORD,
    }
    ours_by_tag = {**ours_by_record, "age": "5h", "description": "x", "tags": {"snapback:run": "r"}}
    foreign = {**ours_by_record, "age": "4h", "description": "by hand"}
    fleet(instance("web", 8, history=[daily(3)]), snapshots=[ours_by_record, ours_by_tag, foreign])
    before = world.snapshot_ids()
    dry = fab("delete_broken_snapshots", "--dry-run")
    assert dry.code == 3
    assert world.snapshot_ids() == before
    assert fab("delete_broken_snapshots").code == 3
    assert len(before - world.snapshot_ids()) == 2
    again = fab("delete_broken_snapshots", "--json")
    assert again.code == 0
    assert [item["outcome"] for item in again.document["items"]] == ["not ours"]


def test_every_deletion_is_written_down(sandbox, fleet, fab, configure, tmp_path: Path):
    configure(deletion_log=str(tmp_path / "deep" / "log.jsonl"))
    fleet(instance("web", 8, history=[daily(15)]))
    ended = fab("trim_snapshots", "--json")
    lines = [
        json.loads(line) for line in (tmp_path / "deep" / "log.jsonl").read_text().splitlines()
    ]
    for snapshot in deleted(sandbox):
        before, after = [line for line in lines if line["snapshot"] == snapshot]
        assert (before["event"], after["event"]) == ("deleting", "deleted")
        assert before["caller"].startswith("arn:aws:")
        assert before["run"] == ended.document["run"]
        assert before["reasons"]
        assert json.loads(before["description"])["Volume"] == before["volume"]


@pytest.mark.parametrize("path", ["file/log.jsonl", "~nobody-is-called-so/log.jsonl"])
def test_nothing_is_deleted_that_can_not_be_written_down(
    sandbox, fleet, fab, configure, tmp_path, path
):
    (tmp_path / "file").write_text("")
    configure(deletion_log=path)
    fleet(instance("web", 8, history=[daily(15)]))
    ended = fab("trim_snapshots")
    assert ended.code == 2
    assert "deletion_log" in ended.err
    assert deleted(sandbox) == []


@pytest.mark.parametrize(
    ("effect", "code", "word"),
    [
        ("error", "InvalidSnapshot.InUse", "in use"),
        ("error", "InvalidSnapshot.NotFound", "already gone"),
        ("error", "SnapshotLocked", "protected"),
    ],
)
def test_what_changed_meanwhile_is_an_outcome_not_an_error(sandbox, fleet, fab, effect, code, word):
    fleet(instance("web", 8, history=[daily(15)]))
    sandbox.fault("DeleteSnapshot", effect, code=code, status=400, message="so it is")
    ended = fab("trim_snapshots", "--json")
    assert ended.code == 0
    assert [item["outcome"] for item in ended.document["items"]].count(word) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"effect": "error", "code": "RequestLimitExceeded", "status": 503, "count": 2},
        {"effect": "error", "code": "InternalError", "status": 500},
        {"effect": "drop_before"},
        {"effect": "drop_after"},
    ],
)
@pytest.mark.parametrize(
    "action",
    [
        "DescribeSnapshots",
        "DescribeImages",
        "DescribeLockedSnapshots",
        "DeleteSnapshot",
        "GetCallerIdentity",
    ],
)
def test_a_fault_that_passes_costs_nothing(sandbox, fleet, fab, doomed, world, action, fault):
    fleet(instance("web", 8, history=[daily(15)]))
    going = doomed()
    before = world.snapshot_ids()
    sandbox.fault(action, **fault)
    ended = fab("trim_snapshots")
    assert (ended.code, ended.err) == (0, "")
    assert going
    assert before - world.snapshot_ids() == set(going)


@pytest.mark.parametrize(
    "action", ["DescribeSnapshots", "DescribeImages", "DescribeLockedSnapshots"]
)
def test_a_region_that_can_not_be_judged_is_left_alone_and_fails(sandbox, load, fab, world, action):
    sandbox.load_fleet(
        {
            "now": NOW,
            "regions": {
                region: {"instances": [instance("web", 8, history=[daily(15)])]}
                for region in ("us-east-1", "eu-west-1")
            },
        }
    )
    before = world.snapshot_ids("eu-west-1")
    sandbox.fault(
        action, "error", region="eu-west-1", count=None,
        code="UnauthorizedOperation", status=403, message="no",
    )  # fmt: skip
    ended = fab("trim_snapshots")
    assert ended.code == 1
    assert f"ec2:{action} in eu-west-1" in ended.err
    assert {call.region for call in sandbox.calls("DeleteSnapshot")} == {"us-east-1"}
    sandbox.clear_faults()
    assert world.snapshot_ids("eu-west-1") == before


def test_a_deletion_that_fails_does_not_stop_the_others(sandbox, fleet, fab, doomed, world):
    fleet(instance("web", 8, history=[daily(15)]))
    refused, *others = doomed()
    sandbox.fault(
        "DeleteSnapshot", "error", count=None, code="UnauthorizedOperation", status=403,
        message="no", where={"SnapshotId": refused},
    )  # fmt: skip
    ended = fab("trim_snapshots", "--json")
    assert ended.code == 1
    assert ended.item(refused)["outcome"] == "failed"
    assert others
    assert world.snapshot_ids() & {refused, *others} == {refused}


def test_narrowed_by_a_tag_only_those_go(sandbox, fleet, fab, world):
    fleet(
        instance("web", 8, history=[daily(15)]),
        instance("db", 8, history=[daily(15, tags={"Team": "red"})]),
    )
    assert fab("trim_snapshots", "--tag-name", "Team", "--tag-value", "blue").code == 0
    assert deleted(sandbox) == []
    assert fab("trim_snapshots", "--tag-name", "Team", "--tag-value", "red").code == 0
    left = {world.tags(s).get("Team") for s in world.snapshots()}
    assert deleted(sandbox)
    assert left == {None, "red"}
    assert len([s for s in world.snapshots() if "Team" not in world.tags(s)]) == 16


def test_a_retention_is_chosen_by_tag_and_an_unknown_one_keeps_all(
    sandbox, fleet, fab, configure, world
):
    none = dict.fromkeys(("hourly", "daily", "weekly", "monthly", "quarterly", "yearly"), 0)
    configure(retentions={"short": {**none, "daily": 3}}, max_delete=100)
    fleet(
        instance("a", 8, history=[daily(15, tags={"Retention": "short"})]),
        instance("b", 8, history=[daily(15, tags={"Retention": "shrot"})]),
    )
    ended = fab("trim_snapshots", "--json")
    assert ended.code == 3
    assert "no retention is named 'shrot'" in ended.err
    left = [world.tags(s)["Retention"] for s in world.snapshots()]
    assert (left.count("short"), left.count("shrot")) == (3, 16)


def test_a_policy_of_zeros_deletes_nothing_and_says_so(sandbox, fleet, fab, configure):
    configure(
        retention=dict.fromkeys(("hourly", "daily", "weekly", "monthly", "quarterly", "yearly"), 0)
    )
    fleet(instance("web", 8, history=[daily(15)]))
    ended = fab("trim_snapshots")
    assert ended.code == 0
    assert "the policy has no counts" in ended.out
    assert deleted(sandbox) == []


def test_more_deletions_than_the_bucket_holds_all_get_done(sandbox, fleet, fab, doomed, world):
    fleet(instance("web", 8, 8, 8, history=[daily(15)]))
    sandbox.configure(throttle=True, buckets={"DeleteSnapshot": [5, 10]})
    going = doomed()
    ended = fab("trim_snapshots")
    assert (ended.code, ended.err) == (0, "")
    assert len(going) > 5
    assert not world.snapshot_ids() & set(going)
