"""A disk's content on its way to another host: what arrives is equal, or it is an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ec2_sandbox import Sandbox

from snapback.core.model import Place
from snapback.core.progress import Progress
from snapback.ec2.instances import instance_by_id
from snapback.runtime import Run
from snapback.ssh.host import Host
from snapback.ssh.moving import End, Moved, Terms, move_volume
from snapback.ssh.road import open_road
from tests.sandbox.conftest import instance

TREES = Path(__file__).parent.joinpath("trees.py").read_text(encoding="utf-8")
DISK, OTHER = "/dev/nvme1n1", "/dev/nvme2n1"
MKFS = {
    "ext2": "mke2fs -q -t ext2",
    "ext3": "mke2fs -q -t ext3",
    "ext4": "mkfs.ext4 -q -E nodiscard",
    "xfs": "mkfs.xfs -q -K",
    "btrfs": "mkfs.btrfs -q -K",
}


@dataclass
class Machine:
    """One of the two hosts, as the test handles it: from inside, without SSH."""

    sandbox: Sandbox
    instance_id: str
    host: Host
    address: str

    def sh(self, command: str, *arguments: str) -> str:
        """Run a shell's script as root; answer what it printed."""
        words = ["sh", "-ec", command, "test", *arguments]
        code, out, err = self.sandbox.hosts.run(self.instance_id, words)
        assert code == 0, err
        return out

    def trees(self, *arguments: str) -> str:
        """Run the program that knows all of a hierarchy."""
        words = ["/usr/bin/python3", "-c", TREES, *arguments]
        code, out, err = self.sandbox.hosts.run(self.instance_id, words)
        assert code == 0, err
        return out

    @contextmanager
    def mounted(self, device: str = DISK, options: str = "rw") -> Iterator[str]:
        """Mount a file system."""
        self.sh('mkdir -p /mnt/test; mount -o "$2" "$1" /mnt/test', device, options)
        try:
            yield "/mnt/test"
        finally:
            self.sh("umount /mnt/test")

    def all_of(self, device: str = DISK, fs_type: str = "") -> list[str]:
        """All of the file system on a device, line by line."""
        with self.mounted(device, "ro,nouuid" if fs_type == "xfs" else "ro") as folder:
            return self.trees("tell", folder).splitlines()

    def hash(self, device: str = DISK) -> str:
        return self.sh('blockdev --flushbufs "$1"; b2sum <"$1"', device)

    def left(self) -> str:
        """What a transfer may have left on it."""
        return self.sh(
            "ls -d /run/snapback-* 2>/dev/null || true; grep snapback- /proc/mounts || true; "
            "grep snapback- /home/ubuntu/.ssh/authorized_keys || true; pgrep -a rsync || true"
        )


@dataclass
class Pair:
    """Two hosts with disks of 1 GiB."""

    source: Machine
    destination: Machine
    told: list[Progress] = field(default_factory=list)

    def move(self, disk: str = DISK, to: str = DISK, **terms: Any) -> Moved:
        source, destination = self.source.host, self.destination.host
        with open_road(source, destination, self.destination.address) as road:
            return move_volume(
                End(source, disk), End(destination, to), road, Terms(**terms), self.told.append
            )


@pytest.fixture
def pair(
    sandbox: Sandbox,
    load: Callable[..., Any],
    reachable: Callable[..., Path],
    begin: Callable[..., Run],
) -> Iterator[Pair]:
    path = reachable()
    volumes = [{"device": "/dev/sda1", "size": 4}]
    volumes += [{"device": f"/dev/sd{letter}", "size": 1} for letter in "fg"]
    ids = load(instance("source", volumes=volumes), instance("destination", volumes=volumes))
    run, place = begin(path), Place("us-east-1")
    with ExitStack() as stack:
        machines = []
        for name in ("source", "destination"):
            found = instance_by_id(run.conn(place), place, ids[name]["instance_id"])
            host = stack.enter_context(run.host(found))
            machines.append(
                Machine(sandbox, found.instance_id, host, found.private_ip_address or "")
            )
        pair = Pair(*machines)
        yield pair
        for machine in machines:
            assert machine.left() == ""


@pytest.mark.parametrize("fs_type", ["ext4", "xfs", "btrfs"])
def test_a_file_system(pair: Pair, fs_type: str):
    pair.source.sh(f"{MKFS[fs_type]} -L 'a b' {DISK}")
    with pair.source.mounted() as folder:
        pair.source.trees("fill", folder)
    moved = pair.move(compare=True)
    assert moved.how == f"{fs_type} by rsync (made anew)"
    before = pair.source.all_of()
    assert pair.destination.all_of(fs_type=fs_type) == before
    with pair.source.mounted() as folder:
        pair.source.trees("change", folder)
    moved = pair.move(compare=True)
    assert moved.how == f"{fs_type} by rsync"
    after = pair.source.all_of()
    assert pair.destination.all_of(fs_type=fs_type) == after != before
