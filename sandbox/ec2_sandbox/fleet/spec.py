"""What a fleet file says, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from string import Template
from typing import Any

from ec2_sandbox.fleet.values import Span

NO_TEXT = Template("")
NO_TIME = Span()


@dataclass(frozen=True)
class VolumeSpec:
    """A volume of an instance; ``size`` in GiB.

    :ivar shares: the name of a Multi-Attach volume of an instance before it, which is this one
    """

    device: str
    size: int = 8
    type: str = "gp3"
    encrypted: bool = False
    delete_on_termination: bool = False
    tags: Mapping[str, str | None] = field(default_factory=dict)
    filesystem: str | None = None
    label: str | None = None
    mount_point: str | None = None
    partitioned: bool = False
    multi_attach: bool = False
    shares: str | None = None


@dataclass(frozen=True)
class HistorySpec:
    """Past snapshots of an instance's volumes, at regular times."""

    every: Span
    from_: Span
    until: Span = NO_TIME
    start_offset: Span = NO_TIME
    as_: str = "set"
    devices: tuple[str, ...] | None = None
    description: Template = NO_TEXT
    tags: Mapping[str, Template] = field(default_factory=dict)
    copy_tags: tuple[str, ...] = ()
    state: str = "completed"
    state_message: str | None = None


@dataclass(frozen=True)
class InstanceSpec:
    """An instance, or ``count`` of them."""

    name: str
    count: int | None = None
    type: str = "m5.large"
    architecture: str = "x86_64"
    root_device_name: str = "/dev/sda1"
    state: str = "running"
    zone: str | None = None
    boot_mode: str | None = None
    ena_support: bool = True
    virtualization_type: str = "hvm"
    key_name: str | None = None
    authorized_keys: tuple[str, ...] = ()
    init: str = "plain"
    syslog: bool = False
    tags: Mapping[str, str | None] = field(default_factory=dict)
    volumes: tuple[VolumeSpec, ...] = ()
    history: tuple[HistorySpec, ...] = ()


@dataclass(frozen=True)
class SnapshotSpec:
    """A single snapshot, of a volume of the fleet or of none that is left."""

    volume: str | None = None
    volume_id: str | None = None
    size: int | None = None
    age: Span = NO_TIME
    description: Template = NO_TEXT
    tags: Mapping[str, Template] = field(default_factory=dict)
    state: str = "completed"
    state_message: str | None = None
    encrypted: bool = False
    owner: str | None = None
    locked: str | None = None
    archived: bool = False
    used_by_ami: str | None = None
    disabled_ami: bool = False


@dataclass(frozen=True)
class RegionSpec:
    """What there is in a region."""

    instances: tuple[InstanceSpec, ...] = ()
    snapshots: tuple[SnapshotSpec, ...] = ()


@dataclass(frozen=True)
class FleetSpec:
    """A whole fleet."""

    enabled_regions: tuple[str, ...] | None = None
    now: datetime | None = None
    account: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    regions: Mapping[str, RegionSpec] = field(default_factory=dict)
