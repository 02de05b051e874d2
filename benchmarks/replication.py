"""How fast are data moved to another host, and how much of them crosses the wire?

Two real hosts (root on Linux needed). A file system, first and after 1% of it has changed, against
the same rsync run by hand between the same hosts; an encrypted disk of which 1% has changed, in
blocks all over it, against what the original did: ``dd | gzip | ssh``. A file of 10 GiB that holds
16 bytes, first and after 16 more, where it goes by rsync and where by blocks, once each. The times
are those of the data; "all" has the rest too: looking, making the file system, mounting, keys. Both
are moved in turns, from a warm cache, and the medians are told: so it is this program's own cost
that is measured, and the machine's processors, not disks and networks.

    .venv/bin/python benchmarks/replication.py [--runs 5] [--mib 600]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ec2_sandbox import Sandbox, launch
from ec2_sandbox.hosts.needs import why_not
from measuring import Aims, show_head, show_row

from snapback import config
from snapback.core.model import Place
from snapback.ec2.instances import instance_by_id
from snapback.run import Run
from snapback.ssh.host import Host
from snapback.ssh.moving import End, Moved, Terms, move_volume
from snapback.ssh.road import open_road

AIM_TIME, AIM_BYTES = 1.15, 0.02
LUKS_MIB = 256
MIB = 1 << 20
SPARSE = 10 << 30
OURS, BY_HAND = "/dev/nvme1n1", "/dev/nvme2n1"
LARGE = "/dev/nvme3n1"
SSH = (
    "ssh -F none -i /run/key -l ubuntu -o BatchMode=yes -o StrictHostKeyChecking=no "
    "-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o Compression=no"
)


@dataclass
class Lab:
    """Two hosts, and what runs on them."""

    sandbox: Sandbox
    source: Host
    destination: Host
    ids: dict[str, str]
    address: str

    def sh(self, name: str, script: str) -> str:
        """Run a script on one of them as root, without SSH."""
        words = ["sh", "-ec", script]
        code, out, err = self.sandbox.hosts.run(self.ids[name], words, seconds=600)
        if code:
            raise RuntimeError(f"{name}: {script}: {err}")
        return out

    def move(self, device: str) -> Moved:
        """Move a disk as snapback does."""
        with open_road(self.source, self.destination, self.address) as road:
            ends = End(self.source, device), End(self.destination, device)
            return move_volume(*ends, road, Terms(), lambda _: None)

    def by_hand(self, script: str) -> tuple[float, int]:
        """Run something on the source; answer its seconds, and the bytes that its card sent."""
        before = self._sent()
        began = time.monotonic()
        self.sh("source", script)
        return time.monotonic() - began, self._sent() - before

    def _sent(self) -> int:
        return int(self.sh("source", "cat /proc/net/dev | sed -n 's/.*eth0: *//p'").split()[8])


@dataclass
class Case:
    """What was measured of one case: of each run, seconds of the data and of all, and bytes."""

    name: str
    rival: str
    size: int = 0
    ours: list[float] = field(default_factory=list)
    all_of_it: list[float] = field(default_factory=list)
    crossed: list[int] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    their_bytes: list[int] = field(default_factory=list)

    def add(self, moved: Moved, seconds: float, sent: int, size: int = 0) -> None:
        """Take in one run of either.

        :param size: of the files, where the blocks are moved.
        """
        self.size = size or moved.bytes_read
        self.ours.append(moved.data_seconds)
        self.all_of_it.append(moved.seconds)
        self.crossed.append(moved.bytes_crossed)
        self.theirs.append(seconds)
        self.their_bytes.append(sent)

    @property
    def ratio(self) -> float:
        """Our time to the rival's."""
        return statistics.median(self.ours) / statistics.median(self.theirs)

    @property
    def share(self) -> float:
        """What crossed of all there is."""
        return statistics.median(self.crossed) / self.size

    def show(self) -> None:
        """Print it as a row of the table."""
        ours, theirs = statistics.median(self.ours), statistics.median(self.theirs)
        show_row(
            self.name,
            f"{ours:.2f}",
            f"{self.size / MIB / ours:.0f}",
            f"{statistics.median(self.crossed) / MIB:.1f}",
            f"{self.share:.2%}",
            f"{statistics.median(self.all_of_it):.2f}",
            self.rival,
            f"{theirs:.2f}",
            f"{statistics.median(self.their_bytes) / MIB:.1f}",
            f"{self.ratio:.2f}",
        )


HEAD = (
    "moved",
    "data s",
    "MiB/s",
    "crossed",
    "of all",
    "all s",
    "against",
    "s",
    "crossed",
    "ratio",
)
DIVIDE = """
    printf 'label: gpt\\n1 : start=1MiB, size=%sMiB\\n' {size} |
        sfdisk -q --no-reread --no-tell-kernel {disk}
    until [ -b {disk}p1 ]; do sleep 0.1; done
"""


def files(lab: Lab, runs: int, mebibytes: int) -> Iterator[Case]:
    """Measure a file system: a hundredth of its files, and of its bytes, are changed each time."""
    count = mebibytes * 10
    small, large = f"{mebibytes * MIB // 2 // count}", f"{mebibytes // 2 // 10}M"
    lab.sh(
        "source",
        f"""
        mkfs.ext4 -q {OURS}; mkdir -p /mnt/x; mount {OURS} /mnt/x; cd /mnt/x
        for folder in $(seq -w 0 99); do mkdir $folder; done
        head -c {mebibytes // 2}M /dev/urandom |
            split -a 5 -d -b {small} --filter='cat >${{FILE#f???}}/$FILE' - f
        for file in 0 1 2 3 4 5 6 7 8 9; do head -c {large} /dev/urandom >large$file; done
        cd /; umount /mnt/x
        """,
    )
    first, later = Case("ext4, first", "rsync by hand"), Case("ext4, 1% changed", "rsync by hand")
    rsync = (
        f"mkdir -p /mnt/x; mount -o ro {OURS} /mnt/x; rsync -aHAXS --numeric-ids --delete "
        f"-e '{SSH}' --rsync-path 'sudo rsync' /mnt/x/ {lab.address}:/mnt/y/; umount /mnt/x"
    )
    for _ in range(runs):
        lab.sh("destination", f"wipefs -qa {OURS}; mkfs.ext4 -q -F {BY_HAND}; mkdir -p /mnt/y")
        with _mounted(lab):
            first.add(lab.move(OURS), *lab.by_hand(rsync))
        lab.sh(
            "source",
            f"""
            mount {OURS} /mnt/x; cd /mnt/x; folder=$(seq -w 0 99 | shuf -n 1)
            for file in $folder/*; do head -c {small} /dev/urandom >$file; done
            for file in large*; do
                head -c {mebibytes // 2 * MIB // 1000} /dev/urandom |
                    dd of=$file bs=64K seek=3 conv=notrunc status=none
            done
            cd /; umount /mnt/x
            """,
        )
        with _mounted(lab):
            later.add(lab.move(OURS), *lab.by_hand(rsync))
    yield from (first, later)


@contextmanager
def _mounted(lab: Lab) -> Iterator[None]:
    lab.sh("destination", f"mount {BY_HAND} /mnt/y")
    try:
        yield
    finally:
        lab.sh("destination", "umount /mnt/y")


def blocks(lab: Lab, runs: int) -> Iterator[Case]:
    """Measure an encrypted disk: one block of 4 KiB in a hundred is changed each time."""
    disk = f"{OURS}p1"
    for name in lab.ids:
        for device in (OURS, BY_HAND):
            lab.sh(name, f"wipefs -qa {device};" + DIVIDE.format(disk=device, size=LUKS_MIB))
    lab.sh(
        "source",
        f"head -c {LUKS_MIB}M /dev/urandom >{disk}; printf secret | cryptsetup -q luksFormat "
        f"--pbkdf pbkdf2 --pbkdf-force-iterations 1000 {disk} -",
    )
    first, later = (
        Case("LUKS, first", "dd, gzip and ssh"),
        Case("LUKS, 1% changed", "dd, gzip and ssh"),
    )
    there = f"gunzip | sudo dd of={BY_HAND}p1 bs=1M conv=fsync status=none"
    dd = f"dd if={disk} bs=1M status=none | gzip | {SSH} {lab.address} '{there}'"
    change = (
        f"for n in $(seq {LUKS_MIB * 256 // 100}); do head -c 4096 /dev/urandom | "
        f"dd of={disk} bs=4096 seek=$((n * 100 - $(date +%N | tail -c 2))) conv=notrunc "
        "status=none; done"
    )
    for _ in range(runs):
        lab.sh("destination", f"dd if=/dev/zero of={disk} bs=1M status=none count={LUKS_MIB}")
        first.add(lab.move(disk), *lab.by_hand(dd))
        lab.sh("source", change)
        later.add(lab.move(disk), *lab.by_hand(dd))
    yield from (first, later)


def holes(lab: Lab) -> Iterator[Case]:
    """Measure once a file that is nearly all hole, on a disk that is larger, and on a smaller one.

    All are told against one rsync by hand, since each of them takes minutes.
    """
    write = "printf 1234567812345678 | dd of=/mnt/x/sparse bs=1 seek={}M conv=notrunc status=none"
    rsync = (
        f"mount -o ro {LARGE} /mnt/x; rsync -aHAXSz --numeric-ids --delete "
        f"-e '{SSH}' --rsync-path 'sudo rsync' /mnt/x/ {lab.address}:/mnt/y/; umount /mnt/x"
    )
    by_hand: tuple[float, int] | None = None
    for disk, name in ((LARGE, "by rsync"), (OURS, "by blocks")):
        lab.sh("source", f"wipefs -qa {disk}; mkfs.ext4 -q {disk}; mkdir -p /mnt/x")
        lab.sh("destination", f"wipefs -qa {disk}; mkfs.ext4 -q -F {BY_HAND}; mkdir -p /mnt/y")
        for number, when in enumerate(("first", "changed")):
            lab.sh(
                "source",
                f"mount {disk} /mnt/x; truncate -s 10G /mnt/x/sparse; "
                f"{write.format(3000 + 2000 * number)}; umount /mnt/x",
            )
            moved = lab.move(disk)
            if by_hand is None:
                with _mounted(lab):
                    by_hand = lab.by_hand(rsync)
            case = Case(f"10 GiB of hole, 16 bytes, {name}, {when}", "rsync -z by hand")
            case.add(moved, *by_hand, size=SPARSE)
            yield case


@contextmanager
def lab() -> Iterator[Lab]:
    """Two hosts with two disks of 2 GiB each, and one of 12."""
    with (
        ExitStack() as stack,
        tempfile.TemporaryDirectory() as home,
        launch(hosts=True) as sandbox,
    ):
        os.environ.update(sandbox.environ, HOME=home)
        volumes = [{"device": "/dev/sda1", "size": 4}]
        volumes += [{"device": f"/dev/sd{letter}", "size": 2} for letter in "fg"]
        volumes += [{"device": "/dev/sdh", "size": 12}]
        fleet = [{"name": name, "volumes": volumes} for name in ("source", "destination")]
        laid = sandbox.load_fleet({"regions": {"us-east-1": {"instances": fleet}}})["us-east-1"]
        login = {
            "username": "ubuntu",
            "key_filename": sandbox.hosts.key_file,
            "host_keys": "console",
        }
        run = Run(config.Loaded(settings=config.Settings.model_validate({"ssh": login})))
        place = Place("us-east-1")
        ids = {name: laid[name]["instance_id"] for name in ("source", "destination")}
        found = {name: instance_by_id(run.conn(place), place, ids[name]) for name in ids}
        hosts = {name: stack.enter_context(run.host(found[name])) for name in ids}
        made = Lab(sandbox, **hosts, ids=ids, address=found["destination"].private_ip_address or "")
        key = Path(sandbox.hosts.key_file).read_text(encoding="utf-8")
        made.sh("source", f"umask 077; cat >/run/key <<'END'\n{key}\nEND")
        yield made


def main() -> int:
    """Print the table; answer 1 if an aim is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--mib", type=int, default=600, help="of the file system, at most 1500")
    options = parser.parse_args()
    if reason := why_not():
        print(f"Can't be run here: {reason}")
        return 2
    print(f"Medians of {options.runs} runs; MiB.\n")
    show_head(*HEAD)
    aims = Aims()
    with lab() as two:
        measured: list[Callable[[], Iterator[Case]]] = [
            lambda: files(two, options.runs, options.mib),
            lambda: blocks(two, options.runs),
            lambda: holes(two),
        ]
        for measure in measured:
            for case in measure():
                case.show()
                is_hole = "hole" in case.name  # for the bytes: the time is that of reading zeros
                if not is_hole:
                    aims.check(f"{case.name}: time to that of {case.rival}", case.ratio, AIM_TIME)
                if is_hole or "changed" in case.name:
                    aims.check(f"{case.name}: share of the bytes", case.share, AIM_BYTES)
    return aims.show()


if __name__ == "__main__":
    sys.exit(main())
