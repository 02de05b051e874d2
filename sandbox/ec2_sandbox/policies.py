"""IAM policies that are evaluated: what the caller may do to which resource, on which condition.

They bind the sandbox's own access key, and nobody else. Known are the resources of the actions in
``_ACTS_ON``, with their tags as they are at the call; any other action acts on ``*``. Conditions:
Null, StringEquals, StringLike and their negations, with ForAllValues, on ``aws:ResourceTag``,
``aws:RequestTag``, ``aws:TagKeys`` and ``ec2:CreateAction``; another one is refused when set.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html and
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

_KINDS = {
    "ami": "image", "i": "instance", "key": "key-pair", "sg": "security-group",
    "snap": "snapshot", "vol": "volume",
}  # fmt: skip
_NEW = "new"
#: action: the parameters that name what it acts on, and the kinds of what it makes
_ACTS_ON: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "AttachVolume": (("VolumeId", "InstanceId"), ()),
    "AuthorizeSecurityGroupIngress": (("GroupId",), ()),
    "CopySnapshot": ((), ("snapshot",)),
    "CreateKeyPair": (("KeyName",), ()),
    "CreateSecurityGroup": ((), ("security-group",)),
    "CreateSnapshot": (("VolumeId",), ("snapshot",)),
    "CreateSnapshots": (("InstanceSpecification.InstanceId",), ("snapshot",)),
    "CreateTags": (("ResourceId",), ()),
    "CreateVolume": ((), ("volume",)),
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
    "RegisterImage": ((), ("image",)),
    "RestoreSnapshotFromRecycleBin": (("SnapshotId",), ()),
    "RestoreVolumeFromRecycleBin": (("VolumeId",), ()),
    "RunInstances": (("ImageId", "SubnetId"), ("instance", "volume")),
    "TerminateInstances": (("InstanceId",), ()),
}
_NEGATIONS = {"StringNotEquals": "StringEquals", "StringNotLike": "StringLike"}
_OPERATORS = {"Null", "StringEquals", "StringLike", *_NEGATIONS}


@dataclass(frozen=True)
class _Ask:
    """One action on one resource."""

    action: str
    arn: str
    context: Mapping[str, Sequence[str]] = field(default_factory=dict)


def read_policies(value: Any) -> tuple[Mapping[str, Any], ...] | None:
    """Reads the setting: policy documents; None for no limit.

    :raises ValueError: a statement or a condition that is not known here
    """
    if value is None:
        return None
    statements = [one for document in value for one in document["Statement"]]
    for one in statements:
        for operator, keys in one.get("Condition", {}).items():
            if operator.removeprefix("ForAllValues:") not in _OPERATORS:
                raise ValueError(f"{one.get('Sid')}: {operator} is not known here")
            for key in keys:
                if not key.startswith(("aws:ResourceTag/", "aws:RequestTag/")) and key not in (
                    "aws:TagKeys",
                    "ec2:CreateAction",
                ):
                    raise ValueError(f"{one.get('Sid')}: {key} is not known here")
    return tuple(statements)


def first_refused(
    statements: Sequence[Mapping[str, Any]],
    service: str,
    action: str,
    flat: Mapping[str, str],
    backend: Any,
) -> str:
    """Answers the first action, as IAM names it, that the policies don't allow; empty for none."""
    asks = _asks(action, flat, backend) if service == "ec2" else iter([_Ask(action, "*")])
    for ask in asks:
        name = f"{service}:{ask.action}"
        fitting = [one for one in statements if _fits(one, name, ask)]
        if not fitting or any(one["Effect"] == "Deny" for one in fitting):
            return name
    return ""


def _asks(action: str, flat: Mapping[str, str], backend: Any) -> Iterator[_Ask]:
    """Answers all that a call needs to be allowed; that it tags what it makes, last."""
    names, makes = _ACTS_ON.get(action, ((), ()))
    if action not in _ACTS_ON:
        yield _Ask(action, "*")
    given = (
        {"aws:TagKeys": _tag_keys(flat, "Tag.")} if action in ("CreateTags", "DeleteTags") else {}
    )
    for name in names:
        for resource_id in _values(flat, name):
            yield _Ask(action, _arn(backend, resource_id), given | _tags_of(backend, resource_id))
    if action == "ModifyInstanceAttribute":
        for volume_id in _volumes_of(backend, flat):
            yield _Ask(action, _arn(backend, volume_id), _tags_of(backend, volume_id))
    for kind in makes:
        keys = _specified(flat).get(kind, {})
        requested = {f"aws:RequestTag/{key}": [value] for key, value in keys.items()}
        yield _Ask(action, _arn(backend, _NEW, kind), requested | {"aws:TagKeys": list(keys)})
    for kind, keys in _specified(flat).items():
        requested = {f"aws:RequestTag/{key}": [value] for key, value in keys.items()}
        about = requested | {"aws:TagKeys": list(keys), "ec2:CreateAction": [action]}
        yield _Ask("CreateTags", _arn(backend, _NEW, kind), about)


def _values(flat: Mapping[str, str], name: str) -> list[str]:
    return [v for key, v in flat.items() if re.fullmatch(rf"{re.escape(name)}(\.\d+)?", key)]


def _tag_keys(flat: Mapping[str, str], prefix: str) -> list[str]:
    return [v for key, v in flat.items() if key.startswith(prefix) and key.endswith(".Key")]


def _specified(flat: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Answers the tags that a call gives to what it makes, by its kind."""
    found: dict[str, dict[str, str]] = {}
    for key, kind in flat.items():
        if not re.fullmatch(r"TagSpecification\.\d+\.ResourceType", key):
            continue
        start = key.removesuffix("ResourceType") + "Tag."
        for name, text in flat.items():
            if name.startswith(start) and name.endswith(".Key"):
                value = flat.get(name.removesuffix("Key") + "Value", "")
                found.setdefault(kind, {})[text] = value
    return found


def _arn(backend: Any, resource_id: str, kind: str = "") -> str:
    kind = kind or _KINDS.get(resource_id.partition("-")[0], "key-pair")
    if resource_id.startswith("subnet-"):
        kind = "subnet"
    if kind == "key-pair" and not resource_id.startswith("key-"):
        return f"arn:aws:ec2:{backend.region_name}:{backend.account_id}:key-pair/{resource_id}"
    owner = "" if kind in ("image", "snapshot") else backend.account_id
    return f"arn:aws:ec2:{backend.region_name}:{owner}:{kind}/{resource_id}"


def _tags_of(backend: Any, resource_id: str) -> dict[str, list[str]]:
    named = backend.key_pairs.get(resource_id)
    tags = backend.tags.get(named.id if named else resource_id, {})
    return {f"aws:ResourceTag/{key}": [value or ""] for key, value in tags.items()}


def _volumes_of(backend: Any, flat: Mapping[str, str]) -> list[str]:
    """Answers the volumes behind the devices that ModifyInstanceAttribute names."""
    devices = {
        value
        for key, value in flat.items()
        if key.startswith("BlockDeviceMapping.") and key.endswith(".DeviceName")
    }
    instance = backend.get_instance(flat["InstanceId"])
    mapped = instance.block_device_mapping
    return [mapped[device].volume_id for device in sorted(devices) if device in mapped]


def _fits(statement: Mapping[str, Any], name: str, ask: _Ask) -> bool:
    return (
        any(fnmatchcase(name, one) for one in _list(statement["Action"]))
        and any(fnmatchcase(ask.arn, one) for one in _list(statement["Resource"]))
        and all(
            _holds(operator, ask.context.get(key), _list(wanted))
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _holds(operator: str, found: Sequence[str] | None, wanted: Sequence[str]) -> bool:
    if operator == "Null":
        return (found is None) == (wanted[0] == "true")
    for_all = operator.startswith("ForAllValues:")
    operator = operator.removeprefix("ForAllValues:")
    negated, operator = operator in _NEGATIONS, _NEGATIONS.get(operator, operator)
    if not found:
        return for_all or negated
    like = fnmatchcase if operator == "StringLike" else str.__eq__
    hits = [any(like(one, pattern) for pattern in wanted) != negated for one in found]
    return all(hits) if for_all or negated else any(hits)


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
