"""How an instance is restored: decided here, with reasons; shown or done elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from snapback.core.model import Place, original, record_of
from snapback.core.model.backup_sets import BackupSet
from snapback.core.model.reasons import Reason
from snapback.core.restore.image_plan import ImagePlan
from snapback.core.restore.options_plan import (
    Cores,
    OptionsPlan,
    plan_options,
    told_not_restored,
    told_options,
)
from snapback.core.restore.reasons import RestoreTopic
from snapback.core.restore.restored import restored_tags
from snapback.errors import UsageError

ANY = "*"
NONE = "none"
AS_RECORDED = "as-recorded"
_CALLED = {
    RestoreTopic.INSTANCE_PROFILE: "instance profile",
    RestoreTopic.KEY_PAIR: "key pair",
    RestoreTopic.SECURITY_GROUP: "security group",
    RestoreTopic.SUBNET: "subnet",
}
_RIGHTS = {
    "instance_profile": RestoreTopic.INSTANCE_PROFILE,
    "key_name": RestoreTopic.KEY_PAIR,
}
"""The fields of Given and Original that give rights."""

# Source: CreateInstanceProfile, the constraints of InstanceProfileName and Path.
_PROFILE = re.compile(
    r"(?:arn:aws[a-z-]*:iam::[0-9]{12}:instance-profile/(?:[!-~]{1,510}/)?)?[\w+=,.@-]{1,128}",
    re.ASCII,
)


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

    A key pair and an instance profile give rights. Whoever may tag a snapshot can name any, so
    they are taken from the record only if that is asked for.

    :ivar key_name: a key pair's name, ``"as-recorded"`` or ``"none"``.
    :ivar instance_profile: a name, an ARN, ``"as-recorded"`` or ``"none"``.
    :raises UsageError: no key pair or instance profile can be called so.
    """

    instance_type: str = ""
    subnet_id: str = ""
    security_group_ids: tuple[str, ...] = ()
    key_name: str = NONE
    instance_profile: str = NONE

    def __post_init__(self) -> None:
        if not self.key_name:
            raise UsageError("--key-name: expected a key pair's name, as-recorded or none, got ''")
        if not _PROFILE.fullmatch(self.instance_profile):
            raise UsageError(
                "--instance-profile: expected an instance profile's name or ARN, as-recorded or "
                f"none, got {self.instance_profile!r}"
            )


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
    :ivar cores: instance type -> the CPUs that its instances usually have.
    """

    subnets: Mapping[str, Site] = field(default_factory=dict)
    default_subnets: tuple[str, ...] = ()
    security_groups: Mapping[str, str] = field(default_factory=dict)
    key_names: frozenset[str] = frozenset()
    cores: Mapping[str, Cores] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class InstancePlan:
    """An instance that is to be launched.

    :ivar left_out: the rights that are recorded and weren't asked for, by their fields' names.
    :ivar settings: the original's settings that it gets, and those that it doesn't.
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
    left_out: Mapping[str, str]
    settings: OptionsPlan
    tags: Mapping[str, str]
    volume_tags: Mapping[str, Mapping[str, str]]
    reasons: tuple[Reason[RestoreTopic], ...]
    problems: tuple[Reason[RestoreTopic], ...]

    @property
    def source(self) -> BackupSet:
        """What it is restored from."""
        return self.image.source


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Where an instance is to be, and what it is to have there, before that was looked for.

    :ivar subnet_id: empty: a default one, or ...
    :ivar problems: ... nobody knows.
    :ivar cores_of: the original's instance type, whose usual CPUs tell whether its own were chosen.
    """

    subnet_id: str
    security_group_ids: tuple[str, ...]
    key_name: str
    key_is_given: bool
    cores_of: str
    reasons: tuple[Reason[RestoreTopic], ...]
    problems: tuple[Reason[RestoreTopic], ...]


def wanted_there(source: BackupSet, given: Given, maps: Maps) -> Wanted:
    """Answer what an instance wants at the place it is restored into."""
    lead = source.root or source.members[0]
    told = original.read(lead.tags)
    at_home = lead.is_native
    reasons: list[Reason[RestoreTopic]] = []
    problems: list[Reason[RestoreTopic]] = []

    def counterpart(one: str, table: Mapping[str, str], about: RestoreTopic, option: str) -> str:
        what = _CALLED[about]
        found = table.get(one) or table.get(ANY)
        if found:
            reasons.append(Reason(about, f"{what} {found}, for {one}"))
            return found
        if at_home:
            reasons.append(Reason(about, f"{what} {one}, as the original"))
            return one
        why = (
            f"what stands for {what} {one} of {record_of(lead).region}? Give {option}, or say it "
            f"below restore.into.{source.place.region} in the configuration"
        )
        problems.append(Reason(about, why))
        return ""

    subnet = given.subnet_id
    if subnet:
        reasons.append(Reason(RestoreTopic.SUBNET, f"subnet {subnet}, as given"))
    elif told.subnet_id:
        subnet = counterpart(told.subnet_id, maps.subnets, RestoreTopic.SUBNET, "--subnet-id")
    else:
        subnet = maps.subnets.get(ANY, "")
        why = f"{subnet or 'a default subnet'}: the original's isn't recorded"
        reasons.append(Reason(RestoreTopic.SUBNET, why))
    groups = given.security_group_ids
    if groups:
        why = f"security groups {', '.join(groups)}, as given"
        reasons.append(Reason(RestoreTopic.SECURITY_GROUP, why))
    elif told.security_group_ids:
        groups = tuple(
            counterpart(
                one, maps.security_groups, RestoreTopic.SECURITY_GROUP, "--security-group-ids"
            )
            for one in told.security_group_ids
        )
    else:
        groups = (maps.security_groups[ANY],) if ANY in maps.security_groups else ()
        kind = ", ".join(groups) or "the VPC's default one"
        why = f"security group {kind}: the original's aren't recorded"
        reasons.append(Reason(RestoreTopic.SECURITY_GROUP, why))
    key = "" if given.key_name == NONE else given.key_name
    if key == AS_RECORDED:
        key = told.key_name
        key = key and (maps.key_names.get(key) or maps.key_names.get(ANY) or key)
    return Wanted(
        subnet_id=subnet,
        security_group_ids=tuple(dict.fromkeys(filter(None, groups))),
        key_name=key,
        key_is_given=given.key_name != AS_RECORDED,
        cores_of=record_of(lead).instance_type if told.options else "",
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
    if kind:
        why = f"{kind}, {'as given' if given.instance_type else 'as the original'}"
        reasons.append(Reason(RestoreTopic.INSTANCE_TYPE, why))
    else:
        why = "of which type? It isn't recorded: give --instance-type"
        problems.append(Reason(RestoreTopic.INSTANCE_TYPE, why))
    subnet, site = _subnet(source.place, wanted, there, problems)
    problems += _groups_there(wanted.security_group_ids, there, site, source.place)
    left_out = {
        right: getattr(told, right)
        for right in _RIGHTS
        if getattr(given, right) == NONE and getattr(told, right)
    }
    reasons += told_left_out(left_out)
    settings = plan_options(
        told,
        kind,
        there.cores.get(record.instance_type),
        same_type=kind == record.instance_type,
        same_subnet=subnet == told.subnet_id,
    )
    reasons += told_options(settings.options) + told_not_restored(settings.not_restored)
    key = _key_pair(source.place, wanted, there, reasons, problems)
    profile = _profile(given.instance_profile, told.instance_profile, reasons, problems)
    return InstancePlan(
        image=image,
        instance_type=kind,
        subnet_id=subnet,
        zone=site.zone if site else "",
        security_group_ids=wanted.security_group_ids,
        key_name=key,
        instance_profile=profile,
        left_out=left_out,
        settings=settings,
        tags=_common(restored_tags(member, first, source) for member in source.members),
        volume_tags={
            one.device_name: restored_tags(one.snapshot, first) for one in image.volumes
        },
        reasons=tuple(reasons),
        problems=tuple(problems),
    )  # fmt: skip


def told_left_out(left_out: Mapping[str, str]) -> list[Reason[RestoreTopic]]:
    """Return in words which rights are recorded and aren't given, and how to get them."""
    return [
        Reason(
            _RIGHTS[right],
            f"no {_CALLED[_RIGHTS[right]]} ({recorded} is recorded: "
            f"--{right.replace('_', '-')} {AS_RECORDED} takes it)",
        )
        for right, recorded in left_out.items()
    ]


def _key_pair(
    place: Place,
    wanted: Wanted,
    there: There,
    reasons: list[Reason[RestoreTopic]],
    problems: list[Reason[RestoreTopic]],
) -> str:
    key = wanted.key_name
    if not key:
        return ""
    if key in there.key_names:
        how = "as given" if wanted.key_is_given else "as recorded"
        reasons.append(Reason(RestoreTopic.KEY_PAIR, f"key pair {key}, {how}"))
        return key
    if wanted.key_is_given:
        why = f"there is no key pair {key} in {place}"
        problems.append(Reason(RestoreTopic.KEY_PAIR, why))
    else:
        why = f"no key pair: {key} isn't in {place} (the keys on the disk still let in)"
        reasons.append(Reason(RestoreTopic.KEY_PAIR, why))
    return ""


def _profile(
    given: str,
    recorded: str,
    reasons: list[Reason[RestoreTopic]],
    problems: list[Reason[RestoreTopic]],
) -> str:
    if given == NONE:
        return ""
    profile, how = (recorded, "as recorded") if given == AS_RECORDED else (given, "as given")
    if not profile:
        why = "no instance profile: none is recorded"
        reasons.append(Reason(RestoreTopic.INSTANCE_PROFILE, why))
    elif _PROFILE.fullmatch(profile):
        why = f"instance profile {profile}, {how}"
        reasons.append(Reason(RestoreTopic.INSTANCE_PROFILE, why))
    else:
        why = f"no instance profile can be {profile}, which is recorded: give --instance-profile"
        problems.append(Reason(RestoreTopic.INSTANCE_PROFILE, why))
    return profile


def _subnet(
    place: Place, wanted: Wanted, there: There, problems: list[Reason[RestoreTopic]]
) -> tuple[str, Site | None]:
    subnet = wanted.subnet_id
    if not subnet and not wanted.problems:
        subnet = next(iter(there.default_subnets), "")
        if not subnet:
            why = f"there is no default subnet in {place}: give --subnet-id"
            problems.append(Reason(RestoreTopic.SUBNET, why))
    if subnet and subnet not in there.subnets:
        why = f"there is no subnet {subnet} in {place}: give --subnet-id"
        problems.append(Reason(RestoreTopic.SUBNET, why))
    return subnet, there.subnets.get(subnet)


def _groups_there(
    group_ids: Iterable[str], there: There, site: Site | None, place: Place
) -> list[Reason[RestoreTopic]]:
    """Return why an instance can't be in some security groups."""
    problems = []
    for group in group_ids:
        vpc = there.security_groups.get(group)
        if vpc is None:
            why = f"there is no security group {group} in {place}: give --security-group-ids"
            problems.append(Reason(RestoreTopic.SECURITY_GROUP, why))
        elif site and vpc != site.vpc_id:
            why = f"security group {group} is in {vpc}, the subnet in {site.vpc_id}"
            problems.append(Reason(RestoreTopic.SECURITY_GROUP, why))
    return problems


def _common(many: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Answer the tags that all have alike: those of the instance, not of one volume."""
    first, *others = many
    return {key: value for key, value in first.items() if all(o.get(key) == value for o in others)}
