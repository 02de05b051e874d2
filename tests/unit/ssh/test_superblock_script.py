"""What is read of a device in search of superblocks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from snapback.core.disks.superblocks import LENGTH, copy_at, places
from snapback.ssh import superblock_script


def told(path: Path, scanned: int, *where: int) -> list[tuple[int, bytes]]:
    argv = [sys.executable, "-I", superblock_script.__file__, path, scanned, *where]
    done = subprocess.run([str(one) for one in argv], capture_output=True, text=True, check=True)
    lines = (line.split(" ") for line in done.stdout.splitlines())
    return [(int(place), bytes.fromhex(data)) for place, data in lines]


def test_an_xfs_that_grew_is_found_by_scanning(tmp_path: Path) -> None:
    path, size = tmp_path / "image", 1 << 30
    path.touch()
    os.truncate(path, 300 << 20)
    subprocess.run(["mkfs.xfs", "-q", path], check=True)
    os.truncate(path, size)
    with path.open("r+b") as file:
        file.write(bytes(1 << 16))
    assert told(path, 1 << 20, *places(size)) == []
    found = told(path, 100 << 20, *places(size))
    assert [(place, copy_at(place, data, size)) for place, data in found] == [(75 << 20, "xfs")]


def test_what_is_told_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes((b"XFSB" + bytes(LENGTH - 4)) * 300)
    assert len(told(path, 1 << 40)) == 64
    done = subprocess.run(
        [sys.executable, superblock_script.__file__, "/proc/self/mem", "0", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "Input/output error" in done.stderr) == (3, True)
