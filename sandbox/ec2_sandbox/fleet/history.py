"""The past snapshots of a fleet's volumes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ec2_sandbox.corrections.ids import stable_id
from ec2_sandbox.corrections.snapshot import NewSnapshot
from ec2_sandbox.fleet.spec import HistorySpec, InstanceSpec


@dataclass
class Laid:
    """An instance as it was laid out."""

    region: str
    name: str
    spec: InstanceSpec
    instance: Any
    volumes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Past:
    """A snapshot of the past."""

    new: NewSnapshot
    state: str
    state_message: str | None


def past_snapshots(laid: Laid, now: datetime) -> Iterator[list[Past]]:
    """Yields the past snapshots of an instance, those of one moment together."""
    number = 0
    for index, rule in enumerate(laid.spec.history):
        for moment in moments(rule, now):
            number += 1
            yield _at(laid, rule, index, moment, number)


def moments(rule: HistorySpec, now: datetime) -> list[datetime]:
    """Answers the moments of a rule, oldest first; none lies in the future."""
    first = rule.start_offset.after(rule.from_.before(now))
    last = rule.until.before(now)
    found: list[datetime] = []
    while (moment := rule.every.times(len(found)).after(first)) <= last:
        found.append(moment)
    return found


def variables(
    laid: Laid | None, device: str, moment: datetime, set_id: str, number: int
) -> dict[str, str]:
    """Answers the variables of templates for a volume at a moment."""
    values = {
        "time": f"{moment:%Y-%m-%dT%H:%M:%S}",
        "set_id": set_id,
        "set_number": str(number),
        "device": device,
    }
    if laid is None:
        return values | dict.fromkeys(
            ("instance_id", "instance_type", "instance_name", "architecture",
             "root_device_name", "device_map"), ""
        )  # fmt: skip
    ids = {name: volume.id for name, volume in laid.volumes.items()}
    return values | {
        "region": laid.region,
        "volume_id": ids[device],
        "instance_id": laid.instance.id,
        "instance_type": laid.spec.type,
        "instance_name": laid.name,
        "architecture": laid.spec.architecture,
        "root_device_name": laid.spec.root_device_name,
        "device_map": json.dumps(ids, separators=(",", ":")),
    }


def _at(laid: Laid, rule: HistorySpec, index: int, moment: datetime, number: int) -> list[Past]:
    tail = stable_id("x", laid.region, laid.name, index, number, "set")[2:]
    return [
        _one(laid, rule, device, volume, moment, f"set-{tail}", number)
        for device, volume in laid.volumes.items()
        if rule.devices is None or device in rule.devices
    ]


def _one(
    laid: Laid,
    rule: HistorySpec,
    device: str,
    volume: Any,
    moment: datetime,
    set_id: str,
    number: int,
) -> Past:
    values = variables(laid, device, moment, set_id, number)
    tags: dict[str, str] = {}
    for source in rule.copy_tags:
        tags |= _copied(laid, volume, source)
    tags |= {key: value.substitute(values) for key, value in rule.tags.items()}
    new = NewSnapshot(
        volume_id=volume.id,
        volume_size=volume.size,
        description=rule.description.substitute(values),
        tags=tags,
        encrypted=bool(volume.encrypted),
        kms_key_id=volume.kms_key_id,
        snapshot_id=stable_id("snap", volume.id, number),
        start_time=moment,
        of_set=rule.as_ == "set",
    )
    return Past(new, rule.state, rule.state_message)


def _copied(laid: Laid, volume: Any, source: str) -> Mapping[str, str]:
    resource = volume if source == "volume" else laid.instance
    own = resource.ec2_backend.tags_of(resource.id)
    return {key: value for key, value in own.items() if not key.startswith("aws:")}
