"""What one CreateSnapshots call for an instance will be: decided here, shown or done elsewhere."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from snapback.core.model import Consistency, Instance, Record, Volume, original, record
from snapback.core.model import tags as our_tags


@dataclass(frozen=True)
class Earmark:
    """The names of the tags that steer backups.

    :ivar exclude_tag: a volume that has it is left out.
    :ivar first: the tags cloned first where not all find room.
    """

    exclude_tag: str
    first: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SetPlan:
    """What will be taken of an instance, and how it will be tagged.

    :ivar volumes: those whose snapshots are taken.
    :ivar excluded: those left out, by their exclusion tag.
    :ivar consistent: whether they are to be consistent; decided when the plan is made.
    :ivar busy: those left out, since EC2 has no room for one more snapshot of them now.
    :ivar shared: those left to another instance's set: volume id -> that instance's id.
    """

    instance: Instance
    volumes: tuple[Volume, ...]
    excluded: tuple[Volume, ...]
    set_id: str
    tagging: our_tags.Tagging
    consistent: bool = False
    busy: tuple[Volume, ...] = ()
    shared: Mapping[str, str] = field(default_factory=dict)

    @property
    def devices(self) -> dict[str, str]:
        """Device name -> volume id, of the volumes taken."""
        taken = {volume.volume_id for volume in self.volumes}
        return {
            device: volume for device, volume in self.instance.devices.items() if volume in taken
        }

    @property
    def exclude_boot(self) -> bool:
        """Whether the root volume is left out."""
        return self.instance.root_volume_id in {volume.volume_id for volume in self.excluded}

    @property
    def exclude_data(self) -> list[str]:
        """The data volumes left out. (Naming the root among them fails.)"""
        root = self.instance.root_volume_id
        left_out = {*(volume.volume_id for volume in (*self.excluded, *self.busy)), *self.shared}
        return sorted(left_out - {root})

    def description(self, taken_at: datetime) -> str:
        """The one description of all members."""
        return record.describe_set(self.instance, taken_at)


def new_set_id() -> str:
    """Answer an id that no other set has."""
    return f"set-{secrets.token_hex(9)[:17]}"


def plan_set(
    instance: Instance,
    volumes: Mapping[str, Volume],
    earmark: Earmark,
    run_id: str,
    *,
    consistent: bool = False,
    shared: Mapping[str, str] | None = None,
) -> SetPlan:
    """Decide what is taken of an instance.

    :param volumes: its volumes, by id. One attached but not among them (it has come since they were
        read) is taken as if it had no tags.
    :param consistent: whether its snapshots are to be consistent.
    :param shared: volume id -> the instance whose set takes it. What isn't this one's is left to
        that instance, and the set says so.
    """
    attached = [
        volumes.get(volume_id) or Volume(place=instance.place, volume_id=volume_id)
        for volume_id in instance.devices.values()
    ]
    excluded = tuple(v for v in attached if our_tags.is_excluded(v.tags, earmark.exclude_tag))
    left = {
        volume.volume_id: taker
        for volume in attached
        if volume not in excluded
        and (taker := (shared or {}).get(volume.volume_id, "")) not in ("", instance.instance_id)
    }
    taken = tuple(v for v in attached if v not in excluded and v.volume_id not in left)
    set_id = new_set_id()
    devices = {d: v for d, v in instance.devices.items() if v in {t.volume_id for t in taken}}
    ours = {
        **record.set_tags(instance, set_id, devices, taken),
        **our_tags.write_shared(left),
        our_tags.RUN: run_id,
        our_tags.CONSISTENCY: Consistency.CRASH.name.lower(),
    }
    tagging = our_tags.Tagging(False, ours)
    if taken:
        tagging = our_tags.plan_tagging(
            instance, taken, ours, first=earmark.first, exclude_tag=earmark.exclude_tag
        )
    return SetPlan(
        instance=instance,
        volumes=taken,
        excluded=excluded,
        set_id=set_id,
        tagging=tagging,
        consistent=consistent,
        shared=left,
    )


@dataclass(frozen=True)
class Membership:
    """What a set holds, given what EC2 took and what the instance has after that.

    :ivar devices: device name -> volume id, of the set's map; the same as planned where nothing
        has changed.
    :ivar missing: the volumes without a snapshot, although they may have been attached.
    :ivar detached: those without one that had been detached before the call.
    :ivar attached: those with one that were attached after the plan was made.
    :ivar unknown: those with one of which no device is known, so that it has no record.
    """

    devices: Mapping[str, str]
    missing: tuple[str, ...] = ()
    detached: tuple[str, ...] = ()
    attached: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def membership(plan: SetPlan, taken: Collection[str], now: Instance | None) -> Membership:
    """Decide what belongs to a set.

    A volume without a snapshot is taken out of the set's map only where EC2 says after the call
    that it isn't attached any more, and never the root volume unless another has replaced it: what
    has no root volume can't be restored.

    :param taken: the volumes with a snapshot.
    :param now: the instance as EC2 described it after the call; ``None``: it isn't known, or gone.
    """
    attached_now = dict(now.devices) if now else dict(plan.instance.devices)
    roots = {plan.instance.root_volume_id} if not _has_root(taken, now) else set()
    lacking = [v for v in plan.devices.values() if v not in taken]
    detached = [v for v in lacking if v not in attached_now.values() and v not in roots]
    missing = [v for v in lacking if v not in detached]
    devices = {device: volume for device, volume in attached_now.items() if volume in taken}
    for device, volume in plan.devices.items():
        if volume not in detached and volume not in devices.values():
            devices.setdefault(device, volume)
    planned = set(plan.devices.values())
    return Membership(
        devices=devices,
        missing=tuple(sorted(missing)),
        detached=tuple(sorted(detached)),
        attached=tuple(sorted(set(taken) - planned)),
        unknown=tuple(sorted(set(taken) - set(devices.values()))),
    )


def _has_root(taken: Collection[str], now: Instance | None) -> bool:
    return now is not None and now.root_volume_id in taken


def renewed(plan: SetPlan) -> SetPlan:
    """Answer the plan for taking the same once more: another set."""
    set_id = new_set_id()
    in_call = {**plan.tagging.in_call, our_tags.SET: set_id}
    return replace(plan, set_id=set_id, tagging=replace(plan.tagging, in_call=in_call))


def without(plan: SetPlan, busy: Collection[str]) -> SetPlan | None:
    """Answer the plan for taking the same without some data volumes, marked as partial.

    :param busy: the ids of the volumes to leave out.
    :returns: ``None`` where that can't be: nothing would be left, or the root left out.
    """
    rest = tuple(volume for volume in plan.volumes if volume.volume_id not in busy)
    left_out = tuple(volume for volume in plan.volumes if volume.volume_id in busy)
    if not rest or plan.instance.root_volume_id in busy:
        return None
    smaller = replace(renewed(plan), volumes=rest, busy=(*plan.busy, *left_out))
    in_call = {
        **our_tags.without_long(our_tags.DEVICES, smaller.tagging.in_call),
        **our_tags.write_long(our_tags.DEVICES, smaller.devices),
        **our_tags.write_partial(volume.volume_id for volume in smaller.busy),
    }
    return replace(smaller, tagging=replace(smaller.tagging, in_call=in_call))


def tags_of_one(
    volume: Volume, instance: Instance | None, earmark: Earmark, run_id: str
) -> dict[str, str]:
    """Answer the tags that the snapshot of one volume gets by default."""
    ours = own_tags_of_one(volume, instance, run_id)
    cloned = our_tags.clone(
        instance.tags if instance else {},
        volume.tags,
        ours=len(ours),
        first=earmark.first,
        exclude_tag=earmark.exclude_tag,
    )
    return {**cloned, **ours}


def own_tags_of_one(volume: Volume, instance: Instance | None, run_id: str) -> dict[str, str]:
    """Answer the tags of ours on the snapshot of one volume: it is a set of one."""
    return {
        our_tags.SET: new_set_id(),
        **our_tags.of_account(instance.owner_id if instance else ""),
        **original.write(instance, {_device(volume, instance): volume.volume_id}, [volume]),
        our_tags.RUN: run_id,
        our_tags.CONSISTENCY: Consistency.CRASH.name.lower(),
    }


def _device(volume: Volume, instance: Instance | None) -> str:
    """Return as what an instance has a volume, or ``""``."""
    return volume.attachments.get(instance.instance_id, "") if instance else ""


def record_of_one(volume: Volume, instance: Instance | None, taken_at: datetime) -> Record:
    """Answer the record of a snapshot of one volume."""
    return Record(
        region=volume.place.region,
        volume=volume.volume_id,
        taken_at=taken_at,
        device=_device(volume, instance),
        instance=instance.instance_id if instance else "",
        instance_type=instance.instance_type if instance else "",
        architecture=instance.architecture if instance else "",
        root_device_name=instance.root_device_name if instance else "",
    )
