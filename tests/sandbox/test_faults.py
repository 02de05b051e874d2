"""Faults at each call: nothing lost, nothing doubled, nothing hidden."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from snapback import backup_instances_by_tag
from snapback.backup.late import LATE_S
from snapback.ec2.snapshots import LOOK_AFTER_S
from tests.sandbox.conftest import instance

pytestmark = pytest.mark.usefixtures("sandbox")

READS = ("DescribeRegions", "DescribeInstances", "DescribeVolumes")
FAULTS = {
    "throttled": {"effect": "error", "code": "RequestLimitExceeded", "status": 503, "count": 2},
    "500": {"effect": "error", "code": "InternalError", "status": 500},
    "dropped before": {"effect": "drop_before"},
    "dropped after": {"effect": "drop_after"},
}


def complete_sets(world, ids) -> None:
    """Assert that of every volume there is exactly one snapshot, and one set of each instance."""
    taken = world.snapshots()
    volumes = Counter(snapshot["VolumeId"] for snapshot in taken)
    assert volumes == Counter(v for one in ids.values() for v in one["volumes"].values())
    assert len({world.tags(s)["snapback:set"] for s in taken}) == len(ids)
    assert all(world.tags(s)["Earmarking"] == "production" for s in taken)


def three_instances(load):
    """Lay out instances of which one needs a CreateTags."""
    named = [
        {"device": "/dev/sda1", "size": 8, "tags": {"Name": "x"}},
        {"device": "/dev/sdf", "size": 8},
    ]
    return load(instance("web", volumes=named), instance("db", 8), instance("app", 8, 8))


@pytest.mark.parametrize(
    ("action", "fault"),
    [
        *((action, fault) for action in (*READS, "CreateTags") for fault in FAULTS),
        ("CreateSnapshots", "throttled"),
        ("CreateSnapshots", "dropped after"),
    ],
)
def test_a_fault_that_passes_costs_nothing(sandbox, load, fab, world, action, fault):
    ids = three_instances(load)
    sandbox.fault(action, **FAULTS[fault])
    ended = fab("backup_instances_by_tag", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert {call.outcome for call in sandbox.calls(action)} != {"ok"}
    complete_sets(world, ids)
    assert {
        s for item in ended.document["items"] for s in item["snapshots"]
    } == world.snapshot_ids()


@pytest.mark.parametrize("fault", ["500", "dropped before"])
def test_a_creation_that_was_none_is_made_again_after_a_long_look(sandbox, load, run, world, fault):
    ids = three_instances(load)
    sandbox.set_clock(speed=0)
    sandbox.fault("CreateSnapshots", **FAULTS[fault])
    began = sandbox.now()
    outcomes = backup_instances_by_tag()
    assert sum(LOOK_AFTER_S) < (sandbox.now() - began).total_seconds() <= LATE_S
    assert len(sandbox.calls("CreateSnapshots")) == 4
    complete_sets(world, ids)
    assert {s for one in outcomes for s in one.facts["snapshots"]} == world.snapshot_ids()


def test_an_error_after_the_effect_is_looked_up_too(sandbox, load, fab, world):
    ids = load(instance("web", 8, 20))
    sandbox.fault("CreateSnapshots", "error_after", code="InternalError", status=500)
    assert fab("backup_instances_by_tag").code == 0
    complete_sets(world, ids)


def test_a_lost_answer_is_found_although_it_shows_late(sandbox, load, fab, world):
    ids = load(instance("web", 8, 20))
    sandbox.configure(visibility_delay_s=2)
    sandbox.fault("CreateSnapshots", "drop_after")
    assert fab("backup_instances_by_tag").code == 0
    complete_sets(world, ids)


def test_shown_later_than_looked_for_the_repetition_is_refused_and_looked_up(
    sandbox, load, run, world
):
    ids = load(instance("web", 8))
    sandbox.set_clock(speed=0)
    sandbox.configure(visibility_delay_s=9, seconds_between_snapshots=15)
    sandbox.fault("CreateSnapshots", "drop_after")
    backup_instances_by_tag()
    complete_sets(world, ids)
    outcomes = [call.outcome for call in sandbox.calls("CreateSnapshots")]
    assert outcomes[1:] == ["SnapshotCreationPerVolumeRateExceeded"]


@pytest.mark.parametrize(
    ("code", "status"), [("UnauthorizedOperation", 403), ("IncorrectInstanceState", 400)]
)
def test_a_refusal_of_one_instance_does_not_stop_the_others(
    sandbox, load, fab, world, code, status
):
    ids = load(instance("web", 8), instance("db", 8), instance("app", 8))
    refused = ids["db"]["instance_id"]
    sandbox.fault(
        "CreateSnapshots", "error", count=None, code=code, status=status, message="no",
        where={"InstanceSpecification.InstanceId": refused},
    )  # fmt: skip
    ended = fab("backup_instances_by_tag", "--json")
    assert ended.code == 1
    assert ended.item(refused)["outcome"] == "failed"
    assert refused in ended.err
    assert len(world.snapshots()) == 2


def test_tags_that_can_not_be_set_are_a_failure_that_names_the_snapshots(sandbox, load, fab, world):
    load(instance("web", volumes=[{"device": "/dev/sda1", "size": 8, "tags": {"Name": "other"}}]))
    sandbox.fault(
        "CreateTags", "error", count=None, code="UnauthorizedOperation", status=403, message="no"
    )
    ended = fab("backup_instances_by_tag", "--json")
    assert ended.code == 1
    (item,) = ended.document["items"]
    assert "taken, but not all tags were set" in item["explanation"]
    assert set(item["snapshots"]) == world.snapshot_ids()


def test_a_call_that_hangs_and_is_then_dropped_doubles_nothing(sandbox, load, fab, world):
    ids = load(instance("web", 8))
    sandbox.fault("CreateSnapshots", "hang", seconds=1)
    sandbox.fault("CreateSnapshots", "drop_after", nth=1)
    assert fab("backup_instances_by_tag").code == 0
    complete_sets(world, ids)


def test_ec2s_buckets_lose_no_instance(sandbox, load, fab, world):
    ids = load(*(instance(f"web-{number}", 8) for number in range(30)))
    sandbox.configure(throttle=True, buckets={"CreateSnapshots": [10, 10]})
    ended = fab("backup_instances_by_tag")
    assert (ended.code, ended.err) == (0, "")
    complete_sets(world, ids)
    assert "RequestLimitExceeded" in {call.outcome for call in sandbox.calls("CreateSnapshots")}


def test_two_backups_within_fifteen_seconds_wait_for_each_other(sandbox, load, run, world):
    load(instance("web", 8))
    sandbox.set_clock(speed=0)
    sandbox.configure(seconds_between_snapshots=15)
    backup_instances_by_tag()
    backup_instances_by_tag()
    first, second = sorted(snapshot["StartTime"] for snapshot in world.snapshots())
    assert second - first == timedelta(seconds=15)
