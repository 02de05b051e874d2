"""Have this machine's lsblk print its answers for hosts that are described here: see README.md.

Run: ``python -m tests.unit.core.disks.lsblk.make``
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

HERE = Path(__file__).parent
GIB = 1 << 30
_MIB = 1 << 20
_SCRIPT = (files("snapback.ssh") / "layout.sh").read_text(encoding="utf-8")
(_FIRST,) = re.findall("^columns=(.*)$", _SCRIPT, re.MULTILINE)
COLUMNS = f"{_FIRST},MOUNTPOINTS"
_SWAPS = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"


@dataclass
class Device:
    """A block device, and what is on it.

    :ivar on: the devices that it is made of, for LVM, RAID and LUKS; else ``()``.
    :ivar mounts: mount points; ``"subvolume:/mount/point"`` of a btrfs; ``"swap"``.
    :ivar kind: the beginning of the device mapper's UUID, or the RAID level.
    """

    name: str
    number: str
    size: int
    fs: str = ""
    mounts: Sequence[str] = ()
    serial: str = ""
    uuid: str = ""
    kind: str = ""
    ro: bool = False
    dm_name: str = ""
    on: Sequence[Device] = ()
    parts: Sequence[Device] = field(default_factory=tuple)


def answer(devices: Sequence[Device]) -> str:
    """Answer what lsblk prints on a host with these devices."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        anonymous = iter(range(40, 100))
        mounts = ["21 1 0:20 / /proc rw - proc proc rw"]
        swaps = ""
        for device in devices:
            _sysfs(root, device, root / "sys/block" / device.name)
            for one in (device, *device.parts):
                mounts += _mounts(one, next(anonymous))
                swaps += f"{_node(one)} partition 1048572 0 -2\n" if "swap" in one.mounts else ""
        _write(root / "proc/self/mountinfo", "\n".join(mounts) + "\n")
        _write(root / "proc/swaps", _SWAPS + swaps)
        command = ["lsblk", "--sysroot", str(root), "--json", "-b", "-o", COLUMNS]
        return subprocess.run(
            command, check=True, capture_output=True, text=True, errors="surrogateescape"
        ).stdout


def _sysfs(root: Path, device: Device, folder: Path) -> None:
    _write(folder / "dev", f"{device.number}\n")
    _write(folder / "size", f"{device.size // 512}\n")
    _write(folder / "ro", f"{int(device.ro)}\n")
    for name in ("holders", "slaves"):
        (folder / name).mkdir()
    by_number = root / "sys/dev/block" / device.number
    by_number.parent.mkdir(parents=True, exist_ok=True)
    by_number.symlink_to(folder)
    for number, part in enumerate(device.parts, 1):
        _sysfs(root, part, folder / part.name)
        _write(folder / part.name / "partition", f"{number}\n")
        _write(folder / part.name / "start", f"{2048 * number}\n")
    for below in device.on:
        (below_folder,) = (root / "sys/dev/block").glob(below.number)
        (below_folder / "holders" / device.name).symlink_to(folder)
        (folder / "slaves" / below.name).symlink_to(below_folder)
    if device.dm_name:
        _write(folder / "dm/name", f"{device.dm_name}\n")
        _write(folder / "dm/uuid", f"{device.kind}\n")
    elif device.kind:
        _write(folder / "md/level", f"{device.kind}\n")
    said = {"SERIAL_SHORT": device.serial, "FS_TYPE": device.fs, "FS_UUID_ENC": device.uuid}
    _write(
        root / _node(device).lstrip("/"),
        "".join(f"ID_{key}={value}\n" for key, value in said.items() if value),
    )


def _node(device: Device) -> str:
    return f"/dev/mapper/{device.dm_name}" if device.dm_name else f"/dev/{device.name}"


def _mounts(device: Device, anonymous: int) -> list[str]:
    """Answer its lines of mountinfo; a btrfs has an anonymous number there."""
    number = f"0:{anonymous}" if device.fs == "btrfs" else device.number
    lines = []
    for mount in device.mounts:
        below, _, point = mount.rpartition(":/")
        if mount != "swap":
            where = _octal(f"/{point}" if below else mount)
            lines.append(
                f"30 21 {number} /{below} {where} rw,relatime - {device.fs} {_node(device)} rw"
            )
    return lines


def _octal(text: str) -> str:
    return "".join(rf"\{ord(c):03o}" if c in " \t\n\\" else c for c in text)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", errors="surrogateescape")


def nvme(number: int, letter: str, gib: int = 8, **others: object) -> Device:
    """Answer the disk of the volume known by a letter, as Nitro instances see it."""
    serial = f"vol{letter * 17}"
    return Device(
        f"nvme{number}n1",
        f"259:{number * 32}",
        gib * GIB,
        serial=serial,
        **others,  # type: ignore[arg-type]
    )


def part(disk: str, number: int, minor: str, size: int, fs: str = "", *mounts: str) -> Device:
    """Answer a partition."""
    between = "p" if disk[-1].isdigit() else ""
    return Device(f"{disk}{between}{number}", minor, size, fs, mounts)


def _amazon_linux_2023() -> list[Device]:
    root = (
        part("nvme0n1", 1, "259:1", 8 * GIB - 12 * _MIB, "xfs", "/"),
        part("nvme0n1", 127, "259:2", _MIB),
        part("nvme0n1", 128, "259:3", 10 * _MIB, "vfat", "/boot/efi"),
    )
    return [nvme(0, "a", parts=root), nvme(1, "b", 20, fs="xfs", mounts=("/var/lib/mysql",))]


def _ubuntu_2404() -> list[Device]:
    root = (
        part("nvme0n1", 1, "259:1", 7 * GIB, "ext4", "/"),
        part("nvme0n1", 14, "259:2", 4 * _MIB),
        part("nvme0n1", 15, "259:3", 106 * _MIB, "vfat", "/boot/efi"),
        part("nvme0n1", 16, "259:4", 913 * _MIB, "ext4", "/boot"),
    )
    snaps = [
        Device("loop0", "7:0", 26 * _MIB, "squashfs", ("/snap/amazon-ssm-agent/9881",), ro=True),
        Device("loop1", "7:1", 74 * _MIB, "squashfs", ("/snap/core22/1748",), ro=True),
    ]
    return [*snaps, nvme(0, "a", parts=root), nvme(1, "b", 100)]


def _debian_12() -> list[Device]:
    root = (
        part("nvme0n1", 1, "259:1", 7 * GIB, "ext4", "/"),
        part("nvme0n1", 14, "259:2", 3 * _MIB),
        part("nvme0n1", 15, "259:3", 124 * _MIB, "vfat", "/boot/efi"),
    )
    data = (
        part("nvme1n1", 1, "259:33", GIB, "swap", "swap"),
        part("nvme1n1", 2, "259:34", 9 * GIB, "ext4", "/srv", "www:/var/www", "f:/etc/motd"),
    )
    return [nvme(0, "a", parts=root), nvme(1, "b", 10, parts=data)]


def _xen() -> list[Device]:
    return [
        Device("xvda", "202:0", 8 * GIB, parts=(part("xvda", 1, "202:1", 8 * GIB, "ext4", "/"),)),
        Device("xvdf", "202:80", 5 * GIB, "ext4", ("/data",)),
        Device("xvdg", "202:96", 6 * GIB, "xfs", ("/logs",)),
    ]


def _xen_paravirtual() -> list[Device]:
    return [
        Device("xvda1", "202:1", 8 * GIB, "ext4", ("/",)),
        Device("xvdf", "202:80", 5 * GIB, "ext4", ("/data",)),
    ]


def _xen_shifted() -> list[Device]:
    return [
        Device("xvde1", "202:65", 8 * GIB, "ext4", ("/",)),
        Device("xvdj", "202:144", 5 * GIB, "ext4", ("/data",)),
    ]


def _lvm() -> list[Device]:
    one = part("nvme1n1", 1, "259:33", 10 * GIB, "LVM2_member")
    two = nvme(2, "c", 10, fs="LVM2_member")
    volumes = [
        Device("dm-0", "253:0", 15 * GIB, "xfs", ("/data",), dm_name="vg-data", on=(one, two)),
        Device("dm-1", "253:1", 2 * GIB, "ext4", ("/data/log",), dm_name="vg-log", on=(two,)),
    ]
    for volume in volumes:
        volume.kind = "LVM-x"
    root = (part("nvme0n1", 1, "259:1", 8 * GIB, "ext4", "/"),)
    return [nvme(0, "a", parts=root), nvme(1, "b", 10, parts=(one,)), two, *volumes]


def _raid0() -> list[Device]:
    disks = [
        nvme(number, letter, 10, fs="linux_raid_member") for number, letter in ((1, "b"), (2, "c"))
    ]
    md = Device("md0", "9:0", 20 * GIB, "ext4", ("/data",), kind="raid0", on=disks)
    return [nvme(0, "a", parts=(part("nvme0n1", 1, "259:1", 8 * GIB, "ext4", "/"),)), *disks, md]


def _luks() -> list[Device]:
    opened, closed, raw = (
        nvme(number, letter, 10, fs="crypto_LUKS")
        for number, letter in ((1, "b"), (2, "c"), (3, "d"))
    )
    home = Device(
        "dm-0", "253:0", 10 * GIB, "ext4", ("/home",), kind="CRYPT-LUKS2", dm_name=r"my\x20home"
    )
    home.on = (opened,)
    database = Device("dm-1", "253:1", 10 * GIB, kind="CRYPT-LUKS2", dm_name="db", on=(raw,))
    return [opened, closed, raw, home, database]


def _btrfs() -> list[Device]:
    uuid = "0b1ae14f-4ad3-4ee8-9a2f-6f8d1ae5e3a1"
    root = part("nvme0n1", 1, "259:1", 8 * GIB, "btrfs", "root:/", "home:/home")
    root.uuid = "7a6e2f5c-3c0f-4b43-8f0e-5d2c7f6a9b10"
    pool = nvme(1, "b", 10, fs="btrfs", uuid=uuid, mounts=("a:/pool/a", "b:/pool/b"))
    return [nvme(0, "a", parts=(root,)), pool, nvme(2, "c", 10, fs="btrfs", uuid=uuid)]


def _loops() -> list[Device]:
    """Return a host with a file system in a file on /data, and another one in a file on that."""
    loops = [
        Device("loop0", "7:0", 26 * _MIB, "squashfs", ("/snap/core22/1748",), ro=True),
        Device("loop1", "7:1", GIB, "ext4", ("/pool",)),
        Device("loop2", "7:2", GIB, "xfs", ("/pool/deep/below",)),
    ]
    root = (part("nvme0n1", 1, "259:1", 8 * GIB, "ext4", "/"),)
    disks = [nvme(0, "a", parts=root), nvme(1, "b", 10, fs="xfs", mounts=("/data",))]
    return [*loops, *disks, nvme(2, "c", 10, fs="ext4", mounts=("/srv",))]


def _bcache() -> list[Device]:
    """Return a host whose volume is cached on its instance store."""
    disk = nvme(1, "b", 100, fs="bcache")
    store = Device("nvme2n1", "259:64", 50 * GIB, "bcache", serial="AWS2A0F4B0E7C3D1A5F6")
    cache = Device("bcache0", "252:0", 100 * GIB, "ext4", ("/data",), on=(disk, store))
    return [nvme(0, "a", fs="ext4", mounts=("/",)), disk, store, cache]


def _logs() -> list[Device]:
    """Return a host with an XFS and its log on two volumes, and an ext4 and its journal on two."""
    return [
        nvme(0, "a", fs="xfs", mounts=("/data",)),
        nvme(1, "b", fs="xfs_external_log"),
        nvme(2, "c", fs="ext4", mounts=("/srv",)),
        nvme(3, "d", fs="jbd"),
    ]


def _names() -> list[Device]:
    points = (
        "/srv/with space",
        "/srv/trailing ",
        "/srv/quote\"and'",
        r"/srv/back\slash\x20",
        "/srv/ünï",
        "/srv/new\nline\ttab",
        "/srv/bad\udce9byte",
        "/srv/$(touch x)",
        "/srv/-f",
        "/srv/[SWAP]",
    )
    return [nvme(0, "a", fs="ext4", mounts=points)]


def _raw() -> list[Device]:
    return [
        nvme(0, "a", fs="zfs_member"),
        nvme(1, "b", fs="ext4"),
        nvme(2, "c", fs="swap", mounts=("swap",)),
        nvme(3, "d", fs="vfat", mounts=("/media/stick",)),
    ]


HOSTS = {
    "amazon-linux-2023": _amazon_linux_2023,
    "bcache": _bcache,
    "btrfs": _btrfs,
    "debian-12": _debian_12,
    "logs": _logs,
    "loops": _loops,
    "luks": _luks,
    "lvm": _lvm,
    "names": _names,
    "raid0": _raid0,
    "raw": _raw,
    "ubuntu-24.04": _ubuntu_2404,
    "xen": _xen,
    "xen-paravirtual": _xen_paravirtual,
    "xen-shifted": _xen_shifted,
}

if __name__ == "__main__":
    for host, describe in HOSTS.items():
        path = HERE / f"{host}.json"
        path.write_text(answer(describe()), encoding="utf-8", errors="surrogateescape")
