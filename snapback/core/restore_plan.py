"""What a restore will make: decided here, with reasons; shown or done elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from snapback.core import original
from snapback.core import tags as our_tags
from snapback.core.backup_sets import BackupSet, unfit
from snapback.core.lacking import record_of
from snapback.core.model import Instance, Place, Snapshot
from snapback.core.moments import in_utc
from snapback.core.original import Disk, Original

ANY = "*"
DATA_DEVICES = tuple(f"/dev/sd{letter}" for letter in "fghijklmnop")
USUAL_DISK = Disk("gp3")


@dataclass(frozen=True, kw_only=True)
class Maps:
    """What stands in a region for the things of another; the key ``*`` is any other.

    :ivar subnets: subnet id -> subnet id there.
    :ivar security_groups: security group id -> the id there.
    :ivar key_names: key pair's name -> the name there.
    """

    subnets: Mapping[str, str] = field(default_factory=dict)
    security_groups: Mapping[str, str] = field(default_factory=dict)
    key_names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Given:
    """What is given for an instance, in place of what was recorded; empty: as recorded.

    :ivar key_name: ``"none"``: without a key pair.
    :ivar instance_profile: a name or an ARN; ``"none"``: without one.
    """

    instance_type: str = ""
    subnet_id: str = ""
    security_group_ids: tuple[str, ...] = ()
    key_name: str = ""
    instance_profile: str = ""


@dataclass(frozen=True)
class Site:
    """A subnet's VPC and zone."""

    vpc_id: str
    zone: str


@dataclass(frozen=True, kw_only=True)
class There:
    """What there is at the place to restore into, of what is wanted.

    :ivar subnets: subnet id -> where it is.
    :ivar default_subnets: the ids of each zone's default one, in the order of zones.
    :ivar security_groups: security group id -> its VPC's id.
    :ivar key_names: the key pairs.
    """

    subnets: Mapping[str, Site] = field(default_factory=dict)
    default_subnets: tuple[str, ...] = ()
    security_groups: Mapping[str, str] = field(default_factory=dict)
    key_names: frozenset[str] = frozenset()


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
    """An AMI that is to be registered."""

    source: BackupSet
    place: Place
    description: str
    architecture: str
    root_device_name: str
    virtualization_type: str
    boot_mode: str
    ena_support: bool
    sriov_net_support: str
    volumes: tuple[Mapped, ...]
    tags: Mapping[str, str]
    reasons: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class InstancePlan:
    """An instance that is to be launched.

    :ivar volume_tags: device name -> the tags of its volume.
    :ivar reasons: what was decided, and why.
    :ivar problems: why it can't be; empty: it can.
    """

    image: ImagePlan
    instance_type: str
    subnet_id: str
    zone: str
    security_group_ids: tuple[str, ...]
    key_name: str
    instance_profile: str
    tags: Mapping[str, str]
    volume_tags: Mapping[str, Mapping[str, str]]
    reasons: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def source(self) -> BackupSet:
        """What it is restored from."""
        return self.image.source


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
    reasons: tuple[str, ...]
    problems: tuple[str, ...]


def restored_tags(
    snapshot: Snapshot, first: Sequence[str], whole: BackupSet | None = None
) -> dict[str, str]:
    """Answer the tags of what is restored: the original's, and that it is restored.

    :param snapshot: that of the volume.
    :param whole: of an instance, the set that it is restored from.
    """
    record = record_of(snapshot)
    of, taken_at, source = record.volume, record.taken_at, snapshot.snapshot_id
    if whole:
        of, taken_at, source = whole.instance_id, whole.taken_at, whole.name
    restored = {our_tags.RESTORED: f"{of} as of {in_utc(taken_at)} from {source}"}
    cloned = our_tags.clone({}, snapshot.tags, ours=6, first=first, exclude_tag="", reserve=0)
    return {**cloned, **restored}


def restored_original(tags: Mapping[str, str]) -> tuple[str, str]:
    """Answer of what and from what a thing was restored, as its tags say; empty: it wasn't."""
    words = tags.get(our_tags.RESTORED, "").split()
    return (words[0], words[-1]) if len(words) > 1 else ("", "")


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
    reasons, problems = [], []
    disk = told.disk(record.device)
    if volume_type and volume_type != disk.volume_type:
        disk = Disk(volume_type)
        reasons.append(f"{volume_type}, as given")
    elif disk.volume_type:
        reasons.append(f"{_in_words(disk)}, as the original")
    else:
        disk = USUAL_DISK
        reasons.append(f"{disk.volume_type}: the original's type isn't recorded")
    if why := unfit(snapshot):
        problems.append(f"{snapshot.snapshot_id} {why}")
    at_home = snapshot.place.region == record.region
    if instance:
        found, why = instance.zone, f"where {instance.instance_id} is"
        if zone and zone != found:
            problems.append(f"{instance.instance_id} is in {found}, not in {zone}")
    elif zone:
        found, why = zone, "as given"
    else:
        found, why = told.zone if at_home else "", "where the original was"
    if found:
        reasons.append(f"in {found}, {why}")
    else:
        problems.append("in which zone? Give --zone, or --attach and an instance")
    if device_name and not instance:
        problems.append("--device is for --attach")
    device, why = _device_on(instance, device_name) if instance else ("", "")
    (reasons if device else problems).extend([why] if why else [])
    if snapshot.encrypted:
        reasons.append("encrypted, with the snapshot's key")
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


def plan_image(source: BackupSet, first: Sequence[str] = ()) -> ImagePlan:
    """Decide what the AMI of a set is."""
    lead = source.root or source.members[0]
    record, told = record_of(lead), original.read(lead.tags)
    reasons, problems = [], []
    if source.missing and source.root:
        reasons.append(f"without what is missing: {source.shortcoming}")
    if not source.root:
        problems.append(f"the root volume is missing: {source.shortcoming or 'no record of it'}")
    if told.platform == "windows":
        problems.append("it runs Windows, of which EC2 lets nobody register an AMI from snapshots")
    if not told.told:
        reasons.append("how it was made isn't recorded: taken for HVM with ENA")
    if not record.architecture:
        reasons.append("the architecture isn't recorded: taken for x86_64")
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


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Where an instance is to be, and what it is to have there, before that was looked for.

    :ivar subnet_id: empty: a default one, or ...
    :ivar problems: ... nobody knows.
    """

    subnet_id: str
    security_group_ids: tuple[str, ...]
    key_name: str
    key_is_given: bool
    reasons: tuple[str, ...]
    problems: tuple[str, ...]


def wanted_there(source: BackupSet, given: Given, maps: Maps) -> Wanted:
    """Answer what an instance wants at the place it is restored into."""
    lead = source.root or source.members[0]
    told = original.read(lead.tags)
    at_home = source.place.region == record_of(lead).region
    reasons: list[str] = []
    problems: list[str] = []

    def counterpart(one: str, table: Mapping[str, str], what: str, option: str) -> str:
        found = table.get(one) or table.get(ANY)
        if found:
            reasons.append(f"{what} {found}, for {one}")
            return found
        if at_home:
            reasons.append(f"{what} {one}, as the original")
            return one
        problems.append(
            f"what stands for {what} {one} of {record_of(lead).region}? Give {option}, or say it "
            f"below restore.into.{source.place.region} in the configuration"
        )
        return ""

    subnet = given.subnet_id
    if subnet:
        reasons.append(f"subnet {subnet}, as given")
    elif told.subnet_id:
        subnet = counterpart(told.subnet_id, maps.subnets, "subnet", "--subnet-id")
    else:
        subnet = maps.subnets.get(ANY, "")
        reasons.append(f"{subnet or 'a default subnet'}: the original's isn't recorded")
    groups = given.security_group_ids
    if groups:
        reasons.append(f"security groups {', '.join(groups)}, as given")
    elif told.security_group_ids:
        groups = tuple(
            counterpart(one, maps.security_groups, "security group", "--security-group-ids")
            for one in told.security_group_ids
        )
    else:
        groups = (maps.security_groups[ANY],) if ANY in maps.security_groups else ()
        kind = ", ".join(groups) or "the VPC's default one"
        reasons.append(f"security group {kind}: the original's aren't recorded")
    key = given.key_name or told.key_name
    if not given.key_name and key:
        key = maps.key_names.get(key) or maps.key_names.get(ANY) or key
    return Wanted(
        subnet_id=subnet,
        security_group_ids=tuple(dict.fromkeys(filter(None, groups))),
        key_name="" if given.key_name == "none" else key,
        key_is_given=bool(given.key_name),
        reasons=tuple(reasons),
        problems=tuple(problems),
    )


def plan_instance(
    image: ImagePlan, given: Given, wanted: Wanted, there: There, first: Sequence[str] = ()
) -> InstancePlan:
    """Decide how an instance is launched from the AMI of its set.

    :param there: what there is of what is wanted.
    """
    source = image.source
    lead = source.root or source.members[0]
    record, told = record_of(lead), original.read(lead.tags)
    reasons = [*image.reasons, *wanted.reasons]
    problems = [*image.problems, *wanted.problems]
    kind = given.instance_type or record.instance_type
    reasons.append(f"{kind}, {'as given' if given.instance_type else 'as the original'}")
    if not kind:
        reasons.pop()
        problems.append("of which type? It isn't recorded: give --instance-type")
    subnet, site = _subnet(source.place, wanted, there, problems)
    problems += _groups_there(wanted.security_group_ids, there, site, source.place)
    key = wanted.key_name
    if key and key not in there.key_names:
        if wanted.key_is_given:
            problems.append(f"there is no key pair {key} in {source.place}")
        else:
            reasons.append(
                f"no key pair: {key} isn't in {source.place} (the keys on the disk still let in)"
            )
            key = ""
    profile = given.instance_profile or told.instance_profile
    profile = "" if profile == "none" else profile
    if profile:
        reasons.append(f"instance profile {profile.rpartition('/')[2]}")
    return InstancePlan(
        image=image,
        instance_type=kind,
        subnet_id=subnet,
        zone=site.zone if site else "",
        security_group_ids=wanted.security_group_ids,
        key_name=key,
        instance_profile=profile,
        tags=_common(restored_tags(member, first, source) for member in source.members),
        volume_tags={
            one.device_name: restored_tags(one.snapshot, first) for one in image.volumes
        },
        reasons=tuple(reasons),
        problems=tuple(problems),
    )  # fmt: skip


def _subnet(
    place: Place, wanted: Wanted, there: There, problems: list[str]
) -> tuple[str, Site | None]:
    subnet = wanted.subnet_id
    if not subnet and not wanted.problems:
        subnet = next(iter(there.default_subnets), "")
        if not subnet:
            problems.append(f"there is no default subnet in {place}: give --subnet-id")
    if subnet and subnet not in there.subnets:
        problems.append(f"there is no subnet {subnet} in {place}: give --subnet-id")
    return subnet, there.subnets.get(subnet)


def _groups_there(
    group_ids: Iterable[str], there: There, site: Site | None, place: Place
) -> list[str]:
    """Answer why an instance can't be in some security groups."""
    problems = []
    for group in group_ids:
        vpc = there.security_groups.get(group)
        if vpc is None:
            problems.append(
                f"there is no security group {group} in {place}: give --security-group-ids"
            )
        elif site and vpc != site.vpc_id:
            problems.append(f"security group {group} is in {vpc}, the subnet in {site.vpc_id}")
    return problems


def _common(many: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Answer the tags that all have alike: those of the instance, not of one volume."""
    first, *others = many
    return {key: value for key, value in first.items() if all(o.get(key) == value for o in others)}


def _in_words(disk: Disk) -> str:
    numbers = [f"{disk.iops} IOPS" if disk.iops else "",
               f"{disk.throughput} MiB/s" if disk.throughput else ""]  # fmt: skip
    return " ".join(filter(None, [disk.volume_type, *numbers]))
