"""Which block device is a volume's on its host, and what uses it; pure, from lsblk's answer.

Source: lsblk(8); https://docs.aws.amazon.com/ebs/latest/userguide/identify-nvme-ebs-device.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from snapback.core.disks.mounts import Mount, uppermost

_LSBLK = "lsblk --json -b -o NAME,KNAME,PATH,MAJ:MIN,SERIAL,TYPE,FSTYPE,UUID,SIZE"
_MOUNTED = "cut -d' ' -f3 /proc/[0-9]*/mountinfo 2>/dev/null | sort -u"
_MOUNTS = "cat /proc/self/mountinfo"
LSBLK = (
    "sh",
    "-c",
    f"{_LSBLK},MOUNTPOINTS 2>/dev/null || {_LSBLK},MOUNTPOINT || exit; {_MOUNTED}; {_MOUNTS}",
)
"""What is run on a host, as root. Before util-linux 2.37 lsblk tells one mount point a device.

Behind lsblk's answer come the devices that anything on the host has mounted, since lsblk doesn't
see what is mounted in a container only; then the mounts, since it doesn't see either what is
mounted over another.
"""

FREEZABLE = frozenset({"btrfs", "ext2", "ext3", "ext4", "xfs"})
DATA_DEVICES = tuple(f"/dev/sd{letter}" for letter in "fghijklmnop")
"""The device names that EC2 recommends for data volumes."""
_EFI = frozenset({"/boot", "/boot/efi", "/efi"})
_AT_REST = FREEZABLE | {"exfat", "f2fs", "iso9660", "jfs", "ntfs", "squashfs", "swap", "vfat"}
_SWAP = "[SWAP]"
_EC2_NAME = re.compile(r"(?:/dev/)?(?:sd|xvd|hd)([a-z]{1,2})([0-9]*)\Z")
_SHIFT = 4


class Treatment(Enum):
    """What a consistent snapshot needs of a mounted file system."""

    FREEZE = "freeze"
    SYNC = "sync"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, kw_only=True)
class BlockDevice:
    """A block device of a host, as lsblk tells it.

    :ivar kname: the kernel's name, ``nvme1n1p1``.
    :ivar maj_min: ``"259:1"``.
    :ivar type: ``disk``, ``part``, ``lvm``, ``crypt``, ``raid0``...
    :ivar mount_points: those that lead to it, shortest first; one may be a file's.
    :ivar children: the ``maj_min`` of the devices on it.
    :ivar mounted_elsewhere: it is mounted, but where no path leads: in a container, or beneath
        another mount.
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
    children: tuple[str, ...] = ()
    mounted_elsewhere: bool = False


@dataclass(frozen=True, kw_only=True)
class FileSystem:
    """A file system that is mounted.

    :ivar maj_min: of the block device it is on: what makes two mounts one file system.
    :ivar source: that device's path.
    :ivar mount_points: shortest first.
    """

    maj_min: str
    source: str
    fs_type: str
    mount_points: tuple[str, ...]

    @property
    def treatment(self) -> Treatment:
        """What a consistent snapshot needs of it."""
        if self.fs_type in FREEZABLE:
            return Treatment.FREEZE
        if self.fs_type == "vfat" and _EFI.intersection(self.mount_points):
            return Treatment.SYNC
        return Treatment.UNSUPPORTED


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What is on a volume.

    :ivar device_name: EC2's name, ``/dev/sdf``.
    :ivar block_device: ``None`` where it isn't found on the host.
    :ivar file_systems: those mounted, on it or on what is built on it.
    :ivar swap: where swap is active, which needs no consistency.
    :ivar raw: what is used, or may be, without being mounted: by LVM, RAID, LUKS, a container.
    """

    volume_id: str
    device_name: str
    block_device: BlockDevice | None
    file_systems: tuple[FileSystem, ...] = ()
    swap: tuple[BlockDevice, ...] = ()
    raw: tuple[BlockDevice, ...] = ()

    @property
    def is_found(self) -> bool:
        """Whether its block device is known."""
        return self.block_device is not None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is mounted and nothing uses it, as far as can be seen."""
        return self.is_found and not (self.file_systems or self.swap or self.raw)


def read_lsblk(text: str) -> tuple[BlockDevice, ...]:
    """Answer the devices in the answer to :data:`LSBLK`, each once.

    :raises ValueError: it is no such answer.
    """
    try:
        answer, end = json.JSONDecoder().raw_decode(text.lstrip())
        trees = answer["blockdevices"]
        found: dict[str, BlockDevice] = {}
        for device in _flat(trees):
            _add(found, device)
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise ValueError(f"lsblk's answer can't be read: {text[:100]!r}") from error
    lines = text.lstrip()[end:].split("\n")
    mounts = uppermost(lines)
    visible = [_uncovered(device, mounts, found.values()) for device in found.values()]
    return tuple(
        replace(device, mounted_elsewhere=device.maj_min in lines and not device.mount_points)
        for device in visible
    )


def _uncovered(
    device: BlockDevice, mounts: Mapping[str, Mount], devices: Collection[BlockDevice]
) -> BlockDevice:
    """Answer a device without the mount points over which something else is mounted."""
    of_one_btrfs = {one.path for one in devices if device.uuid and one.uuid == device.uuid}

    def leads_here(mount: Mount | None) -> bool:
        if mount is None or mount.maj_min == device.maj_min:
            return True
        return mount.fs_type == device.fs_type == "btrfs" and mount.source in of_one_btrfs

    points = tuple(point for point in device.mount_points if leads_here(mounts.get(point)))
    return replace(device, mount_points=points)


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


def layout_of(
    devices: Mapping[str, str],
    blocks: Collection[BlockDevice],
    sizes_gib: Mapping[str, int] | None = None,
) -> dict[str, Layout]:
    """Answer what is on each volume of a host, by volume id.

    :param devices: EC2's device name -> volume id, of all the volumes attached.
    :param sizes_gib: of the volumes, where they are known.
    """
    by_number = {block.maj_min: block for block in blocks}
    found = _find(devices, blocks, sizes_gib or {})
    return {
        volume_id: _layout(volume_id, device_name, found.get(volume_id), by_number)
        for device_name, volume_id in devices.items()
    }


def _find(
    devices: Mapping[str, str], blocks: Collection[BlockDevice], sizes_gib: Mapping[str, int]
) -> dict[str, BlockDevice]:
    """Answer the block device of each volume that can be found: by its serial, else by its name."""
    inner = {child for block in blocks for child in block.children}
    outer = [block for block in blocks if block.maj_min not in inner]
    by_serial: dict[str, list[BlockDevice]] = {}
    for block in outer:
        by_serial.setdefault(block.serial.replace("-", ""), []).append(block)
    found = {}
    for volume_id in devices.values():
        same = by_serial.get(volume_id.replace("-", ""), [])
        if len(same) == 1:
            found[volume_id] = same[0]
    by_name = {block.kname: block for block in outer if not block.serial}
    others = {name: volume for name, volume in devices.items() if volume not in found}
    plain = _by_name(others, by_name, shift=0)
    return {**found, **(plain or _shifted(others, by_name, sizes_gib))}


def _by_name(
    devices: Mapping[str, str], by_name: Mapping[str, BlockDevice], shift: int
) -> dict[str, BlockDevice]:
    """Answer the devices that have the names which Xen gives them."""
    found = {}
    for device_name, volume_id in devices.items():
        match = _EC2_NAME.match(device_name)
        if not match:
            continue
        letters, number = match.groups()
        if shift:
            letters = letters[:-1] + chr(ord(letters[-1]) + shift)
        names = (f"xvd{letters}{number}", f"xvd{letters}")
        block = next((by_name[name] for name in names if name in by_name), None)
        if block:
            found[volume_id] = block
    return found


def _shifted(
    devices: Mapping[str, str], by_name: Mapping[str, BlockDevice], sizes_gib: Mapping[str, int]
) -> dict[str, BlockDevice]:
    """Answer the devices of a kernel that names all of them four letters later, if that is sure.

    It is sure where none has its own name, all have the other, and the sizes agree.
    """
    found = _by_name(devices, by_name, shift=_SHIFT)
    agree = all(found[v].size == sizes_gib.get(v, 0) << 30 for v in found)
    return found if agree and len(found) == len(devices) else {}


def _layout(
    volume_id: str,
    device_name: str,
    top: BlockDevice | None,
    by_number: Mapping[str, BlockDevice],
) -> Layout:
    if top is None:
        return Layout(volume_id=volume_id, device_name=device_name, block_device=None)
    below = list(_beneath(top, by_number))
    mounted = [m for block in below for m in _mounted_with(block, by_number.values())]
    return Layout(
        volume_id=volume_id,
        device_name=device_name,
        block_device=top,
        file_systems=tuple(_file_system(block) for block in dict.fromkeys(mounted)),
        swap=tuple(block for block in below if block.is_swap),
        raw=tuple(block for block in below if _is_raw(block, block in mounted)),
    )


def _beneath(top: BlockDevice, by_number: Mapping[str, BlockDevice]) -> Iterator[BlockDevice]:
    """Answer a device and all that are built on it, each once."""
    seen = {top.maj_min: top}
    waiting = [top]
    while waiting:
        block = waiting.pop()
        yield block
        for number in block.children:
            child = by_number[number]
            if number not in seen:
                seen[number] = child
                waiting.append(child)


def _mounted_with(block: BlockDevice, blocks: Collection[BlockDevice]) -> list[BlockDevice]:
    """Answer the device whose mount points are this one's: itself, or of one btrfs with it.

    A btrfs over several devices is mounted, as lsblk sees it, from one of them.
    """
    if block.mount_points:
        return [block]
    if block.fs_type != "btrfs" or not block.uuid:
        return []
    return [
        other
        for other in blocks
        if other.uuid == block.uuid and other.fs_type == "btrfs" and other.mount_points
    ]


def _is_raw(block: BlockDevice, is_mounted: bool) -> bool:
    """Answer whether something may write to a device past any file system that we can freeze."""
    if block.mounted_elsewhere:
        return True
    if block.children or is_mounted or block.is_swap or block.fs_type in _AT_REST:
        return False
    return bool(block.fs_type) or block.type not in {"disk", "part"}


def _file_system(block: BlockDevice) -> FileSystem:
    return FileSystem(
        maj_min=block.maj_min,
        source=block.path,
        fs_type=block.fs_type,
        mount_points=block.mount_points,
    )


def in_freezing_order(layouts: Collection[Layout]) -> tuple[FileSystem, ...]:
    """Answer the file systems on some volumes, each once: the deepest first, ``/`` last."""
    unique = {system.maj_min: system for one in layouts for system in one.file_systems}
    return tuple(sorted(unique.values(), key=_depth, reverse=True))


def _depth(system: FileSystem) -> tuple[bool, int, str]:
    deepest = max(system.mount_points, key=lambda point: point.count("/"))
    return "/" not in system.mount_points, deepest.count("/"), deepest
