"""The Recycle Bin: what rules keep, what is to be seen of it, and that it comes back whole."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from helpers import FLEET, code, own, specification, tags_of

from ec2_sandbox import Sandbox, SandboxError

IN_BIN = "aws:recycle-bin:resource-in-bin"
DAY = 86400


@pytest.fixture
def deleted(sandbox: Sandbox, ec2: Any) -> Callable[..., str]:
    """Take a snapshot, with tags, and delete it under some rules; return its id."""

    def make(*rules: dict[str, Any], tags: dict[str, str] | None = None) -> str:
        volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
        given = {"TagSpecifications": specification("snapshot", tags)} if tags else {}
        made = ec2.create_snapshot(VolumeId=volume, Description="nightly", **given)["SnapshotId"]
        sandbox.complete_all()
        sandbox.configure(recycle_bin={"us-east-1": list(rules)})
        ec2.delete_snapshot(SnapshotId=made)
        return str(made)

    return make


def binned(ec2: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ec2.list_snapshots_in_recycle_bin()["Snapshots"]
    return found


def test_a_deleted_snapshot_is_kept_and_comes_back_as_it_was(
    sandbox: Sandbox, ec2: Any, deleted: Callable[..., str]
) -> None:
    made = deleted({"days": 7}, tags={"a": "b"})
    assert own(ec2) == []
    gone = code(lambda: ec2.describe_snapshots(SnapshotIds=[made]))
    assert gone == "InvalidSnapshot.NotFound"
    assert code(lambda: ec2.delete_snapshot(SnapshotId=made)) == gone
    (kept,) = binned(ec2)
    assert set(kept) == {
        "SnapshotId", "VolumeId", "Description", "RecycleBinEnterTime", "RecycleBinExitTime",
    }  # fmt: skip
    assert (kept["SnapshotId"], kept["Description"]) == (made, "nightly")
    assert kept["RecycleBinEnterTime"] == sandbox.now()
    assert kept["RecycleBinExitTime"] - kept["RecycleBinEnterTime"] == timedelta(days=7)
    told = ec2.restore_snapshot_from_recycle_bin(SnapshotId=made)
    assert (told["SnapshotId"], told["Description"]) == (made, "nightly")
    (back,) = own(ec2)
    assert (back["State"], tags_of(back)) == ("completed", {"a": "b"})
    assert binned(ec2) == []


@pytest.mark.parametrize(
    ("rules", "days"),
    [
        ([], 0),
        ([{"days": 3}, {"days": 9, "tags": {"a": "b"}}, {"days": 30, "tags": {"a": "c"}}], 9),
        ([{"days": 30}, {"days": 9, "tags": {"a": ""}}], 30),
        ([{"days": 5, "tags": {"x": "", "a": "b"}}], 5),
        ([{"days": 5, "exclude_tags": {"a": ""}}], 0),
        ([{"days": 5, "exclude_tags": {"a": "c"}}], 5),
        ([{"days": 5, "status": "pending"}], 0),
        ([{"days": 5, "resource_type": "EBS_VOLUME"}], 0),
    ],
)
def test_of_the_rules_that_match_the_longest_counts(
    sandbox: Sandbox,
    ec2: Any,
    deleted: Callable[..., str],
    rules: list[dict[str, Any]],
    days: int,
) -> None:
    deleted(*rules, tags={"a": "b"})
    sandbox.configure(recycle_bin={})  # what is in the bin stays for as long as it was to stay
    for day in range(days):
        assert len(binned(ec2)) == 1, day
        sandbox.advance(DAY)
    assert binned(ec2) == []


def test_what_has_left_the_bin_is_gone(
    sandbox: Sandbox, ec2: Any, deleted: Callable[..., str]
) -> None:
    made = deleted({"days": 1})
    sandbox.advance(DAY)
    restore = code(lambda: ec2.restore_snapshot_from_recycle_bin(SnapshotId=made))
    assert restore == "InvalidSnapshot.NotFound"


def test_what_was_not_deleted_is_not_in_the_bin(
    sandbox: Sandbox, ec2: Any, deleted: Callable[..., str]
) -> None:
    made = deleted({"days": 1})
    ec2.restore_snapshot_from_recycle_bin(SnapshotId=made)
    restore = code(lambda: ec2.restore_snapshot_from_recycle_bin(SnapshotId=made))
    assert restore == "IncorrectState"


def test_one_that_is_pending_is_deleted_at_once(sandbox: Sandbox, ec2: Any) -> None:
    sandbox.configure(recycle_bin={"us-east-1": [{"days": 1}]})
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    made = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    ec2.delete_snapshot(SnapshotId=made)
    assert binned(ec2) == []


def test_in_the_bin_only_its_tags_can_be_changed(ec2: Any, deleted: Callable[..., str]) -> None:
    made = deleted({"days": 1}, tags={"a": "b"})
    shown = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [made]}])["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in shown} == {"a": "b", IN_BIN: "true"}
    ec2.create_tags(Resources=[made], Tags=[{"Key": "c", "Value": "d"}])
    given = {"AvailabilityZone": "us-east-1a", "SnapshotId": made}
    assert code(lambda: ec2.create_volume(**given)) == "InvalidSnapshot.NotFound"
    ec2.restore_snapshot_from_recycle_bin(SnapshotId=made)
    assert tags_of(own(ec2)[0]) == {"a": "b", "c": "d"}


def test_the_bin_is_paged_and_can_be_asked_for_some(sandbox: Sandbox, ec2: Any) -> None:
    sandbox.load_fleet(FLEET)
    sandbox.configure(recycle_bin={"us-east-1": [{"days": 7}]})
    for volume in ec2.describe_volumes()["Volumes"]:
        ec2.create_snapshot(VolumeId=volume["VolumeId"])
    sandbox.complete_all()
    made = [snapshot["SnapshotId"] for snapshot in own(ec2)]
    for snapshot_id in made:
        ec2.delete_snapshot(SnapshotId=snapshot_id)
    first = ec2.list_snapshots_in_recycle_bin(MaxResults=5)
    rest = ec2.list_snapshots_in_recycle_bin(MaxResults=5, NextToken=first["NextToken"])
    assert [s["SnapshotId"] for s in first["Snapshots"] + rest["Snapshots"]] == made
    assert "NextToken" not in rest
    some = ec2.list_snapshots_in_recycle_bin(SnapshotIds=made[:2])["Snapshots"]
    assert [one["SnapshotId"] for one in some] == made[:2]
    unknown = {"SnapshotIds": ["snap-0123456789abcdef0"]}
    call = code(lambda: ec2.list_snapshots_in_recycle_bin(**unknown))
    assert call == "InvalidSnapshot.NotFound"


def test_the_bin_is_a_regions_and_an_accounts(
    client: Callable[..., Any], deleted: Callable[..., str]
) -> None:
    deleted({"days": 7})
    assert binned(client("eu-west-1")) == []
    assert len(binned(client())) == 1


def test_dry_runs_and_permissions(sandbox: Sandbox, ec2: Any, deleted: Callable[..., str]) -> None:
    made = deleted({"days": 7}, tags={"ours": ""})
    restore, listing = ec2.restore_snapshot_from_recycle_bin, ec2.list_snapshots_in_recycle_bin
    assert code(lambda: listing(DryRun=True)) == "DryRunOperation"
    assert code(lambda: restore(SnapshotId=made, DryRun=True)) == "DryRunOperation"
    ours = {
        "Effect": "Allow",
        "Action": "ec2:RestoreSnapshotFromRecycleBin",
        "Resource": "arn:aws:ec2:*::snapshot/*",
    }
    condition = {"Null": {"aws:ResourceTag/ours": "false"}}
    sandbox.configure(policies=[{"Statement": [{**ours, "Condition": condition}]}])
    assert code(listing) == "UnauthorizedOperation"
    assert code(lambda: restore(SnapshotId=made, DryRun=True)) == "DryRunOperation"
    condition = {"Null": {"aws:ResourceTag/theirs": "false"}}
    sandbox.configure(policies=[{"Statement": [{**ours, "Condition": condition}]}])
    assert code(lambda: restore(SnapshotId=made)) == "UnauthorizedOperation"
    sandbox.configure(policies=None)
    assert len(binned(ec2)) == 1


def test_volumes_are_kept_by_rules_of_their_own(sandbox: Sandbox, ec2: Any) -> None:
    rule = {"days": 2, "resource_type": "EBS_VOLUME", "tags": {"a": ""}}
    sandbox.configure(recycle_bin={"us-east-1": [rule, {"days": 7}]})
    made = {
        key: ec2.create_volume(
            AvailabilityZone="us-east-1a", Size=1,
            TagSpecifications=specification("volume", {key: "x"}),
        )["VolumeId"]
        for key in "ab"
    }  # fmt: skip
    for volume_id in made.values():
        ec2.delete_volume(VolumeId=volume_id)
    assert ec2.describe_volumes()["Volumes"] == []
    (kept,) = ec2.list_volumes_in_recycle_bin()["Volumes"]
    assert (kept["VolumeId"], kept["Size"], "Tags" in kept) == (made["a"], 1, False)
    assert kept["RecycleBinExitTime"] - kept["RecycleBinEnterTime"] == timedelta(days=2)
    assert ec2.restore_volume_from_recycle_bin(VolumeId=made["a"])["Return"] is True
    (back,) = ec2.describe_volumes()["Volumes"]
    assert (back["State"], tags_of(back)) == ("available", {"a": "x"})
    ec2.delete_volume(VolumeId=made["a"])
    sandbox.advance(2 * DAY)
    assert ec2.list_volumes_in_recycle_bin()["Volumes"] == []
    restore = code(lambda: ec2.restore_volume_from_recycle_bin(VolumeId=made["a"]))
    assert restore == "InvalidVolume.NotFound"


def test_rules_tell_their_lock_and_are_filtered(
    sandbox: Sandbox, client: Callable[..., Any]
) -> None:
    rules = [
        {"days": 7, "lock_state": "locked"},
        {"days": 8, "lock_state": "pending_unlock"},
        {"days": 9, "tags": {"a": "b"}},
        {"days": 10, "exclude_tags": {"a": ""}},
        {"days": 1, "resource_type": "EBS_VOLUME"},
    ]
    sandbox.configure(recycle_bin={"us-east-1": rules})
    rbin = client(service="rbin")

    def days(kind: str = "EBS_SNAPSHOT", **asked: Any) -> list[int]:
        found = rbin.list_rules(ResourceType=kind, **asked)["Rules"]
        return [rule["RetentionPeriod"]["RetentionPeriodValue"] for rule in found]

    assert days() == [7, 8, 9, 10]
    assert days("EBS_VOLUME") == [1]
    assert days(LockState="locked") == [7]
    assert days(LockState="pending_unlock") == [8]
    assert days(LockState="unlocked") == [9, 10]
    assert days(ResourceTags=[{"ResourceTagKey": "a", "ResourceTagValue": "b"}]) == [9]
    assert days(ExcludeResourceTags=[{"ResourceTagKey": "a"}]) == [10]
    first = rbin.list_rules(ResourceType="EBS_SNAPSHOT", MaxResults=3)
    assert len(first["Rules"]) == 3
    assert days(MaxResults=3, NextToken=first["NextToken"]) == [10]
    (locked,) = rbin.list_rules(ResourceType="EBS_SNAPSHOT", LockState="locked")["Rules"]
    whole = rbin.get_rule(Identifier=locked["Identifier"])
    assert whole["LockState"] == "locked"
    assert whole["LockConfiguration"]["UnlockDelay"]["UnlockDelayValue"] == 7


@pytest.mark.parametrize(
    "rule",
    [
        {"days": 366},
        {"days": 0},
        {},
        {"days": 8, "resource_type": "EBS_VOLUME"},
        {"days": 1, "resource_type": "EBS"},
        {"days": 1, "tags": {"a": ""}, "exclude_tags": {"b": ""}},
        {"days": 1, "tags": {"a": ""}, "lock_state": "locked"},
        {"days": 1, "lock_state": "bolted"},
        {"days": 1, "status": "gone"},
    ],
)
def test_rules_that_the_recycle_bin_would_not_take_are_refused(
    sandbox: Sandbox, rule: dict[str, Any]
) -> None:
    with pytest.raises(SandboxError, match="recycle_bin: us-east-1: "):
        sandbox.configure(recycle_bin={"us-east-1": [rule]})
