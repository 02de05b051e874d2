"""Calls that take effect when nobody waits for them any more: found, told, and left as they are."""

from __future__ import annotations

import logging

import pytest
from botocore.exceptions import BotoCoreError

from snapback import backup_instances_by_tag, create_snapshot
from snapback.backup import back_up_place
from snapback.backup.late import LATE_S
from snapback.core.model import Place, Volume
from snapback.core.model.backup_sets import Choice, choose, sets_of
from snapback.ec2.snapshots import LOOK_AFTER_S, MOST_CREATIONS, own_snapshots
from snapback.errors import ItemsFailed
from snapback.words import Word
from tests.sandbox.conftest import changing_calls, instance

HERE = Place("us-east-1")
LOOK_S = sum(LOOK_AFTER_S)


@pytest.fixture(autouse=True)
def still(sandbox):
    """The clock stands, but for what is waited for."""
    sandbox.set_clock(speed=0)
    sandbox.configure(snapshot_seconds=0)


def back_up():
    """Back up; answer the outcomes, also where not all went well."""
    try:
        return backup_instances_by_tag("us-east-1")
    except ItemsFailed as error:
        return error.outcomes


def test_a_set_that_comes_late_is_told_and_left_alone(sandbox, load, run, world):
    ids = load(instance("web", 8, 20), instance("db", 8))
    web = ids["web"]["instance_id"]
    sandbox.fault(
        "CreateSnapshots", "late", seconds=30, where={"InstanceSpecification.InstanceId": web}
    )
    began = sandbox.now()
    db, twice = sorted(back_up(), key=lambda one: one.facts["name"])
    assert (db.word, "late" in db.facts) == (Word.DONE, False)
    assert (twice.word, twice.exit_code) == (Word.TAKEN_TWICE, 3)
    assert len(twice.facts["snapshots"]) == len(twice.facts["late"]) == 2
    assert all(one in twice.explanation for one in twice.facts["late"])
    told = {*db.facts["snapshots"], *twice.facts["snapshots"], *twice.facts["late"]}
    assert told == world.snapshot_ids()
    assert LOOK_S < (sandbox.now() - began).total_seconds() <= LATE_S
    assert set(changing_calls(sandbox)) == {"CreateSnapshots"}

    sets = sets_of(own_snapshots(run.conn(HERE), HERE), web)
    assert [{m.snapshot_id for m in one.members} for one in sets] == [
        {*twice.facts["snapshots"]},
        {*twice.facts["late"]},
    ]
    assert len({one.set_id for one in sets}) == 1
    assert not any(one.missing for one in sets)
    choice = choose(sets, None, incomplete=False)
    assert isinstance(choice, Choice)
    assert {m.snapshot_id for m in choice.chosen.members} == {*twice.facts["snapshots"]}


def test_where_no_answer_is_lost_for_good_nothing_is_looked_for_or_waited_for(
    sandbox, load, run, world
):
    load(instance("web", 8))
    back_up()
    assert not sandbox.calls("DescribeSnapshots")
    sandbox.advance(60)
    sandbox.fault("CreateSnapshots", "late", seconds=3)
    began = sandbox.now()
    (outcome,) = back_up()
    assert (outcome.word, len(outcome.facts["snapshots"])) == (Word.DONE, 1)
    assert (sandbox.now() - began).total_seconds() == sum(LOOK_AFTER_S[:3])
    assert len(sandbox.calls("DescribeSnapshots")) == 3
    assert len(world.snapshots()) == 2


def test_all_that_comes_late_of_a_backup_that_failed_is_told(sandbox, load, run, world):
    load(instance("web", 8))
    sandbox.fault("CreateSnapshots", "late", seconds=45, count=MOST_CREATIONS)
    (outcome,) = back_up()
    assert (outcome.word, outcome.facts["snapshots"]) == (Word.FAILED, [])
    assert "the answer was lost" in outcome.explanation
    assert {*outcome.facts["late"]} == world.snapshot_ids()
    assert len(world.snapshots()) == MOST_CREATIONS


def test_of_two_calls_that_took_effect_one_is_told_as_taken(sandbox, load, run, world):
    load(instance("web", 8, 20))
    sandbox.fault("CreateSnapshots", "late", seconds=10)
    sandbox.fault("CreateSnapshots", "drop_after")
    (outcome,) = back_up()
    assert outcome.word is Word.TAKEN_TWICE
    taken, late = ({*outcome.facts[key]} for key in ("snapshots", "late"))
    of = {one["SnapshotId"]: (one["VolumeId"], one["Description"]) for one in world.snapshots()}
    assert set(of) == taken | late
    assert len(taken) == len({of[one][0] for one in taken}) == 2
    assert len({of[one][1] for one in taken}) == len({of[one][1] for one in late}) == 1


def test_that_it_can_not_be_looked_for_is_a_failure(sandbox, load, run):
    load(instance("web", 8))
    sandbox.fault("CreateSnapshots", "drop_before")
    sandbox.fault(
        "DescribeSnapshots", "error", nth=len(LOOK_AFTER_S) + 1, count=None,
        code="UnauthorizedOperation", status=403,
    )  # fmt: skip
    web, region = back_up()
    assert (web.word, region.word) == (Word.DONE, Word.FAILED)
    assert "took effect late can't be seen" in region.explanation


def test_a_lone_snapshot_that_comes_late_is_logged(sandbox, load, run, world, caplog):
    ids = load(instance("web", 8))
    volume = Volume(place=HERE, volume_id=ids["web"]["volumes"]["/dev/sda1"])
    sandbox.fault("CreateSnapshot", "late", seconds=30)
    with caplog.at_level(logging.WARNING, "snapback"):
        taken = create_snapshot(volume)
    (late,) = world.snapshot_ids() - {taken.snapshot_id}
    assert late in caplog.text


def test_what_a_lost_process_of_the_run_makes_late_is_told(sandbox, load, begin, world):
    ids = load(instance("web", 8))
    run = begin()
    run.once = True
    tags = [{"Key": "snapback:run", "Value": run.run_id}, {"Key": "snapback:set", "Value": "set-1"}]
    sandbox.fault("CreateSnapshots", "late", seconds=20)
    with pytest.raises(BotoCoreError):
        run.conn(HERE).create_snapshots(
            InstanceSpecification={"InstanceId": ids["web"]["instance_id"]},
            TagSpecifications=[{"ResourceType": "snapshot", "Tags": tags}],
        )
    sandbox.fault("CreateSnapshots", "drop_before")
    web, other = back_up_place(run, HERE, "Earmarking", "production", False, False, False)
    assert (web.word, other.word) == (Word.DONE, Word.TAKEN_TWICE)
    assert {*web.facts["snapshots"], *other.facts["late"]} == world.snapshot_ids()
    assert len(world.snapshots()) == 2
