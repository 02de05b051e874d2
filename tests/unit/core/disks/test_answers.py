"""What a host prints becomes an argument on another one only in its own form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from snapback.core.disks import answers
from snapback.core.disks.btrfs import read_btrfs
from snapback.core.disks.devices import read_devices
from snapback.core.disks.ext import read_ext
from snapback.core.disks.partitions import read_dump
from snapback.core.disks.xfs import read_xfs
from snapback.core.replication.progress import read_progress, read_stats

ANSWERS = Path(__file__).with_name("answers")
UUID = "6B8B4567-0000-4000-8000-0123456789ab"


@pytest.mark.parametrize(
    ("form", "text"),
    [
        *((answers.number, text) for text in ("", "-1", "1_0", " 1", "1\n", "٣", "9" * 19, "-d")),
        *((answers.uuid, text) for text in ("", "random", f"{UUID},x=1", f"{UUID}\n", f"-{UUID}")),
        *((answers.word, text) for text in ("", "-O", "a,b", "^a", "a b", "a" * 65, "a\n")),
        *((answers.label, text) for text in ("a" * 256, "a\0b", "\udcff" * 256)),
    ],
)
def test_what_is_in_another_form(form: Callable[[str], object], text: str) -> None:
    with pytest.raises(ValueError, match="no such"):
        form(text)


def test_what_is_as_it_has_to_be() -> None:
    assert answers.number("007") == 7
    assert answers.uuid(UUID) == UUID
    assert answers.word("FEATURE_I18") == "FEATURE_I18"
    for label in ("", "-x", "it's $(x)\n", "\udcff"):
        assert answers.label(label) == label


def answer(name: str) -> str:
    return (ANSWERS / name).read_text(encoding="utf-8")


def changed(name: str, line: str, value: str) -> str:
    """An answer in which a line that begins with some words has another value."""
    lines = answer(name).split("\n")
    (old,) = (one for one in lines if one.startswith(line))
    lines[lines.index(old)] = f"{line}{value}"
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("Block count:", " -d"),
        ("Block size:", " 0"),
        ("Inode count:", " 1_0"),
        ("Filesystem UUID:", " random"),
        ("Directory Hash Seed:", f" {UUID},root_owner=0:0"),
        ("Filesystem features:", " has_journal -d"),
        ("Reserved blocks uid:", ""),
        ("Check interval:", " x"),
    ],
)
def test_an_ext4_that_no_dumpe2fs_prints(line: str, value: str) -> None:
    with pytest.raises(ValueError, match="can't be read"):
        read_ext(changed("ext4.txt", line, value), "ext4", "")


def test_an_ext4_without_a_uuid_is_moved_by_blocks() -> None:
    shape = read_ext(changed("ext4.txt", "Filesystem UUID:", " <none>"), "ext4", "")
    assert (shape.opaque, shape.make) == ("it has no UUID", ())


def test_an_xfs_and_a_btrfs_that_nothing_prints() -> None:
    quotas = answer("xfs-quotas.txt")
    assert read_xfs(answer("xfs.txt"), quotas, "", "").opaque == "it has no UUID"
    for text, uuid in (
        (answer("xfs.txt"), f"{UUID},crc=0"),
        (answer("xfs.txt").replace("bsize=4096", "bsize=0"), UUID),
    ):
        with pytest.raises(ValueError, match="can't be read"):
            read_xfs(text, quotas, uuid, "")
    dump = answer("btrfs.txt").replace("nodesize\t\t16384", "nodesize\t\t-x")
    assert dump != answer("btrfs.txt")
    with pytest.raises(ValueError, match="can't be read"):
        read_btrfs(dump, answer("btrfs-profiles.txt"), "", "")


@pytest.mark.parametrize(
    "line",
    [
        "write",
        "device : /dev/sda",
        "sector-size: -512",
        "label: gpt; x",
        "/dev/x1 : start=1, size=1, size=+",
        '/dev/x1 : start=1, size=1, name="a" , "b',
        "/dev/x1 : start=1, size=1,",
        "/dev/x1 : start=" + "9" * 19 + ", size=1",
        "/dev/x9999 : start=1, size=1",
    ],
)
def test_a_partition_table_that_no_sfdisk_prints(line: str) -> None:
    with pytest.raises(ValueError, match="sfdisk's answer"):
        read_dump(f"label: gpt\n{line}\n")


def test_a_partition_whose_name_looks_like_fields() -> None:
    fields = 'start=2048, size=2048, name="a\\x22, size=9, é", attrs="GUID:48,63"'
    table = read_dump(f"label: gpt\n/dev/x1 : {fields}\n")
    assert table.partitions[0].size == 2048 * 512
    assert table.script == f"label: gpt\n1 : {fields}\n"


@pytest.mark.parametrize("text", ["[" * 200_000, '{"blockdevices": [{"size": 1e999}]}'])
def test_an_lsblk_that_is_made_to_break_its_reader(text: str) -> None:
    with pytest.raises(ValueError, match="lsblk's answer can't be read"):
        read_devices(text)


def test_an_rsync_that_prints_no_numbers() -> None:
    for line in (
        "9" * 5000 + "  1%  1.00kB/s  0:00:01",
        "9  1%  1.2.3kB/s  0:00:01",
        "9  1%  1.00kB/s  " + "9" * 400 + ":00:01",
    ):
        assert read_progress(line, "") is None
    assert read_stats(["Total file size: " + "9" * 5000, "Total bytes sent: ,"]).bytes_total == 0
