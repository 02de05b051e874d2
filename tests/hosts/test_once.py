"""A consistent backup that another process begins again: what is taken stays as it is."""

from __future__ import annotations

from snapback.backup import back_up_place
from snapback.backup.capture import take_set
from snapback.backup.changes import earmark
from snapback.core.backup.set_plan import plan_set, renewed
from snapback.core.model import Place
from snapback.ec2.instances import instances_by_tag
from snapback.ec2.volumes import volumes_of
from tests.sandbox.conftest import instance

ORDER = (Place("us-east-1"), "Earmarking", "production", False, True, False)


def test_a_frozen_set_is_not_taken_again_and_keeps_its_verdict(
    sandbox, load, world, reachable, begin
):
    load(instance("web", 4))
    run = begin(reachable())
    run.once = True
    (first,) = back_up_place(run, *ORDER)
    assert first.facts["consistency"] == ["filesystem"]
    (second,) = back_up_place(run, *ORDER)
    assert second == first
    (taken,) = world.snapshots()
    assert taken["SnapshotId"] in first.facts["snapshots"]


def test_a_frozen_set_that_nobody_judged_is_called_crash_consistent(
    sandbox, load, world, reachable, begin
):
    load(instance("web", 4))
    run = begin(reachable())
    run.once = True
    back_up_place(run, *ORDER)
    (taken,) = world.snapshots()
    tag = {"Key": "snapback:consistency", "Value": "crash"}  # as if it was lost before it said so
    world.ec2().create_tags(Resources=[taken["SnapshotId"]], Tags=[tag])
    (outcome,) = back_up_place(run, *ORDER)
    assert (outcome.word.text, outcome.exit_code) == ("less consistent", 3)
    assert "the process that took it was lost" in outcome.explanation
    assert len(world.snapshots()) == 1


def test_one_that_shows_late_is_found_before_anything_is_frozen(
    sandbox, load, world, reachable, begin
):
    load(instance("web", 4))
    run = begin(reachable())
    run.once = True
    conn, (place, name, value, *_) = run.conn(ORDER[0]), ORDER
    (web,) = instances_by_tag(conn, place, name, value)
    plan = plan_set(web, volumes_of(conn, place, [web]), earmark(run), run.run_id, consistent=True)
    first = take_set(run, plan)
    second = take_set(run, renewed(plan))  # it did not show when this was begun
    assert second.problems == ()
    assert [s.snapshot_id for s in second.snapshots] == [s.snapshot_id for s in first.snapshots]
    assert len(sandbox.calls("CreateSnapshots")) == 1


def test_a_call_that_takes_effect_late_never_counts_as_frozen(
    sandbox, load, world, reachable, begin
):
    load(instance("web", 4))
    run = begin(reachable())

    def back_up(late_s):
        sandbox.advance(60)
        sandbox.fault("CreateSnapshots", "late", seconds=late_s)
        (outcome,) = back_up_place(run, *ORDER)
        return outcome, {one["SnapshotId"]: world.tags(one) for one in world.snapshots()}

    outcome, tags = back_up(30)  # frozen once more, and then it comes
    assert (outcome.word.text, outcome.exit_code) == ("taken twice", 3)
    (told,), (late,) = outcome.facts["snapshots"], outcome.facts["late"]
    assert tags[told]["snapback:consistency"] == "filesystem"
    assert tags[late]["snapback:consistency"] == "crash"
    assert tags[told]["snapback:set"] == tags[late]["snapback:set"]

    before = set(tags)
    outcome, tags = back_up(5)  # seen while it is looked for
    (found,) = set(tags) - before
    assert (outcome.word.text, outcome.facts["snapshots"]) == ("less consistent", [found])
    assert tags[found]["snapback:consistency"] == "crash"
