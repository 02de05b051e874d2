"""Replicating by EC2's own copy: quotas, order, collisions, and a fault at each call."""

from __future__ import annotations

import pytest

from snapback import (
    trim_snapshots,
)
from snapback.core.model import Place
from snapback.errors import ItemsFailed
from snapback.replication.by_copy import open_copy_engine
from snapback.replication.engine import Options
from snapback.replication.execute import carry_out
from snapback.replication.routes import replicate_region
from snapback.run import use
from snapback.snapshots.catalog import what_is_lacking
from snapback.words import Word
from tests.sandbox.conftest import instance
from tests.sandbox.replicas import BY_COPY, EAST, WEST, by_copy, latest, records, sets, words

pytestmark = pytest.mark.usefixtures("run")


def test_no_more_than_the_quota_are_in_progress_and_the_oldest_begin_first(sandbox, load, world):
    load(*(instance(f"web-{n}", 8, history=[sets(n + 1, start_offset=f"{n}h")]) for n in range(7)))
    sandbox.configure(copies_per_region=2, copy_seconds=30)
    assert words(by_copy(synchronously=True)) == {"done": 7}
    asked = sandbox.calls("CopySnapshot")
    assert "ResourceLimitExceeded" in {call.outcome for call in asked}
    done = [call.parameters["SourceSnapshotId"] for call in asked if call.outcome == "ok"]
    here = records(world, EAST)
    assert len(done) == 7
    assert [here[one].taken_at for one in done] == sorted(here[one].taken_at for one in done)
    assert len(asked) < 40


def test_the_quota_is_shared_with_what_others_have_in_flight(sandbox, load, world):
    load(instance("web", 8, history=[sets(1)]), instance("other", 8, history=[sets(1)], tags={}))
    sandbox.configure(copies_per_region=1, copy_seconds=300)
    (others,) = [s for s in world.snapshots() if world.tags(s).get("Name") == "other"][-1:]
    world.ec2(WEST).copy_snapshot(SourceRegion=EAST, SourceSnapshotId=others["SnapshotId"])
    assert words(by_copy(tag_name="Name", tag_value="web")) == {"begun": 1}
    assert len(world.snapshots(WEST)) == 2


def test_where_there_is_no_room_for_long_it_ends(sandbox, load, configure, begin, world):
    load(*(instance(f"web-{n}", 8, history=[sets(1)]) for n in range(3)))
    sandbox.fault(
        "CopySnapshot",
        "error",
        count=None,
        code="ResourceLimitExceeded",
        status=400,
        message="full",
    )
    sandbox.set_clock(speed=0)
    began = sandbox.now()
    with use(begin(configure(minutes_for_snap=30))), pytest.raises(ItemsFailed) as raised:
        by_copy()
    assert {outcome.word for outcome in raised.value.outcomes} == {Word.TIMED_OUT}
    assert all("for 30 minutes EC2 has had no room" in o.explanation for o in raised.value.outcomes)
    assert 30 * 60 <= (sandbox.now() - began).total_seconds() < 35 * 60  # for all, not for each
    assert world.snapshots(WEST) == []


def test_begun_by_somebody_else_while_this_waited_it_is_a_collision(sandbox, load, begin, world):
    load(instance("web", 8, history=[sets(1)]))
    sandbox.fault("CopySnapshot", "error", code="ResourceLimitExceeded", status=400)
    sandbox.configure(copy_seconds=1000)
    first, second = begin(), begin()
    options = Options(engine="copy")
    plan = what_is_lacking(first, Place(EAST), Place(WEST))
    replicate_region(second, EAST, WEST, options, dry_run=True)
    sandbox.clear_faults()
    replicate_region(second, EAST, WEST, options)
    sandbox.fault("CopySnapshot", "error", code="ResourceLimitExceeded", status=400)
    (outcome,) = carry_out(first, plan, open_copy_engine, options)
    assert outcome.word is Word.BEING_REPLICATED
    assert len(world.snapshots(WEST)) == 1


def test_two_runs_at_once_are_harmless(sandbox, load, begin, world):
    load(instance("web", 8, 9, history=[sets(1)]))
    runs = [begin(), begin()]
    plans = [what_is_lacking(run, Place(EAST), Place(WEST)) for run in runs]
    for run, plan in zip(runs, plans, strict=True):
        for outcome in carry_out(run, plan, open_copy_engine, Options(engine="copy")):
            assert outcome.word is Word.BEGUN
        sandbox.advance(1)
    sandbox.complete_all()
    assert len(world.snapshots(WEST)) == 4
    assert words(by_copy()) == {"already replicated": 2}
    first = sorted(world.snapshots(WEST), key=lambda s: s["StartTime"])[:2]
    trim_snapshots(WEST)
    assert world.snapshot_ids(WEST) == {s["SnapshotId"] for s in first}


def test_one_that_fails_stops_no_other(sandbox, load, fab, world):
    load(instance("web", 8, history=[sets(1)]), instance("db", 9, history=[sets(1)]))
    doomed = world.snapshots()[0]["SnapshotId"]
    sandbox.fault(
        "CopySnapshot", "error", count=None, code="UnauthorizedOperation", status=403, message="no",
        where={"SourceSnapshotId": doomed},
    )  # fmt: skip
    ended = fab("rsync_region", EAST, WEST, *BY_COPY, "--json")
    assert ended.code == 1
    assert ended.item(doomed)["outcome"] == "failed"
    assert "not allowed to call ec2:CopySnapshot in eu-west-1" in ended.err
    assert len(world.snapshots(WEST)) == 1


FAULTS = {
    "throttled": {"effect": "error", "code": "RequestLimitExceeded", "status": 503, "count": 2},
    "500": {"effect": "error", "code": "InternalError", "status": 500},
    "dropped before": {"effect": "drop_before"},
    "dropped after": {"effect": "drop_after"},
    "500 after": {"effect": "error_after", "code": "InternalError", "status": 500},
}


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("action", ["DescribeSnapshots", "CopySnapshot"])
def test_a_fault_that_passes_costs_nothing(sandbox, load, world, action, fault, nth):
    load(instance("web", 8, 9, history=[sets(1)]))
    sandbox.configure(copy_seconds=1000)
    sandbox.fault(action, nth=nth, **FAULTS[fault])
    assert words(by_copy()) == {"begun": 2}
    assert len(world.snapshots(WEST)) == 2
    sandbox.complete_all()
    assert set(records(world, WEST).values()) == latest(records(world, EAST))


def test_a_lost_answer_is_found_although_it_shows_late(sandbox, load, world):
    load(instance("web", 8, history=[sets(1)]))
    sandbox.configure(visibility_delay_s=3, copy_seconds=1000)
    sandbox.fault("CopySnapshot", "drop_after")
    assert words(by_copy()) == {"begun": 1}
    sandbox.advance(5)
    assert len(world.snapshots(WEST)) == 1


def test_a_region_that_can_not_be_read_is_told(sandbox, load, fab):
    load(instance("web", 8, history=[sets(1)]))
    sandbox.fault(
        "DescribeSnapshots", "error", count=None, code="UnauthorizedOperation", status=403,
        region=WEST,
    )  # fmt: skip
    ended = fab("rsync_region", EAST, WEST, *BY_COPY)
    assert ended.code == 1
    assert "us-east-1 to eu-west-1" in ended.err
    assert "ec2:DescribeSnapshots in eu-west-1" in ended.err
