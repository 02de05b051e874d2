"""What is frozen on a host for the snapshots of its volumes, and how consistent they can be. Pure.

Read off the layout of the volumes there; decided with reasons, shown or done elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from snapback.core.disks.devices import (
    BlockDevice,
    FileSystem,
    Layout,
    Treatment,
    in_freezing_order,
)
from snapback.core.model import Consistency


@dataclass(frozen=True)
class Prospect:
    """How consistent a volume's snapshot will be if all goes well.

    :ivar reason: why not better, in words, or ``""``.
    :ivar as_configured: whether it is the configuration that wants it no better.
    :ivar by_freezing: whether it takes the freeze; what isn't in use needs none.
    """

    consistency: Consistency
    reason: str = ""
    as_configured: bool = False
    by_freezing: bool = True


@dataclass(frozen=True)
class FreezePlan:
    """What to freeze on a host.

    :ivar mount_points: one of each file system, in the order to freeze them.
    :ivar to_sync: of those that can't be frozen but do no harm: an EFI system partition.
    :ivar prospects: volume id -> what can be had.
    """

    mount_points: tuple[str, ...]
    to_sync: tuple[str, ...]
    prospects: Mapping[str, Prospect]

    @property
    def shortcomings(self) -> list[str]:
        """What can't be had, a line each; not what is configured so."""
        return [
            f"{volume_id}: {prospect.reason}"
            for volume_id, prospect in self.prospects.items()
            if prospect.reason and not prospect.as_configured
        ]

    def verdict(self, volume_id: str, *, held: bool, application: bool) -> Consistency:
        """Answer how consistent a volume's snapshot has become.

        :param held: whether all was frozen the whole time.
        :param application: whether the applications were told before, and took it well.
        """
        prospect = self.prospects.get(volume_id)
        if prospect is None or (prospect.by_freezing and not held):
            return Consistency.CRASH
        if prospect.consistency is Consistency.FILESYSTEM and application and held:
            return Consistency.APPLICATION
        return prospect.consistency


def plan_freeze(
    layouts: Mapping[str, Layout], *, freeze_root: bool, shared: Mapping[str, str] | None = None
) -> FreezePlan:
    """Decide what is frozen for the snapshots of some volumes.

    A file system on several volumes, or mounted several times, is frozen once.

    :param layouts: volume id -> where it is on the host.
    :param freeze_root: whether ``/`` may be frozen.
    :param shared: volume id -> why others may write to it meanwhile, in words.
    """
    systems = in_freezing_order(layouts.values())
    writers = {
        system.maj_min: f"{volume}: {why}"
        for volume, why in (shared or {}).items()
        if volume in layouts
        for system in layouts[volume].file_systems
    }
    return FreezePlan(
        mount_points=_those_to(Treatment.FREEZE, systems, freeze_root),
        to_sync=_those_to(Treatment.SYNC, systems, freeze_root),
        prospects={
            volume: _prospect_if_shared(layout, shared or {}, writers)
            or _prospect(layout, freeze_root)
            for volume, layout in layouts.items()
        },
    )


def _those_to(
    treatment: Treatment, systems: Sequence[FileSystem], freeze_root: bool
) -> tuple[str, ...]:
    return tuple(
        system.mount_points[0]
        for system in systems
        if system.treatment is treatment and (freeze_root or not _is_root(system))
    )


def _is_root(system: FileSystem) -> bool:
    return "/" in system.mount_points


def _how_used(raw: BlockDevice) -> str:
    if raw.mounted_elsewhere:
        return f"{raw.path} is mounted out of reach: in a container, or beneath another mount"
    return f"{raw.path} is used without a mount ({raw.fs_type or raw.type})"


def _prospect_if_shared(
    layout: Layout, shared: Mapping[str, str], writers: Mapping[str, str]
) -> Prospect | None:
    """Return that others may write to a volume, or to another one of its file systems."""
    if why := shared.get(layout.volume_id):
        return Prospect(Consistency.CRASH, why)
    for system in layout.file_systems:
        if why := writers.get(system.maj_min):
            return Prospect(Consistency.CRASH, f"{system.mount_points[0]} is also on {why}")
    return None


def _prospect(layout: Layout, freeze_root: bool) -> Prospect:
    if layout.block_device is None:
        return Prospect(
            Consistency.CRASH, f"its device {layout.device_name} isn't found on the host"
        )
    if layout.raw:
        return Prospect(Consistency.CRASH, _how_used(layout.raw[0]))
    for system in layout.file_systems:
        if system.treatment is Treatment.UNSUPPORTED:
            kind = system.fs_type or "a file system of an unknown kind"
            return Prospect(
                Consistency.CRASH, f"{system.mount_points[0]} is {kind}, which can't be frozen"
            )
    if not freeze_root and any(_is_root(system) for system in layout.file_systems):
        return Prospect(Consistency.CRASH, "/ is not frozen (freeze_root)", as_configured=True)
    in_use = any(one.treatment is Treatment.FREEZE for one in layout.file_systems)
    return Prospect(Consistency.FILESYSTEM, by_freezing=in_use)
