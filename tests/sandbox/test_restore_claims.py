"""Restores at the same time: each original is restored once, and what came twice is told."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from snapback import restore_instance
from snapback.core.model import Place
from snapback.core.model import tags as our_tags
from snapback.core.model.backup_sets import BackupSet, sets_of
from snapback.core.restore.restore_plan import Given
from snapback.core.restore.restored import origin_of
from snapback.ec2.key_pairs import create_key_pair
from snapback.errors import ItemsFailed
from snapback.restore.claims import Rivals, wish_of
from snapback.restore.instances import make_instance, plan_one
from snapback.run import Run, use
from snapback.snapshots.catalog import all_snapshots
from snapback.words import Word
from tests.sandbox.conftest import BIN, Ended, changing_calls, instance
from tests.sandbox.replicas import WEST
from tests.sandbox.test_claims import claims
from tests.sandbox.test_restore import images, instances, into, replicate
from tests.sandbox.warm_fab import ROOT
from tests.waiting import wait_until

ALL = ("restore_instances_by_tag", WEST, "--json")
DEAD = "run-20261124T030000-1a2b3c"


@pytest.fixture
def fleet(load, fab, sandbox, world, configure) -> dict[str, str]:
    """Two instances with replicas of two instants; their ids by name."""
    ids = load(instance("web", 8, 20), instance("db", 8))
    for _ in range(2):
        sandbox.advance(3600)
        assert fab("backup_instances_by_tag").code == 0
        sandbox.complete_all()
        replicate(fab)
    configure(**into(world))
    sandbox.clear_calls()
    return {name: str(one["instance_id"]) for name, one in ids.items()}


@pytest.fixture
def run(fleet, begin, configure, world) -> Iterator[Run]:
    """The current run, which knows what stands for the things of the other region."""
    with use(begin(configure(**into(world)))) as found:
        yield found


@contextmanager
def beginning(tmp_path, *arguments: str) -> Iterator[list[Ended]]:
    """Run another ``fab`` beside; how it ended, once the context is left."""
    out, err = tmp_path / "out", tmp_path / "err"
    ended: list[Ended] = []
    with out.open("w") as to, err.open("w") as errors:
        argv = [str(BIN / "fab"), "-r", str(ROOT), *arguments]
        with subprocess.Popen(argv, stdout=to, stderr=errors, env=dict(os.environ)) as process:
            yield ended
    ended.append(Ended(process.returncode, out.read_text(), err.read_text()))


def words(ended: Ended) -> dict[str, str]:
    return {item["subject"]: item["outcome"] for item in ended.document["items"]}


def source_of(run, instance_id: str) -> BackupSet:
    return sets_of(all_snapshots(run, Place(WEST)), instance_id)[0]


def test_of_two_restores_at_once_one_makes_each_instance_and_the_other_one_says_so(
    fleet, fab, run, world, sandbox, tmp_path
):
    before = source_of(run, fleet["web"]).taken_at - timedelta(minutes=30)
    then = f"--at={before:%Y-%m-%dT%H:%M}"
    sandbox.fault("RunInstances", "hang", seconds=100, count=2)
    with beginning(tmp_path, *ALL) as first:
        wait_until(lambda: sandbox.calls_hanging() == 2, "both are being launched")
        sandbox.clear_calls()
        dry = fab(*ALL, "--dry-run")
        second = fab(*ALL)
        earlier = fab(*ALL, then)
        one = ("restore_instance", f"--instance-id={fleet['web']}", f"--region-name={WEST}")
        named = fab(*one, "--json")
        for ended in (dry, second, earlier):
            assert (ended.code, words(ended)) == (
                0,
                dict.fromkeys(fleet.values(), "being restored"),
            )
        assert (named.code, words(named)) == (0, {fleet["web"]: "being restored"})
        other = fab(*one, then, "--dry-run")
        assert other.code == 0
        assert "would do" in other.out
        assert changing_calls(sandbox) == []
        sandbox.clear_faults()
    (first,) = first
    told = [*dry.document["items"], *second.document["items"], *named.document["items"]]
    assert (first.code, words(first)) == (0, dict.fromkeys(fleet.values(), "done")), first
    assert all(f"by {first.document['run']} until " in item["explanation"] for item in told)
    assert f"it is being restored by {first.document['run']} until " in other.out
    assert " as of 2026-" in earlier.document["items"][0]["explanation"]
    for again in (fab(*ALL), fab(*ALL, then), fab(*ALL, "--dry-run")):
        assert words(again) == dict.fromkeys(fleet.values(), "already restored")
        assert again.code == 0
    assert (len(instances(world, WEST)), claims(world), images(world, WEST)) == (2, [], [])

    (made,) = {item["made"] for item in first.document["items"] if item["of"] == fleet["web"]}
    second_one = fab(*one, "--json")
    (item,) = second_one.document["items"]
    assert (second_one.code, item["outcome"]) == (0, "done"), "it was asked for by its name"
    assert f"{made} is running: {fleet['web']} as of" in item["explanation"]
    ended = fab(*ALL)
    assert ended.code == 3
    (twice,) = [one for one in ended.document["items"] if one["outcome"] == "restored twice"]
    assert (twice["subject"], twice["instances"]) == (fleet["web"], sorted([made, item["made"]]))
    assert "0 of 2 restored, 2 already restored" in fab(*ALL[:-1]).out
    assert len(instances(world, WEST)) == 3


def test_what_was_restored_between_the_plan_and_the_claim_is_left_alone(fleet, fab, run, world):
    plan, _ = plan_one(run, fleet["web"], None, WEST, Given(), incomplete=False)
    restored = fab("restore_instance", f"--instance-id={fleet['web']}", f"--region-name={WEST}",
                   "--json")  # fmt: skip
    (made,) = (item["made"] for item in restored.document["items"])
    for rivals in (Rivals(), Rivals(any_instant=True)):
        (outcome,) = make_instance(run, plan, rivals)
        assert outcome.word is Word.ALREADY_RESTORED
        assert f"{made} has come since the plan was made" in outcome.explanation
    assert (list(instances(world, WEST)), claims(world)) == ([made], [])


def test_the_claim_of_a_run_that_died_is_freed_by_a_sweep_or_by_its_end(
    fleet, fab, run, sandbox, world
):
    def leave(name: str) -> None:
        source = source_of(run, fleet[name])
        until = sandbox.now() + timedelta(minutes=14)
        pairs = {
            our_tags.PURPOSE: "claim",
            our_tags.RUN: DEAD,
            our_tags.LENT: "x",
            our_tags.EXPIRES: until.isoformat(timespec="seconds"),
            **origin_of(source).tag,
        }
        assert create_key_pair(run.conn(Place(WEST)), wish_of(source).name, pairs)

    leave("web")
    seen = fab(*ALL)
    assert words(seen) == {fleet["web"]: "being restored", fleet["db"]: "done"}
    said = seen.item(fleet["web"])["explanation"]
    assert f"by {DEAD} until " in said
    assert "if that run is dead, 'fab sweep --run' with its id frees it" in said
    assert fab("sweep", "--run", DEAD).code == 0
    leave("web")
    assert words(fab(*ALL))[fleet["web"]] == "being restored"
    sandbox.advance(15 * 60)
    assert words(fab(*ALL)) == {fleet["web"]: "done", fleet["db"]: "already restored"}
    assert claims(world) == []


def test_without_the_permission_to_claim_it_is_restored_and_doubles_are_told(
    fleet, fab, sandbox, world, tmp_path
):
    sandbox.fault("CreateKeyPair", "error", code="UnauthorizedOperation", count=None)
    sandbox.fault("RunInstances", "hang", seconds=100, count=2)
    with beginning(tmp_path, *ALL) as first:
        wait_until(lambda: sandbox.calls_hanging() == 2, "both are being launched")
        sandbox.fault("DescribeKeyPairs", "error", code="UnauthorizedOperation", count=None)
        second = fab(*ALL)
        sandbox.clear_faults()
    (first,) = first
    assert (second.code, words(second)) == (0, dict.fromkeys(fleet.values(), "done"))
    assert first.code == 3
    rows = first.document["items"]
    assert sorted(item["outcome"] for item in rows) == ["done"] * 2 + ["restored twice"] * 2
    made = {one["of"]: [one["made"]] for one in second.document["items"]}
    for item in rows:
        if item["outcome"] == "done":
            assert "not claimed, so others may restore it at the same" in item["explanation"]
            assert "not allowed to call ec2:CreateKeyPair" in item["explanation"]
            assert item["unclaimed"] in item["explanation"]
            made[item["of"]].append(item["made"])
    assert {item["subject"]: item["instances"] for item in rows if "instances" in item} == {
        of: sorted(ids) for of, ids in made.items()
    }
    assert len(instances(world, WEST)) == 4


def test_without_the_permission_to_claim_the_claims_of_others_are_seen(
    fleet, fab, sandbox, world, tmp_path
):
    sandbox.fault("RunInstances", "hang", seconds=100, count=2)
    with beginning(tmp_path, *ALL):
        wait_until(lambda: sandbox.calls_hanging() == 2, "both are being launched")
        sandbox.fault("CreateKeyPair", "error", code="UnauthorizedOperation", count=None)
        second = fab(*ALL)
        sandbox.clear_faults()
    assert (second.code, words(second)) == (0, dict.fromkeys(fleet.values(), "being restored"))
    assert len(instances(world, WEST)) == 2


def test_what_is_amiss_after_the_launch_is_told_and_the_instance_stays(fleet, run, sandbox, world):
    sandbox.fault("DeleteKeyPair", "error", code="UnauthorizedOperation", count=None)
    sandbox.fault("DescribeInstances", "error", code="UnauthorizedOperation", nth=5, count=None)
    with pytest.raises(ItemsFailed, match="could not be deleted") as failed:
        restore_instance(fleet["web"], region_name=WEST)
    sandbox.clear_faults()
    made, left = failed.value.outcomes
    assert (made.word, left.word) == (Word.DONE, Word.LEFT_BEHIND)
    assert "whether it was restored twice is not known" in made.explanation
    assert list(instances(world, WEST)) == [made.facts["made"]]
