"""What the AMI of a set is: decided here, with reasons; shown or done elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from snapback.core.model import Place, Snapshot, original, record_of
from snapback.core.model.backup_sets import BackupSet
from snapback.core.model.original import Disk, Original
from snapback.core.model.reasons import Reason
from snapback.core.model.times import in_utc
from snapback.core.restore.reasons import RestoreTopic
from snapback.core.restore.restored import USUAL_DISK, restored_tags

_TPM = "v2.0"
"""The one version of NitroTPM, which EC2 takes with the boot mode uefi only."""


@dataclass(frozen=True)
class Mapped:
    """A volume of an image.

    :ivar ends_with_instance: whether it is deleted when the instance is terminated.
    """

    device_name: str
    snapshot: Snapshot
    disk: Disk
    ends_with_instance: bool


@dataclass(frozen=True, kw_only=True)
class ImagePlan:
    """An AMI that is to be registered.

    :ivar imds_support: ``"v2.0"``: what is launched of it requires IMDSv2 unless told otherwise.
    """

    source: BackupSet
    place: Place
    description: str
    architecture: str
    root_device_name: str
    virtualization_type: str
    boot_mode: str
    ena_support: bool
    sriov_net_support: str
    tpm_support: str
    imds_support: str
    volumes: tuple[Mapped, ...]
    tags: Mapping[str, str]
    reasons: tuple[Reason[RestoreTopic], ...] = ()
    problems: tuple[Reason[RestoreTopic], ...] = ()


def plan_image(source: BackupSet, first: Sequence[str] = ()) -> ImagePlan:
    """Decide what the AMI of a set is."""
    lead = source.root or source.members[0]
    record, told = record_of(lead), original.read(lead.tags)
    reasons: list[Reason[RestoreTopic]] = []
    problems: list[Reason[RestoreTopic]] = []
    if source.missing and source.root:
        why = f"without what is missing: {source.shortcoming}"
        reasons.append(Reason(RestoreTopic.MISSING_VOLUMES, why))
    reasons += [
        Reason(
            RestoreTopic.SNAPSHOT,
            f"although {member.snapshot_id} is unproven: {member.unproven.why}",
        )
        for member in source.members
        if member.unproven
    ]
    if not source.root:
        why = f"the root volume is missing: {source.shortcoming or 'no record of it'}"
        problems.append(Reason(RestoreTopic.ROOT_VOLUME, why))
    if told.platform == "windows":
        why = "it runs Windows, of which EC2 lets nobody register an AMI from snapshots"
        problems.append(Reason(RestoreTopic.PLATFORM, why))
    if not told.told:
        why = "how it was made isn't recorded: taken for HVM with ENA"
        reasons.append(Reason(RestoreTopic.VIRTUALIZATION, why))
    if not record.architecture:
        why = "the architecture isn't recorded: taken for x86_64"
        reasons.append(Reason(RestoreTopic.ARCHITECTURE, why))
    bootable = told.boot_mode in ("legacy-bios", "uefi", "uefi-preferred")
    return ImagePlan(
        source=source,
        place=source.place,
        description=f"{source.instance_id} as of {in_utc(source.taken_at)} from {source.name}",
        architecture=record.architecture or "x86_64",
        root_device_name=record.root_device_name,
        virtualization_type=told.virtualization_type or "hvm",
        boot_mode=told.boot_mode if bootable else "",
        ena_support=told.ena_support or not told.told,
        sriov_net_support=told.sriov_net_support,
        tpm_support=_TPM if (told.tpm_support, told.boot_mode) == (_TPM, "uefi") else "",
        imds_support="v2.0" if (told.options or {}).get("http_tokens") == "required" else "",
        volumes=tuple(
            _mapped(member, told, record.root_device_name)
            for member in source.members
            if record_of(member).device
        ),
        tags=restored_tags(lead, first, source),
        reasons=tuple(reasons),
        problems=tuple(problems),
    )


def _mapped(member: Snapshot, told: Original, root: str) -> Mapped:
    device = record_of(member).device
    own = original.read(member.tags)
    disk = told.disk(device) if told.disk(device).volume_type else own.disk(device)
    ends = told.delete_on_termination
    return Mapped(
        device_name=device,
        snapshot=member,
        disk=disk if disk.volume_type else USUAL_DISK,
        ends_with_instance=device == root if ends is None else device in ends,
    )
