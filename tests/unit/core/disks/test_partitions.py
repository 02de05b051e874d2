"""Partition tables, from what sfdisk answers; and what uses a disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapback.core.disks.devices import BlockDevice
from snapback.core.disks.partitions import Partition, node_of, read_dump, used_by

SECTOR = 512


def answer(name: str) -> str:
    return Path(__file__).with_name("answers").joinpath(name).read_text(encoding="utf-8")


def test_a_gpt():
    table = read_dump(answer("gpt.txt"))
    assert table.label == "gpt"
    assert table.partitions == (
        Partition(1, 227328 * SECTOR, 1869791 * SECTOR),
        Partition(14, 2048 * SECTOR, 8192 * SECTOR),
        Partition(15, 10240 * SECTOR, 217088 * SECTOR),
    )
    assert table.gap == (34 * SECTOR, 2048 * SECTOR)
    assert table.fits(1 << 30)
    assert not table.fits((1 << 30) - SECTOR)


def test_what_sfdisk_is_given_fits_a_larger_disk_of_any_name():
    script = read_dump(answer("gpt.txt")).script
    assert "last-lba" not in script
    assert "/dev/" not in script
    assert "label-id: 6B8B4567-0000-4000-8000-0123456789AB\n" in script
    assert "\n1 : start=      227328, size=     1869791, type=0FC63DAF" in script
    assert 'name="a root"\n' in script


def test_a_table_of_another_length_ends_elsewhere():
    text = answer("gpt.txt").replace("first-lba", "table-length: 256\nfirst-lba")
    assert read_dump(text).gap[0] == 66 * SECTOR


def test_an_mbr_with_logical_partitions():
    table = read_dump(answer("dos.txt"))
    assert [part.number for part in table.partitions] == [1, 5]
    assert table.gap == (SECTOR, 2048 * SECTOR)
    assert "2 : start=      409600, size=     1228800, type=5\n" in table.script
    assert table.end == (409600 + 1228800) * SECTOR


def test_a_table_without_partitions():
    table = read_dump("label: gpt\nfirst-lba: 34\nlast-lba: 99\n\n")
    assert table.partitions == ()
    assert table.gap[0] == table.gap[1]


@pytest.mark.parametrize(
    "text",
    ["", "label: sun\n", "label: gpt\n\n/dev/x : start=1, size=2\n", "label: gpt\n\nx1 : a\n"],
)
def test_an_answer_that_cannot_be_read(text: str):
    with pytest.raises(ValueError, match="sfdisk's answer"):
        read_dump(text)


def test_nodes():
    assert node_of("/dev/nvme1n1", 14) == "/dev/nvme1n1p14"
    assert node_of("/dev/xvdf", 1) == "/dev/xvdf1"


def device(name: str, number: int, **more: object) -> BlockDevice:
    return BlockDevice(kname=name, path=f"/dev/{name}", maj_min=f"8:{number}", **more)


@pytest.mark.parametrize(
    ("more", "use"),
    [
        ({}, ""),
        ({"mount_points": ("/srv",)}, "/dev/sda1 is mounted on /srv"),
        ({"is_swap": True}, "/dev/sda1 is swapped to"),
        ({"mounted_elsewhere": True}, "/dev/sda1 is mounted in a container"),
        ({"type": "crypt"}, "/dev/sda1 (crypt) is on it"),
    ],
)
def test_what_uses_a_disk(more: dict[str, object], use: str):
    part = device("sda1", 1, **{"type": "part", **more})
    blocks = (device("sda", 0, children=("8:1",)), part, device("sdb", 16, mount_points=("/",)))
    assert used_by("/dev/sda", blocks) == use
    with pytest.raises(ValueError, match="there is no /dev/sdc"):
        used_by("/dev/sdc", blocks)
