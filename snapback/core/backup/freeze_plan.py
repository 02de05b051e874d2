"""What is frozen on a host for the snapshots of its volumes, and how consistent they can be. Pure.

Read off the layout of the volumes there; decided with reasons, shown or done elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from snapback.core.disks.devices import BlockDevice
from snapback.core.disks.layouts import FileSystem, Layout, Treatment, in_freezing_order
from snapback.core.model import Consistency


@dataclass(frozen=True)
class Prospect:
    """How consistent a volume's snapshot will be if all goes well.

    :ivar reason: why not better, in words, or ``""``.
    :ivar as_configured: whether it is the configuration that wants it no better.
    :ivar frozen: the ``maj_min`` of the file systems whose freeze it takes; what isn't in use needs
        none.
    """

    consistency: Consistency
    reason: str = ""
    as_configured: bool = False
    frozen: frozenset[str] = frozenset()


@dataclass(frozen=True)
class FreezePlan:
    """What to freeze on a host.

    :ivar levels: one mount point of each file system, in the order to freeze them; those of one
        level side by side, ``/`` among them: what freezes needs nothing written.
    :ivar to_sync: of those that can't be frozen but do no harm: an EFI system partition.
    :ivar prospects: volume id -> what can be had.
    """

    levels: tuple[tuple[str, ...], ...]
    to_sync: tuple[str, ...]
    prospects: Mapping[str, Prospect]

    @property
    def mount_points(self) -> tuple[str, ...]:
        """What is frozen, in this order."""
        return tuple(point for level in self.levels for point in level)

    @property
    def shortcomings(self) -> list[str]:
        """What can't be had, a line each; not what is configured so."""
        return self.shortcomings_of(self.prospects)

    def shortcomings_of(self, volume_ids: Collection[str]) -> list[str]:
        """Return what can't be had of the volumes that were taken in the end, a line each.

        One that was detached meanwhile has no snapshot that could be less than asked. One that was
        attached was not looked at.
        """
        found = [
            f"{volume_id}: {prospect.reason}"
            for volume_id, prospect in self.prospects.items()
            if volume_id in volume_ids and prospect.reason and not prospect.as_configured
        ]
        new = sorted(set(volume_ids) - self.prospects.keys())
        return [*found, *(f"{one}: crash-consistent: it was attached meanwhile" for one in new)]

    def verdict(self, volume_id: str, *, held: bool) -> Consistency:
        """Return how consistent a volume's snapshot has become.

        :param held: whether all was frozen the whole time.
        """
        prospect = self.prospects.get(volume_id)
        if prospect is None or (prospect.frozen and not held):
            return Consistency.CRASH
        return prospect.consistency

    def confirmed(self, after: FreezePlan) -> FreezePlan:
        """Return this plan with what has come to light by a second look, after the thaw.

        :param after: the plan that this look gives.
        """
        return replace(
            self,
            prospects={
                volume_id: _confirmed(prospect, after.prospects[volume_id])
                for volume_id, prospect in self.prospects.items()
            },
        )

    def unconfirmed(self, why: str) -> FreezePlan:
        """Return this plan where nobody could look a second time."""
        unknown = Prospect(Consistency.CRASH, f"what used it meanwhile isn't known: {why}")
        return replace(
            self,
            prospects={
                volume_id: prospect if prospect.reason else unknown
                for volume_id, prospect in self.prospects.items()
            },
        )


def _confirmed(before: Prospect, after: Prospect) -> Prospect:
    """Return what can be had of a volume, by two looks at it."""
    if before.reason:
        return before
    if after.reason:
        return replace(after, reason=f"meanwhile {after.reason}")
    if after.frozen - before.frozen:
        return Prospect(Consistency.CRASH, "a file system was mounted on it meanwhile")
    return before


def plan_freeze(
    layouts: Mapping[str, Layout], *, freeze_root: bool, shared: Mapping[str, str] | None = None
) -> FreezePlan:
    """Decide what is frozen for the snapshots of some volumes.

    A file system on several volumes, or mounted several times, is frozen once.

    :param layouts: volume id -> where it is on the host; these are the volumes of one set.
    :param freeze_root: whether ``/`` may be frozen.
    :param shared: volume id -> why others may write to it meanwhile, in words.
    """
    systems = in_freezing_order(layouts.values())
    wanted = [one for one in systems if freeze_root or not one.is_root]
    disks = {
        layout.block_device.maj_min: (shared or {}).get(volume_id, "")
        for volume_id, layout in layouts.items()
        if layout.block_device
    }
    return FreezePlan(
        levels=_levels([one for one in wanted if one.treatment is Treatment.FREEZE]),
        to_sync=tuple(one.mount_points[0] for one in wanted if one.treatment is Treatment.SYNC),
        prospects={
            volume_id: _prospect(layout, disks, freeze_root=freeze_root)
            for volume_id, layout in layouts.items()
        },
    )


def _levels(systems: Sequence[FileSystem]) -> tuple[tuple[str, ...], ...]:
    """Return the mount points to freeze, level by level."""
    return tuple(
        tuple(one.mount_points[0] for one in level)
        for _, level in groupby(systems, key=lambda one: one.level)
    )


def _prospect(layout: Layout, disks: Mapping[str, str], *, freeze_root: bool) -> Prospect:
    """Return how consistent a volume's snapshot can be.

    :param disks: the ``maj_min`` of the disks in the set -> why others may write to it, or ``""``.
    """
    if reason := _why_not(layout, disks):
        return Prospect(Consistency.CRASH, reason)
    if not freeze_root and any(system.is_root for system in layout.file_systems):
        return Prospect(Consistency.CRASH, "/ is not frozen (freeze_root)", as_configured=True)
    in_use = [one for one in layout.file_systems if one.treatment is Treatment.FREEZE]
    return Prospect(Consistency.FILESYSTEM, frozen=frozenset(one.maj_min for one in in_use))


def _why_not(layout: Layout, disks: Mapping[str, str]) -> str:
    """Return why a volume's snapshot can only be like after a power cut, or ``""``."""
    if layout.block_device is None:
        return f"its device {layout.device_name} isn't found on the host"
    if shared := disks[layout.block_device.maj_min]:
        return shared
    if layout.raw:
        return _how_used(layout.raw[0])
    if layout.written:
        device = layout.written[0]
        return f"{device.path} is open for writing, past any file system: {device.writers[0]}"
    for system in layout.file_systems:
        if system.treatment is Treatment.UNSUPPORTED:
            kind = system.fs_type or "a file system of an unknown kind"
            return f"{system.mount_points[0]} is {kind}, which can't be frozen"
    if elsewhere := sorted(path for disk, path in layout.parts.items() if disk not in disks):
        return f"what is on it is on {', '.join(elsewhere)} as well, of which no snapshot is taken"
    for disk, path in layout.parts.items():
        if disks[disk]:
            return f"what is on it is on {path} as well: {disks[disk]}"
    return ""


def _how_used(raw: BlockDevice) -> str:
    if raw.is_adrift:
        return f"{raw.path} is a loop device, and its file, which can't be found, may be on it"
    if raw.mounted_elsewhere:
        return f"{raw.path} is mounted out of reach: in a container, or beneath another mount"
    return f"{raw.path} is used without a mount ({raw.fs_type or raw.type})"
