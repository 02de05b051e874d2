"""How a volume is made of a snapshot: decided here, with reasons; shown or done elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from snapback.core.disks.devices import DATA_DEVICES
from snapback.core.model import Instance, Snapshot, original, record_of
from snapback.core.model.backup_sets import found_corrupt, unusable
from snapback.core.model.original import Disk
from snapback.core.model.reasons import Reason
from snapback.core.restore.reasons import RestoreTopic
from snapback.core.restore.restored import USUAL_DISK, restored_tags


@dataclass(frozen=True, kw_only=True)
class VolumePlan:
    """A volume that is to be made of a snapshot.

    :ivar attach_to: the instance that it will be attached to, or ``""``...
    :ivar device_name: ...and as what.
    """

    snapshot: Snapshot
    zone: str
    disk: Disk
    attach_to: str
    device_name: str
    tags: Mapping[str, str]
    reasons: tuple[Reason[RestoreTopic], ...]
    problems: tuple[Reason[RestoreTopic], ...]


def plan_volume(
    snapshot: Snapshot,
    *,
    zone: str = "",
    volume_type: str = "",
    instance: Instance | None = None,
    device_name: str = "",
    first: Sequence[str] = (),
) -> VolumePlan:
    """Decide how a volume is made of a snapshot.

    :param zone: where; empty: where the instance is, or the original was.
    :param volume_type: empty: as the original's.
    :param instance: the one to attach it to.
    :param device_name: as what; empty: the first that is free.
    """
    record, told = record_of(snapshot), original.read(snapshot.tags)
    disk, why_so = _disk(told.disk(record.device), volume_type)
    reasons = [Reason(RestoreTopic.VOLUME_TYPE, why_so)]
    problems: list[Reason[RestoreTopic]] = []
    if unfit := unusable(snapshot):
        problems.append(Reason(RestoreTopic.SNAPSHOT, f"{snapshot.snapshot_id} {unfit}"))
    reasons += _doubts_about(snapshot)
    at_home = snapshot.is_native
    if instance:
        found, why = instance.zone, f"where {instance.instance_id} is"
        if zone and zone != found:
            elsewhere = f"{instance.instance_id} is in {found}, not in {zone}"
            problems.append(Reason(RestoreTopic.ZONE, elsewhere))
    elif zone:
        found, why = zone, "as given"
    else:
        found, why = told.zone if at_home else "", "where the original was"
    if found:
        reasons.append(Reason(RestoreTopic.ZONE, f"in {found}, {why}"))
    else:
        which = "in which zone? Give --zone, or --attach and an instance"
        problems.append(Reason(RestoreTopic.ZONE, which))
    if device_name and not instance:
        problems.append(Reason(RestoreTopic.DEVICE, "--device is for --attach"))
    device, why = _device_on(instance, device_name) if instance else ("", "")
    if why:
        (reasons if device else problems).append(Reason(RestoreTopic.DEVICE, why))
    if snapshot.encrypted:
        reasons.append(Reason(RestoreTopic.ENCRYPTION, "encrypted, with the snapshot's key"))
    return VolumePlan(
        snapshot=snapshot,
        zone=found,
        disk=disk,
        attach_to=instance.instance_id if instance else "",
        device_name=device,
        tags=restored_tags(snapshot, first),
        reasons=tuple(reasons),
        problems=tuple(problems),
    )


def _doubts_about(snapshot: Snapshot) -> list[Reason[RestoreTopic]]:
    """Return what speaks against a snapshot that is taken all the same, since it was named."""
    doubts = []
    if not unusable(snapshot) and (corrupt := found_corrupt(snapshot)):
        doubts.append(Reason(RestoreTopic.SNAPSHOT, f"although it {corrupt}"))
    if snapshot.unproven:
        why = f"although it is unproven: {snapshot.unproven.why}"
        doubts.append(Reason(RestoreTopic.SNAPSHOT, why))
    return doubts


def _disk(original: Disk, wanted: str) -> tuple[Disk, str]:
    """Answer what kind of volume it becomes, and why."""
    if wanted and wanted != original.volume_type:
        return Disk(wanted), f"{wanted}, as given"
    if original.volume_type:
        return original, f"{_in_words(original)}, as the original"
    return USUAL_DISK, f"{USUAL_DISK.volume_type}: the original's type isn't recorded"


def _device_on(instance: Instance, wanted: str) -> tuple[str, str]:
    """Answer the device to attach a volume as, and why; without one, why there is none."""
    if instance.state not in ("running", "stopped"):
        return "", f"{instance.instance_id} is {instance.state}: nothing can be attached now"
    taken = {_plain(name): name for name in instance.devices}
    if wanted:
        if (name := taken.get(_plain(wanted))) is not None:
            volume_id = instance.devices[name]
            return "", f"{wanted} is taken on {instance.instance_id}: {volume_id} is its {name}"
        return wanted, f"attached to {instance.instance_id} as {wanted}"
    for name in DATA_DEVICES:
        if _plain(name) not in taken:
            return name, f"attached to {instance.instance_id} as {name}, the first that is free"
    return "", f"no device name is free on {instance.instance_id}: give --device"


def _plain(device_name: str) -> str:
    """Answer a device's name so that two names for one device are alike: sdf, xvdf."""
    return device_name.removeprefix("/dev/").replace("xvd", "sd")


def _in_words(disk: Disk) -> str:
    numbers = [f"{disk.iops} IOPS" if disk.iops else "",
               f"{disk.throughput} MiB/s" if disk.throughput else ""]  # fmt: skip
    return " ".join(filter(None, [disk.volume_type, *numbers]))
