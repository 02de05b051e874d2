"""What a snapshot tells of its original beyond the record: all that a restore will need.

It is JSON in the tag ``snapback:restore``, on sets and on lone snapshots, written from what a
backup reads anyway (DescribeInstances, DescribeVolumes), and it goes along into other regions::

    {"boot_mode": "uefi", "ena_support": true, "virtualization_type": "hvm", "zone": "us-east-1a",
     "subnet_id": "subnet-…", "security_group_ids": ["sg-…"], "key_name": "ops",
     "instance_profile": "arn:aws:iam::111122223333:instance-profile/web",
     "delete_on_termination": ["/dev/sda1"], "volumes": {"/dev/sda1": ["gp3", 3000, 125]},
     "unrestorable": {"elastic_ip": "203.0.113.7"},
     "options": {"http_tokens": "required", "source_dest_check": false}}

What isn't known is left out. So are options that are EC2's default: without any, ``options`` is
``{}``. Earlier states of this version recorded no options.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from snapback.core.model import Instance, Tags, Volume
from snapback.core.model import tags as our_tags
from snapback.core.model.launch_options import (
    LONGEST_OF_UNRESTORABLE,
    OPTIONS,
    UNREADABLE,
    UNRESTORABLE,
    Options,
)

_WITH_IOPS = {"gp3", "io1", "io2"}
_WITH_THROUGHPUT = {"gp3"}
_WORDS = (
    "boot_mode",
    "virtualization_type",
    "zone",
    "subnet_id",
    "key_name",
    "instance_profile",
    "sriov_net_support",
    "platform",
    "tpm_support",
)
_LONGEST = 1024
"""Characters of a text; the ARN of an instance profile has at most some 700."""


@dataclass(frozen=True)
class Disk:
    """How a volume was made, apart from its data.

    :ivar iops: 0 where its type has none to choose.
    :ivar throughput: MiB a second; 0 likewise.
    """

    volume_type: str = ""
    iops: int = 0
    throughput: int = 0


@dataclass(frozen=True, kw_only=True)
class Original:
    """What is known of the instance that snapshots were taken of. Empty: it isn't known.

    :ivar told: whether anything is: snapshots of django-fabfile tell nothing.
    :ivar delete_on_termination: the devices deleted with it; ``None``: not known.
    :ivar disks: device name -> how its volume was made.
    :ivar options: its settings that differ from EC2's default; ``None``: not known.
    :ivar unrestorable: what it had that a restore can't give: key -> which.
    """

    told: bool = False
    boot_mode: str = ""
    ena_support: bool = False
    virtualization_type: str = ""
    zone: str = ""
    subnet_id: str = ""
    security_group_ids: tuple[str, ...] = ()
    key_name: str = ""
    instance_profile: str = ""
    sriov_net_support: str = ""
    platform: str = ""
    tpm_support: str = ""
    delete_on_termination: tuple[str, ...] | None = None
    disks: Mapping[str, Disk] = field(default_factory=dict)
    options: Options | None = None
    unrestorable: Mapping[str, str] = field(default_factory=dict)

    def disk(self, device_name: str) -> Disk:
        """Answer how the volume of a device was made."""
        return self.disks.get(device_name, Disk())


def write(
    instance: Instance | None, devices: Mapping[str, str], volumes: Collection[Volume]
) -> dict[str, str]:
    """Answer the tags that tell of an original.

    :param devices: device name -> volume id, of the volumes that are taken.
    :param volumes: what is known of these.
    """
    of = {volume.volume_id: volume for volume in volumes}
    zones = [volume.zone for volume in volumes if volume.zone]
    said: dict[str, Any] = {}
    if instance:
        said = {
            "boot_mode": instance.boot_mode,
            "ena_support": instance.ena_support,
            "virtualization_type": instance.virtualization_type,
            "subnet_id": instance.subnet_id,
            "security_group_ids": list(instance.security_group_ids),
            "key_name": instance.key_name,
            "instance_profile": instance.instance_profile,
            "sriov_net_support": instance.sriov_net_support,
            "platform": instance.platform,
            "delete_on_termination": [d for d in instance.ends_with_it if d in devices],
            "tpm_support": instance.tpm_support,
            "unrestorable": dict(instance.unrestorable),
        }
    said["zone"] = (instance.zone if instance else "") or next(iter(zones), "")
    said["volumes"] = {
        device: _numbers(of[volume_id])
        for device, volume_id in devices.items()
        if volume_id in of and of[volume_id].volume_type
    }
    known = {key: value for key, value in said.items() if value}
    if instance:
        known["options"] = dict(instance.options)
    return our_tags.write_long(our_tags.RESTORE, known)


def _numbers(volume: Volume) -> list[str | int]:
    said: list[str | int] = [volume.volume_type]
    if volume.volume_type in _WITH_IOPS:
        said.append(volume.iops)
        if volume.volume_type in _WITH_THROUGHPUT:
            said.append(volume.throughput)
    return said


def read(tags: Tags) -> Original:
    """Answer what a snapshot's tags tell of its original; what is damaged isn't known."""
    said = our_tags.read_long(our_tags.RESTORE, tags)
    if not isinstance(said, dict):
        return Original()
    groups = said.get("security_group_ids")
    volumes = said.get("volumes")
    ending = said.get("delete_on_termination")
    disks = {d: _disk(n) for d, n in volumes.items()} if isinstance(volumes, dict) else {}
    if ending is None and disks:
        ending = []  # told, and none
    options, unrestorable = _settings(said.get("options"), said.get("unrestorable"))
    return Original(
        told=True,
        ena_support=said.get("ena_support") is True,
        security_group_ids=_texts(groups) or (),
        delete_on_termination=_texts(ending),
        disks={device: disk for device, disk in disks.items() if disk},
        options=options,
        unrestorable=unrestorable,
        **{word: said[word] for word in _WORDS if _is_text(said.get(word))},
    )


def _settings(options: Any, unrestorable: Any) -> tuple[Options | None, dict[str, str]]:
    """Return the options and what is unrestorable, with the names of what can't be read."""
    if not isinstance(options, dict):
        return None, {}
    others = unrestorable if isinstance(unrestorable, dict) else {}
    good = {key: options[key] for key, one in OPTIONS.items() if one.takes(options.get(key))}
    told = {key: others[key] for key in UNRESTORABLE if _is_text(others.get(key))}
    told = {key: text[:LONGEST_OF_UNRESTORABLE] for key, text in told.items()}
    if damaged := (options.keys() - good.keys()) | (others.keys() - told.keys()):
        names = " ".join(sorted(filter(_is_text, damaged))) or "damaged"
        told[UNREADABLE] = names[:LONGEST_OF_UNRESTORABLE]
    return good, told


def _is_text(said: Any) -> bool:
    """Return whether something is a text that can be shown on a line and sent to EC2."""
    return isinstance(said, str) and said.isprintable() and len(said) <= _LONGEST


def _texts(said: Any) -> tuple[str, ...] | None:
    if isinstance(said, list) and all(map(_is_text, said)):
        return tuple(said)
    return None


def _disk(said: Any) -> Disk | None:
    if not isinstance(said, list) or not said or not _is_text(said[0]):
        return None
    numbers = said[1:3]
    if not all(isinstance(number, int) for number in numbers):
        return None
    return Disk(said[0], *numbers)
