"""A disk's content on its way to another host: what arrives is equal, or it is an error."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ec2_sandbox import Sandbox

from snapback.core.model import Place
from snapback.core.replication.progress import Progress
from snapback.ec2.instances import instance_by_id
from snapback.run import Run
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

    def sh(self, command: str, *arguments: str, stdin: str = "") -> str:
        """Run a shell's script as root; answer what it printed."""
        if stdin:
            command = f"printf %s {shlex.quote(stdin)} | {{\n{command}\n}}"
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
    disk: str = DISK

    def move(self, **terms: Any) -> Moved:
        source, destination = self.source.host, self.destination.host
        with open_road(source, destination, self.destination.address) as road:
            return move_volume(
                *(End(source, self.disk), End(destination, self.disk)),
                *(road, Terms(**terms), self.told.append),
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
    assert moved.bytes_crossed < moved.bytes_read / 100
    after = pair.source.all_of()
    assert pair.destination.all_of(fs_type=fs_type) == after != before
    assert all(one.step.startswith(f"{fs_type} by rsync") for one in pair.told)
    assert max(one.bytes_done for one in pair.told) > 48 << 20


FEATURES = {
    "ext2": ["mke2fs -q -t ext2 -I 128 -b 1024", "dumpe2fs -h"],
    "ext3": ["mke2fs -q -t ext3 -O ^resize_inode -m 7 -N 5000", "dumpe2fs -h"],
    "ext4": ["mke2fs -q -t ext4 -O ^metadata_csum,^64bit,^huge_file -e panic", "dumpe2fs -h"],
    "xfs": [
        "mkfs.xfs -q -K -m bigtime=0,reflink=0 -i nrext64=0,sparse=0,maxpct=50",
        "xfs_db -r -c version -c 'sb 0' -c 'p agcount logblocks inodesize imax_pct dblocks'",
    ],
    "btrfs": [
        "mkfs.btrfs -q -K -O ^no-holes -R ^free-space-tree -m single --csum xxhash",
        "btrfs inspect-internal dump-super",
    ],
}
VARYING = re.compile(
    r"[Cc]reated|[Tt]ime|ransid|[Ww]rit|[Mm]ount count|[Ff]ree (blocks|inodes)|Last|Check|Overhead|"
    r"First (orphan|error)|Journal (sequence|start)|^csum\s|generation|root\s|_used|dev_item.uuid"
)


@pytest.mark.parametrize("fs_type", FEATURES)
def test_the_features_of_an_older_file_system(pair: Pair, fs_type: str):
    """An older kernel couldn't mount what the helper's mkfs makes by default."""
    make, tell = FEATURES[fs_type]
    pair.source.sh(f"{make} -L older {DISK}")
    with pair.source.mounted() as folder:
        pair.source.sh(f"echo some >{folder}/file")
    assert pair.move().how == f"{fs_type} by rsync (made anew)"
    told = [machine.sh(f"{tell} {DISK} 2>&1") for machine in (pair.source, pair.destination)]
    source, destination = (
        [line for line in one.splitlines() if not VARYING.search(line)] for one in told
    )
    assert destination == source
    assert len(source) > 5


def test_all_kinds_of_partitions(pair: Pair):
    pair.source.sh(
        f"""
        sfdisk -q --no-reread --no-tell-kernel {DISK}
        until [ -b {DISK}p16 ]; do sleep 0.1; done
        head -c 440 /dev/urandom | dd of={DISK} conv=notrunc status=none
        echo grub | dd of={DISK} bs=512 seek=40 conv=notrunc status=none
        mkfs.ext4 -q -T default -L cloudimg-rootfs {DISK}p1
        mkfs.xfs -q -K {DISK}p3
        for raw in 2 14 15; do head -c 1500000 /dev/urandom >{DISK}p$raw; done
        mkswap -L swap {DISK}p2
        printf secret | cryptsetup -q luksFormat --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
            {DISK}p16 -
        """,
        stdin=GPT,
    )
    with pair.source.mounted(f"{DISK}p1") as folder:
        pair.source.trees("fill", folder)
    for made in (" (made anew)", ""):
        moved = pair.move()
        assert moved.how == (
            f"gpt; 1 ext4 by rsync{made}; 2 by blocks (swap on it); 3 xfs by rsync{made}; "
            "14 by blocks (nothing known on it); 15 by blocks (nothing known on it); "
            "16 by blocks (crypto_LUKS on it)"
        )
        for number in (2, 14, 15, 16):
            assert pair.destination.hash(f"{DISK}p{number}") == pair.source.hash(f"{DISK}p{number}")
        assert pair.destination.all_of(f"{DISK}p1") == pair.source.all_of(f"{DISK}p1")
        dumps = (
            f"sfdisk --dump {DISK}; "
            f"blkid -p -s LABEL -s UUID -s TYPE {DISK}p1 {DISK}p2 {DISK}p3 {DISK}p16; "
            f"head -c 440 {DISK} | b2sum; dd if={DISK} skip=34 count=2014 status=none | b2sum"
        )
        assert pair.destination.sh(dumps) == pair.source.sh(dumps)
    assert moved.bytes_crossed < moved.bytes_read / 50
    pair.destination.sh(f"printf secret | cryptsetup open --test-passphrase --key-file - {DISK}p16")


GPT = """label: gpt
label-id: 6B8B4567-0000-4000-8000-0123456789AB
1 : start=100MiB, size=400MiB, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name="a root"
14 : start=1MiB, size=4MiB, type=21686148-6449-6E6F-744E-656564454649, attrs=LegacyBIOSBootable
15 : start=5MiB, size=10MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
2 : start=20MiB, size=10MiB, type=0657FD6D-A4AB-43C4-84E5-0933C84B4F4F
16 : start=40MiB, size=32MiB
3 : start=600MiB, size=400MiB
"""
MBR = """label: dos
label-id: 0x12345678
1 : start=1MiB, size=100MiB, type=83, bootable
2 : start=200MiB, size=600MiB, type=5
5 : start=201MiB, size=150MiB, type=83
6 : start=360MiB, size=20MiB, type=82
"""


def test_an_mbr_with_logical_partitions(pair: Pair):
    pair.source.sh(
        f"""
        sfdisk -q --no-reread --no-tell-kernel {DISK}
        until [ -b {DISK}p6 ]; do sleep 0.1; done
        head -c 440 /dev/urandom | dd of={DISK} conv=notrunc status=none
        head -c 100000 /dev/urandom | dd of={DISK} bs=512 seek=1 conv=notrunc status=none
        mkfs.ext4 -q {DISK}p1; mkfs.btrfs -q {DISK}p5
        """,
        stdin=MBR,
    )
    with pair.source.mounted(f"{DISK}p5") as folder:
        pair.source.sh(f"echo some >{folder}/file")
    assert pair.move().how == (
        "dos; 1 ext4 by rsync (made anew); 5 btrfs by rsync (made anew); "
        "6 by blocks (nothing known on it)"
    )
    begin = f"head -c 1048576 {DISK} | b2sum; sfdisk --dump {DISK}"
    assert pair.destination.sh(begin) == pair.source.sh(begin)
    for number in (1, 5):
        node = f"{DISK}p{number}"
        assert pair.destination.all_of(node) == pair.source.all_of(node)


@pytest.fixture
def small(pair: Pair) -> Pair:
    """The pair with smaller disks, for what moves all of their blocks: a partition each."""
    for machine in (pair.source, pair.destination):
        machine.sh(
            f"""
            sfdisk -q --no-reread --no-tell-kernel {DISK}
            until [ -b {DISK}p1 ]; do sleep 0.1; done
            """,
            stdin="1 : start=1MiB, size=128MiB, type=83",
        )
    pair.disk = f"{DISK}p1"
    return pair


def test_an_encrypted_disk_costs_what_changed(small: Pair):
    disk = small.disk
    small.source.sh(
        f"""
        head -c 128M /dev/urandom >{disk}
        printf secret | cryptsetup -q luksFormat --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
            {disk} -
        """
    )
    assert small.move().how == "by blocks (crypto_LUKS on it)"
    assert small.destination.hash(disk) == small.source.hash(disk)
    small.source.sh(
        f"""
        for number in $(seq 327); do
            head -c 4096 /dev/urandom |
                dd of={disk} bs=4096 seek=$((number * 99)) conv=notrunc status=none
        done
        """
    )
    second = small.move()
    assert small.destination.hash(disk) == small.source.hash(disk)
    assert second.bytes_read == 128 << 20
    assert second.bytes_crossed < second.bytes_read * 0.02
    small.destination.sh(f"printf secret | cryptsetup open --test-passphrase --key-file - {disk}")


def test_an_empty_disk_and_one_that_becomes_a_file_system(small: Pair):
    disk = small.disk
    assert small.move().how == "by blocks (nothing known on it)"
    assert small.destination.hash(disk) == small.source.hash(disk)
    small.source.sh(f"mkfs.ext4 -q {disk}")
    assert small.move().how == "ext4 by rsync (made anew)"
    assert small.destination.all_of(disk) == small.source.all_of(disk)
    small.source.sh(f"wipefs -qa {disk}; mkfs.btrfs -q {disk}")
    assert small.move().how == "btrfs by rsync (made anew)"
    assert small.move(encr=True).how == "by blocks (as was asked)"
    assert small.destination.hash(disk) == small.source.hash(disk)


def test_a_full_file_system(small: Pair):
    """Where a changed file has no room beside what it was, the blocks are moved."""
    disk = small.disk
    small.source.sh(f"mkfs.ext4 -q -m 0 {disk} 64M")
    with small.source.mounted(disk) as folder:
        small.source.sh(
            f"head -c 30M /dev/urandom >{folder}/big; cat /dev/urandom >{folder}/rest || true"
        )
    assert small.move().how == "ext4 by rsync (made anew)"
    assert small.destination.all_of(disk) == small.source.all_of(disk)
    with small.source.mounted(disk) as folder:
        small.source.sh(f"echo other | dd of={folder}/big bs=1M seek=9 conv=notrunc status=none")
    moved = small.move()
    assert moved.how == "by blocks (no room for its files beside what they were)"
    assert small.destination.all_of(disk) == small.source.all_of(disk)


@pytest.mark.timeout(600)
def test_many_small_files(pair: Pair):
    pair.source.sh(f"mkfs.ext4 -q -N 120000 {DISK}")
    with pair.source.mounted() as folder:
        pair.source.trees("many", folder, "100000")
    pair.move()
    with pair.source.mounted() as folder:
        pair.source.sh(f"cd {folder}; rm -rf 003; echo changed >004/00400/0040000")
    moved = pair.move()
    assert moved.bytes_crossed < 4_000_000
    assert pair.destination.all_of() == pair.source.all_of()


SIZES_MIB = {"ext4": (64, 160), "xfs": (320, 400), "btrfs": (256, 320)}


@pytest.mark.parametrize("fs_type", SIZES_MIB)
def test_a_grown_file_system_of_a_crashed_host(pair: Pair, fs_type: str):
    """The source's journal is replayed, and the replica's file system has grown too."""
    small, large = SIZES_MIB[fs_type]
    make = {
        "ext4": f"mkfs.ext4 -q {OTHER} {small}M",
        "xfs": f"mkfs.xfs -q -K -d size={small}m {OTHER}",
        "btrfs": f"mkfs.btrfs -q -K -b {small}M {OTHER}",
    }[fs_type]
    pair.source.sh(f"{make}; sync; dd if={OTHER} of={DISK} bs=1M count={small} iflag=direct")
    pair.move()
    if fs_type == "ext4":
        pair.source.sh(f"e2fsck -fp {OTHER}; resize2fs {OTHER} {large}M")
    grow = {
        "ext4": "true",
        "xfs": f"xfs_growfs -D {large << 8} /mnt/test",
        "btrfs": f"btrfs filesystem resize {large}M /mnt/test",
    }[fs_type]
    with pair.source.mounted(OTHER) as folder:
        pair.source.sh(
            f"""
            {grow}
            mkdir {folder}/folder; echo some >{folder}/folder/file
            sync -f {folder}
            echo late >{folder}/after; sync {folder}/after
            dd if={OTHER} of={DISK} bs=1M count={large} iflag=direct
            """
        )
    was = pair.source.hash(OTHER)
    assert pair.move().how == f"{fs_type} by rsync"
    assert pair.source.hash(OTHER) == was
    assert pair.destination.all_of() == pair.source.all_of()
    said = []
    for machine in (pair.source, pair.destination):
        with machine.mounted() as folder:
            said.append(machine.sh(f"cat {folder}/after; stat -f -c '%b %S' {folder}"))
    assert said[0] == said[1]
    assert said[0].startswith("late\n")


def test_what_rsync_cannot_keep_is_moved_block_by_block(small: Pair):
    disk = small.disk
    small.source.sh(f"mkfs.btrfs -q {disk}")
    with small.source.mounted(disk) as folder:
        small.source.sh(f"btrfs subvolume create {folder}/sub; echo some >{folder}/sub/file")
    assert small.move().how == "by blocks (it has subvolumes)"
    assert small.destination.hash(disk) == small.source.hash(disk)
    small.source.sh(f"wipefs -qa {disk}; mkfs.ext4 -q {disk}")
    for flag, how in (
        ("+i", "by blocks (one entry has what rsync can't carry: i (immutable))"),
        ("-i", "ext4 by rsync (made anew)"),
    ):
        with small.source.mounted(disk) as folder:
            small.source.sh(f"cd {folder}; test -e 'a b' || touch 'a b'; chattr {flag} 'a b'")
        assert small.move().how == how
        with small.destination.mounted(disk) as folder:
            assert (flag == "+i") == ("i" in small.destination.sh(f"lsattr '{folder}/a b'")[:22])
    small.source.sh(f"mke2fs -q -F -t ext4 -O encrypt,quota {disk}")
    assert small.move().how == "by blocks (its files may be encrypted by fscrypt)"
    zeros = f"dd if=/dev/zero of={disk} bs=1k seek=4 count=3000"
    small.source.sh(f"mke2fs -q -F -t ext4 {disk}; {zeros}")
    assert small.move().how.startswith("by blocks (can't be mounted: ")
    assert small.destination.hash(disk) == small.source.hash(disk)


def test_exclusions(pair: Pair):
    pair.source.sh(f"mkfs.ext4 -q {DISK}")
    with pair.source.mounted() as folder:
        pair.source.sh(f"mkdir {folder}/cache {folder}/kept; touch {folder}/cache/x {folder}/x.tmp")
    pair.move()
    pair.move(exclude=("/cache/*", "*.tmp"), compare=True)
    with pair.destination.mounted() as folder:
        assert pair.destination.sh(f"cd {folder}; find . | sort") == (
            ".\n./cache\n./kept\n./lost+found\n"
        )
