"""What is frozen for a set's snapshots, in which order, and what they can be called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from snapback.core.backup.freeze_plan import FreezePlan, plan_freeze
from snapback.core.disks.devices import read_devices
from snapback.core.disks.layouts import layout_of
from snapback.core.model import Consistency
from tests.unit.builders import vol
from tests.unit.core.disks.lsblk.said import mountinfo, printed, said

CRASH, FILESYSTEM = Consistency.CRASH, Consistency.FILESYSTEM
LOOPS = {"7:1": ("/data/pool.img", "259:32"), "7:2": ("/pool/deep.img", "7:1")}
NAMES = dict(zip("abcd", ("/dev/sda1", "/dev/sdf", "/dev/sdg", "/dev/sdh"), strict=True))


def plan(
    host: str, letters: str, *, attached: str = "", freeze_root: bool = True, **more: Any
) -> FreezePlan:
    """Return the plan for a set of some volumes, known by their letters."""
    devices = {NAMES[letter]: vol(letter) for letter in attached or letters}
    found = layout_of(devices, read_devices(said(printed(host), **more)))
    in_set = {v: layout for v, layout in found.items() if v[-1] in letters}
    return plan_freeze(in_set, freeze_root=freeze_root)


def reasons(found: FreezePlan) -> Mapping[str, str]:
    return {volume[-1]: one.reason for volume, one in found.prospects.items() if one.reason}


def verdicts(found: FreezePlan, *, held: bool = True) -> str:
    return " ".join(found.verdict(v, held=held).name.lower() for v in found.prospects)


def test_levels() -> None:
    found = plan("loops", "abc", loops=LOOPS)
    assert found.levels == (("/pool/deep/below",), ("/pool",), ("/srv", "/data", "/"))
    assert found.mount_points == ("/pool/deep/below", "/pool", "/srv", "/data", "/")
    assert verdicts(found) == "filesystem filesystem filesystem"
    assert verdicts(found, held=False) == "crash crash crash"
    without = plan("loops", "abc", loops=LOOPS, freeze_root=False)
    assert without.levels == (*found.levels[:2], ("/srv", "/data"))


def test_what_is_stacked_and_cannot_be_frozen_is_told_of_the_volume_beneath() -> None:
    found = plan("loops", "bc", loops=LOOPS | {"7:1": ("/data/x", "259:32")}, mounted=["7:2"])
    assert verdicts(found) == "filesystem filesystem"
    text = printed("loops").replace('"/pool/deep/below"', "null")
    devices = {NAMES[letter]: vol(letter) for letter in "bc"}
    answer = said(text, loops=LOOPS, mounted=["7:2"])
    found = plan_freeze(layout_of(devices, read_devices(answer)), freeze_root=True)
    assert reasons(found) == {
        "b": "/dev/loop2 is mounted out of reach: in a container, or beneath another mount"
    }


@pytest.mark.parametrize(
    ("host", "letters", "attached", "where"),
    [
        ("lvm", "b", "bc", "/dev/nvme2n1"),  # a volume that is left out by its tag
        ("lvm", "c", "bc", "/dev/nvme1n1"),
        ("raid0", "b", "b", "/dev/nvme2n1"),  # an instance store, or another's volume
        ("btrfs", "b", "bc", "/dev/nvme2n1"),
        ("bcache", "b", "ab", "/dev/nvme2n1"),
        ("logs", "d", "abcd", "/dev/nvme2n1"),
    ],
)
def test_a_part_outside_of_the_set(host: str, letters: str, attached: str, where: str) -> None:
    found = plan(host, letters, attached=attached)
    assert reasons(found) == {
        letters: f"what is on it is on {where} as well, of which no snapshot is taken"
    }
    assert verdicts(found) == "crash"


@pytest.mark.parametrize("host", ["lvm", "raid0", "btrfs"])
def test_all_parts_in_the_set(host: str) -> None:
    assert verdicts(plan(host, "abc")) == "filesystem filesystem filesystem"


def test_logs_and_journals_on_volumes_of_their_own() -> None:
    log = mountinfo(("259:0", "/data", "xfs", "/dev/nvme0n1"), options="rw,logdev=/dev/nvme1n1")
    assert verdicts(plan("logs", "abcd", mounts=log)) == " ".join(["filesystem"] * 4)
    found = plan("logs", "abc", attached="abcd", mounts=log)
    assert list(reasons(found)) == ["c"]
    assert list(reasons(plan("logs", "bcd", mounts=log))) == ["b"]


def test_what_is_written_past_file_systems() -> None:
    found = plan("amazon-linux-2023", "ab", writers=["103 20 qemu (process 7)"])
    said = "/dev/nvme1n1 is open for writing, past any file system: qemu (process 7)"
    assert reasons(found) == {"b": said}
    assert verdicts(found) == "filesystem crash"
    found = plan("amazon-linux-2023", "ab", writers=["103 1 dd (process 7)"])  # a partition
    assert list(reasons(found)) == ["a"]
    assert list(reasons(plan("amazon-linux-2023", "ab", writers=["unknown"]))) == ["a", "b"]


def test_a_second_look() -> None:
    first = plan("loops", "bc", loops=LOOPS)
    assert first.confirmed(first) == first
    found = first.confirmed(plan("loops", "bc", loops=LOOPS, writers=["103 20 qemu (process 7)"]))
    assert reasons(found)["b"].startswith("meanwhile /dev/nvme1n1 is open for writing")
    assert verdicts(found) == "crash filesystem"
    before = plan("loops", "bc", loops={"7:1": ("", "0:50")} | {"7:2": ("", "7:1")},
                  mounts=mountinfo(("0:50", "/far", "nfs", "x")))  # fmt: skip
    assert before.levels == (("/srv", "/data"),)
    found = before.confirmed(first)
    assert reasons(found) == {"b": "a file system was mounted on it meanwhile"}
    found = first.unconfirmed("no answer")
    assert reasons(found) == dict.fromkeys("bc", "what used it meanwhile isn't known: no answer")
    worse = plan("loops", "b", attached="bc", loops=LOOPS, writers=["103 20 qemu (process 7)"])
    assert worse.confirmed(plan("loops", "b", attached="bc", loops=LOOPS)) == worse


def test_volumes_that_other_instances_may_write_to() -> None:
    why = {vol("b"): "another instance may write to it"}
    devices = {NAMES[letter]: vol(letter) for letter in "abc"}
    layouts = layout_of(devices, read_devices(said(printed("btrfs"))))
    found = plan_freeze(layouts, freeze_root=True, shared=why)
    assert reasons(found) == {
        "b": why[vol("b")],
        "c": f"what is on it is on /dev/nvme1n1 as well: {why[vol('b')]}",
    }
    assert verdicts(found) == "filesystem crash crash"
