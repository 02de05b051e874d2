"""What tasks call that take real hosts, in all their ways: see tests/sandbox/permissions.py."""

from __future__ import annotations

from collections.abc import Callable

from tests.hosts.replicas import DATA, ROOT, SETTINGS
from tests.sandbox.conftest import instance
from tests.sandbox.permissions import Kit
from tests.sandbox.replicas import EAST, WEST


def rsync_mountpoints(kit: Kit) -> None:
    kit.configure()
    regions = {
        region: {"instances": [instance(name, volumes=[ROOT, DATA])]}
        for region, name in ((EAST, "from"), (WEST, "to"))
    }
    placed = kit.load(**regions)
    words = [
        word
        for ids in (placed[EAST]["from"], placed[WEST]["to"])
        for word in (ids["instance_id"], ids["volumes"]["/dev/sdf"], "/data")
    ]
    with kit.way("console"):
        kit.fab(*words)


def doctor(kit: Kit) -> None:
    kit.load(instance("web", volumes=[ROOT, DATA]))
    group = kit.world.ec2().describe_security_groups()["SecurityGroups"][0]["GroupId"]
    kit.configure(
        temporary={"security_groups": {EAST: [group]}},
        replication={"kms_keys": {EAST: "alias/backup"}},
    )
    kit.sandbox.configure(recycle_bin={"us-east-1": [{"days": 7}]})
    with kit.way("console"):
        kit.fab("--hosts", codes=[0, 1])


def look_into_snapshots(kit: Kit) -> None:
    kit.configure(**SETTINGS)
    kit.load(instance("web", volumes=[{"device": "/dev/sda1", "size": 4}]))
    assert kit.run_fab("backup_instances_by_tag", "--synchronously").code == 0
    (snapshot,) = kit.world.snapshots()
    more = {
        "mount_snapshot": ("--copy", "/etc/passwd", "--to", str(kit.folder)),
        "verify_region": ("us-e",),
    }.get(kit.task, ())
    which = () if kit.task == "verify_region" else (f"--snapshot-id={snapshot['SnapshotId']}",)
    with kit.way("temporary_instances"):
        kit.fab(*which, *more)


WAYS_ON_HOSTS: dict[str, Callable[[Kit], None]] = {
    "doctor": doctor,
    "mount_snapshot": look_into_snapshots,
    "rsync_mountpoints": rsync_mountpoints,
    "verify_region": look_into_snapshots,
    "verify_snapshot": look_into_snapshots,
}
