"""Archived snapshots: what is replicated, restored, verified in their stead; what is told."""

from __future__ import annotations

import pytest

from snapback import rsync_snapshot
from snapback.errors import ItemsFailed, UsageError
from tests.sandbox.conftest import changing_calls, instance
from tests.sandbox.replicas import EAST, WEST, by_copy, records, sets, words

pytestmark = pytest.mark.usefixtures("run")


@pytest.fixture
def history(load, world):
    """Two volumes with two sets; the newest snapshot of the root is archived."""
    load(instance("web", 8, 20, history=[sets(2)]))
    here = records(world, EAST)
    newest = max(record.taken_at for record in here.values())
    archived, other = sorted(
        (i for i, record in here.items() if record.taken_at == newest),
        key=lambda i: here[i].device,
    )
    world.ec2().modify_snapshot_tier(SnapshotId=archived, StorageTier="archive")
    old = {i for i, record in here.items() if record.taken_at != newest}
    return archived, other, old


def test_an_archived_set_is_passed_over_and_told_by_both_engines(history, sandbox, fab, world):
    archived, other, old = history
    for engine in ("copy", "rsync"):
        ended = fab("rsync_region", EAST, WEST, "--engine", engine, "--dry-run", "--json")
        found = {item["subject"]: item["outcome"] for item in ended.document["items"]}
        assert found == {archived: "archived", other: "archived", **dict.fromkeys(old, "would do")}
        assert ended.code == 3
    assert "RestoreSnapshotTier" in ended.item(archived)["explanation"]
    assert archived in ended.item(other)["explanation"]
    sandbox.configure(copy_seconds=0)
    with pytest.raises(ItemsFailed) as raised:
        by_copy()
    assert words(raised.value) == {"archived": 2, "done": 2}
    assert raised.value.exit_code == 3
    here = records(world, EAST)
    assert set(records(world, WEST).values()) == {here[i] for i in old}
    with pytest.raises(ItemsFailed) as raised:
        by_copy()
    assert words(raised.value) == {"archived": 2, "already replicated": 2}
    assert "counts instead" in str(raised.value)
    # Restored for some days it is as good as any other, and then its replica is there.
    world.ec2().restore_snapshot_tier(SnapshotId=archived, TemporaryRestoreDays=2)
    assert words(by_copy()) == {"done": 2}
    sandbox.advance(3 * 24 * 3600)
    assert words(by_copy()) == {"already replicated": 2}


def test_an_archived_replica_counts_as_one_and_is_no_base(history, sandbox, fab, world):
    archived, *_ = history
    world.ec2().restore_snapshot_tier(SnapshotId=archived, PermanentRestore=True)
    sandbox.configure(copy_seconds=0)
    assert words(by_copy()) == {"done": 2}
    for replica in world.snapshot_ids(WEST):
        world.ec2(WEST).modify_snapshot_tier(SnapshotId=replica, StorageTier="archive")
    assert words(by_copy()) == {"already replicated": 2}
    assert fab("backup_instances_by_tag").code == 0
    sandbox.complete_all()
    for engine in ("copy", "rsync"):
        ended = fab("rsync_region", EAST, WEST, "--engine", engine, "--dry-run", "--json")
        assert [item["explanation"] for item in ended.document["items"]] == ["in full"] * 2


def test_named_it_is_refused_with_the_way_out(history, sandbox, fab):
    archived, *_ = history
    for engine in ("copy", "rsync"):
        with pytest.raises(UsageError, match=r"is archived: restore .* \(RestoreSnapshotTier"):
            rsync_snapshot(EAST, archived, WEST, engine=engine)
    for task in ("verify_snapshot", "restore_volume", "create_ami", "mount_snapshot"):
        ended = fab(task, "--snapshot-id", archived)
        assert ended.code == 2
        assert f"{archived} is archived: restore it from the archive tier" in ended.err
        assert "Traceback" not in ended.err
    assert changing_calls(sandbox) == ["ModifySnapshotTier"]


def test_restores_pass_over_it_and_say_so_and_verifying_counts_it(history, fab, world):
    archived, *_ = history
    record = records(world, EAST)[archived]
    named = ("--volume-id", record.volume, "--zone", f"{EAST}a", "--dry-run")
    volume = fab("restore_volume", *named)
    assert (volume.code, f"passed over: {archived}" in volume.out) == (0, True)
    verified = fab("verify_region", EAST, "--dry-run")
    assert (verified.code, archived in verified.out) == (0, False)
    assert "3 of 3 snapshots" in verified.out
    assert "1 archived, left out" in verified.out
    told = fab("check")
    assert f"{archived} is newer, but archived" in told.out
