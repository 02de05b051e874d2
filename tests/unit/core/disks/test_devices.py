"""Which devices and file systems are a volume's: from what lsblk prints."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from snapback.core.disks.devices import (
    LSBLK,
    BlockDevice,
    Layout,
    Treatment,
    in_freezing_order,
    layout_of,
    read_lsblk,
)
from tests.unit.builders import vol
from tests.unit.core.disks.lsblk.make import HOSTS, answer

FOLDER = Path(__file__).parent / "lsblk"
NITRO = {"/dev/sda1": vol("a"), "/dev/sdf": vol("b"), "/dev/sdg": vol("c"), "/dev/sdh": vol("d")}
XEN = {"/dev/sda1": vol("a"), "/dev/sdf": vol("b")}
FREEZE, SYNC, UNSUPPORTED = Treatment


def printed(host: str) -> str:
    return (FOLDER / f"{host}.json").read_text(encoding="utf-8", errors="surrogateescape")


def layouts(
    host: str, devices: Mapping[str, str] = NITRO, sizes: Mapping[str, int] | None = None
) -> dict[str, Layout]:
    """Answer the layouts of a host by the letters of its volumes."""
    found = layout_of(devices, read_lsblk(printed(host)), sizes)
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
    assert not any(one.is_found for one in layout_of(XEN, read_lsblk(text)).values())


def test_two_disks_with_one_serial_number_are_not_guessed_between() -> None:
    text = printed("amazon-linux-2023").replace("volb", "vola").replace("bbbb", "aaaa")
    assert not any(one.is_found for one in layout_of(NITRO, read_lsblk(text)).values())


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


def test_what_is_mounted_in_a_container_only_counts_as_raw() -> None:
    text = printed("raw") + "0:20\n259:32\n"
    found = layout_of(NITRO, read_lsblk(text))
    assert knames(found[vol("b")].raw) == ["nvme1n1"]
    text = printed("amazon-linux-2023") + "0:20\n259:32\n259:1\n"
    assert not any(one.raw for one in layout_of(NITRO, read_lsblk(text)).values())


def mountinfo(*mounts: tuple[str, str, str, str]) -> str:
    lines = (
        f"{n} 1 {number} / {point} rw shared:{n} - {kind} {source} rw\n"
        for n, (number, point, kind, source) in enumerate(mounts)
    )
    return "".join(lines)


def _octal(match: re.Match[str]) -> str:
    return f"\\{ord(match[0]):03o}"


def test_what_another_mount_covers_counts_as_raw() -> None:
    text = printed("names")
    (device,) = (one for one in read_lsblk(text) if one.mount_points)
    escaped = [re.sub(r"[ \t\n\\]", _octal, path) for path in device.mount_points]
    seen = [(device.maj_min, path, "ext4", "/dev/x") for path in escaped]
    numbers = f"{device.maj_min}\n"
    assert device in read_lsblk(text + numbers + mountinfo(*seen))
    covers = [("0:7", path, "tmpfs", "x") for path in escaped]
    (same,) = (
        one
        for one in read_lsblk(text + numbers + mountinfo(*seen, covers[0]))
        if one.kname == device.kname
    )
    assert same.mount_points == device.mount_points[1:]
    found = layout_of(NITRO, read_lsblk(text + numbers + mountinfo(*seen, *covers)))
    assert knames(found[vol("a")].raw) == [device.kname]


def test_what_covers_a_btrfs() -> None:
    text = printed("btrfs")
    pool = [one for one in read_lsblk(text) if "/pool/a" in one.mount_points]
    ours = mountinfo(("0:33", "/pool/a", "btrfs", "/dev/nvme2n1"))
    assert set(pool) < set(read_lsblk(text + ours))
    for kind, source in (("btrfs", "/dev/nvme0n1p3"), ("tmpfs", "/dev/nvme2n1")):
        covered = read_lsblk(text + ours + mountinfo(("0:34", "/pool/a", kind, source)))
        assert not any("/pool/a" in one.mount_points for one in covered)


def test_other_versions_of_lsblk() -> None:
    text = printed("lvm")
    assert read_lsblk(text.replace("null\n", "\n")) == read_lsblk(text)
    old = json.loads(text, object_hook=_old)
    assert read_lsblk(json.dumps(old)) == read_lsblk(text)


def _old(said: dict[str, Any]) -> dict[str, Any]:
    if "mountpoints" in said:
        said["mountpoint"] = said.pop("mountpoints")[0]
    if said.get("maj:min", "").startswith("253:"):
        said["maj:min"] = f" {said['maj:min']}  "
    return said


@pytest.mark.parametrize(
    "text", ["", "lsblk: not found", "{}", "[]", '{"blockdevices": [3]}', '{"blockdevices": [{}]}']
)
def test_what_is_no_answer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="lsblk's answer can't be read"):
        read_lsblk(text)


def test_the_command_works_here_and_has_an_answer_that_can_be_read() -> None:
    done = subprocess.run(LSBLK, check=True, capture_output=True, text=True)
    assert done.stderr == ""
    read_lsblk(done.stdout)
    mounted = Path("/proc/self/mountinfo").read_text().split()[2]
    assert mounted in done.stdout.splitlines()


@pytest.mark.parametrize("host", sorted(HOSTS))
def test_the_answers_are_what_lsblk_prints(host: str) -> None:
    version = subprocess.run(["lsblk", "--version"], check=True, capture_output=True, text=True)
    if "2.38.1" not in version.stdout:
        pytest.skip(f"the answers are of util-linux 2.38.1, and this is {version.stdout.strip()}")
    assert answer(HOSTS[host]()) == printed(host)
