"""Replicating by EC2's own copy: what is copied, how it is tagged, what it costs in calls."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from snapback import (
    backup_instance,
    create_snapshot,
    get_region_conn,
    get_relevant_snapshots,
)
from snapback.core.model import Place, Volume
from snapback.errors import ItemsFailed
from tests.sandbox.conftest import changing_calls, instance
from tests.sandbox.replicas import BY_COPY, EAST, WEST, by_copy, latest, records, sets, words

pytestmark = pytest.mark.usefixtures("run")


def test_the_latest_set_of_each_instance_is_copied_whole(sandbox, load, fab, world):
    load(instance("web", 8, 20, history=[sets(3)]), instance("db", 8, history=[sets(2)]))
    ended = fab("rsync_region", EAST, WEST, *BY_COPY, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert [item["outcome"] for item in ended.document["items"]] == ["begun"] * 3
    calls = Counter((call.action, call.region) for call in sandbox.calls())
    assert calls == {
        ("DescribeSnapshots", EAST): 1,
        ("DescribeSnapshots", WEST): 2,  # what is there, and at the end what became of ours
        ("CopySnapshot", WEST): 3,
    }
    sandbox.complete_all()
    here, there = records(world, EAST), records(world, WEST)
    assert sorted(map(str, there.values())) == sorted(map(str, latest(here)))
    for replica in world.snapshots(WEST):
        tags = world.tags(replica)
        said = json.loads(replica["Description"])
        assert {"Volume", "Device", "Region", "Instance", "Time"} <= said.keys()
        assert here[tags["snapback:source"]] == there[replica["SnapshotId"]]
        assert tags["snapback:consistency"] == "filesystem"
        assert tags["Earmarking"] == "production"
        assert tags["snapback:run"] == ended.document["run"]
    sets_of_web = {world.tags(s)["snapback:set"] for s in world.snapshots(WEST)}
    assert len(sets_of_web) == 2

    again = fab("replicate_region", "us-e", "eu-w", *BY_COPY, "--json")
    assert {item["outcome"] for item in again.document["items"]} == {"already replicated"}
    assert len(sandbox.calls("CopySnapshot")) == 3


def test_the_dry_run_changes_nothing_and_tells_what_each_engine_costs(sandbox, load, fab):
    load(instance("web", 8, 20, history=[sets(3)]))
    ended = fab("rsync_region", EAST, WEST, *BY_COPY, "--dry-run")
    assert (ended.code, ended.err) == (0, "")
    assert changing_calls(sandbox) == []
    assert ended.out.count("would do: in full") == 2
    assert "2 volumes to be replicated" in ended.out
    assert "by rsync: 28 GiB to read, about 28 GiB to cross, 1.6 helper-hours" in ended.out
    assert "by copy:  nothing to read, about 28 GiB to cross, no helpers" in ended.out
    document = fab("rsync_region", EAST, WEST, *BY_COPY, "--dry-run", "--json").document
    assert document["estimates"][0]["gib_to_read"] == 28


def test_what_was_replicated_before_makes_the_next_one_cheap(load, sandbox, fab):
    load(instance("web", 100, history=[sets(3)]))
    by_copy()
    sandbox.complete_all()
    sandbox.advance(10)
    ids = [s.snapshot_id for s in get_relevant_snapshots(get_region_conn(EAST))]
    volume_id = get_relevant_snapshots(get_region_conn(EAST))[0].record.volume
    create_snapshot(Volume(place=Place(EAST), volume_id=volume_id))
    planned = fab("rsync_region", EAST, WEST, *BY_COPY, "--dry-run", "--json").document
    (item,) = planned["items"]
    assert item["subject"] not in ids
    assert item["explanation"].startswith("changes since snap-")
    assert planned["estimates"][0]["gib_to_cross"] < 10


def test_nothing_with_the_earmark_is_a_failure(load, fab):
    load(instance("web", 8))
    ended = fab("rsync_region", EAST, WEST, *BY_COPY)
    assert ended.code == 1
    assert "no snapshot in us-east-1 has the tag Earmarking=production and a record" in ended.err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((EAST, EAST, *BY_COPY), "both us-east-1"),
        ((EAST, "mars-1", *BY_COPY), "no region in use"),
        ((EAST, WEST, "--engine", "teleport"), "no engine 'teleport'"),
        ((EAST, WEST, *BY_COPY, "--compare"), "for the engine rsync"),
    ],
)
def test_what_can_not_be_is_refused(sandbox, load, fab, arguments, why):
    load(instance("web", 8, history=[sets(1)]))
    ended = fab("rsync_region", *arguments)
    assert ended.code == 2
    assert why in ended.err
    assert changing_calls(sandbox) == []


# Tags, encryption.


def test_neither_the_pin_nor_the_verdict_of_a_verification_goes_along(load, sandbox, world):
    told = {"preserve_snapshot": "yes", "snapback:verified": "ok", "snapback:verified-at": "x"}
    load(instance("web", 8, history=[sets(1, tags=told | {"team": "a", "dlm:x": "y"})]))
    by_copy()
    (replica,) = world.snapshots(WEST)
    tags = world.tags(replica)
    assert not told.keys() & tags.keys()
    assert tags["team"] == "a"
    assert "dlm:x" not in tags


def test_a_replica_is_never_less_encrypted_than_its_source(load, world, sandbox):
    secret = [{"device": "/dev/sda1", "size": 8, "encrypted": True}]
    load(
        instance("vault", volumes=secret, history=[sets(1)]), instance("web", 9, history=[sets(1)])
    )
    by_copy()
    assert {s["VolumeSize"]: s["Encrypted"] for s in world.snapshots(WEST)} == {8: True, 9: False}
    encrypted = [c.parameters.get("Encrypted") for c in sandbox.calls("CopySnapshot")]
    assert sorted(encrypted, key=str) == [None, "true"]


def test_a_key_for_the_destination_encrypts_all_there(load, world, configure, fab):
    configure(replication={"engine": "copy", "kms_keys": {WEST: "alias/backup"}})
    load(instance("web", 8, history=[sets(1)]))
    assert fab("rsync_region", EAST, WEST).code == 0
    (replica,) = world.snapshots(WEST)
    assert replica["Encrypted"]
    assert replica["KmsKeyId"] == "alias/backup"


def test_a_key_that_can_not_be_used_is_a_failure_and_its_copy_never_counts(
    sandbox, load, fab, configure, world
):
    configure(replication={"engine": "copy", "kms_keys": {WEST: "alias/backup"}})
    sandbox.configure(kms_keys=[])
    load(instance("web", 8, history=[sets(1)]))
    ended = fab("rsync_region", EAST, WEST, "--synchronously", "--json")
    assert ended.code == 1
    (item,) = ended.document["items"]
    assert item["outcome"] == "failed"
    assert "ended in error: Given key ID is not accessible" in item["explanation"]

    sandbox.configure(kms_keys=["alias/backup"])
    again = fab("rsync_region", EAST, WEST, "--synchronously", "--json")
    assert again.code == 1  # the broken one is told until it is deleted
    outcomes = {item["outcome"]: item for item in again.document["items"]}
    assert outcomes["failed"]["subject"] == item["replica"]
    assert outcomes["done"]["subject"] == item["subject"]
    assert fab("delete_broken_snapshots", "--region-name", WEST).code == 3
    assert fab("rsync_region", EAST, WEST).code == 0
    assert [s["State"] for s in world.snapshots(WEST)] == ["completed"]


def test_not_waited_for_a_bad_key_is_told_by_the_next_run(sandbox, load, fab, configure):
    configure(replication={"engine": "copy", "kms_keys": {WEST: "alias/backup"}})
    sandbox.configure(kms_keys=[], copy_seconds=1000)
    load(instance("web", 8, history=[sets(1)]))
    assert fab("rsync_region", EAST, WEST).code == 0
    sandbox.complete_all()
    ended = fab("rsync_region", EAST, WEST)
    assert ended.code == 1
    assert "an earlier replica ended in error: Given key ID is not accessible" in ended.err


# What is pending.


def test_the_chain_of_cron_replicates_what_it_has_just_taken(load, fab, world, configure):
    configure(replication={"engine": "copy"})
    load(instance("web", 8, 9), instance("db", 8))
    ended = fab("backup_instances_by_tag", "trim_snapshots", "rsync_region", EAST, WEST)
    assert (ended.code, ended.err) == (0, "")
    assert len(world.snapshots(WEST)) == 3
    assert set(records(world, WEST).values()) == set(records(world, EAST).values())


def test_what_is_pending_is_waited_for_in_one_call_at_a_time_while_others_proceed(
    sandbox, load, world
):
    ids = load(instance("web", 8, 9), instance("db", 8, history=[sets(1)]))
    sandbox.configure(snapshot_seconds=200, copy_seconds=1000)
    web = backup_instance(EAST, ids["web"]["instance_id"])
    sandbox.clear_calls()
    assert words(by_copy()) == {"begun": 3}
    copied = [call.parameters["SourceSnapshotId"] for call in sandbox.calls("CopySnapshot")]
    assert set(copied[1:]) == {snapshot.snapshot_id for snapshot in web}
    began = sandbox.calls("CopySnapshot")
    assert (began[1].time - began[0].time).total_seconds() > 100
    waits = [c for c in sandbox.calls("DescribeSnapshots", EAST) if len(c.parameters) > 4][1:]
    asked = {
        tuple(sorted(v for v in c.parameters.values() if v.startswith("snap-"))) for c in waits
    }
    assert asked == {tuple(sorted(snapshot.snapshot_id for snapshot in web))}


def test_what_stays_pending_is_told_and_the_one_before_goes_in_its_stead(sandbox, load, world):
    ids = load(instance("web", 8, 9, history=[sets(2)]), instance("new", 8))
    before = latest(records(world, EAST))
    sandbox.configure(snapshot_seconds=100_000, copy_seconds=1)
    pending = [
        snapshot.snapshot_id
        for name in ("web", "new")
        for snapshot in backup_instance(EAST, ids[name]["instance_id"])
    ]
    with pytest.raises(ItemsFailed) as raised:
        by_copy()
    assert raised.value.exit_code == 1
    assert words(raised.value) == {"timed out": 3, "begun": 2}
    late = {o.subject for o in raised.value.outcomes if o.word.text == "timed out"}
    assert late == set(pending)
    assert set(records(world, WEST).values()) == before
    with pytest.raises(ItemsFailed) as raised:
        by_copy()
    assert words(raised.value) == {"timed out": 3}


def test_what_ends_in_error_is_told_and_the_one_before_goes_in_its_stead(sandbox, load, world):
    ids = load(instance("web", 8, history=[sets(2)]))
    before = latest(records(world, EAST))
    sandbox.configure(snapshot_seconds=100, copy_seconds=1000)
    sandbox.fail_next_snapshot(message="no key")
    backup_instance(EAST, ids["web"]["instance_id"])
    with pytest.raises(ItemsFailed, match="ended in error: no key") as raised:
        by_copy()
    assert words(raised.value) == {"failed": 1, "begun": 1}
    assert set(records(world, WEST).values()) == before
