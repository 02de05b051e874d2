"""The helpers as somebody else's fabfile imports them."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest

import snapback
from snapback import (
    backup_instance,
    backup_instances_by_tag,
    create_snapshot,
    delete_broken_snapshots,
    get_oldest_replica,
    get_region_conn,
    get_relevant_snapshots,
    trim_snapshots,
)
from snapback.core.model import Consistency, Place, Volume
from snapback.ec2.connection import MORE_CALLS
from snapback.errors import (
    ApiError,
    BrakeError,
    ItemsFailed,
    SnapshotFailed,
    SnapshotTimeout,
    UsageError,
)
from snapback.run import use
from tests.sandbox.conftest import changing_calls, instance
from tests.sandbox.histories import RECORD, daily

pytestmark = pytest.mark.usefixtures("run")


def volume(ids, name="web", device="/dev/sda1") -> Volume:
    return Volume(place=Place("us-east-1"), volume_id=ids[name]["volumes"][device])


def test_importing_the_package_costs_nothing():
    heavy = {"boto3", "dask", "fabric", "pydantic", "rich"}
    probe = f"import snapback, sys; print({heavy} & set(sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "set()\n"
    assert snapback.__all__ == sorted(snapback.__all__)
    assert all(getattr(snapback, name) for name in snapback.__all__)


def test_a_snapshot_of_one_volume_has_its_record_in_its_description(load, world):
    ids = load(instance("web", 8, tags={"Earmarking": "production", "aws:x": "1"}))
    made = create_snapshot(volume(ids))
    (snapshot,) = world.snapshots()
    assert made.snapshot_id == snapshot["SnapshotId"]
    assert snapshot["State"] == made.state == "completed"
    said = json.loads(snapshot["Description"])
    assert said["Volume"] == ids["web"]["volumes"]["/dev/sda1"]
    assert said["Instance"] == ids["web"]["instance_id"]
    assert set(said) == {
        "Volume", "Region", "Device", "Instance", "Type", "Arch", "Root_dev_name", "Time",
    }  # fmt: skip
    assert made.record
    assert made.record.volume == said["Volume"]
    assert world.tags(snapshot)["Name"] == "web"
    assert "aws:x" not in world.tags(snapshot)


def test_boto3_resources_are_taken_too(sandbox, load, world):
    ids = load(instance("web", 8, 20))
    resource = boto3.resource("ec2", region_name="us-east-1")
    create_snapshot(resource.Volume(ids["web"]["volumes"]["/dev/sda1"]))
    assert len(world.snapshots()) == 1
    found = backup_instance("us-e", instance=resource.Instance(ids["web"]["instance_id"]))
    assert len(found) == 2
    with pytest.raises(UsageError, match="is no volume"):
        create_snapshot("vol-1")
    with pytest.raises(UsageError, match="is in us-east-1, not in eu-west-1"):
        backup_instance("eu-west-1", instance=resource.Instance(ids["web"]["instance_id"]))


def test_a_description_of_ones_own_means_no_record(load, world):
    ids = load(instance("web", 8))
    made = create_snapshot(volume(ids), description="before the upgrade", tags={"Why": "upgrade"})
    assert made.record is None
    (snapshot,) = world.snapshots()
    assert snapshot["Description"] == "before the upgrade"
    assert {k: v for k, v in world.tags(snapshot).items() if not k.startswith("snapback:")} == {
        "Why": "upgrade"
    }
    assert get_relevant_snapshots(get_region_conn("us-east-1")) == []
    assert trim_snapshots("us-east-1").plans[0].verdicts == ()


@pytest.mark.parametrize("effect", ["drop_before", "drop_after"])
def test_a_lost_answer_makes_no_second_snapshot(sandbox, load, world, effect):
    ids = load(instance("web", 8))
    sandbox.fault("CreateSnapshot", effect)
    made = create_snapshot(volume(ids), synchronously=False)
    assert world.snapshot_ids() == {made.snapshot_id}


def test_an_error_is_deleted_and_taken_again_three_times_at_most(sandbox, load, world):
    ids = load(instance("web", 8))
    sandbox.fail_next_snapshot(volume_id=volume(ids).volume_id, message="bad", count=2)
    made = create_snapshot(volume(ids))
    assert world.snapshot_ids() == {made.snapshot_id}
    sandbox.fail_next_snapshot(volume_id=volume(ids).volume_id, message="bad", count=3)
    with pytest.raises(SnapshotFailed, match="bad"):
        create_snapshot(volume(ids))
    assert world.snapshot_ids() == {made.snapshot_id}


def test_out_of_time_is_another_error_and_deletes_nothing(sandbox, load, world, configure, begin):
    ids = load(instance("web", 8))
    sandbox.configure(snapshot_seconds=3600)
    path = configure(minutes_for_snap=0.001)
    with use(begin(path)), pytest.raises(SnapshotTimeout):
        create_snapshot(volume(ids))
    assert len(world.snapshots()) == 1


def test_consistent_where_nothing_runs_needs_no_login(load, world):
    ids = load(instance("web", 8, state="stopped"))
    taken = create_snapshot(volume(ids), consistent=True)
    assert taken.consistency is Consistency.STOPPED
    backup_instances_by_tag(consistent=True)
    made = world.ec2().create_volume(AvailabilityZone="us-east-1a", Size=3)
    loose = Volume(place=Place("us-east-1"), volume_id=made["VolumeId"])
    assert create_snapshot(loose, consistent=True).consistency is Consistency.FILESYSTEM
    found = [world.tags(one)["snapback:consistency"] for one in world.snapshots()]
    assert sorted(found) == ["filesystem", "stopped", "stopped"]


def test_a_volume_that_is_not_attached(world):
    made = world.ec2().create_volume(AvailabilityZone="us-east-1a", Size=3)
    taken = create_snapshot(Volume(place=Place("us-east-1"), volume_id=made["VolumeId"]))
    assert taken.record
    assert (taken.record.volume, taken.record.instance) == (made["VolumeId"], "")


def test_helpers_raise_once_with_every_outcome(sandbox, load):
    ids = load(instance("web", 8), instance("db", 8))
    sandbox.fault("CreateSnapshots", "error", code="Nope", status=400, message="no")
    with pytest.raises(ItemsFailed) as raised:
        backup_instances_by_tag("us-east-1")
    assert raised.value.exit_code == 1
    assert {o.subject for o in raised.value.outcomes} == {i["instance_id"] for i in ids.values()}


def test_one_client_a_region_is_shared_by_all_threads():
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: id(get_region_conn("eu-w")), range(40)))
    assert len(found) == 1


def test_without_a_name_the_chains_region_is_meant(monkeypatch):
    assert get_region_conn().meta.region_name == "us-east-1"


def test_our_clients_retries_are_not_inherited(monkeypatch):
    monkeypatch.setenv("AWS_RETRY_MODE", "adaptive")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "9")
    monkeypatch.setenv("AWS_DEFAULTS_MODE", "mobile")
    options = get_region_conn("us-east-1").meta.config
    assert options.retries["total_max_attempts"] == 1
    assert (options.connect_timeout, options.read_timeout) == (10, 60)
    assert options.max_pool_connections == 32 + MORE_CALLS


def test_relevant_snapshots_are_ours_with_the_earmark(sandbox, load, world):
    load(
        instance("web", 8, history=[daily(2)]),
        instance("toy", 8, history=[daily(2, tags={"Earmarking": "test"})]),
        instance("gone", 8, history=[daily(1, state="error")]),
        instance("hand", 8, history=[daily(1, description="by hand")]),
        instance("far", 8, history=[daily(0, description=RECORD.replace("$region", "eu-west-1"))]),
    )
    conn = get_region_conn("us-east-1")
    assert len(get_relevant_snapshots(conn)) == 3
    assert len(get_relevant_snapshots(conn, native_only=False)) == 4
    assert len(get_relevant_snapshots(conn, tag_value="test")) == 3
    assert get_relevant_snapshots(conn, filters={"volume-size": ["99"]}) == []
    assert get_relevant_snapshots(conn, filters={"status": ["pending"]}) == []


def test_the_oldest_replica_is_the_latest_of_each_volume_that_is_lacking(sandbox, load, world):
    load(instance("web", 8, 9, history=[daily(3)]))
    source, destination = get_region_conn("us-east-1"), get_region_conn("eu-west-1")
    lacking = get_oldest_replica(source, destination, amount=5)
    assert len(lacking) == 2
    assert get_oldest_replica(source, destination) == lacking[:1]

    world.ec2("eu-west-1").copy_snapshot(
        SourceRegion="us-east-1", SourceSnapshotId=lacking[0].snapshot_id,
        Description=json.dumps(json.loads(lacking[0].description), indent=1),
    )  # fmt: skip
    assert get_oldest_replica(source, destination, amount=5) == lacking[1:]
    sandbox.complete_all()
    assert get_oldest_replica(source, destination, amount=5) == lacking[1:]
    replicas = get_relevant_snapshots(destination, "aws:none", "x", native_only=False)
    assert replicas == []
    assert get_oldest_replica(destination, source, amount=5, native_only=False) == []


def test_trimming_from_python(sandbox, load, world):
    load(instance("web", 8, history=[daily(15)]))
    planned = trim_snapshots(dry_run=True)
    assert changing_calls(sandbox) == []
    done = trim_snapshots()
    assert {o.subject for o in planned.outcomes} == {o.subject for o in done.outcomes}
    assert delete_broken_snapshots().outcomes == ()


def test_the_brake_from_python(sandbox, load, configure, begin):
    path = configure(max_delete=0)
    load(instance("web", 8, history=[daily(40)]))
    for dry_run in (True, False):
        with use(begin(path)), pytest.raises(BrakeError, match="--max-delete 100 --volume-id"):
            trim_snapshots(dry_run=dry_run)
    assert sandbox.calls("DeleteSnapshot") == []


def test_errors_carry_what_they_know(sandbox, load):
    ids = load(instance("web", 8))
    sandbox.fault("CreateSnapshot", "error", code="Nope", status=400, message="not today")
    with pytest.raises(ApiError) as raised:
        create_snapshot(volume(ids))
    error = raised.value
    assert (error.action, error.region, error.code, error.reason) == (
        "CreateSnapshot", "us-east-1", "Nope", "not today",
    )  # fmt: skip
