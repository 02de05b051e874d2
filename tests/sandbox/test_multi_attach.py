"""Multi-Attach volumes: wanted if any instance is earmarked, taken once a run, called ``crash``."""

from __future__ import annotations

import json
import threading

import pytest

from snapback import backup_instance, create_snapshot
from snapback.backup import back_up_by_tag
from snapback.core.model import Consistency, Place, Volume
from snapback.core.model.record import parse
from snapback.run import use
from tests.sandbox.conftest import instance
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("sandbox")

ROOT = {"device": "/dev/sda1", "size": 8}
SHARED = {"device": "/dev/sdf", "size": 20, "type": "io2", "multi_attach": True}


@pytest.fixture
def pair(load):
    """Lays out two instances that share a volume; answers the volume and the ids of the two."""

    def lay_out(of_first=None, of_second=None):
        first = {"name": "a", "volumes": [ROOT, SHARED], **(of_first or {})}
        second = {"name": "b", "volumes": [ROOT, {"device": "/dev/sdg", "shares": "a:/dev/sdf"}]}
        ids = load(instance(**first), instance(**{**second, **(of_second or {})}))
        return ids["a"]["volumes"]["/dev/sdf"], ids["a"]["instance_id"], ids["b"]["instance_id"]

    return lay_out


def consistencies(world):
    """What the snapshots are called: (volume, instance) -> word."""
    return {
        (s["VolumeId"], json.loads(s["Description"])["Instance"]): world.tags(s)[
            "snapback:consistency"
        ]
        for s in world.snapshots()
    }


@pytest.mark.parametrize("earmarked", ["a", "b"])
def test_it_is_wanted_if_any_instance_is_earmarked(sandbox, pair, fab, earmarked):
    """EC2 answers ``a`` first."""
    without = {"tags": {}}
    volume, a, b = pair(
        without if earmarked == "b" else None, without if earmarked == "a" else None
    )
    bad = fab("check")
    assert (bad.code, volume in bad.out, "volumes=2;" in bad.out) == (2, True, True)
    row = fab("status", "--json").item(volume)
    device = "/dev/sdf" if earmarked == "a" else "/dev/sdg"
    assert (row["name"], row["device"]) == (earmarked, device)
    assert fab("backup_instances_by_tag", "--synchronously").code == 0
    good = fab("check")
    assert (good.code, good.out.partition(" |")[0]) == (
        0,
        "SNAPBACK OK - 2 volumes backed up, all as it should be",
    )
    holder = a if earmarked == "a" else b
    made = create_snapshot(Volume(place=Place("us-east-1"), volume_id=volume))
    assert made.record
    assert (made.record.instance, made.record.device) == (holder, device)


@pytest.mark.parametrize("excluded", [False, True])
def test_without_an_earmark_or_with_the_exclusion_tag_it_is_not(load, fab, excluded):
    tags = {"snapback:exclude": ""} if excluded else {}
    earmark = None if excluded else {}
    load(
        instance("a", tags=earmark, volumes=[ROOT, {**SHARED, "tags": tags}]),
        instance("b", tags=earmark, volumes=[ROOT, {"device": "/dev/sdg", "shares": "a:/dev/sdf"}]),
        instance("c", 8),
    )
    ended = fab("backup_instances_by_tag", "--synchronously", "--json")
    assert ended.code == 0
    assert all(item["shared"] == {} for item in ended.document["items"])
    good = fab("check")
    assert (good.code, f"{3 if excluded else 1} volume" in good.out) == (0, True)


def test_one_run_takes_it_once_and_the_other_sets_say_whose_has_it(sandbox, pair, fab, world):
    volume, a, b = pair()
    owner, other = sorted((a, b))
    foreseen = fab("backup_instances_by_tag", "--dry-run", "--json")
    assert foreseen.item(other)["shared"] == {volume: owner}
    for _ in range(2):
        known = world.snapshot_ids()
        ended = fab("backup_instances_by_tag", "--synchronously", "--json")
        assert (ended.code, ended.err) == (0, "")
        assert (ended.item(owner)["shared"], ended.item(owner)["explanation"]) == ({}, "")
        left = ended.item(other)
        assert (left["outcome"], left["shared"]) == ("done", {volume: owner})
        assert left["explanation"] == f"{volume} is left to the set of {owner}"
        new = [s for s in world.snapshots() if s["SnapshotId"] not in known]
        (taken,) = [s for s in new if s["VolumeId"] == volume]
        assert json.loads(taken["Description"])["Instance"] == owner
        assert parse(taken["Description"], world.tags(taken), volume)
        assert len(new) == 3
        sandbox.advance(3600)

    restored = fab("restore_instance", f"--instance-id={other}", "--dry-run")
    assert restored.code == 2
    assert f"{volume}: left to the set of {owner}, which shares it" in restored.err
    restored = fab("restore_instance", f"--instance-id={other}", "--incomplete", "--dry-run")
    assert restored.code == 0
    assert f"without what is missing: {volume}: left to the set of {owner}" in restored.out
    assert fab("restore_instance", f"--instance-id={owner}", "--dry-run").code == 0


def test_a_failed_set_tells_that_the_volume_was_not_taken(sandbox, pair, fab, world):
    volume, a, b = pair()
    owner, other = sorted((a, b))
    where = {"InstanceSpecification.InstanceId": owner}
    sandbox.fault("CreateSnapshots", "error", code="Nope", status=400, message="no", where=where)
    ended = fab("backup_instances_by_tag", "--json")
    assert ended.code == 1
    assert (ended.item(owner)["outcome"], ended.item(other)["outcome"]) == ("failed", "done")
    assert volume in ended.item(owner)["volumes"]
    assert len(world.snapshots()) == 1


def test_an_instance_all_of_whose_volumes_are_elsewhere(load, fab):
    ids = load(
        instance("a", volumes=[ROOT, SHARED]),
        instance(
            "b",
            volumes=[
                {**ROOT, "tags": {"snapback:exclude": ""}},
                {"device": "/dev/sdg", "shares": "a:/dev/sdf"},
            ],
        ),
    )
    a, b = ids["a"]["instance_id"], ids["b"]["instance_id"]
    ended = fab("backup_instances_by_tag", "--json")
    assert ended.code == 0
    assert a < b, "the sandbox makes ids of names"
    assert ended.item(b)["outcome"] == "excluded"
    assert f"is left to the set of {a}" in ended.item(b)["explanation"]


def test_a_lost_process_s_run_is_gone_on_with(pair, begin, world):
    _, a, b = pair()
    run = begin()
    run.once = True
    with use(run):
        first = back_up_by_tag(run, None, None, None)
        again = back_up_by_tag(run, None, None, None)
    assert len(world.snapshots()) == 3
    taken = {one.subject: sorted(one.facts["snapshots"]) for one in first}
    assert {one.subject: sorted(one.facts["snapshots"]) for one in again} == taken
    assert {one.subject: len(ids) for one in again if (ids := one.facts["snapshots"])} == {
        min(a, b): 2,
        max(a, b): 1,
    }


def test_stopped_is_not_true_of_what_another_instance_has(sandbox, pair, fab, world, configure):
    volume, a, b = pair({"state": "stopped"}, {"tags": {}})
    ended = fab("backup_instances_by_tag", "--consistent", "--json")
    assert ended.code == 3
    item = ended.item(a)
    assert item["outcome"] == "less consistent"
    assert item["explanation"] == f"{volume}: another instance, {b}, may write to it"
    assert sorted(item["consistency"]) == ["crash", "stopped"]
    assert consistencies(world)[volume, a] == "crash"

    sandbox.advance(60)
    made = create_snapshot(Volume(place=Place("us-east-1"), volume_id=volume), consistent=True)
    assert made.consistency is Consistency.CRASH

    sandbox.advance(60)
    configure(freeze={"require_consistent": True})
    known = world.snapshot_ids()
    refused = fab("backup_instances_by_tag", "--consistent", "--json")
    assert (refused.code, refused.item(a)["outcome"]) == (1, "failed")
    assert "take back require_consistent" in refused.item(a)["explanation"]
    assert world.snapshot_ids() == known


@pytest.mark.parametrize("required", [False, True])
def test_what_is_attached_elsewhere_during_the_call_is_crash(
    sandbox, pair, fab, world, configure, required
):
    if required:
        configure(freeze={"require_consistent": True})
    volume, a, b = pair({"state": "stopped"}, {"tags": {}})
    world.ec2().detach_volume(VolumeId=volume, InstanceId=b)
    alone = fab("backup_instances_by_tag", "--consistent", "--json")
    assert (alone.code, alone.item(a)["consistency"]) == (0, ["stopped", "stopped"])

    sandbox.advance(60)
    sandbox.fault("CreateSnapshots", "hang", seconds=60)

    def attach():
        wait_until(sandbox.calls_hanging, "the call")
        world.ec2().attach_volume(VolumeId=volume, InstanceId=b, Device="/dev/sdg")
        sandbox.clear_faults()

    thread = threading.Thread(target=attach)
    thread.start()
    ended = fab("backup_instances_by_tag", "--consistent", "--json")
    thread.join()
    item = ended.item(a)
    assert f"another instance, {b}, may write to it" in item["explanation"]
    assert sorted(item["consistency"]) == ["crash", "stopped"]
    assert (ended.code, item["outcome"]) == ((1, "failed") if required else (3, "less consistent"))


def test_what_can_t_be_multi_attach_is_not_read_once_more(sandbox, load, fab):
    load(instance("web", 8, 20, state="stopped"))
    assert fab("backup_instances_by_tag", "--consistent").code == 0
    assert len(sandbox.calls("DescribeVolumes", region="us-east-1")) == 1


def test_by_itself_an_instance_is_backed_up_with_all_its_volumes(pair, world):
    volume, a, b = pair()
    for one in (a, b):
        taken = backup_instance("us-east-1", one)
        assert volume in {snapshot.volume_id for snapshot in taken}
        world.sandbox.advance(60)
