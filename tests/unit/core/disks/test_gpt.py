"""A GUID partition table as sfdisk writes it, and what is left of a damaged one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from snapback.core.disks.gpt import AT, LENGTH, first_is_whole, one_is_whole, protective_entry

SIZE = 8 << 20


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 512), (0, LENGTH), (512, 512), (512 + 60, 8), (1024, 20), (0, 1 << 16)],
)
def test_a_damaged_first_table_is_told_from_a_whole_one(
    tmp_path: Path, offset: int, length: int
) -> None:
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.truncate(SIZE)
    argv = ["sfdisk", "-q", str(path)]
    subprocess.run(argv, input=b"label: gpt\n,2M\n,2M\n", check=True, capture_output=True)
    disk = os.open(path, os.O_RDWR)
    begin, end = os.pread(disk, LENGTH, 0), os.pread(disk, LENGTH, SIZE - LENGTH)
    assert first_is_whole(begin)
    os.pwrite(disk, b"\xa5" * length, offset)
    damaged = os.pread(disk, LENGTH, 0)
    assert not first_is_whole(damaged)
    assert one_is_whole(damaged, end)
    assert one_is_whole(damaged, bytes(LENGTH)) == (offset + length <= 512)
    os.pwrite(disk, protective_entry(SIZE), AT)
    said = subprocess.run(["sfdisk", "-d", str(path)], check=True, capture_output=True).stdout
    assert said.count(b"start=") == 2
    os.close(disk)


def test_noise_is_no_table() -> None:
    for data in (b"", bytes(LENGTH), b"\xff" * LENGTH, b"EFI PART" * 2176, os.urandom(LENGTH)):
        assert not first_is_whole(data)
        assert not one_is_whole(data, data)
