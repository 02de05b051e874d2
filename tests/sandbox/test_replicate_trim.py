"""Trimming where there are replicas, and transfers in flight."""

from __future__ import annotations

import pytest

from snapback import get_region_conn, get_relevant_snapshots, rsync_snapshot, trim_snapshots
from snapback.core.model import Place
from snapback.core.replication.replication_plan import Step
from snapback.replication.claims import held
from snapback.run import use
from snapback.workers.watch import Pulse
from tests.sandbox.conftest import instance
from tests.sandbox.replicas import EAST, WEST, sets
from tests.unit.builders import words

pytestmark = pytest.mark.usefixtures("run")


def test_the_source_of_a_transfer_is_kept_while_it_is_in_flight(
    sandbox, load, world, configure, begin
):
    nothing = dict.fromkeys(["hourly", "daily", "weekly", "monthly", "quarterly"], 0)
    path = configure(retention={**nothing, "yearly": 1}, max_delete=100)
    load(instance("web", 8, history=[sets(400)]))
    sandbox.configure(copy_seconds=1000)
    middle = sorted(world.snapshots(), key=lambda s: s["StartTime"])[200]["SnapshotId"]
    with use(begin(path)):
        rsync_snapshot(EAST, middle, WEST, engine="copy")
        trimming = trim_snapshots(EAST)
        assert middle in world.snapshot_ids()
        (plan,) = trimming.plans
        (verdict,) = [v for v in plan.verdicts if v.snapshot.snapshot_id == middle]
        assert "source of a transfer into eu-west-1" in words(verdict)
        sandbox.complete_all()
        trim_snapshots(EAST)
        assert middle not in world.snapshot_ids()


def test_the_base_of_a_claimed_transfer_is_kept(sandbox, load, world, configure, begin):
    nothing = dict.fromkeys(["hourly", "daily", "weekly", "monthly", "quarterly"], 0)
    path = configure(retention={**nothing, "yearly": 1}, max_delete=100)
    load(instance("web", 8, history=[sets(400)]))
    with use(begin(path)) as run:
        found = get_relevant_snapshots(get_region_conn(EAST))
        found.sort(key=lambda snapshot: snapshot.record.taken_at)
        step = Step(source=found[-1], destination=Place(WEST), base=found[200])
        with held(run, step, [], Pulse(run)):
            trim_snapshots(EAST)
            assert found[200].snapshot_id in world.snapshot_ids()
        trim_snapshots(EAST)
        assert found[200].snapshot_id not in world.snapshot_ids()


def test_replicas_are_trimmed_where_they_are_by_that_regions_retention(
    sandbox, load, world, configure, begin
):
    nothing = dict.fromkeys(["hourly", "daily", "weekly", "monthly", "quarterly", "yearly"], 0)
    path = configure(
        regions={EAST: {}, WEST: {"retention": {**nothing, "daily": 2}}},
        retention={**nothing, "daily": 5},
        max_delete=100,
    )
    load(instance("web", 8, 9, history=[sets(6)]))
    with use(begin(path)):
        for snapshot in world.snapshots():
            rsync_snapshot(EAST, snapshot["SnapshotId"], WEST, engine="copy", force=True)
        sandbox.complete_all()
        trim_snapshots()
    assert (len(world.snapshots(EAST)), len(world.snapshots(WEST))) == (10, 4)


def test_a_region_whose_transfers_can_not_be_read_is_told(sandbox, load, fab):
    load(instance("web", 8, history=[sets(3)]))
    sandbox.fault(
        "DescribeKeyPairs", "error", count=None, code="UnauthorizedOperation", status=403,
        region=WEST,
    )  # fmt: skip
    ended = fab("trim_snapshots", "--region-name", EAST)
    assert ended.code == 1
    assert "eu-west-1: failed: which snapshots are on their way there isn't known" in ended.err
