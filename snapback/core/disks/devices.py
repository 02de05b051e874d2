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
_LONGEST_PATH = 4096
_MOST_DEVICES = 4096
_MOST_SIBLINGS = 1 << 18
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
            if len(found) > _MOST_DEVICES:
                raise ValueError(f"it has more than {_MOST_DEVICES} block devices")
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
        raise ValueError(f"lsblk's answer can't be read ({error}): {text[:100]!r}") from error


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
    paths: dict[str, set[str]] = defaultdict(set)
    for device in devices.values():
        if device.uuid:
            paths[device.uuid].add(device.path)
    answer = {}
    for number, device in devices.items():
        seen = _uncovered(device, visible, paths.get(device.uuid, ()))
        elsewhere = number in mounted and not seen.mount_points
        answer[number] = replace(seen, mounted_elsewhere=elsewhere)
    return answer


def _uncovered(
    device: BlockDevice, mounts: Mapping[str, Mount], of_one_uuid: Collection[str]
) -> BlockDevice:
    """Return a device without the mount points over which something else is mounted.

    :param of_one_uuid: the paths of all the devices with its UUID.
    """

    def leads_here(mount: Mount | None) -> bool:
        if mount is None or mount.maj_min == device.maj_min:
            return True
        return mount.fs_type == device.fs_type == "btrfs" and mount.source in of_one_uuid

    points = tuple(point for point in device.mount_points if leads_here(mounts.get(point)))
    return replace(device, mount_points=points)


def _with_siblings(
    found: Mapping[str, BlockDevice], mounts: Sequence[Mount]
) -> dict[str, BlockDevice]:
    """Return the devices, each with the others that its file system is on.

    Those are the devices of one btrfs, and the log and the realtime device of an XFS. Which ext4
    has its journal on a device of its own isn't told: any may.
    """
    btrfs: dict[str, list[str]] = defaultdict(list)
    for one in found.values():
        if one.fs_type == "btrfs" and one.uuid:
            btrfs[one.uuid].append(one.maj_min)
    groups = list(btrfs.values())
    numbers = _numbers(found)
    for mount in mounts:
        outside = [mount.options[key] for key in ("logdev", "rtdev") if key in mount.options]
        if outside:
            groups.append([mount.maj_min, *(numbers.get(path, path) for path in outside)])
    if journals := [one.maj_min for one in found.values() if one.fs_type == "jbd"]:
        systems = [one.maj_min for one in found.values() if one.fs_type in {"ext3", "ext4"}]
        groups.append([*journals, *systems])
    if sum(len(group) ** 2 for group in groups) > _MOST_SIBLINGS:
        raise ValueError("too many devices have a file system in common")
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
    numbers, visible = _numbers(found), uppermost(mounts)
    on_no_disk = {mount.maj_min for mount in mounts if mount.fs_type in _ON_NO_DISK}

    def below(file: str, file_is_on: str) -> str | None:
        """Return the device on which a file is; ``""``: none; ``None``: that can't be told.

        :param file_is_on: the number of its file system's device: of a btrfs one of its own.
        """
        if file in numbers:  # it is a block device itself
            return numbers[file]
        if file_is_on in found:
            return file_is_on
        if file_is_on in on_no_disk:
            return ""
        mount = _mount_of(file, visible)
        return numbers.get(mount.source) if mount and mount.fs_type == "btrfs" else None

    for number, device in found.items():
        if device.type != "loop" or device.is_read_only or device.fs_type in _UNWRITABLE:
            continue
        under = below(*files[number]) if number in files else None
        if under is None:
            answer[number] = replace(answer[number], is_adrift=True)
        elif under:
            _add(answer, replace(answer[under], children=(number,)))
    return answer


def _mount_of(file: str, visible: Mapping[str, Mount]) -> Mount | None:
    """Return the mount that a file is in, by its path."""
    point = file if len(file) <= _LONGEST_PATH else ""
    while point not in {"", "/"}:
        point = point.rpartition("/")[0] or "/"
        if point in visible:
            return visible[point]
    return None


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
