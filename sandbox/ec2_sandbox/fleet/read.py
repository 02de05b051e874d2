"""Reads a fleet file, strictly: unknown keys are refused, all problems are told at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from ec2_sandbox.corrections.volumes import SHARED_TYPES
from ec2_sandbox.errors import SandboxError
from ec2_sandbox.fleet import values
from ec2_sandbox.fleet.spec import (
    FleetSpec,
    HistorySpec,
    InstanceSpec,
    RegionSpec,
    SnapshotSpec,
    VolumeSpec,
)
from ec2_sandbox.region_names import ALL
from ec2_sandbox.settings import Settings, read_time

STATES = ("completed", "pending", "error")
_device = values.matching(r"/dev/[a-z0-9]+", "/dev/sdf")
_tags = values.mapping(values.tag_text, nothing=True)
_templates = values.mapping(values.template)


@dataclass(frozen=True)
class Many:
    """A list of objects of one kind."""

    kind: type


@dataclass(frozen=True)
class ByRegion:
    """A mapping of regions to objects of one kind."""

    kind: type


#: Of each kind: its keys in the file, and how each is read. A trailing underscore is Python's.
_KEYS: dict[type, dict[str, Callable[[Any], Any] | Many | ByRegion]] = {
    FleetSpec: {
        "enabled_regions": values.texts,
        "now": read_time,
        "account": values.matching(r"\d{12}", "'111122223333'"),
        "settings": values.mapping(lambda value: value),
        "regions": ByRegion(RegionSpec),
    },
    RegionSpec: {"instances": Many(InstanceSpec), "snapshots": Many(SnapshotSpec)},
    InstanceSpec: {
        "name": values.matching(r"[^:/\s][^:/]*", "web-1"),
        "count": values.whole(1),
        "type": values.matching(r"[a-z0-9-]+\.[a-z0-9-]+", "m5.large"),
        "architecture": values.one_of("x86_64", "arm64", "i386"),
        "root_device_name": _device,
        "state": values.one_of("running", "stopped"),
        "zone": values.matching(r"[a-z]{2}(-[a-z]+)+-\d[a-z]", "us-east-1a"),
        "boot_mode": values.one_of("legacy-bios", "uefi", "uefi-preferred"),
        "ena_support": values.truth,
        "virtualization_type": values.one_of("hvm", "paravirtual"),
        "key_name": values.text,
        "authorized_keys": values.texts,
        "init": values.one_of("plain", "systemd"),
        "syslog": values.truth,
        "tags": _tags,
        "volumes": Many(VolumeSpec),
        "history": Many(HistorySpec),
    },
    VolumeSpec: {
        "device": _device,
        "size": values.whole(1),
        "type": values.one_of("gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"),
        "encrypted": values.truth,
        "delete_on_termination": values.truth,
        "tags": _tags,
        "filesystem": values.one_of("ext4", "xfs", "btrfs"),
        "label": values.text,
        "mount_point": values.matching(r"/[^\n\0]+", "/srv/data"),
        "partitioned": values.truth,
        "multi_attach": values.truth,
        "shares": values.matching(r"[^:/]+:/dev/[a-z0-9]+", "web-1:/dev/sdf"),
    },
    HistorySpec: {
        "every": values.span,
        "from": values.span,
        "until": values.span,
        "start_offset": values.span,
        "as": values.one_of("set", "single"),
        "devices": values.texts,
        "description": values.template,
        "tags": _templates,
        "copy_tags": lambda value: tuple(
            values.one_of("volume", "instance")(each) for each in values.texts(value)
        ),
        "state": values.one_of(*STATES),
        "state_message": values.text,
    },
    SnapshotSpec: {
        "volume": values.matching(r"(?:[\w-]+/)?[^:/]+:/dev/[a-z0-9]+", "web-1:/dev/sdf"),
        "volume_id": values.matching(r"vol-([0-9a-f]{8}|[0-9a-f]{17})", "vol-0123456789abcdef0"),
        "size": values.whole(1),
        "age": values.span,
        "description": values.template,
        "tags": _templates,
        "state": values.one_of(*STATES),
        "state_message": values.text,
        "encrypted": values.truth,
        "owner": values.matching(r"\d{12}", "'111122223333'"),
        "locked": lambda value: (
            "governance"
            if value is True
            else values.one_of("governance", "compliance")(value)
            if value
            else None
        ),
        "archived": values.truth,
        "used_by_ami": values.text,
        "disabled_ami": values.truth,
    },
}
_NEEDED = {
    InstanceSpec: ("name",),
    VolumeSpec: ("device",),
    HistorySpec: ("every", "from"),
}


def read_file(path: str | PathLike[str]) -> dict[str, Any]:
    """Reads a fleet's YAML file, without checking it yet.

    :raises SandboxError: it can't be read, or is no YAML mapping
    """
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SandboxError(f"fleet {path}: {error}") from None
    except yaml.YAMLError as error:
        first = " ".join(str(error).split())
        raise SandboxError(f"fleet {path}: {first}") from None
    if not isinstance(content, dict):
        raise SandboxError(f"fleet {path}: it is no mapping")
    return content


def read_fleet(content: Mapping[str, Any]) -> FleetSpec:
    """Reads and checks what a fleet's file says.

    :raises SandboxError: all problems, each with its path, in one line
    """
    problems: list[str] = []
    rest = dict(content)
    defaults = rest.pop("defaults", None) or {}
    if not isinstance(defaults, Mapping):
        problems.append(f"defaults: {defaults!r} is no mapping")
        defaults = {}
    wrong = [key for key in ("name", "count") if key in defaults]
    problems += [f"defaults.{key}: a default can't have it" for key in wrong]
    if not problems:
        _object(InstanceSpec, {"name": "x", **defaults}, "defaults", {}, problems)
    fleet = _object(FleetSpec, rest, "", defaults, problems)
    if fleet is not None:
        try:
            Settings().changed(fleet.settings)
        except SandboxError as error:
            problems.append(f"settings: {error}")
        for region, spec in fleet.regions.items():
            _check_region(region, spec, problems)
    if problems or not isinstance(fleet, FleetSpec):
        raise SandboxError("fleet: " + "; ".join(problems))
    return fleet


def _object(
    kind: type, data: Any, path: str, defaults: Mapping[str, Any], problems: list[str]
) -> Any:
    """Reads one object; None, and problems, when it can't be."""
    before = len(problems)
    if not isinstance(data, Mapping):
        problems.append(f"{path or 'fleet'}: {data!r} is no mapping")
        return None
    if kind is InstanceSpec:
        data = _with_defaults(data, defaults)
    keys = _KEYS[kind]
    found: dict[str, Any] = {}
    for key, value in data.items():
        at = f"{path}.{key}" if path else str(key)
        reader = keys.get(key)
        if reader is None:
            problems.append(f"{at}: unknown key; there are {', '.join(keys)}")
        else:
            name = f"{key}_" if key in ("from", "as") else key
            found[name] = _value(reader, value, at, defaults, problems)
    problems += [f"{path}: {key} is missing" for key in _NEEDED.get(kind, ()) if key not in data]
    return kind(**found) if len(problems) == before else None


def _value(
    reader: Callable[[Any], Any] | Many | ByRegion,
    value: Any,
    path: str,
    defaults: Mapping[str, Any],
    problems: list[str],
) -> Any:
    if isinstance(reader, Many):
        if not isinstance(value, list):
            problems.append(f"{path}: {value!r} is no list")
            return ()
        return tuple(
            _object(reader.kind, each, f"{path}[{number}]", defaults, problems)
            for number, each in enumerate(value)
        )
    if isinstance(reader, ByRegion):
        if not isinstance(value, Mapping):
            problems.append(f"{path}: {value!r} is no mapping")
            return {}
        for region in value:
            if region not in ALL:
                problems.append(f"{path}.{region}: there is no such region")
        return {
            region: _object(reader.kind, each or {}, f"{path}.{region}", defaults, problems)
            for region, each in value.items()
        }
    try:
        return reader(value)
    except (ValueError, TypeError) as error:
        problems.append(f"{path}: {error}")
        return None


def _with_defaults(data: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Puts the defaults under an instance: a key that it has itself replaces the default."""
    return {**defaults, **data}


def _check_region(region: str, spec: RegionSpec, problems: list[str]) -> None:
    path = f"regions.{region}"
    names: set[str] = set()
    shareable: set[str] = set()
    for number, instance in enumerate(spec.instances):
        at = f"{path}.instances[{number}]"
        own = names_of(instance)
        problems += [f"{at}: the name {name} is taken" for name in own if name in names]
        names.update(own)
        devices = [volume.device for volume in instance.volumes]
        twice = {device for device in devices if devices.count(device) > 1}
        problems += [f"{at}: two volumes are {device}" for device in sorted(twice)]
        known = {*devices, instance.root_device_name}
        for index, volume in enumerate(instance.volumes):
            wrong = _check_shared(volume, instance.root_device_name, shareable)
            problems += [f"{at}.volumes[{index}].{problem}" for problem in wrong]
        shareable.update(
            f"{name}:{volume.device}"
            for name in own
            for volume in instance.volumes
            if volume.multi_attach
        )
        for index, rule in enumerate(instance.history):
            problems += [
                f"{at}.history[{index}].devices: the instance has no {device}"
                for device in rule.devices or ()
                if device not in known
            ]
            if not rule.every:
                problems.append(f"{at}.history[{index}].every: it must be more than nothing")
    for number, snapshot in enumerate(spec.snapshots):
        at = f"{path}.snapshots[{number}]"
        if snapshot.volume is None and snapshot.size is None:
            problems.append(f"{at}: give the size of a snapshot of no volume of the fleet")
        if snapshot.disabled_ami and not snapshot.used_by_ami:
            problems.append(f"{at}: disabled_ami goes with used_by_ami")


def _check_shared(volume: VolumeSpec, root: str, shareable: Collection[str]) -> Iterator[str]:
    """Answers what is wrong with a Multi-Attach volume, or with one that is another's."""
    if volume.multi_attach and volume.type not in SHARED_TYPES:
        yield f"multi_attach: its type must be {' or '.join(SHARED_TYPES)}"
    if volume.multi_attach and volume.device == root:
        yield "multi_attach: a root volume can't be"
    if volume.shares is None:
        return
    if volume.shares not in shareable:
        yield f"shares: no instance before it has a multi_attach volume {volume.shares}"
    ends = volume.delete_on_termination
    if volume != VolumeSpec(volume.device, shares=volume.shares, delete_on_termination=ends):
        yield "shares: only device and delete_on_termination go with it"


def names_of(instance: InstanceSpec) -> list[str]:
    """Answers the names of an instance: its own, or name-1 to name-N."""
    if instance.count is None:
        return [instance.name]
    return [f"{instance.name}-{number}" for number in range(1, instance.count + 1)]
