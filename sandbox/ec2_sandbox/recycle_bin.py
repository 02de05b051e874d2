"""The Recycle Bin (rbin), which moto does not have: retention rules, as the settings give them.

Source: https://docs.aws.amazon.com/recyclebin/latest/APIReference/
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

from ec2_sandbox.errors import ApiError, SandboxError

_RULE = re.compile(r"/rules/(?P<id>[0-9a-zA-Z]{11})\Z")
_KEYS = {"resource_type", "days", "tags", "exclude_tags", "status", "description", "locked"}


def action_of(path: str) -> str:
    """Answers which action a request is, by its path; empty for one that isn't here."""
    if path == "/list-rules":
        return "ListRules"
    return "GetRule" if _RULE.match(path) else ""


def read_rules(value: Any) -> dict[str, list[dict[str, Any]]]:
    """Reads the setting: region to rules.

    :raises ValueError: a key that no rule has
    """
    if not isinstance(value, Mapping):
        raise ValueError("write {region: [{days: 7, tags: {name: value}}]}")
    for region, rules in value.items():
        for rule in rules:
            if unknown := sorted(set(rule) - _KEYS):
                raise ValueError(f"{region}: a rule has no {unknown[0]!r}")
    return {region: [dict(rule) for rule in rules] for region, rules in value.items()}


def answer(rules: Mapping[str, Any], region: str, path: str, body: bytes) -> dict[str, Any]:
    """Answers ListRules or GetRule.

    :raises ApiError: there is no such rule, or no such action here
    """
    here = [_view(region, number, rule) for number, rule in enumerate(rules.get(region, ()))]
    if path == "/list-rules":
        asked = json.loads(body or b"{}")
        kind = asked.get("ResourceType")
        if not kind:
            raise ApiError("ValidationException", "ResourceType is required.")
        told = ("Identifier", "Description", "RetentionPeriod", "LockState", "RuleArn")
        found = [each for each in here if each["ResourceType"] == kind]
        return {"Rules": [{name: each[name] for name in told} for each in found]}
    match = _RULE.match(path)
    for each in here:
        if match and each["Identifier"] == match["id"]:
            return each
    raise ApiError("ResourceNotFoundException", "The specified rule was not found.", 404)


def _view(region: str, number: int, rule: Mapping[str, Any]) -> dict[str, Any]:
    if "days" not in rule:
        raise SandboxError("a rule of the Recycle Bin needs days")
    key = uuid.uuid5(uuid.NAMESPACE_URL, f"{region}/{number}").hex[:11]
    return {
        "Identifier": key,
        "Description": rule.get("description", ""),
        "ResourceType": rule.get("resource_type", "EBS_SNAPSHOT"),
        "RetentionPeriod": {
            "RetentionPeriodValue": int(rule["days"]),
            "RetentionPeriodUnit": "DAYS",
        },
        "ResourceTags": _tags(rule.get("tags")),
        "ExcludeResourceTags": _tags(rule.get("exclude_tags")),
        "Status": rule.get("status", "available"),
        "LockState": "locked" if rule.get("locked") else "unlocked",
        "RuleArn": f"arn:aws:rbin:{region}:123456789012:rule/{key}",
    }


def _tags(tags: Mapping[str, str] | None) -> list[dict[str, str]]:
    """Answers tags as the API has them; an empty value stands for any."""
    return [
        {"ResourceTagKey": name, **({"ResourceTagValue": value} if value else {})}
        for name, value in (tags or {}).items()
    ]
