"""Quotas and token buckets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from helpers import FLEET, code, own, status

from ec2_sandbox import LaunchedSandbox


@pytest.fixture
def web(sandbox: LaunchedSandbox) -> dict[str, Any]:
    """The ids of web-1."""
    ids: dict[str, Any] = sandbox.load_fleet(FLEET)["us-east-1"]["web-1"]
    return ids


def test_a_volume_rests_fifteen_seconds(
    sandbox: LaunchedSandbox, ec2: Any, web: dict[str, Any]
) -> None:
    sandbox.configure(seconds_between_snapshots=15)
    spec = {"InstanceId": web["instance_id"]}
    ec2.create_snapshot(VolumeId=web["volumes"]["/dev/sdf"])
    sandbox.advance(14.9)
    call = code(lambda: ec2.create_snapshots(InstanceSpecification=spec))
    assert call == "SnapshotCreationPerVolumeRateExceeded"
    assert len(own(ec2)) == 1, "one volume that can't be taken stops the whole set"
    sandbox.advance(0.2)
    ec2.create_snapshots(InstanceSpecification=spec)


def test_hdd_volumes_have_one_pending_snapshot(sandbox: LaunchedSandbox, ec2: Any) -> None:
    given = {"AvailabilityZone": "us-east-1a", "Size": 500, "VolumeType": "st1"}
    volume = ec2.create_volume(**given)["VolumeId"]
    ec2.create_snapshot(VolumeId=volume)
    call = code(lambda: ec2.create_snapshot(VolumeId=volume))
    assert call == "ConcurrentSnapshotLimitExceeded"
    sandbox.advance(3)
    ec2.create_snapshot(VolumeId=volume)


def test_deleted_ones_count_until_their_time_is_over_and_errors_until_deleted(
    sandbox: LaunchedSandbox, ec2: Any, web: dict[str, Any]
) -> None:
    sandbox.configure(pending_per_volume=1, snapshot_seconds=100)
    volume = web["volumes"]["/dev/sdf"]

    def take() -> str | None:
        return code(lambda: ec2.create_snapshot(VolumeId=volume))

    assert take() is None
    ec2.delete_snapshot(SnapshotId=own(ec2)[0]["SnapshotId"])
    assert take() == "ConcurrentSnapshotLimitExceeded"
    sandbox.advance(101)
    assert take() is None
    sandbox.fail_snapshot(own(ec2)[0]["SnapshotId"])
    assert take() == "ConcurrentSnapshotLimitExceeded"
    ec2.delete_snapshot(SnapshotId=own(ec2)[0]["SnapshotId"])
    assert take() is None
    sandbox.complete_all()
    assert take() is None


def test_copies_are_counted_by_destination(
    sandbox: LaunchedSandbox, ec2: Any, client: Callable[..., Any], web: dict[str, Any]
) -> None:
    sandbox.configure(copies_per_region=1)
    ec2.create_snapshot(VolumeId=web["volumes"]["/dev/sdf"])
    sandbox.advance(5)
    given = {"SourceRegion": "us-east-1", "SourceSnapshotId": own(ec2)[0]["SnapshotId"]}
    client("eu-west-1").copy_snapshot(**given)
    client("eu-west-2").copy_snapshot(**given)
    call = code(lambda: client("eu-west-1").copy_snapshot(**given))
    assert call == "ResourceLimitExceeded"
    sandbox.advance(5)
    client("eu-west-1").copy_snapshot(**given)


def test_a_bucket_runs_dry_by_region_and_action(
    sandbox: LaunchedSandbox, ec2: Any, client: Callable[..., Any]
) -> None:
    sandbox.configure(buckets={"CreateVolume": [3, 0]})

    def make(region: str = "us-east-1") -> Callable[[], Any]:
        given = {"AvailabilityZone": f"{region}a", "Size": 1}
        return lambda: client(region).create_volume(**given)

    assert [code(make()) for _ in range(4)] == [None] * 3 + ["RequestLimitExceeded"]
    assert status(make()) == 503
    assert len(ec2.describe_volumes()["Volumes"]) == 3
    assert code(make("eu-west-1")) is None
    outcomes = [call.outcome for call in sandbox.calls("CreateVolume", "us-east-1")]
    assert outcomes == ["ok"] * 3 + ["RequestLimitExceeded"] * 2


def test_a_bucket_refills(sandbox: LaunchedSandbox, ec2: Any) -> None:
    sandbox.configure(buckets={"DescribeVolumes": [1, 1_000_000]})
    assert [code(ec2.describe_volumes) for _ in range(3)] == [None] * 3


def test_ec2s_own_buckets(sandbox: LaunchedSandbox, ec2: Any) -> None:
    sandbox.configure(throttle=True, buckets={"DescribeUnfiltered": [2, 0], "Describe": [4, 0]})
    plain = [code(ec2.describe_volumes) for _ in range(3)]
    assert plain == [None, None, "RequestLimitExceeded"]
    sandbox.reset()
    sandbox.configure(throttle=True, buckets={"DescribeUnfiltered": [2, 0], "Describe": [4, 0]})
    paged = [code(lambda: ec2.describe_volumes(MaxResults=5)) for _ in range(5)]
    assert paged == [None] * 4 + ["RequestLimitExceeded"]
