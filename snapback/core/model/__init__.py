"""What EC2 answers, as plain values that can't change. All of snapback speaks in these."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import NamedTuple

Tags = Mapping[str, str]
Home = tuple[str, str]
"""Where a volume lived: the id of the AWS account, ``""`` where it isn't known, and the region."""


class Timeline(NamedTuple):
    """The history of one volume.

    :ivar account: the id of the AWS account where the volume lived; ``""``: not known.
    :ivar region: where it lived.
    """

    account: str
    region: str
    volume: str

    @property
    def home(self) -> Home:
        """Where the volume lived."""
        return self.account, self.region


class Identity(NamedTuple):
    """What makes two snapshots copies of the same thing: a volume at an instant."""

    timeline: Timeline
    taken_at: datetime


@dataclass(frozen=True, order=True, slots=True)
class Place:
    """An account's part of a region.

    :ivar region: ``"eu-west-1"``; empty where the account's regions could not be told.
    :ivar account: the account's name in the configuration; empty for the one of the AWS chain.
    """

    region: str
    account: str = ""

    def __str__(self) -> str:
        return ":".join(filter(None, (self.account, self.region)))


NOWHERE = Place("")
"""Of what is in no region."""


class Consistency(IntEnum):
    """How good the data in a snapshot are; more is better.

    What isn't known counts as ``CRASH``: as if the power had failed at that instant.
    """

    CRASH = 0
    FILESYSTEM = 1
    STOPPED = 2
    APPLICATION = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What a snapshot is a snapshot of.

    :ivar region: where the volume lived.
    :ivar account: the id of the AWS account where it lived; ``""``: not known.
    :ivar volume: the volume's id.
    :ivar taken_at: the instant, aware UTC, whole seconds.
    :ivar device: EC2's name of the volume's device on its instance (``/dev/sda1``), or ``""``.
    :ivar instance: the instance's id, or ``""``.
    :ivar instance_type: ``t3.small``, or ``""``.
    :ivar architecture: ``x86_64``, or ``""``.
    :ivar root_device_name: or ``""``.
    """

    region: str
    volume: str
    taken_at: datetime
    account: str = ""
    device: str = ""
    instance: str = ""
    instance_type: str = ""
    architecture: str = ""
    root_device_name: str = ""

    @property
    def timeline(self) -> Timeline:
        """The volume whose history this belongs to."""
        return Timeline(self.account, self.region, self.volume)

    @property
    def identity(self) -> Identity:
        """What makes two snapshots copies of the same thing."""
        return Identity(self.timeline, self.taken_at)

    @property
    def digest(self) -> str:
        """Region, volume and time in 32 hexadecimal digits, the same on every machine."""
        text = f"{self.region} {self.volume} {self.taken_at.astimezone(UTC).isoformat()}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Volume:
    """An EBS volume. Source: DescribeVolumes.

    :ivar snapshot_id: what it was made of, or ``""``.
    :ivar iops: 0 where its type has none to choose, as each number that it doesn't have.
    :ivar throughput: MiB a second.
    :ivar attachments: instance id -> device name, by instance id. A Multi-Attach volume has
        several. One to a task of ECS has the task's ARN in place of the id.
    """

    place: Place
    volume_id: str
    size_gib: int = 0
    volume_type: str = ""
    zone: str = ""
    iops: int = 0
    throughput: int = 0
    encrypted: bool = False
    snapshot_id: str = ""
    attachments: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    tags: Tags = field(default_factory=dict)

    @property
    def instance_id(self) -> str:
        """The instance that it is attached to, of several the first by id; ``""``: to none."""
        return min(self.attachments, default="")

    @property
    def device_name(self) -> str:
        """As what it is attached to that instance, or ``""``."""
        return self.attachments.get(self.instance_id, "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Instance:
    """An EC2 instance with the volumes attached to it. Source: DescribeInstances.

    :ivar owner_id: the id of the AWS account that it belongs to, or ``""``.
    :ivar is_hibernated: it is stopped, and its memory is kept: its file systems are still mounted.
    :ivar launched_at: when it was last started, aware UTC.
    :ivar public_dns_name: or ``""``, as each address that it doesn't have.
    :ivar devices: device name -> volume id, of the EBS volumes attached.
    :ivar ends_with_it: the device names of those that are deleted when it is terminated.
    :ivar instance_profile: the ARN of its IAM instance profile, or ``""``.
    :ivar platform: ``"windows"``, or ``""``.
    :ivar tpm_support: the version of its NitroTPM, ``"v2.0"``, or ``""``.
    :ivar options: its settings that differ from EC2's default: key of
        :data:`~snapback.core.model.launch_options.OPTIONS` -> value.
    :ivar unrestorable: what it has that a restore can't give: key of
        :data:`~snapback.core.model.launch_options.UNRESTORABLE` -> which.
    """

    place: Place
    instance_id: str
    owner_id: str = ""
    state: str = "running"
    is_hibernated: bool = False
    instance_type: str = ""
    architecture: str = ""
    root_device_name: str = ""
    boot_mode: str = ""
    ena_support: bool = False
    virtualization_type: str = ""
    subnet_id: str = ""
    zone: str = ""
    security_group_ids: tuple[str, ...] = ()
    key_name: str = ""
    instance_profile: str = ""
    sriov_net_support: str = ""
    platform: str = ""
    tpm_support: str = ""
    public_dns_name: str = ""
    public_ip_address: str = ""
    private_ip_address: str = ""
    launched_at: datetime | None = None
    devices: Mapping[str, str] = field(default_factory=dict)
    ends_with_it: tuple[str, ...] = ()
    options: Mapping[str, str | int | bool] = field(default_factory=dict)
    unrestorable: Mapping[str, str] = field(default_factory=dict)
    tags: Tags = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The ``Name`` tag, or ``""``."""
        return self.tags.get("Name", "")

    @property
    def root_volume_id(self) -> str:
        """The id of the volume it boots from, or ``""`` where that isn't EBS."""
        return self.devices.get(self.root_device_name, "")


@dataclass(frozen=True, slots=True)
class Unproven:
    """What a snapshot claims to be a snapshot of, against what EC2 says.

    :ivar why: what EC2 says, in words.
    """

    record: Record
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """An EBS snapshot. Source: DescribeSnapshots.

    :ivar owner_id: the id of the AWS account that it lies in.
    :ivar volume_id: the volume it was made of; arbitrary for a copy.
    :ivar started_at: EC2's StartTime; a copy's is its own.
    :ivar record: what it is a snapshot of, or ``None`` where it is not ours, or unproven.
    :ivar unproven: what it claims to be a snapshot of, where EC2 says otherwise. See
        :mod:`snapback.core.model.provenance`.
    :ivar storage_tier: ``"archive"``, or ``"standard"``, also while it is restored for some days...
    :ivar restored_until: ...and then when it is archived again.
    :ivar source_id: of a replica that snapback made, the snapshot that it was made from.
    """

    place: Place
    snapshot_id: str
    owner_id: str = ""
    volume_id: str
    started_at: datetime
    state: str = "completed"
    state_message: str = ""
    progress: str = ""
    size_gib: int = 0
    description: str = ""
    storage_tier: str = "standard"
    restored_until: datetime | None = None
    encrypted: bool = False
    tags: Tags = field(default_factory=dict)
    record: Record | None = None
    unproven: Unproven | None = None
    set_id: str = ""
    source_id: str = ""
    consistency: Consistency = Consistency.CRASH

    @property
    def is_archived(self) -> bool:
        """Whether it has to be restored from the archive tier before it is of use."""
        return self.storage_tier == "archive"

    @property
    def is_native(self) -> bool:
        """Whether it lies where its record says that it was taken. Else it is a replica."""
        return self.record is not None and self.lies_at_home_of(self.record)

    def lies_at_home_of(self, record: Record) -> bool:
        """Return whether it lies where a record says that it was taken."""
        return record.timeline.home == (self.owner_id, self.place.region)


def record_of(snapshot: Snapshot) -> Record:
    """Return the record of a snapshot that has one."""
    assert snapshot.record is not None
    return snapshot.record


def taken_at(snapshot: Snapshot) -> datetime:
    """Return the instant of a snapshot's data: its record's, or else EC2's StartTime."""
    return snapshot.record.taken_at if snapshot.record else snapshot.started_at


SetKey = tuple[Home, str, datetime]


def set_key(snapshot: Snapshot) -> SetKey:
    """Return what the members of one set have alike, and those of no other set.

    An id isn't enough. Where EC2's answer was lost and the call was repeated, the first call may
    have taken effect late: then there are two sets with one id, each of an instant of its own. A
    snapshot without a set is a set of one.
    """
    record = record_of(snapshot)
    return record.timeline.home, snapshot.set_id or snapshot.snapshot_id, record.taken_at


def by_age(snapshot: Snapshot) -> tuple[datetime, datetime, str]:
    """Return the key that sorts snapshots with a record, oldest data first."""
    return record_of(snapshot).taken_at, snapshot.started_at, snapshot.snapshot_id
