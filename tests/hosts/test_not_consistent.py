"""What no freeze of file systems makes consistent: it is told, and called ``crash``."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.hosts.helpers import wait_until
from tests.sandbox.conftest import Ended, instance

ROOT = {"device": "/dev/sda1", "size": 4}
DATA = {"device": "/dev/sdf", "size": 1, "filesystem": "ext4", "mount_point": "/data"}
PLAIN = {"device": "/dev/sdg", "size": 1}
LEFT_OUT = {"device": "/dev/sdh", "size": 1, "tags": {"snapback:exclude": ""}}
OFFERED = r"""
set -e
mount -t tmpfs x /sys/kernel
mkdir -p /sys/kernel/config/target/core/iblock_0/db
printf /dev/nvme2n1 >/sys/kernel/config/target/core/iblock_0/db/udev_path
"""


class Web:
    """An instance with a file system, and volumes of whatever kind."""

    def __init__(self, sandbox: Any, world: Any, fab: Any, ids: Any) -> None:
        self.sandbox, self.world, self.fab = sandbox, world, fab
        self.instance_id = ids["instance_id"]
        self.volumes = {volume: device for device, volume in ids["volumes"].items()}

    def shell(self, script: str) -> None:
        code, _, err = self.sandbox.hosts.run(self.instance_id, script)
        assert code == 0, err

    def back_up(self, *options: str) -> tuple[Ended, dict[str, str]]:
        """Back up; return how that ended, and what the snapshots are called, by device."""
        self.sandbox.advance(20)  # EC2 takes two snapshots of a volume only 15 s apart
        known = self.world.snapshot_ids()
        ended = self.fab("backup_instances_by_tag", "--consistent", "--json", *options)
        taken = [s for s in self.world.snapshots() if s["SnapshotId"] not in known]
        return ended, {
            self.volumes[s["VolumeId"]]: self.world.tags(s)["snapback:consistency"] for s in taken
        }

    @contextmanager
    def holding(self, device: str, mode: str) -> Iterator[None]:
        """Keep a device open in a program."""
        words = ["sh", "-c", f"exec 3{mode}{device}; exec sleep 1000"]
        with subprocess.Popen(self.sandbox.hosts.command(self.instance_id, words)) as process:
            try:
                is_there = f"pgrep -x sleep && ls -l /proc/[0-9]*/fd | grep -q {device}$"
                wait_until(
                    lambda: self.sandbox.hosts.run(self.instance_id, is_there)[0] == 0, "the holder"
                )
                yield
            finally:
                self.sandbox.hosts.run(self.instance_id, "pkill -x sleep")
                process.wait()


@pytest.fixture
def web(load, fab, sandbox, world, reachable):
    def make(*volumes: dict[str, Any], **settings: Any) -> Web:
        reachable(**settings)
        ids = load(instance("web", volumes=[ROOT, DATA, *volumes]))["web"]
        return Web(sandbox, world, fab, ids)

    return make


def test_disks_that_programs_write_to(web):
    db = web(PLAIN)
    well = {"/dev/sda1": "filesystem", "/dev/sdf": "filesystem", "/dev/sdg": "filesystem"}
    with db.holding("/dev/nvme2n1", "<"):  # for reading only
        ended, called = db.back_up()
        assert (ended.code, called) == (0, well)
    with db.holding("/dev/nvme2n1", "<>"):
        foreseen, _ = db.back_up("--dry-run")
        ended, called = db.back_up()
    assert called == {**well, "/dev/sdg": "crash"}
    for one in (foreseen, ended):
        assert one.code == 3, one
        assert "/dev/nvme2n1 is open for writing, past any file system: sleep (process " in one.out
    with db.holding("/dev/nvme1n1", ">>"):  # past a file system that is mounted
        ended, called = db.back_up()
    assert (ended.code, called) == (3, {**well, "/dev/sdf": "crash"})
    db.shell(OFFERED)
    ended, called = db.back_up()
    assert (ended.code, called) == (3, {**well, "/dev/sdg": "crash"})
    assert "writing, past any file system: the kernel (target/core/iblock_0/db/udev_path)" in (
        ended.out
    )


def test_what_began_while_all_was_frozen_is_seen_after_the_thaw(web):
    begin = "setsid sh -c 'exec 3<>/dev/nvme2n1; exec sleep 1000' >/dev/null 2>&1 &"
    db = web(PLAIN, freeze={"pre_freeze": begin})
    ended, called = db.back_up()
    assert ended.code == 3, ended
    assert called == {"/dev/sda1": "filesystem", "/dev/sdf": "filesystem", "/dev/sdg": "crash"}
    assert "meanwhile /dev/nvme2n1 is open for writing" in ended.out


def test_a_file_system_over_a_volume_that_is_left_out(web):
    pool = web(PLAIN, LEFT_OUT)
    pool.shell(
        "mkfs.btrfs -q -d raid0 -m raid1 /dev/nvme2n1 /dev/nvme3n1 && btrfs device scan"
        " && mkdir -p /pool && mount /dev/nvme2n1 /pool"
    )
    ended, called = pool.back_up()
    assert ended.code == 3, ended
    assert called == {"/dev/sda1": "filesystem", "/dev/sdf": "filesystem", "/dev/sdg": "crash"}
    assert "is on /dev/nvme3n1 as well, of which no snapshot is taken" in ended.out
    pool.shell("umount /pool")  # half of it is no better for being unmounted
    assert pool.back_up()[1]["/dev/sdg"] == "crash"


def test_commands_before_and_after_make_it_no_better_and_are_told_if_they_fail(web):
    db = web(freeze={"pre_freeze": "true", "post_thaw": "exit 3"})
    ended, called = db.back_up()
    assert called == {"/dev/sda1": "filesystem", "/dev/sdf": "filesystem"}
    assert ended.code == 3, ended
    assert "post_thaw ended with 3" in ended.out
