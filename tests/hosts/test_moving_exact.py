"""What rsync can't carry: it goes by blocks, and a digest tells where it is missing."""

from __future__ import annotations

from snapback.core.disks.survey import LONGEST_PATH
from snapback.core.model.digest import Digest
from snapback.ssh.digesting import digest_of
from tests.hosts.test_moving import DISK, Machine, Pair, pair, small

__all__ = ["pair", "small"]

TABLE = """label: gpt
label-id: 6B8B4567-0000-4000-8000-0123456789AB
1 : start=1MiB, size=48MiB
2 : start=64MiB, size=320MiB
3 : start=400MiB, size=128MiB
"""
FILES = "mkdir {0}/folder; cd {0}; touch a b c d e f g h i; "
SETS = {
    "ext4": (
        "mkfs.ext4 -q",
        (
            "chattr +S a; chattr +A b; chattr +d c; chattr +t e; chattr +c f; chattr +u g;"
            "chattr +D folder; chattr +T folder; touch folder/plain"
        ),
        (
            "8 of its entries have what rsync can't carry: u (undeletable), c (compressed), "
            "S (synchronous), d (no dump), A (no times of access), j (journalled data), "
            "t (no tail-merging), D (synchronous folders), T (top of hierarchies)"
        ),
        "chattr -R -f -SAdtcuDT .; rm d; touch d",
    ),
    "xfs": (
        "mkfs.xfs -q -K",
        (
            "xfs_io -c 'chproj 7' a; xfs_io -c 'extsize 65536' b; xfs_io -c 'cowextsize 1m' c;"
            "xfs_io -c 'chattr +d' d; xfs_io -c 'chattr +f' e; xfs_io -c 'chattr +s' f;"
            "mkdir P E X; xfs_io -c 'chattr +P' P; xfs_io -c 'extsize 128k' E; "
            "xfs_io -c 'chattr +nS' -c 'cowextsize 2m' X; truncate -s 1M h; fallocate -l 64k i"
        ),
        (
            "9 of its entries have what rsync can't carry: S (synchronous), d (no dump), "
            "P (project inherited), no symbolic links, an extent size, an inherited extent size, "
            "not defragmented, file streams, an extent size for copies on write, project ids"
        ),
        (
            "for f in a b c d e f P E X; do "
            "xfs_io -c 'chattr -dfsPnS' -c 'chproj 0' -c 'extsize 0' -c 'cowextsize 0' $f; done"
        ),
    ),
    "btrfs": (
        "mkfs.btrfs -q -K",
        (
            "chattr +C folder; echo inherits >folder/file; chattr +C a; chattr +m b;"
            "btrfs property set c compression zlib"
        ),
        (
            "5 of its entries have what rsync can't carry: c (compressed), m (not compressed), "
            "C (no copy on write)"
        ),
        "rm a c; rm -r folder; chattr -m b",
    ),
}
TELL = "cd {0}; lsattr -aR .; find . -type f,d | sort | xargs xfs_io -rc stat -rc cowextsize"


def of_all(machine: Machine) -> dict[str, tuple[str, Digest]]:
    """What lsattr and xfs_io tell, and the digest, of each of the file systems."""
    told = {}
    for number, fs_type in enumerate(SETS, 1):
        options = "ro,nouuid" if fs_type == "xfs" else "ro"
        with machine.mounted(f"{DISK}p{number}", options) as folder:
            said = machine.sh(TELL.format(folder))
            told[fs_type] = said, digest_of(machine.host, folder)
    return told


def test_flags_hints_and_projects(pair: Pair):
    source, destination = pair.source, pair.destination
    source.sh(f"sfdisk -q --no-reread --no-tell-kernel {DISK}", stdin=TABLE)
    source.sh(f"until [ -b {DISK}p3 ]; do sleep 0.1; done")
    hows = ["gpt"]
    for number, (make, mark, how, _) in enumerate(SETS.values(), 1):
        source.sh(f"{make} {DISK}p{number}")
        with source.mounted(f"{DISK}p{number}") as folder:
            source.sh(FILES.format(folder) + mark)
        if number == 1:  # chattr may not set it in every container
            source.sh(f"debugfs -w -R 'sif /d flags 0x84000' {DISK}p1")
        hows.append(f"{number} by blocks ({how})")
    assert pair.move(compare=True).how == "; ".join(hows)
    told = of_all(source)
    assert of_all(destination) == told

    for number, (_, _, _, unmark) in enumerate(SETS.values(), 1):
        with source.mounted(f"{DISK}p{number}") as folder:
            source.sh(f"cd {folder}; {unmark}")
    unmarked = of_all(source)
    for fs_type in ("ext4", "xfs"):
        assert unmarked[fs_type][1].differs(told[fs_type][1]).startswith("names, modes, owners, fl")
        assert unmarked[fs_type][1].content == told[fs_type][1].content
    hows = [f"{number} {fs_type} by rsync (made anew)" for number, fs_type in enumerate(SETS, 1)]
    assert pair.move(compare=True).how == "; ".join(["gpt", *hows])
    for fs_type, (said, digest) in of_all(destination).items():
        assert digest == unmarked[fs_type][1]
        if fs_type == "ext4":
            assert said == unmarked[fs_type][0]


DEEP = """
import os
for length in (100, 4):
    folder = os.open("{0}", os.O_RDONLY)
    for name in [b"d" * length] * ({1} // (length + 1)):
        os.mkdir(name, dir_fd=folder)
        folder = os.open(name, os.O_RDONLY, dir_fd=os.dup(folder))
    os.mknod(b"fifo", 0o010600, dir_fd=folder)
"""


def test_paths_that_are_too_long_and_holes(small: Pair):
    disk, source, destination = small.disk, small.source, small.destination
    source.sh(f"mkfs.ext4 -q {disk}")
    with source.mounted(disk) as folder:
        source.sh(
            "cd $1; truncate -s 120M disk.iso"
            " && printf 1234567812345678 | dd of=disk.iso bs=1 seek=60M conv=notrunc status=none",
            folder,
        )
    first = small.move(compare=True)
    assert first.how == "ext4 by rsync (made anew)"
    with source.mounted(disk) as folder:
        source.sh(f"printf x | dd of={folder}/disk.iso bs=1 seek=90M conv=notrunc status=none")
    later = small.move(compare=True)
    assert later.how == "ext4 by rsync"
    assert destination.all_of(disk) == source.all_of(disk)
    for moved in (first, later):
        assert moved.bytes_read == 120 << 20
        assert moved.bytes_crossed < moved.bytes_read // 1000
    with destination.mounted(disk) as folder:
        assert int(destination.sh(f"du -k {folder}/disk.iso").split()[0]) < 100

    with source.mounted(disk) as folder:
        source.sh(f"truncate -s 10G {folder}/disk.iso")
    larger = small.move()
    assert larger.how.startswith("by blocks (it has holes of 107374")
    assert destination.hash(disk) == source.hash(disk)
    assert larger.bytes_crossed < (10 << 30) // 1000

    deep = DEEP.format("/mnt/test", 5000)
    with source.mounted(disk) as folder:
        source.sh(f"rm {folder}/disk.iso; ulimit -n 9000; python3 -c '{deep}'")
    assert LONGEST_PATH < 5000
    assert small.move().how == "by blocks (a path of 5005 bytes is too long for rsync)"
    assert destination.hash(disk) == source.hash(disk)
    digests = []
    for machine in (source, destination):
        with machine.mounted(disk, "ro") as folder:
            digests.append(digest_of(machine.host, folder))
    assert digests[0] == digests[1]
    with source.mounted(disk) as folder:
        source.sh(f"cd {folder}; rm -r dddd*")
    assert small.move().how == "ext4 by rsync (made anew)"
