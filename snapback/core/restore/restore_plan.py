"""How an instance is restored: decided here, with reasons; shown or done elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from snapback.core.model import Place, original, record_of
from snapback.core.model.backup_sets import BackupSet
from snapback.core.model.reasons import Reason
from snapback.core.restore.image_plan import ImagePlan
from snapback.core.restore.reasons import RestoreTopic
from snapback.core.restore.restored import restored_tags

ANY = "*"
_CALLED = {RestoreTopic.SUBNET: "subnet", RestoreTopic.SECURITY_GROUP: "security group"}


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
    """

    subnet_id: str
    security_group_ids: tuple[str, ...]
    key_name: str
    key_is_given: bool
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
    if kind:
        why = f"{kind}, {'as given' if given.instance_type else 'as the original'}"
        reasons.append(Reason(RestoreTopic.INSTANCE_TYPE, why))
    else:
        why = "of which type? It isn't recorded: give --instance-type"
        problems.append(Reason(RestoreTopic.INSTANCE_TYPE, why))
    subnet, site = _subnet(source.place, wanted, there, problems)
    problems += _groups_there(wanted.security_group_ids, there, site, source.place)
    key = wanted.key_name
    if key and key not in there.key_names:
        if wanted.key_is_given:
            why = f"there is no key pair {key} in {source.place}"
            problems.append(Reason(RestoreTopic.KEY_PAIR, why))
        else:
            why = f"no key pair: {key} isn't in {source.place} (the keys on the disk still let in)"
            reasons.append(Reason(RestoreTopic.KEY_PAIR, why))
            key = ""
    profile = given.instance_profile or told.instance_profile
    profile = "" if profile == "none" else profile
    if profile:
        why = f"instance profile {profile.rpartition('/')[2]}"
        reasons.append(Reason(RestoreTopic.INSTANCE_PROFILE, why))
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
