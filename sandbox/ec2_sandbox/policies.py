"""IAM policies that are evaluated: what the caller may do to which resource, on which condition.

They bind in layers (:class:`Policies`): each must allow a call, and none may deny it. Known are the
resources of the actions in ``_ACTS_ON``, with their tags as they are at the call; any other action
acts on ``*``. Conditions: Null, StringEquals, StringEqualsIgnoreCase, StringLike, ArnLike and their
negations, with ForAllValues and ForAnyValue, on the keys in ``_KEYS``; any other is refused when
set. The names of keys are compared without regard to case, the tags' keys in them, too.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html and
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

Statements = tuple[Mapping[str, Any], ...]

_KINDS = {
    "ami": "image", "i": "instance", "key": "key-pair", "sg": "security-group",
    "snap": "snapshot", "subnet": "subnet", "vol": "volume", "vpc": "vpc",
}  # fmt: skip
_NEW = "new"
_SNAPSHOTS = "BlockDeviceMapping.Ebs.SnapshotId"
#: action: the parameters that name what it acts on, and the kinds of what it makes
_ACTS_ON: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "AttachVolume": (("VolumeId", "InstanceId"), ()),
    "AuthorizeSecurityGroupIngress": (("GroupId",), ()),
    "CopySnapshot": ((), ("snapshot",)),
    "CreateKeyPair": ((), ("key-pair",)),
    "CreateSecurityGroup": (("VpcId",), ("security-group",)),
    "CreateSnapshot": (("VolumeId",), ("snapshot",)),
    "CreateSnapshots": (("InstanceSpecification.InstanceId",), ("snapshot",)),
    "CreateTags": (("ResourceId",), ()),
    "CreateVolume": (("SnapshotId",), ("volume",)),
    "DeleteKeyPair": (("KeyPairId", "KeyName"), ()),
    "DeleteSecurityGroup": (("GroupId",), ()),
    "DeleteSnapshot": (("SnapshotId",), ()),
    "DeleteTags": (("ResourceId",), ()),
    "DeleteVolume": (("VolumeId",), ()),
    "DeregisterImage": (("ImageId",), ()),
    "DescribeInstanceAttribute": (("InstanceId",), ()),
    "DetachVolume": (("VolumeId", "InstanceId"), ()),
    "GetConsoleOutput": (("InstanceId",), ()),
    "ModifyInstanceAttribute": (("InstanceId",), ()),
    "RegisterImage": ((_SNAPSHOTS,), ("image",)),
    "RestoreSnapshotFromRecycleBin": (("SnapshotId",), ()),
    "RestoreVolumeFromRecycleBin": (("VolumeId",), ()),
    "RunInstances": (
        ("ImageId", "SubnetId", "SecurityGroupId", "KeyName", _SNAPSHOTS),
        ("instance", "network-interface", "volume"),
    ),
    "TerminateInstances": (("InstanceId",), ()),
}
_KEYS = re.compile(
    r"aws:(resourcetag/.+|requesttag/.+|tagkeys|principalarn)|ec2:createaction|iam:passedtoservice"
)


def _arn_like(arn: str, pattern: str) -> bool:
    return all(map(fnmatchcase, arn.split(":", 5), pattern.split(":", 5)))


_MATCHES: dict[str, Callable[[str, str], bool]] = {
    "ArnLike": _arn_like,
    "StringEquals": str.__eq__,
    "StringEqualsIgnoreCase": lambda one, wanted: one.lower() == wanted.lower(),
    "StringLike": fnmatchcase,
}
_NEGATIONS = {
    "ArnNotLike": "ArnLike",
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
}
_OPERATORS = {"Null", *_MATCHES, *_NEGATIONS}
_QUALIFIERS = ("", "ForAllValues", "ForAnyValue")


@dataclass(frozen=True)
class Policies:
    """What binds a caller; ``None`` for a layer that isn't there.

    :ivar principal: the ARN of the user or the role.
    """

    principal: str
    service_control: Statements | None = None
    boundary: Statements | None = None
    identity: Statements | None = None

    @property
    def layers(self) -> list[tuple[str, Statements]]:
        """Those that are there, each with its name in refusals."""
        layers = {
            "a service control policy": self.service_control,
            "a permissions boundary": self.boundary,
            "an identity-based policy": self.identity,
        }
        return [(name, one) for name, one in layers.items() if one is not None]


@dataclass(frozen=True)
class Refusal:
    """What the policies don't allow.

    :ivar action: as IAM names it.
    :ivar why: ``with an explicit deny in…`` or ``because no … allows the … action``.
    """

    action: str
    arn: str
    why: str


@dataclass(frozen=True)
class _Ask:
    """One action, as IAM names it, on one resource."""

    action: str
    arn: str
    context: Mapping[str, Sequence[str]]


def read_policies(value: Any) -> Statements | None:
    """Reads the setting: policy documents; None for no limit.

    :raises ValueError: a statement or a condition that is not known here
    """
    if value is None:
        return None
    statements = [one for document in value for one in document["Statement"]]
    for one in statements:
        for operator, keys in one.get("Condition", {}).items():
            qualifier, _, name = operator.rpartition(":")
            if name not in _OPERATORS or qualifier not in _QUALIFIERS:
                raise ValueError(f"{one.get('Sid')}: {operator} is not known here")
            for key in keys:
                if not _KEYS.fullmatch(key.lower()):
                    raise ValueError(f"{one.get('Sid')}: {key} is not known here")
    return tuple(statements)


def first_refused(
    policies: Policies, service: str, action: str, flat: Mapping[str, str], backend: Any
) -> Refusal | None:
    """Answers the first that the policies don't allow of all that a call takes."""
    asks = (
        _asks(action, flat, backend)
        if service == "ec2"
        else iter([_Ask(f"{service}:{action}", "*", {})])
    )
    for ask in asks:
        if why := _refused(policies, ask):
            return Refusal(ask.action, ask.arn, why)
    return None


def _refused(policies: Policies, ask: _Ask) -> str:
    """Answers why an ask is refused; empty where it isn't."""
    context = {key.lower(): values for key, values in ask.context.items()}
    context["aws:principalarn"] = [policies.principal]
    fitting = [
        (layer, [one["Effect"] for one in statements if _fits(one, ask, context)])
        for layer, statements in policies.layers
    ]
    for layer, effects in fitting:
        if "Deny" in effects:
            return f"with an explicit deny in {layer}"
    for layer, effects in fitting:
        if not effects:
            return f"because no {layer.partition(' ')[2]} allows the {ask.action} action"
    return ""


def _asks(action: str, flat: Mapping[str, str], backend: Any) -> Iterator[_Ask]:
    """Answers all that a call needs to be allowed; that it tags what it makes, last."""
    names, makes = _ACTS_ON.get(action, ((), ()))
    called = f"ec2:{action}"
    if action not in _ACTS_ON:
        yield _Ask(called, "*", {})
    given = _requested(_tags(flat, "Tag.")) if action in ("CreateTags", "DeleteTags") else {}
    for name in names:
        kind = "key-pair" if name == "KeyName" else ""
        for resource_id in _values(flat, name):
            about = given | _tags_of(backend, resource_id)
            yield _Ask(called, _arn(backend, resource_id, kind), about)
    for volume_id in _volumes_of(action, backend, flat):
        yield _Ask(called, _arn(backend, volume_id), _tags_of(backend, volume_id))
    specified = _specified(flat)
    for kind in makes:
        made = flat.get("KeyName", _NEW) if kind == "key-pair" else _NEW
        yield _Ask(called, _arn(backend, made, kind), _requested(specified.get(kind, {})))
    for role in _passed(flat, backend):
        yield _Ask("iam:PassRole", role, {"iam:PassedToService": ["ec2.amazonaws.com"]})
    for kind, tags in specified.items():
        about = _requested(tags) | {"ec2:CreateAction": [action]}
        yield _Ask("ec2:CreateTags", _arn(backend, _NEW, kind), about)


def _requested(tags: Mapping[str, str]) -> dict[str, list[str]]:
    """Answers the context of tags that a call gives, or takes away."""
    of_each = {f"aws:RequestTag/{key}": [value] for key, value in tags.items()}
    return of_each | {"aws:TagKeys": list(tags)}


def _values(flat: Mapping[str, str], name: str) -> list[str]:
    """Answers the values of a parameter, whose lists, and those around it, are numbered."""
    pattern = r"(\.\d+)?\.".join(name.split(".")) + r"(\.\d+)?"
    return [value for key, value in flat.items() if re.fullmatch(pattern, key)]


def _tags(flat: Mapping[str, str], start: str) -> dict[str, str]:
    """Answers the tags of a call whose parameters start so."""
    return {
        key: flat.get(name.removesuffix("Key") + "Value", "")
        for name, key in flat.items()
        if name.startswith(start) and name.endswith(".Key")
    }


def _specified(flat: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Answers the tags that a call gives to what it makes, by its kind."""
    found: dict[str, dict[str, str]] = {}
    for name, kind in flat.items():
        if re.fullmatch(r"TagSpecification\.\d+\.ResourceType", name):
            tags = _tags(flat, name.removesuffix("ResourceType") + "Tag.")
            found.setdefault(kind, {}).update(tags)
    return found


def _passed(flat: Mapping[str, str], backend: Any) -> list[str]:
    """Answers the ARNs of the roles that a launch hands to its instance."""
    told = flat.get("IamInstanceProfile.Name") or flat.get("IamInstanceProfile.Arn", "")
    if not told:
        return []
    from moto.iam.models import iam_backends

    profiles = iam_backends[backend.account_id]["aws"].instance_profiles.values()
    return [
        role.arn for one in profiles if told in (one.name, one.arn) for role in one.roles if role
    ]


def _arn(backend: Any, resource_id: str, kind: str = "") -> str:
    kind = kind or _KINDS.get(resource_id.partition("-")[0], "key-pair")
    owner = "" if kind in ("image", "snapshot") else backend.account_id
    return f"arn:aws:ec2:{backend.region_name}:{owner}:{kind}/{resource_id}"


def _tags_of(backend: Any, resource_id: str) -> dict[str, list[str]]:
    named = backend.key_pairs.get(resource_id)
    tags = backend.tags.get(named.id if named else resource_id, {})
    return {f"aws:ResourceTag/{key}": [value or ""] for key, value in tags.items()}


def _volumes_of(action: str, backend: Any, flat: Mapping[str, str]) -> list[str]:
    """Answers the volumes of an instance that a call acts on without naming them."""
    around = {"CreateSnapshots": "InstanceSpecification.", "ModifyInstanceAttribute": ""}
    if action not in around:
        return []
    instance = backend.get_instance_by_id(flat[f"{around[action]}InstanceId"])
    mapped = instance.block_device_mapping if instance else {}
    if action == "CreateSnapshots":
        left_out = _values(flat, "InstanceSpecification.ExcludeDataVolumeId")
        return [one.volume_id for one in mapped.values() if one.volume_id not in left_out]
    devices = _values(flat, "BlockDeviceMapping.DeviceName")
    return [mapped[device].volume_id for device in sorted(devices) if device in mapped]


def _fits(statement: Mapping[str, Any], ask: _Ask, context: Mapping[str, Sequence[str]]) -> bool:
    return (
        any(fnmatchcase(ask.action, one) for one in _list(statement["Action"]))
        and any(fnmatchcase(ask.arn, one) for one in _list(statement["Resource"]))
        and all(
            _holds(operator, context.get(key.lower(), ()), _list(wanted))
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _holds(operator: str, found: Sequence[str], wanted: Sequence[str]) -> bool:
    """Says whether a condition holds; a key that is absent is one without values."""
    qualifier, _, operator = operator.rpartition(":")
    if operator == "Null":
        return (not found) == (wanted[0] == "true")
    negated, matches = operator in _NEGATIONS, _MATCHES[_NEGATIONS.get(operator, operator)]
    hits = [any(matches(one, pattern) for pattern in wanted) != negated for one in found]
    for_all = qualifier == "ForAllValues" or (negated and not qualifier)
    return all(hits) if for_all else any(hits)


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
