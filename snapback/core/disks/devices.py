"""The block devices of a host and what uses them: from what ssh/layout.sh prints there; pure.

Source: lsblk(8), losetup(8), proc_pid_mountinfo(5).
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from snapback.core.disks.mounts import Mount, read_mounts, uppermost

DATA_DEVICES = tuple(f"/dev/sd{letter}" for letter in "fghijklmnop")
"""The device names that EC2 recommends for data volumes."""
_SECTIONS = ("mounted", "mounts", "loops", "writers", "end")
_SWAP = "[SWAP]"
_WRITER = re.compile(r"([0-9a-f]{1,8}) ([0-9a-f]{1,8}) (.{1,200})")
_LONGEST_NAME = 100
_NOT_LISTED = "processes that can't be listed within 30 s"
_ON_NO_DISK = frozenset({"9p", "ceph", "cifs", "devtmpfs", "nfs", "nfs4", "ramfs", "smb3", "tmpfs"})
"""File systems whose files are on no disk of the host."""
_UNWRITABLE = frozenset({"cramfs", "erofs", "iso9660", "squashfs"})


@dataclass(frozen=True, kw_only=True)
class BlockDevice:
    """A block device of a host.

    :ivar kname: the kernel's name, ``nvme1n1p1``.
    :ivar maj_min: ``"259:1"``.
    :ivar type: ``disk``, ``part``, ``lvm``, ``crypt``, ``raid0``, ``loop``...
    :ivar mount_points: those that lead to it, shortest first; one may be a file's.
    :ivar children: the ``maj_min`` of the devices on it, with the loop devices of files on it.
    :ivar siblings: the ``maj_min`` of the other devices that its file system is on; of one that
        isn't among the host's devices, its path.
    :ivar mounted_elsewhere: it is mounted, but where no path leads: in a container, or beneath
        another mount.
    :ivar is_adrift: it is a loop device, and nobody knows on which device its file is.
    :ivar writers: who has it open for writing, past any file system: ``"qemu (process 12)"``.
    """

    kname: str
    path: str
    maj_min: str
    type: str = "disk"
    serial: str = ""
    fs_type: str = ""
    uuid: str = ""
    size: int = 0
    mount_points: tuple[str, ...] = ()
    is_swap: bool = False
    is_read_only: bool = False
    children: tuple[str, ...] = ()
    siblings: tuple[str, ...] = ()
    mounted_elsewhere: bool = False
    is_adrift: bool = False
    writers: tuple[str, ...] = ()

    @property
    def is_used(self) -> bool:
        """Whether anything is known to use it."""
        return bool(
            self.mount_points
            or self.is_swap
            or self.children
            or self.mounted_elsewhere
            or self.writers
        )


def read_devices(text: str) -> tuple[BlockDevice, ...]:
    """Return the devices in the answer of ssh/layout.sh, each once.

    :raises ValueError: it is no such answer, or isn't whole.
    """
    try:
        lsblk, end = json.JSONDecoder().raw_decode(text.lstrip())
        sections = _sections(text.lstrip()[end:].split("\n"))
        found: dict[str, BlockDevice] = {}
        for device in _flat(lsblk["blockdevices"]):
            _add(found, device)
        mounts = read_mounts(sections["mounts"])
        found = _mounted(found, mounts, set(sections["mounted"]))
        found = _with_siblings(found, mounts)
        found = _with_loops(found, mounts, "\n".join(sections["loops"]))
        return tuple(_with_writers(found, sections["writers"]))
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise ValueError(f"lsblk's answer can't be read: {text[:100]!r}") from error


def _sections(lines: Sequence[str]) -> dict[str, list[str]]:
    """Return the lines of each section.

    :raises ValueError: one is missing.
    """
    found: dict[str, list[str]] = {}
    section: list[str] = []
    for line in lines:
        if line[1:-1] in _SECTIONS and line == f"[{line[1:-1]}]":
            section = found.setdefault(line[1:-1], [])
        elif line:
            section.append(line)
    if tuple(found) != _SECTIONS:
        raise ValueError(f"its sections are {', '.join(found)}")
    return found


def _flat(trees: Sequence[Mapping[str, Any]]) -> Iterator[BlockDevice]:
    for said in trees:
        below = said.get("children", ())
        yield _device(said, tuple(_text(child["maj:min"]) for child in below))
        yield from _flat(below)


def _device(said: Mapping[str, Any], children: tuple[str, ...]) -> BlockDevice:
    points = [point for point in said.get("mountpoints", [said.get("mountpoint")]) if point]
    mount_points = _whole(point for point in points if point != _SWAP)
    kname = _text(said["kname"])
    return BlockDevice(
        kname=kname,
        path=_text(said.get("path")) or f"/dev/{kname}",
        maj_min=_text(said["maj:min"]),
        type=_text(said.get("type")),
        serial=_text(said.get("serial")),
        fs_type=_text(said.get("fstype")),
        uuid=_text(said.get("uuid")),
        size=int(said.get("size") or 0),
        mount_points=tuple(sorted(set(mount_points), key=lambda point: (len(point), point))),
        is_swap=_SWAP in points,
        is_read_only=_text(said.get("ro")) in {"1", "True"},
        children=children,
    )


def _text(said: object) -> str:
    return str(said or "").strip()


def _whole(points: Iterator[str]) -> Iterator[str]:
    """Put mount points together again that lsblk tore apart where they have a newline."""
    whole = ""
    for point in points:
        if point.startswith("/") and whole:
            yield whole
            whole = point
        else:
            whole = f"{whole}\n{point}" if whole else point
    if whole:
        yield whole


def _add(found: dict[str, BlockDevice], device: BlockDevice) -> None:
    """Add a device; one on two others comes twice, and not always with all of its children."""
    known = found.setdefault(device.maj_min, device)
    children = dict.fromkeys([*known.children, *device.children])
    found[device.maj_min] = replace(known, children=tuple(children))


def _mounted(
    found: Mapping[str, BlockDevice], mounts: Sequence[Mount], mounted: Collection[str]
) -> dict[str, BlockDevice]:
    """Return the devices with what lsblk doesn't see of their mounts.

    That is mounts in containers, mounts that others cover, and, without udev, what is mounted.
    """
    visible = uppermost(mounts)
    kinds = {mount.maj_min: mount.fs_type for mount in mounts}
    devices = {
        number: replace(device, fs_type=device.fs_type or kinds.get(number, ""))
        for number, device in found.items()
    }
    answer = {}
    for number, device in devices.items():
        seen = _uncovered(device, visible, devices.values())
        elsewhere = number in mounted and not seen.mount_points
        answer[number] = replace(seen, mounted_elsewhere=elsewhere)
    return answer


def _uncovered(
    device: BlockDevice, mounts: Mapping[str, Mount], devices: Collection[BlockDevice]
) -> BlockDevice:
    """Return a device without the mount points over which something else is mounted."""
    of_one_btrfs = {one.path for one in devices if device.uuid and one.uuid == device.uuid}

    def leads_here(mount: Mount | None) -> bool:
        if mount is None or mount.maj_min == device.maj_min:
            return True
        return mount.fs_type == device.fs_type == "btrfs" and mount.source in of_one_btrfs

    points = tuple(point for point in device.mount_points if leads_here(mounts.get(point)))
    return replace(device, mount_points=points)


def _with_siblings(
    found: Mapping[str, BlockDevice], mounts: Sequence[Mount]
) -> dict[str, BlockDevice]:
    """Return the devices, each with the others that its file system is on.

    Those are the devices of one btrfs, and the log and the realtime device of an XFS. Which ext4
    has its journal on a device of its own isn't told: any may.
    """
    groups = [
        [one.maj_min for one in found.values() if one.fs_type == "btrfs" and one.uuid == uuid]
        for uuid in {one.uuid for one in found.values()} - {""}
    ]
    numbers = _numbers(found)
    for mount in mounts:
        outside = [mount.options[key] for key in ("logdev", "rtdev") if key in mount.options]
        groups.append([mount.maj_min, *(numbers.get(path, path) for path in outside)])
    if journals := [one.maj_min for one in found.values() if one.fs_type == "jbd"]:
        systems = [one.maj_min for one in found.values() if one.fs_type in {"ext3", "ext4"}]
        groups.append([*journals, *systems])
    siblings: dict[str, dict[str, None]] = defaultdict(dict)
    for group in groups:
        for number in group:
            siblings[number] |= dict.fromkeys(one for one in group if one != number)
    return {
        number: replace(device, siblings=tuple(siblings[number]))
        for number, device in found.items()
    }


def _numbers(found: Mapping[str, BlockDevice]) -> dict[str, str]:
    """Return the devices' numbers by their paths, also by those that the kernel has for them."""
    return {
        path: number
        for number, device in found.items()
        for path in (f"/dev/{device.kname}", device.path)
    }


def _with_loops(
    found: Mapping[str, BlockDevice], mounts: Sequence[Mount], text: str
) -> dict[str, BlockDevice]:
    """Return the devices with the loop devices of their files as their children.

    One that can't be written to, as those of snaps, changes nothing, and is left out.
    """
    files = {
        _text(said["maj:min"]): (str(said["back-file"] or ""), _text(said["back-maj:min"]))
        for said in (json.loads(text)["loopdevices"] if text else ())
    }
    answer = dict(found)
    for number, device in found.items():
        if device.type != "loop" or device.is_read_only or device.fs_type in _UNWRITABLE:
            continue
        below = _below(*files[number], found, mounts) if number in files else None
        if below is None:
            answer[number] = replace(answer[number], is_adrift=True)
        elif below:
            _add(answer, replace(answer[below], children=(number,)))
    return answer


def _below(
    file: str, file_is_on: str, found: Mapping[str, BlockDevice], mounts: Sequence[Mount]
) -> str | None:
    """Return the number of the device on which a loop device's file is.

    :param file: its path; it may be a block device itself.
    :param file_is_on: the number of the device that its file system has: of a btrfs one of its own.
    :returns: ``""``: on none of this host; ``None``: that can't be told.
    """
    numbers = _numbers(found)
    if file in numbers:
        return numbers[file]
    if file_is_on in found:
        return file_is_on
    if any(mount.maj_min == file_is_on and mount.fs_type in _ON_NO_DISK for mount in mounts):
        return ""
    leading = [
        (len(point), mount)
        for point, mount in uppermost(mounts).items()
        if file.startswith(f"{point.rstrip('/')}/")
    ]
    _, mount = max(leading, key=lambda pair: pair[0], default=(0, None))
    return numbers.get(mount.source) if mount and mount.fs_type == "btrfs" else None


def _with_writers(found: Mapping[str, BlockDevice], lines: Sequence[str]) -> Iterator[BlockDevice]:
    """Yield the devices with who has them open for writing.

    :raises ValueError: a line tells something else.
    """
    writers: dict[str, dict[str, None]] = defaultdict(dict)
    for line in lines:
        if line == "unknown":
            for number in found:
                writers[number][_NOT_LISTED] = None
            continue
        match = _WRITER.match(line)
        if not match:
            raise ValueError(f"no such writer: {line[:100]!r}")
        number = f"{int(match[1], 16)}:{int(match[2], 16)}"
        writers[number][match[3][:_LONGEST_NAME]] = None
    for number, device in found.items():
        yield replace(device, writers=tuple(writers[number]))
