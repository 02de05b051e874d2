"""Which devices and file systems are a volume's, and what is stacked on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from snapback.core.disks.devices import BlockDevice, read_devices
from snapback.core.disks.layouts import Layout, Treatment, in_freezing_order, layout_of
from tests.unit.builders import vol
from tests.unit.core.disks.lsblk.make import HOSTS
from tests.unit.core.disks.lsblk.said import mountinfo, printed, said

NITRO = {"/dev/sda1": vol("a"), "/dev/sdf": vol("b"), "/dev/sdg": vol("c"), "/dev/sdh": vol("d")}
XEN = {"/dev/sda1": vol("a"), "/dev/sdf": vol("b")}
FREEZE, SYNC, UNSUPPORTED = Treatment


def layouts(
    host: str, devices: Mapping[str, str] = NITRO, sizes: Mapping[str, int] | None = None
) -> dict[str, Layout]:
    """Return the layouts of a host by the letters of its volumes."""
    found = layout_of(devices, read_devices(said(printed(host))), sizes)
    return {volume_id[-1]: layout for volume_id, layout in found.items()}


def mounts(layout: Layout) -> dict[tuple[str, ...], tuple[str, Treatment]]:
    return {s.mount_points: (s.fs_type, s.treatment) for s in layout.file_systems}


def knames(devices: tuple[BlockDevice, ...]) -> list[str]:
    return [device.kname for device in devices]


def test_amazon_linux_2023() -> None:
    found = layouts("amazon-linux-2023")
    assert mounts(found["a"]) == {("/",): ("xfs", FREEZE), ("/boot/efi",): ("vfat", SYNC)}
    assert mounts(found["b"]) == {("/var/lib/mysql",): ("xfs", FREEZE)}
    assert found["b"].block_device == BlockDevice(
        kname="nvme1n1",
        path="/dev/nvme1n1",
        maj_min="259:32",
        serial="volbbbbbbbbbbbbbbbbb",
        fs_type="xfs",
        size=20 << 30,
        mount_points=("/var/lib/mysql",),
    )
    assert not found["a"].raw + found["a"].swap + found["b"].raw
    assert not any(one.is_idle for one in found.values())


def test_ubuntu_2404_and_a_volume_without_anything() -> None:
    found = layouts("ubuntu-24.04")
    assert mounts(found["a"]) == {
        ("/",): ("ext4", FREEZE),
        ("/boot",): ("ext4", FREEZE),
        ("/boot/efi",): ("vfat", SYNC),
    }
    assert found["b"].is_idle
    assert not found["c"].is_found
    assert not found["c"].is_idle


def test_debian_12_swap_and_bind_mounts() -> None:
    found = layouts("debian-12")
    assert mounts(found["b"]) == {("/srv", "/var/www", "/etc/motd"): ("ext4", FREEZE)}
    assert knames(found["b"].swap) == ["nvme1n1p1"]
    assert not found["b"].raw


def test_xen_names() -> None:
    found = layouts("xen", {**XEN, "xvdg": vol("c")})
    assert mounts(found["a"]) == {("/",): ("ext4", FREEZE)}
    assert mounts(found["b"]) == {("/data",): ("ext4", FREEZE)}
    assert mounts(found["c"]) == {("/logs",): ("xfs", FREEZE)}
    found = layouts("xen", {"/dev/xvda": vol("a"), "/dev/xvdf": vol("b"), "/dev/sdb": vol("c")})
    assert [one.is_found for one in found.values()] == [True, True, False]


def test_paravirtual_disks_that_are_called_as_partitions() -> None:
    found = layouts("xen-paravirtual", XEN)
    assert knames(tuple(one.block_device for one in found.values() if one.block_device)) == [
        "xvda1",
        "xvdf",
    ]


@pytest.mark.parametrize(
    ("sizes", "sure"),
    [({vol("a"): 8, vol("b"): 5}, True), ({vol("a"): 8, vol("b"): 6}, False), (None, False)],
)
def test_names_four_letters_later_are_believed_only_if_the_sizes_agree(
    sizes: Mapping[str, int] | None, sure: bool
) -> None:
    found = layouts("xen-shifted", XEN, sizes)
    assert [one.is_found for one in found.values()] == [sure, sure]


def test_names_four_letters_later_are_not_mixed_with_plain_ones() -> None:
    sizes = {vol("a"): 8, vol("b"): 5}
    devices = {"/dev/sdc": vol("a"), "/dev/sdf": vol("b")}  # xvdg is not sdc's, though it could be
    assert [one.is_found for one in layouts("xen", devices, sizes).values()] == [False, True]


def test_names_mean_nothing_where_disks_have_serial_numbers() -> None:
    text = printed("xen").replace('"serial": null', '"serial": "other"')
    assert not any(one.is_found for one in layout_of(XEN, read_devices(said(text))).values())


def test_two_disks_with_one_serial_number_are_not_guessed_between() -> None:
    text = printed("amazon-linux-2023").replace("volb", "vola").replace("bbbb", "aaaa")
    assert not any(one.is_found for one in layout_of(NITRO, read_devices(said(text))).values())


def test_lvm_over_two_volumes_is_frozen_once() -> None:
    found = layouts("lvm")
    assert mounts(found["b"]) == {("/data",): ("xfs", FREEZE)}
    assert mounts(found["c"]) == {("/data",): ("xfs", FREEZE), ("/data/log",): ("ext4", FREEZE)}
    assert not found["b"].raw + found["c"].raw
    assert [s.mount_points for s in in_freezing_order(list(found.values()))] == [
        ("/data/log",),
        ("/data",),
        ("/",),
    ]


def test_raid_over_two_volumes_is_frozen_once() -> None:
    found = layouts("raid0")
    assert found["b"].file_systems == found["c"].file_systems
    assert [s.source for s in in_freezing_order([found["b"], found["c"]])] == ["/dev/md0"]
    assert not found["b"].raw + found["c"].raw


def test_luks() -> None:
    found = layouts("luks", dict(zip(NITRO, map(vol, "xbcd"), strict=True)))
    assert mounts(found["b"]) == {("/home",): ("ext4", FREEZE)}
    assert found["b"].file_systems[0].source == r"/dev/mapper/my\x20home"
    assert (found["b"].raw, knames(found["c"].raw), knames(found["d"].raw)) == (
        (),
        ["nvme2n1"],
        ["dm-1"],
    )


def test_btrfs_subvolumes_are_one_file_system_over_all_its_devices() -> None:
    found = layouts("btrfs")
    assert mounts(found["a"]) == {("/", "/home"): ("btrfs", FREEZE)}
    assert mounts(found["b"]) == {("/pool/a", "/pool/b"): ("btrfs", FREEZE)}
    assert found["c"].file_systems == found["b"].file_systems
    assert not found["c"].raw
    order = [s.mount_points for s in in_freezing_order(list(found.values()))]
    assert order == [("/pool/a", "/pool/b"), ("/", "/home")]


def test_names_arrive_as_they_are() -> None:
    (system,) = layouts("names")["a"].file_systems
    assert sorted(system.mount_points) == sorted(HOSTS["names"]()[0].mounts)


def test_what_is_used_without_being_mounted() -> None:
    found = layouts("raw")
    assert knames(found["a"].raw) == ["nvme0n1"]
    assert found["b"].is_idle
    assert not found["c"].is_idle
    assert not found["c"].raw
    assert mounts(found["d"]) == {("/media/stick",): ("vfat", UNSUPPORTED)}


LOOPS = {"7:1": ("/data/pool.img", "259:32"), "7:2": ("/pool/deep.img", "7:1")}


def levels(layouts: Mapping[str, Layout], letters: str) -> list[tuple[str, int]]:
    order = in_freezing_order([layouts[letter] for letter in letters])
    return [(system.mount_points[0], system.level) for system in order]


def stacked(host: str, **more: Any) -> dict[str, Layout]:
    found = layout_of(NITRO, read_devices(said(printed(host), **more)))
    return {volume_id[-1]: layout for volume_id, layout in found.items()}


def test_what_lies_on_another_file_system_is_frozen_before_it() -> None:
    found = stacked("loops", loops=LOOPS)
    assert levels(found, "b") == [("/pool/deep/below", 2), ("/pool", 1), ("/data", 0)]
    assert levels(found, "abc") == [*levels(found, "b")[:2], ("/srv", 0), ("/data", 0), ("/", 0)]
    assert levels(found, "c") == [("/srv", 0)]
    assert not any(layout.raw for layout in found.values() if layout.is_found)


@pytest.mark.parametrize(
    ("file", "on", "mounts"),
    [
        ("/dev/nvme1n1", "0:6", ""),
        ("/gone (deleted)", "259:32", ""),
        ("/data/a b", "0:44", mountinfo(("0:33", "/data", "btrfs", "/dev/nvme1n1"))),
    ],
)
def test_the_file_of_a_loop_device_is_found(file: str, on: str, mounts: str) -> None:
    loops = {**LOOPS, "7:1": (file, on)}
    assert levels(stacked("loops", loops=loops, mounts=mounts), "b")[1] == ("/pool", 1)


def test_a_loop_device_in_memory_or_on_the_network_is_on_no_volume() -> None:
    for kind in ("tmpfs", "nfs4"):
        mounts = mountinfo(("0:50", "/mnt/far", kind, "x"))
        found = stacked("loops", loops={"7:1": ("/mnt/far/a", "0:50")} | {"7:2": ("", "7:1")},
                        mounts=mounts)  # fmt: skip
        assert levels(found, "abc") == [("/srv", 0), ("/data", 0), ("/", 0)]
        assert not any(one.raw for one in found.values())


def test_a_loop_device_whose_file_is_not_found_may_be_on_any_volume() -> None:
    for loops in (None, {**LOOPS, "7:1": ("/in a container", "0:50")}):
        found = stacked("loops", loops=loops)
        assert [knames(found[letter].raw)[0] for letter in "abc"] == ["loop1"] * 3


def test_a_circle_of_loop_devices_ends() -> None:
    found = stacked("loops", loops={"7:1": ("/x", "7:2"), "7:2": ("/y", "7:1")})
    assert levels(found, "b") == [("/data", 0)]


def test_which_disks_hold_a_volumes_content() -> None:
    def parts(host: str, letter: str, **more: Any) -> list[str]:
        return sorted(stacked(host, **more)[letter].parts.values())

    both = ["/dev/nvme1n1", "/dev/nvme2n1"]
    for host in ("lvm", "raid0", "btrfs", "bcache"):
        assert parts(host, "b") == both, host
        assert parts(host, "a") == ["/dev/nvme0n1"], host
    assert parts("raid0", "c") == parts("btrfs", "c") == both
    log = mountinfo(("259:0", "/data", "xfs", "/dev/nvme0n1"), options="rw,logdev=/dev/nvme1n1")
    assert parts("logs", "a", mounts=log) == parts("logs", "b", mounts=log)
    assert parts("logs", "a", mounts=log) == ["/dev/nvme0n1", "/dev/nvme1n1"]
    assert parts("logs", "c") == parts("logs", "d") == ["/dev/nvme2n1", "/dev/nvme3n1"]
    lost = log.replace("nvme1n1", "gone")
    assert parts("logs", "a", mounts=lost) == ["/dev/gone", "/dev/nvme0n1"]
    assert mounts(stacked("logs", mounts=log)["b"]) == {("/data",): ("xfs", FREEZE)}
    assert mounts(stacked("logs")["d"]) == {("/srv",): ("ext4", FREEZE)}


def test_what_is_written_past_file_systems_is_known_for_all_that_it_is_on() -> None:
    found = stacked("lvm", writers=["fd 0 qemu (process 7)"])
    assert {letter: knames(one.written) for letter, one in found.items()} == {
        "a": [], "b": ["dm-0"], "c": ["dm-0"], "d": [],
    }  # fmt: skip
    found = stacked("loops", loops=LOOPS, writers=["7 2 dd (process 7)"])
    assert knames(found["b"].written) == ["loop2"]
