"""The Recycle Bin (rbin), which moto does not have: retention rules, as the settings give them.

What the rules keep is in :mod:`ec2_sandbox.corrections.recycle_bin`.

Source: https://docs.aws.amazon.com/recyclebin/latest/APIReference/ and
https://docs.aws.amazon.com/ebs/latest/userguide/recycle-bin-factors.html
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from ec2_sandbox.errors import ApiError

_RULE = re.compile(r"/rules/(?P<id>[0-9a-zA-Z]{11})\Z")
_KEYS = {"resource_type", "days", "tags", "exclude_tags", "status", "description", "lock_state"}
MOST_DAYS = {"EBS_SNAPSHOT": 365, "EC2_IMAGE": 365, "EBS_VOLUME": 7}
_STATUSES = ("available", "pending")
_LOCK_STATES = ("unlocked", "locked", "pending_unlock")
_UNLOCK_DELAY = {"UnlockDelay": {"UnlockDelayValue": 7, "UnlockDelayUnit": "DAYS"}}
_LISTED = ("Identifier", "Description", "RetentionPeriod", "LockState", "RuleArn")
_PAGE = 1000


def action_of(path: str) -> str:
    """Answers which action a request is, by its path; empty for one that isn't here."""
    if path == "/list-rules":
        return "ListRules"
    return "GetRule" if _RULE.match(path) else ""


def read_rules(value: Any) -> dict[str, list[dict[str, Any]]]:
    """Reads the setting: region to rules.

    :raises ValueError: a rule that the Recycle Bin would not take
    """
    if not isinstance(value, Mapping):
        raise ValueError("write {region: [{days: 7, tags: {name: value}}]}")
    for region, rules in value.items():
        for rule in rules:
            if problem := _problem(rule):
                raise ValueError(f"{region}: {problem}")
    return {region: [dict(rule) for rule in rules] for region, rules in value.items()}


def _problem(rule: Mapping[str, Any]) -> str:
    """Return why the Recycle Bin would not take a rule; empty for one that it takes."""
    if unknown := sorted(set(rule) - _KEYS):
        return f"a rule has no {unknown[0]!r}"
    kind, days = rule.get("resource_type", "EBS_SNAPSHOT"), rule.get("days")
    if kind not in MOST_DAYS:
        return f"a rule is for one of {', '.join(MOST_DAYS)}"
    if not isinstance(days, int) or not 1 <= days <= MOST_DAYS[kind]:
        return f"a rule for {kind} keeps from 1 to {MOST_DAYS[kind]} days"
    if rule.get("tags") and rule.get("exclude_tags"):
        return "only a rule without tags has exclude_tags"
    if rule.get("status", "available") not in _STATUSES:
        return f"a rule's status is one of {', '.join(_STATUSES)}"
    if rule.get("lock_state", "unlocked") not in _LOCK_STATES:
        return f"a rule's lock_state is one of {', '.join(_LOCK_STATES)}"
    if rule.get("lock_state", "unlocked") != "unlocked" and (
        rule.get("tags") or rule.get("exclude_tags")
    ):
        return "only a rule without tags and exclude_tags can be locked"
    return ""


def days_kept(rules: Sequence[Mapping[str, Any]], kind: str, tags: Mapping[str, str]) -> int:
    """Return for how many days what is deleted is kept; 0: not at all.

    Of several rules that match, the one with the longest period counts.

    :param rules: the region's
    :param kind: ``EBS_SNAPSHOT`` or ``EBS_VOLUME``
    :param tags: of what is deleted
    """
    return max((int(rule["days"]) for rule in rules if _keeps(rule, kind, tags)), default=0)


def _keeps(rule: Mapping[str, Any], kind: str, tags: Mapping[str, str]) -> bool:
    if rule.get("resource_type", "EBS_SNAPSHOT") != kind:
        return False
    if rule.get("status", "available") != "available":
        return False
    if rule.get("tags"):
        return _has_any(tags, rule["tags"])
    return not _has_any(tags, rule.get("exclude_tags") or {})


def _has_any(tags: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Return whether one of the wanted tags is there; an empty value stands for any."""
    return any(name in tags and value in ("", tags[name]) for name, value in wanted.items())


def answer(rules: Mapping[str, Any], region: str, path: str, body: bytes) -> dict[str, Any]:
    """Answers ListRules or GetRule.

    :raises ApiError: there is no such rule, or no such action here
    """
    here = [_view(region, number, rule) for number, rule in enumerate(rules.get(region, ()))]
    if path == "/list-rules":
        return _list(here, json.loads(body or b"{}"))
    match = _RULE.match(path)
    for each in here:
        if match and each["Identifier"] == match["id"]:
            return each
    raise ApiError("ResourceNotFoundException", "The specified rule was not found.", 404)


def _list(rules: Sequence[Mapping[str, Any]], asked: Mapping[str, Any]) -> dict[str, Any]:
    if asked.get("ResourceType") not in MOST_DAYS:
        raise ApiError("ValidationException", "ResourceType is required.")
    found = [
        {name: each[name] for name in _LISTED}
        for each in rules
        if each["ResourceType"] == asked["ResourceType"]
        and asked.get("LockState") in (None, each["LockState"])
        and all(
            wanted in each[name]
            for name in ("ResourceTags", "ExcludeResourceTags")
            for wanted in asked.get(name) or ()
        )
    ]
    token = str(asked.get("NextToken") or 0)
    if not token.isdecimal():
        raise ApiError("ValidationException", "The NextToken is not valid.")
    start, size = int(token), int(asked.get("MaxResults") or _PAGE)
    more = {"NextToken": str(start + size)} if len(found) > start + size else {}
    return {"Rules": found[start : start + size], **more}


def _view(region: str, number: int, rule: Mapping[str, Any]) -> dict[str, Any]:
    key = uuid.uuid5(uuid.NAMESPACE_URL, f"{region}/{number}").hex[:11]
    lock_state = rule.get("lock_state", "unlocked")
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
        "LockState": lock_state,
        **({"LockConfiguration": _UNLOCK_DELAY} if lock_state != "unlocked" else {}),
        "RuleArn": f"arn:aws:rbin:{region}:123456789012:rule/{key}",
    }


def _tags(tags: Mapping[str, str] | None) -> list[dict[str, str]]:
    """Answers tags as the API has them; an empty value stands for any."""
    return [
        {"ResourceTagKey": name, **({"ResourceTagValue": value} if value else {})}
        for name, value in (tags or {}).items()
    ]
