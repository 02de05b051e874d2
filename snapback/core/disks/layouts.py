"""Which block device is a volume's on its host, and what is on it, or stacked on that; pure.

Source: https://docs.aws.amazon.com/ebs/latest/userguide/identify-nvme-ebs-device.html
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from snapback.core.disks.devices import BlockDevice

FREEZABLE = frozenset({"btrfs", "ext2", "ext3", "ext4", "xfs"})
_EFI = frozenset({"/boot", "/boot/efi", "/efi"})
_AT_REST = FREEZABLE | {
    *("exfat", "f2fs", "iso9660", "jfs", "ntfs", "squashfs", "swap", "vfat"),
    *("jbd", "xfs_external_log"),
}
_PLAIN = frozenset({"disk", "part", "loop"})
_EC2_NAME = re.compile(r"(?:/dev/)?(?:sd|xvd|hd)([a-z]{1,2})([0-9]*)\Z")
_SHIFT = 4
_HIGHEST = 64
"""Rounds in which it is found what lies on what. One goes up a whole tree; a circle has no end."""


class Treatment(Enum):
    """What a consistent snapshot needs of a mounted file system."""

    FREEZE = "freeze"
    SYNC = "sync"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, kw_only=True)
class FileSystem:
    """A file system that is mounted.

    :ivar maj_min: of the block device it is on: what makes two mounts one file system.
    :ivar source: that device's path.
    :ivar mount_points: shortest first.
    :ivar level: how many others it lies on, by loop devices of their files.
    """

    maj_min: str
    source: str
    fs_type: str
    mount_points: tuple[str, ...]
    level: int = 0

    @property
    def treatment(self) -> Treatment:
        """What a consistent snapshot needs of it."""
        if self.fs_type in FREEZABLE:
            return Treatment.FREEZE
        if self.fs_type == "vfat" and _EFI.intersection(self.mount_points):
            return Treatment.SYNC
        return Treatment.UNSUPPORTED

    @property
    def is_root(self) -> bool:
        """Whether it is mounted on ``/``."""
        return "/" in self.mount_points


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What is on a volume.

    :ivar device_name: EC2's name, ``/dev/sdf``.
    :ivar block_device: ``None`` where it isn't found on the host.
    :ivar file_systems: those mounted, on it or on what is built on it, also of its files.
    :ivar swap: where swap is active, which needs no consistency.
    :ivar raw: what is used, or may be, without being mounted: by LVM, RAID, LUKS, a container.
    :ivar written: what somebody has open for writing, past any file system.
    :ivar parts: the ``maj_min`` of the disks that hold what is on it, of itself first of all; of
        one that isn't found, its path.
    """

    volume_id: str
    device_name: str
    block_device: BlockDevice | None
    file_systems: tuple[FileSystem, ...] = ()
    swap: tuple[BlockDevice, ...] = ()
    raw: tuple[BlockDevice, ...] = ()
    written: tuple[BlockDevice, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_found(self) -> bool:
        """Whether its block device is known."""
        return self.block_device is not None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is mounted and nothing uses it, as far as can be seen."""
        return self.is_found and not (self.file_systems or self.swap or self.raw or self.written)


def layout_of(
    devices: Mapping[str, str],
    blocks: Collection[BlockDevice],
    sizes_gib: Mapping[str, int] | None = None,
) -> dict[str, Layout]:
    """Return what is on each volume of a host, by volume id.

    :param devices: EC2's device name -> volume id, of all the volumes attached.
    :param sizes_gib: of the volumes, where they are known.
    """
    stack = _Stack(blocks)
    found = _find(devices, blocks, sizes_gib or {})
    return {
        volume_id: _layout(volume_id, device_name, found.get(volume_id), stack)
        for device_name, volume_id in devices.items()
    }


def _find(
    devices: Mapping[str, str], blocks: Collection[BlockDevice], sizes_gib: Mapping[str, int]
) -> dict[str, BlockDevice]:
    """Return the block device of each volume that can be found: by its serial, else by its name."""
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
    """Return the devices that have the names which Xen gives them."""
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
    """Return the devices of a kernel that names all of them four letters later, if that is sure.

    It is sure where none has its own name, all have the other, and the sizes agree.
    """
    found = _by_name(devices, by_name, shift=_SHIFT)
    agree = all(found[v].size == sizes_gib.get(v, 0) << 30 for v in found)
    return found if agree and len(found) == len(devices) else {}


class _Stack:
    """The block devices of a host, with what lies on what."""

    def __init__(self, blocks: Collection[BlockDevice]) -> None:
        self._by_number = {block.maj_min: block for block in blocks}
        self._parents: dict[str, list[str]] = defaultdict(list)
        for block in blocks:
            for child in block.children:
                self._parents[child].append(block.maj_min)
        self._levels = self._find_levels()
        #: loop devices in use whose files may lie on any of the volumes
        self.adrift = tuple(block for block in blocks if block.is_adrift and block.is_used)

    def above(self, top: BlockDevice) -> list[BlockDevice]:
        """Return a device and all that lies on it, each once, whatever else it lies on, too."""
        return self._reached([top.maj_min], lambda block: (*block.children, *block.siblings))

    def parts(self, blocks: Iterable[BlockDevice]) -> dict[str, str]:
        """Return the disks beneath some devices: ``maj_min`` -> path; of one not found its path.

        What is only swapped to holds nothing, and doesn't count.
        """
        holding = [block for block in blocks if not block.is_swap]
        lost = [one for block in holding for one in block.siblings if one not in self._by_number]
        below = self._reached(
            [block.maj_min for block in holding], lambda block: self._parents[block.maj_min]
        )
        disks = {one.maj_min: one.path for one in below if not self._parents[one.maj_min]}
        return {**disks, **{path: path for path in lost}}

    def mounted_with(self, block: BlockDevice) -> list[BlockDevice]:
        """Return the devices whose mount points are this one's: itself, or its siblings.

        A btrfs over several devices is mounted, as lsblk sees it, from one of them.
        """
        if block.mount_points:
            return [block]
        siblings = (self._by_number.get(number) for number in block.siblings)
        return [one for one in siblings if one and one.mount_points]

    def file_system(self, block: BlockDevice) -> FileSystem:
        """Return the file system that is mounted from a device."""
        return FileSystem(
            maj_min=block.maj_min,
            source=block.path,
            fs_type=block.fs_type,
            mount_points=block.mount_points,
            level=max(self._levels[one] for one in (block.maj_min, *block.siblings)),
        )

    def _reached(
        self, numbers: Iterable[str], further: Callable[[BlockDevice], Iterable[str]]
    ) -> list[BlockDevice]:
        found: dict[str, BlockDevice] = {}
        waiting = list(numbers)
        while waiting:
            number = waiting.pop()
            if number not in found and number in self._by_number:
                found[number] = self._by_number[number]
                waiting += further(found[number])
        return list(found.values())

    def _find_levels(self) -> defaultdict[str, int]:
        """Return on how many file systems a device lies by way of loop devices, by its number."""
        levels: defaultdict[str, int] = defaultdict(int)
        for _ in range(_HIGHEST):
            before = dict(levels)
            for number, block in self._by_number.items():
                for child in block.children:
                    is_loop = child in self._by_number and self._by_number[child].type == "loop"
                    levels[child] = max(levels[child], levels[number] + is_loop)
                for sibling in block.siblings:
                    levels[sibling] = max(levels[sibling], levels[number])
            if levels == before:
                break
        return levels


def _layout(volume_id: str, device_name: str, top: BlockDevice | None, stack: _Stack) -> Layout:
    if top is None:
        return Layout(volume_id=volume_id, device_name=device_name, block_device=None)
    above = stack.above(top)
    mounted = [one for block in above for one in stack.mounted_with(block)]
    return Layout(
        volume_id=volume_id,
        device_name=device_name,
        block_device=top,
        file_systems=tuple(stack.file_system(block) for block in dict.fromkeys(mounted)),
        swap=tuple(block for block in above if block.is_swap),
        raw=(*(b for b in above if _is_raw(b, is_mounted=b in mounted)), *stack.adrift),
        written=tuple(block for block in above if block.writers),
        parts=stack.parts(above),
    )


def _is_raw(block: BlockDevice, *, is_mounted: bool) -> bool:
    """Return whether something may write to a device past any file system that we can freeze."""
    if block.mounted_elsewhere:
        return True
    if block.children or is_mounted or block.is_swap or block.fs_type in _AT_REST:
        return False
    return bool(block.fs_type) or block.type not in _PLAIN


def in_freezing_order(layouts: Collection[Layout]) -> tuple[FileSystem, ...]:
    """Return the file systems on some volumes, each once, in the order to freeze them.

    What lies on another one comes before it; of one level the deepest comes first, ``/`` last.
    """
    unique = {system.maj_min: system for one in layouts for system in one.file_systems}
    return tuple(sorted(unique.values(), key=_rank, reverse=True))


def _rank(system: FileSystem) -> tuple[int, bool, int, str]:
    deepest = max(system.mount_points, key=lambda point: point.count("/"))
    return system.level, not system.is_root, deepest.count("/"), deepest
