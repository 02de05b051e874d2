"""Snapshots: their states, sets, owners, tags and protection, beyond what moto lacks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from helpers import FLEET, code, own, specification, status, tags_of

from ec2_sandbox import LaunchedSandbox


@pytest.fixture
def web(sandbox: LaunchedSandbox) -> dict[str, Any]:
    """The ids of web-1."""
    ids: dict[str, Any] = sandbox.load_fleet(FLEET)["us-east-1"]["web-1"]
    return ids


def take(ec2: Any, web: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """Takes a set of an instance."""
    spec = {"InstanceId": web["instance_id"]}
    made: list[dict[str, Any]] = ec2.create_snapshots(InstanceSpecification=spec, **more)[
        "Snapshots"
    ]
    return made


def test_progress_grows_and_ends(sandbox: LaunchedSandbox, ec2: Any, web: dict[str, Any]) -> None:
    sandbox.configure(snapshot_seconds=100)
    take(ec2, web)
    seen = []
    for _ in range(4):
        seen.append({(x["State"], x["Progress"]) for x in own(ec2)})
        sandbox.advance(33)
    assert seen == [
        {("pending", "0%")},
        {("pending", "33%")},
        {("pending", "66%")},
        {("pending", "99%")},
    ]
    assert {(x["State"], x["Progress"]) for x in own(ec2)} == {("completed", "100%")}


def test_bigger_volumes_take_longer(
    sandbox: LaunchedSandbox, ec2: Any, web: dict[str, Any]
) -> None:
    sandbox.configure(snapshot_seconds=0, snapshot_seconds_per_gib=1)
    take(ec2, web)
    sandbox.advance(50)
    assert {x["VolumeSize"]: x["State"] for x in own(ec2)} == {8: "completed", 100: "pending"}


def test_a_set_has_one_start_time_and_full_answers(ec2: Any, web: dict[str, Any]) -> None:
    made = take(ec2, web, Description="hello")
    assert {x["StartTime"] for x in made} == {datetime(2024, 6, 1, 12, tzinfo=UTC)}
    assert {x["VolumeId"] for x in made} == set(web["volumes"].values())
    assert {(x["Description"], x["State"], x["OwnerId"]) for x in made} == {
        ("hello", "pending", "123456789012")
    }


def test_a_failed_member_fails_its_set_and_nothing_else(
    sandbox: LaunchedSandbox, ec2: Any, client: Callable[..., Any]
) -> None:
    layout = sandbox.load_fleet(FLEET)["us-east-1"]
    failed = take(ec2, layout["web-1"])
    take(ec2, layout["web-2"])
    sandbox.fail_snapshot(failed[0]["SnapshotId"], "disk on fire")
    sandbox.advance(5)
    states = {x["SnapshotId"]: (x["State"], x.get("StateMessage", "")) for x in own(ec2)}
    assert states[failed[0]["SnapshotId"]] == ("error", "disk on fire")
    other = states[failed[1]["SnapshotId"]]
    assert other[0] == "error" and "disk on fire" in other[1]
    assert sorted(state for state, _ in states.values()) == ["completed"] * 2 + ["error"] * 2


def test_the_next_snapshot_of_a_volume_is_doomed(
    sandbox: LaunchedSandbox, ec2: Any, web: dict[str, Any]
) -> None:
    sandbox.fail_next_snapshot(volume_id=web["volumes"]["/dev/sdf"], message="no luck")
    assert {x["State"] for x in take(ec2, web)} == {"pending"}
    sandbox.advance(5)
    assert {x["State"] for x in own(ec2)} == {"error"}
    for each in own(ec2):
        ec2.delete_snapshot(SnapshotId=each["SnapshotId"])
    take(ec2, web)
    sandbox.complete_all()
    assert {x["State"] for x in own(ec2)} == {"completed"}


def test_the_boot_volume_can_be_left_out(ec2: Any, web: dict[str, Any]) -> None:
    spec = {"InstanceId": web["instance_id"], "ExcludeBootVolume": True}
    made = ec2.create_snapshots(InstanceSpecification=spec)["Snapshots"]
    assert [x["VolumeId"] for x in made] == [web["volumes"]["/dev/sdf"]]


def test_tags_come_from_the_call_and_from_the_volume(ec2: Any, web: dict[str, Any]) -> None:
    given = specification("snapshot", {"by": "call"})
    take(ec2, web, TagSpecifications=given, CopyTagsFromSource="volume")
    assert sorted(tags_of(x)["Name"] for x in own(ec2)) == ["data", "root"]
    assert {tags_of(x)["by"] for x in own(ec2)} == {"call"}


def test_a_key_of_both_is_refused_and_nothing_is_taken(ec2: Any, web: dict[str, Any]) -> None:
    given = specification("snapshot", {"Name": "x"})
    call = code(lambda: take(ec2, web, TagSpecifications=given, CopyTagsFromSource="volume"))
    assert call == "InvalidParameterValue"
    assert own(ec2) == []


def test_the_union_of_tags_is_limited(ec2: Any, web: dict[str, Any]) -> None:
    given = specification("snapshot", {f"k{number}": "" for number in range(50)})
    take(ec2, web, TagSpecifications=given)
    call = code(lambda: take(ec2, web, TagSpecifications=given, CopyTagsFromSource="volume"))
    assert call == "TagLimitExceeded"


def test_aws_tags_do_not_count_and_are_not_copied(sandbox: LaunchedSandbox, ec2: Any) -> None:
    volumes = [{"device": "/dev/sda1", "tags": {"aws:x": "1"}}]
    fleet = {"regions": {"us-east-1": {"instances": [{"name": "a", "volumes": volumes}]}}}
    web = sandbox.load_fleet(fleet)["us-east-1"]["a"]
    many = [{"Key": f"k{number}", "Value": ""} for number in range(50)]
    ec2.create_tags(Resources=list(web["volumes"].values()), Tags=many)
    take(ec2, web, CopyTagsFromSource="volume")
    assert len(tags_of(own(ec2)[0])) == 50


def test_snapshots_of_others_are_seen_but_not_owned(sandbox: LaunchedSandbox, ec2: Any) -> None:
    snapshots = [{"size": 1, "owner": "111122223333"}, {"size": 2}]
    sandbox.load_fleet({"regions": {"us-east-1": {"snapshots": snapshots}}})
    assert [x["VolumeSize"] for x in own(ec2)] == [2]
    assert len(ec2.describe_snapshots()["Snapshots"]) == 2
    foreign = ec2.describe_snapshots(OwnerIds=["111122223333"])["Snapshots"]
    assert [x["OwnerId"] for x in foreign] == ["111122223333"]
    assert ec2.describe_snapshots(OwnerIds=["amazon"])["Snapshots"] == []
    assert code(lambda: ec2.delete_snapshot(SnapshotId=foreign[0]["SnapshotId"])) == "AuthFailure"


def test_a_copy_has_only_what_the_call_gave(
    sandbox: LaunchedSandbox, ec2: Any, client: Callable[..., Any], web: dict[str, Any]
) -> None:
    take(ec2, web, Description="the source", CopyTagsFromSource="volume")
    sandbox.advance(60)
    source = own(ec2)[0]
    there = client("eu-west-1")
    there.copy_snapshot(
        SourceRegion="us-east-1",
        SourceSnapshotId=source["SnapshotId"],
        TagSpecifications=specification("snapshot", {"by": "call"}),
    )
    copy = own(there)[0]
    assert (copy["Description"], tags_of(copy), copy["VolumeId"], copy["State"]) == (
        "",
        {"by": "call"},
        "vol-ffffffff",
        "pending",
    )
    assert (copy["StartTime"] - source["StartTime"]).total_seconds() == 60
    assert copy["VolumeSize"] == source["VolumeSize"]


@pytest.mark.parametrize(
    ("key", "state"),
    [
        ("alias/backup", "completed"),
        ("arn:aws:kms:eu-west-1:123456789012:alias/backup", "completed"),
        ("arn:aws:kms:us-east-1:123456789012:alias/backup", "error"),
        ("alias/other", "error"),
    ],
)
def test_a_copys_key_must_be_there(
    key: str,
    state: str,
    sandbox: LaunchedSandbox,
    ec2: Any,
    client: Callable[..., Any],
    web: dict[str, Any],
) -> None:
    good = ["alias/backup", "arn:aws:kms:eu-west-1:123456789012:alias/backup"]
    sandbox.configure(kms_keys=good)
    take(ec2, web)
    sandbox.advance(5)
    there = client("eu-west-1")
    source = own(ec2)[0]["SnapshotId"]
    copy = {"SourceRegion": "us-east-1", "SourceSnapshotId": source, "Encrypted": True}
    there.copy_snapshot(**copy, KmsKeyId=key)
    sandbox.advance(5)
    assert own(there)[0]["State"] == state
    assert own(there)[0]["Encrypted"] is True
    del copy["Encrypted"]
    assert code(lambda: there.copy_snapshot(**copy, KmsKeyId=key)) == "InvalidParameterDependency"


def test_pages_hold_every_snapshot_once_while_some_are_deleted(
    sandbox: LaunchedSandbox, ec2: Any
) -> None:
    snapshots = [{"size": number} for number in range(1, 24)]
    sandbox.load_fleet({"regions": {"us-east-1": {"snapshots": snapshots}}})
    sizes, token = [], {}
    while True:
        shown = ec2.describe_snapshots(OwnerIds=["self"], MaxResults=5, **token)
        sizes += [x["VolumeSize"] for x in shown["Snapshots"]]
        ec2.delete_snapshot(SnapshotId=shown["Snapshots"][0]["SnapshotId"])
        if "NextToken" not in shown:
            break
        token = {"NextToken": shown["NextToken"]}
    assert sizes == list(range(1, 24))


def test_a_token_is_for_its_own_request_and_world(sandbox: LaunchedSandbox, ec2: Any) -> None:
    snapshots = [{"size": number} for number in range(1, 8)]
    fleet = {"regions": {"us-east-1": {"snapshots": snapshots}}}
    sandbox.load_fleet(fleet)
    token = ec2.describe_snapshots(OwnerIds=["self"], MaxResults=5)["NextToken"]
    given = {"MaxResults": 5, "NextToken": token}
    assert code(lambda: ec2.describe_snapshots(**given)) == "InvalidNextToken"
    sandbox.reset()
    sandbox.load_fleet(fleet)
    call = code(lambda: ec2.describe_snapshots(OwnerIds=["self"], **given))
    assert call == "InvalidNextToken"


def test_ids_and_max_results_do_not_go_together(ec2: Any) -> None:
    given = {"SnapshotIds": ["snap-00000000"], "MaxResults": 5}
    call = code(lambda: ec2.describe_snapshots(**given))
    assert call in ("InvalidParameterCombination", "InvalidSnapshot.NotFound")


def test_locks(sandbox: LaunchedSandbox, ec2: Any, web: dict[str, Any]) -> None:
    take(ec2, web)
    sandbox.advance(5)
    one, two = (x["SnapshotId"] for x in own(ec2))
    ec2.lock_snapshot(SnapshotId=one, LockMode="governance", LockDuration=2)
    ec2.lock_snapshot(SnapshotId=two, LockMode="compliance", LockDuration=1, CoolOffPeriod=1)
    shown = ec2.describe_locked_snapshots()["Snapshots"]
    assert {x["SnapshotId"]: x["LockState"] for x in shown} == {
        one: "governance",
        two: "compliance-cooloff",
    }
    assert code(lambda: ec2.delete_snapshot(SnapshotId=one)) == "SnapshotLocked"
    ec2.unlock_snapshot(SnapshotId=one)
    ec2.delete_snapshot(SnapshotId=one)
    sandbox.advance(3700)
    assert code(lambda: ec2.unlock_snapshot(SnapshotId=two)) == "SnapshotLocked"
    sandbox.advance(24 * 3600)
    ec2.delete_snapshot(SnapshotId=two)


def test_an_archived_snapshot(sandbox: LaunchedSandbox, ec2: Any, web: dict[str, Any]) -> None:
    take(ec2, web)
    sandbox.advance(5)
    archived = own(ec2)[0]["SnapshotId"]
    ec2.modify_snapshot_tier(SnapshotId=archived, StorageTier="archive")
    assert {x["SnapshotId"]: x["StorageTier"] for x in own(ec2)}[archived] == "archive"
    filters = [{"Name": "storage-tier", "Values": ["archive"]}]
    assert len(ec2.describe_snapshots(Filters=filters)["Snapshots"]) == 1
    assert len(ec2.describe_snapshot_tier_status()["SnapshotTierStatuses"]) == 2


def test_an_archived_snapshot_comes_back_for_some_days_or_for_good(
    sandbox: LaunchedSandbox, ec2: Any, web: dict[str, Any]
) -> None:
    take(ec2, web)
    sandbox.advance(5)
    there = own(ec2)[0]
    archived, zone = there["SnapshotId"], ec2.describe_availability_zones()["AvailabilityZones"][0]
    days = {"SnapshotId": archived, "TemporaryRestoreDays": 2}
    volume = {"SnapshotId": archived, "AvailabilityZone": zone["ZoneName"]}
    assert code(lambda: ec2.restore_snapshot_tier(**days)) == "IncorrectState"
    ec2.modify_snapshot_tier(SnapshotId=archived, StorageTier="archive")
    assert code(lambda: ec2.create_volume(**volume)) == "IncorrectState"
    neither = code(lambda: ec2.restore_snapshot_tier(SnapshotId=archived))
    assert neither == "InvalidParameterCombination"
    assert ec2.restore_snapshot_tier(**days)["RestoreDuration"] == 2
    ec2.create_volume(**volume)
    now = {x["SnapshotId"]: x for x in own(ec2)}[archived]
    assert (now["StorageTier"], "RestoreExpiryTime" in now) == ("standard", True)
    sandbox.advance(2 * 24 * 3600)
    now = {x["SnapshotId"]: x for x in own(ec2)}[archived]
    assert (now["StorageTier"], "RestoreExpiryTime" in now) == ("archive", False)
    ec2.restore_snapshot_tier(SnapshotId=archived, PermanentRestore=True)
    sandbox.advance(9 * 24 * 3600)
    assert {x["SnapshotId"]: x["StorageTier"] for x in own(ec2)}[archived] == "standard"


def test_what_aws_backup_manages_is_protected(sandbox: LaunchedSandbox, ec2: Any) -> None:
    tags = {"aws:backup:source-resource": "x"}
    sandbox.load_fleet({"regions": {"us-east-1": {"snapshots": [{"size": 1, "tags": tags}]}}})
    snapshot = own(ec2)[0]
    assert tags_of(snapshot) == tags
    with pytest.raises(ec2.exceptions.ClientError, match="AWS Backup") as caught:
        ec2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])
    assert caught.value.response["Error"]["Code"] == "InvalidParameterValue"


def test_a_snapshot_of_a_disabled_image_is_in_use(sandbox: LaunchedSandbox, ec2: Any) -> None:
    used = {"size": 1, "used_by_ami": "gold", "disabled_ami": True}
    sandbox.load_fleet({"regions": {"us-east-1": {"snapshots": [used]}}})
    snapshot = own(ec2)[0]["SnapshotId"]
    assert code(lambda: ec2.delete_snapshot(SnapshotId=snapshot)) == "InvalidSnapshot.InUse"
    image = ec2.describe_images(Owners=["self"], IncludeDisabled=True)["Images"][0]
    assert (image["State"], image["Name"]) == ("disabled", "gold")
    ec2.deregister_image(ImageId=image["ImageId"])
    ec2.delete_snapshot(SnapshotId=snapshot)
    assert code(lambda: ec2.delete_snapshot(SnapshotId=snapshot)) == "InvalidSnapshot.NotFound"


def test_new_snapshots_are_not_seen_at_once(
    sandbox: LaunchedSandbox, ec2: Any, web: dict[str, Any]
) -> None:
    sandbox.configure(visibility_delay_s=10)
    new = take(ec2, web)[0]["SnapshotId"]
    assert own(ec2) == []
    missing = "InvalidSnapshot.NotFound"
    assert code(lambda: ec2.describe_snapshots(SnapshotIds=[new])) == missing
    tags = [{"Key": "a", "Value": "b"}]
    assert code(lambda: ec2.create_tags(Resources=[new], Tags=tags)) == missing
    sandbox.advance(10)
    assert len(own(ec2)) == 2
    ec2.create_tags(Resources=[new], Tags=tags)


def test_filters(sandbox: LaunchedSandbox, ec2: Any, web: dict[str, Any]) -> None:
    take(ec2, web, CopyTagsFromSource="volume")

    def found(**filters: list[str]) -> int:
        given = [{"Name": name, "Values": values} for name, values in filters.items()]
        return len(ec2.describe_snapshots(OwnerIds=["self"], Filters=given)["Snapshots"])

    assert found(**{"tag:Name": ["data"]}) == 1
    assert found(**{"tag:Name": ["d*", "r??t"]}) == 2
    assert found(**{"tag:Name": [r"\*"]}) == 0
    assert found(**{"tag-key": ["Name"], "volume-size": ["8"]}) == 1
    assert found(status=["completed", "error"]) == 0
    assert found(**{"start-time": ["2024-06-01*"]}) == 2
    many = [str(number) for number in range(201)]
    assert code(lambda: found(**{"tag:Name": many})) == "FilterLimitExceeded"


def test_a_dry_run_does_nothing(ec2: Any, web: dict[str, Any]) -> None:
    spec = {"InstanceId": web["instance_id"]}
    volume = web["volumes"]["/dev/sdf"]
    tags = [{"Key": "a", "Value": "b"}]
    calls = [
        lambda: ec2.create_snapshots(InstanceSpecification=spec, DryRun=True),
        lambda: ec2.create_snapshot(VolumeId=volume, DryRun=True),
        lambda: ec2.create_tags(Resources=[volume], Tags=tags, DryRun=True),
        lambda: ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, DryRun=True),
        lambda: ec2.terminate_instances(InstanceIds=[web["instance_id"]], DryRun=True),
    ]
    assert [(code(call), status(call)) for call in calls] == [("DryRunOperation", 412)] * 5
    assert own(ec2) == []
    assert len(ec2.describe_volumes()["Volumes"]) == 6


def test_fifty_tags_are_the_limit(ec2: Any, web: dict[str, Any]) -> None:
    volume = web["volumes"]["/dev/sdf"]
    many = [{"Key": f"k{number}", "Value": ""} for number in range(50)]
    assert code(lambda: ec2.create_tags(Resources=[volume], Tags=many)) == "TagLimitExceeded"
    ec2.create_tags(Resources=[volume], Tags=many[:49])


def test_tags_of_many_resources_are_all_or_none(ec2: Any, web: dict[str, Any]) -> None:
    tags = [{"Key": "new", "Value": "1"}]
    given = {"Resources": [web["instance_id"], "vol-00000000"], "Tags": tags}
    assert code(lambda: ec2.create_tags(**given)) == "InvalidVolume.NotFound"
    given = {"Resources": [web["instance_id"], "i-00000000"], "Tags": tags}
    assert code(lambda: ec2.create_tags(**given)) == "InvalidInstanceID.NotFound"
    filters = [{"Name": "key", "Values": ["new"]}]
    assert ec2.describe_tags(Filters=filters)["Tags"] == []
    ec2.create_tags(Resources=[web["instance_id"]], Tags=tags)
    assert len(ec2.describe_tags(Filters=filters)["Tags"]) == 1
    ec2.delete_tags(Resources=[web["instance_id"]], Tags=[{"Key": "new"}])
    assert ec2.describe_tags(Filters=filters)["Tags"] == []
