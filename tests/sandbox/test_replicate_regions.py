"""Replicating one snapshot, and all regions."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from snapback import (
    backup_instance,
    get_oldest_replica,
    get_region_conn,
    rsync_all_regions,
    rsync_snapshot,
)
from snapback.errors import UsageError
from tests.sandbox.conftest import changing_calls, instance
from tests.sandbox.replicas import BY_COPY, EAST, SOUTH, WEST, by_copy, records, sets, words

pytestmark = pytest.mark.usefixtures("run")


def test_one_snapshot_goes_where_it_is_told_and_collisions_have_words(sandbox, load, fab, world):
    load(instance("web", 8, history=[sets(3)]))
    old, *_, new = sorted(world.snapshots(), key=lambda s: s["StartTime"])
    sandbox.configure(copy_seconds=1000)

    def replicate(snapshot, *more):
        ended = fab("rsync_snapshot", EAST, snapshot["SnapshotId"], WEST, *BY_COPY, "--json", *more)
        (item,) = ended.document["items"]
        return ended.code, item["outcome"]

    assert replicate(new) == (0, "begun")
    assert replicate(new) == (0, "being replicated")
    assert replicate(new, "--force") == (0, "being replicated")
    sandbox.complete_all()
    assert replicate(new) == (0, "already replicated")
    assert replicate(old) == (0, "already replicated")
    assert replicate(old, "--dry-run", "--force") == (0, "would do")
    assert len(world.snapshots(WEST)) == 1
    assert replicate(new, "--force") == (0, "begun")
    assert replicate(old, "--force") == (0, "begun")
    assert len(world.snapshots(WEST)) == 3


def test_a_pending_snapshot_is_waited_for(sandbox, load, world):
    ids = load(instance("web", 8))
    sandbox.configure(snapshot_seconds=100)
    (pending,) = backup_instance(EAST, ids["web"]["instance_id"])
    done = rsync_snapshot(EAST, pending.snapshot_id, WEST, engine="copy", synchronously=True)
    assert words(done) == {"done": 1}
    assert [s["State"] for s in world.snapshots(WEST)] == ["completed"]


@pytest.mark.parametrize(
    ("which", "into", "why"),
    [
        ("i-0123456789abcdef0", WEST, "no snapshot id"),
        ("snap-0123456789abcdef0", WEST, "there is no snapshot"),
        ("hand-made", WEST, "has no record"),
        ("broken", WEST, "in the state error"),
        ("from west", WEST, "was taken in eu-west-1"),
    ],
)
def test_a_snapshot_that_may_not_be_replicated_is_refused(sandbox, load, world, which, into, why):
    record = {"Volume": "vol-0123456789abcdef0", "Region": WEST, "Time": "2026-11-01T00:00:00"}
    ours = {**record, "Region": EAST, "Time": f"{sandbox.now():%Y-%m-%dT%H:%M:%S}"}
    load(
        **{
            EAST: {
                "snapshots": [
                    {"volume_id": "vol-0123456789abcdef0", "size": 1, "description": "hand-made"},
                    {
                        "volume_id": "vol-0123456789abcdef0",
                        "size": 1,
                        "description": json.dumps(ours),
                        "state": "error",
                        "tags": {"Name": "broken"},
                    },
                    {
                        "volume_id": "vol-0123456789abcdef0",
                        "size": 1,
                        "description": json.dumps(record),
                        "tags": {"Name": "from west"},
                    },
                ]
            }
        }
    )
    ids = {world.tags(s).get("Name", s["Description"]): s["SnapshotId"] for s in world.snapshots()}
    with pytest.raises(UsageError, match=why):
        rsync_snapshot(EAST, ids.get(which, which), into, engine="copy")
    assert changing_calls(sandbox) == []


# All regions.


@pytest.fixture
def three_regions(load):
    """An instance with a history in each region."""
    history = [sets(1)]
    load(
        **{
            region: {"instances": [instance(name, 8, history=history)]}
            for region, name in ((EAST, "e"), (WEST, "w"), (SOUTH, "s"))
        }
    )


def regions_of(world, region):
    return Counter(record.region for record in records(world, region).values())


def test_all_regions_go_into_the_primary_and_its_own_into_the_secondary(
    sandbox, three_regions, world
):
    before = {region: regions_of(world, region)[region] for region in (EAST, WEST, SOUTH)}
    done = rsync_all_regions(WEST, EAST, engine="copy")
    assert words(done) == {"begun": 3}
    sandbox.complete_all()
    assert regions_of(world, WEST) == {WEST: before[WEST], EAST: 1, SOUTH: 1}
    assert regions_of(world, EAST) == {EAST: before[EAST], WEST: 1}
    assert regions_of(world, SOUTH) == {SOUTH: before[SOUTH]}
    again = rsync_all_regions(WEST, EAST, engine="copy")
    assert words(again) == {"already replicated": 3}


def test_with_replicas_too_all_but_its_own_goes_into_the_secondary(sandbox, three_regions, world):
    rsync_all_regions(WEST, EAST, engine="copy")
    sandbox.complete_all()
    done = rsync_all_regions(WEST, EAST, engine="copy", native_only=False)
    assert words(done) == {"already replicated": 3, "begun": 1}
    sandbox.complete_all()
    assert regions_of(world, EAST)[SOUTH] == 1
    assert regions_of(world, EAST)[WEST] == 1
    (second_hand,) = [s for s, r in records(world, EAST).items() if r.region == SOUTH]
    sources = {
        world.tags(s)["snapback:source"]
        for s in world.snapshots(EAST)
        if s["SnapshotId"] == second_hand
    }
    assert sources <= world.snapshot_ids(WEST)


def test_what_is_lacking_is_the_same_for_all(load, sandbox):
    load(instance("web", 8, 9, history=[sets(2)]))
    east, west = get_region_conn(EAST), get_region_conn(WEST)
    lacking = get_oldest_replica(east, west, amount=9)
    done = by_copy()
    assert [o.subject for o in done.outcomes] == [s.snapshot_id for s in lacking]
    assert get_oldest_replica(east, west) == []
