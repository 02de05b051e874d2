"""The record: what a snapshot says it is a snapshot of, in its description and its tags.

The description is JSON with the keys that django-fabfile used. A snapshot made alone (and a
replica, and one that django-fabfile made) names its volume there::

    {"Volume":"vol-0123456789abcdef0","Region":"us-east-1","Device":"/dev/sda1",
     "Instance":"i-0123456789abcdef0","Type":"t3.small","Arch":"x86_64",
     "Root_dev_name":"/dev/sda1","Time":"2026-11-24T03:00:00"}

CreateSnapshots gives one description to all members of a set, so theirs is without ``Volume`` and
``Device``, which follow from the member's VolumeId and the map of devices in the set's tags. A
snapshot whose VolumeId isn't in that map (a copy made by hand, tags and all) has no record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from snapback.core.model import Consistency, Instance, Record, Tags, Volume, original
from snapback.core.model import tags as our_tags
from snapback.core.model.ids import ACCOUNT_ID, REGION_NAME, VOLUME_ID

LONGEST_DESCRIPTION = 255
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S"

_VOLUME_OF_A_COPY = "vol-ffffffff"
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?Z?\Z", re.ASCII)

_KEYS = {
    "Volume": "volume",
    "Region": "region",
    "Device": "device",
    "Instance": "instance",
    "Type": "instance_type",
    "Arch": "architecture",
    "Root_dev_name": "root_device_name",
}
_DROPPED_FIRST = ("Type", "Arch", "Root_dev_name", "Device", "Instance")


def describe(record: Record) -> str:
    """Answer the description that says this record in full, in 255 characters at most."""
    return _fitting({key: getattr(record, field) for key, field in _KEYS.items()}, record.taken_at)


def describe_set(instance: Instance, taken_at: datetime) -> str:
    """Answer the one description of all members of a set, in 255 characters at most."""
    words = {
        "Region": instance.place.region,
        "Instance": instance.instance_id,
        "Type": instance.instance_type,
        "Arch": instance.architecture,
        "Root_dev_name": instance.root_device_name,
    }
    return _fitting(words, taken_at)


def _fitting(words: Mapping[str, str], taken_at: datetime) -> str:
    """Return JSON of the words that can be printed, less the least important until it fits."""
    said = {key: word for key, word in words.items() if word and word.isprintable()}
    said["Time"] = taken_at.astimezone(UTC).strftime(TIME_FORMAT)
    for key in (None, *_DROPPED_FIRST):
        if key:
            said.pop(key, None)
        text = json.dumps(said, separators=(",", ":"), ensure_ascii=False)
        if len(text) <= LONGEST_DESCRIPTION:
            break
    return text


def set_tags(
    instance: Instance, set_id: str, devices: Mapping[str, str], volumes: Collection[Volume] = ()
) -> dict[str, str]:
    """Return the tags of a set: its id, its account and devices, and what a restore will need.

    :param devices: device name -> volume id, of the members.
    :param volumes: what is known of these.
    """
    return {
        our_tags.SET: set_id,
        **our_tags.of_account(instance.owner_id),
        **our_tags.write_long(our_tags.DEVICES, dict(devices)),
        **original.write(instance, devices, volumes),
    }


def parse(description: str, tags: Tags, volume_id: str, owner_id: str = "") -> Record | None:
    """Return the full record of a snapshot of any kind, or ``None`` where it has no proper one.

    :param volume_id: the snapshot's own VolumeId, which for a copy says nothing.
    :param owner_id: the account that it lies in: that of its volume, unless a tag names another.
    """
    said = _json_object(description)
    if said is None:
        return None
    fields = _fields(said) | {"account": tags.get(our_tags.ACCOUNT) or owner_id}
    if "Volume" not in said:
        devices = our_tags.read_long(our_tags.DEVICES, tags) if our_tags.SET in tags else None
        fields["volume"] = volume_id
        fields["device"] = _device_of(volume_id, devices)
        if not fields["device"]:
            return None
    return _checked(fields, said.get("Time"))


def parse_untagged(description: str, volume_id: str, region: str) -> Record | None:
    """Return the record of a snapshot whose tags can't be read, or ``None`` where it has none.

    A member of a set is taken for a snapshot of its VolumeId, and its device isn't known. The
    VolumeId of a copy says nothing: so the record has to name the region where the snapshot lies.

    :param region: where it lies.
    """
    said = _json_object(description)
    if said is None:
        return None
    fields = _fields(said)
    if "Volume" not in said:
        if fields["region"] != region or volume_id == _VOLUME_OF_A_COPY:
            return None
        fields["volume"] = volume_id
    return _checked(fields, said.get("Time"))


def _fields(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a record; one that is missing, or JSON's ``null``, is empty.

    django-fabfile wrote ``null`` for instances without a root device or an architecture.
    """
    words = {"account": "", **{field: said.get(key) for key, field in _KEYS.items()}}
    return {field: "" if word is None else word for field, word in words.items()}


def _checked(fields: dict[str, Any], time: Any) -> Record | None:
    """Return a record where all that it says is as a record says it, and can be printed."""
    taken_at = _read_time(time)
    words = fields.values()
    if taken_at is None or not all(isinstance(word, str) and word.isprintable() for word in words):
        return None
    if not VOLUME_ID.match(fields["volume"]) or not REGION_NAME.match(fields["region"]):
        return None
    if fields["account"] and not ACCOUNT_ID.match(fields["account"]):
        return None
    return Record(taken_at=taken_at, **fields)


def consistency_of(tags: Tags) -> Consistency:
    """Answer what the tags say of the data's consistency; ``CRASH`` where they don't."""
    word = tags.get(our_tags.CONSISTENCY, "").upper()
    return Consistency.__members__.get(word, Consistency.CRASH)


def _json_object(text: str) -> dict[str, Any] | None:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _device_of(volume_id: str, devices: Any) -> str:
    """Answer the device that a map of devices gives to a volume, or ``""``."""
    if not isinstance(devices, dict):
        return ""
    return next((str(device) for device, volume in devices.items() if volume == volume_id), "")


def _read_time(text: Any) -> datetime | None:
    found = _TIME.match(text) if isinstance(text, str) else None
    if not found:
        return None
    try:
        return datetime.strptime(found[1], TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
