"""Who may delete snapshots, and whether what is deleted can still be had back. Pure.

As far as IAM's own documents tell: permission boundaries, the policies of an organization, and
whether a condition is met are not judged.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from snapback.core.doctor.checkup import Level, Line
from snapback.core.model import Place, Tags

DELETE = "ec2:DeleteSnapshot"
_A_SNAPSHOT = "arn:aws:ec2:us-east-1::snapshot/snap-0123456789abcdef0"
MOST_NAMED = 12


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A retention rule of the Recycle Bin. Source: GetRule.

    :ivar tags: key -> value, ``""`` for any; none: all snapshots of the region.
    :ivar exclude_tags: of a rule for all: those that it leaves out.
    """

    days: int
    tags: Tags
    exclude_tags: Tags
    is_available: bool = True

    def keeps(self, tags: Tags) -> bool:
        """Answer whether it keeps a snapshot with some tags when that is deleted."""
        if not self.is_available:
            return False
        if self.tags:
            return _any_of(self.tags, tags)
        return not _any_of(self.exclude_tags, tags)


def _any_of(wanted: Tags, tags: Tags) -> bool:
    return any(key in tags and value in ("", tags[key]) for key, value in wanted.items())


def judge_bin(place: Place, rules: Sequence[Rule], tags: Tags) -> Line:
    """Judge whether the Recycle Bin keeps our snapshots for a while after their deletion.

    :param tags: those that our snapshots there have.
    """
    days = max((rule.days for rule in rules if rule.keeps(tags)), default=0)
    if days:
        level, advice = Level.OK, ""
        text = f"what is deleted can be had back for {days} days"
    else:
        level = Level.WARNING
        text = "no rule keeps our snapshots" if rules else "no rule"
        text += ": what is deleted is gone at once"
        advice = "make a retention rule for EBS snapshots, or live with it"
    return Line(
        check="recycle bin",
        subject=str(place),
        level=level,
        text=text,
        advice=advice,
        place=place,
        facts={"days": days},
    )


@dataclass(frozen=True, order=True)
class Principal:
    """Who may delete snapshots.

    :ivar kind: ``"role"`` or ``"user"``.
    :ivar is_conditional: only under some condition, such as our tags.
    """

    kind: str
    name: str
    is_conditional: bool = False

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (" (on conditions)" if self.is_conditional else "")


def who_may_delete(details: Sequence[Mapping[str, Any]]) -> list[Principal]:
    """Answer the users and roles whose policies allow them to delete snapshots.

    :param details: the pages of GetAccountAuthorizationDetails, as the API answers them.
    """
    policies = {
        policy["Arn"]: version["Document"]
        for page in details
        for policy in page.get("Policies", ())
        for version in policy.get("PolicyVersionList", ())
        if version.get("IsDefaultVersion")
    }
    groups = {
        group["GroupName"]: list(_documents(group, "GroupPolicyList", policies))
        for page in details
        for group in page.get("GroupDetailList", ())
    }
    found = []
    for page in details:
        for user in page.get("UserDetailList", ()):
            documents = list(_documents(user, "UserPolicyList", policies))
            for group in user.get("GroupList", ()):
                documents += groups.get(group, [])
            found += _if_allowed("user", user["UserName"], documents)
        for role in page.get("RoleDetailList", ()):
            documents = list(_documents(role, "RolePolicyList", policies))
            found += _if_allowed("role", role["RoleName"], documents)
    return sorted(found)


def _documents(
    holder: Mapping[str, Any], inline: str, policies: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    for policy in holder.get(inline, ()):
        yield policy["PolicyDocument"]
    for policy in holder.get("AttachedManagedPolicies", ()):
        yield policies.get(policy["PolicyArn"], {})


def _if_allowed(kind: str, name: str, documents: Collection[Mapping[str, Any]]) -> list[Principal]:
    statements = [one for document in documents for one in _list(document.get("Statement"))]
    about = [one for one in statements if _is_about_deletion(one)]
    if any(one["Effect"] == "Deny" and not one.get("Condition") for one in about):
        return []
    allowing = [one for one in about if one["Effect"] == "Allow"]
    if not allowing:
        return []
    limited = any(one["Effect"] == "Deny" for one in about)
    return [Principal(kind, name, limited or all(one.get("Condition") for one in allowing))]


def _is_about_deletion(statement: Mapping[str, Any]) -> bool:
    """Answer whether a statement is about deleting a snapshot, any or all."""
    return _means(statement, "Action", DELETE) and _means(statement, "Resource", _A_SNAPSHOT)


def _means(statement: Mapping[str, Any], key: str, what: str) -> bool:
    if f"Not{key}" in statement:
        return not any(_matches(pattern, what) for pattern in _list(statement[f"Not{key}"]))
    return any(_matches(pattern, what) for pattern in _list(statement.get(key)))


def _matches(pattern: str, what: str) -> bool:
    """Compare segment by segment: a pattern for some account or region means ours as well."""
    if pattern == "*" or not pattern.startswith("arn:"):
        return _like(pattern, what)
    theirs, ours = pattern.split(":", 5), what.split(":", 5)
    if len(theirs) < 6 or not _like(theirs[2], ours[2]):
        return False
    kind = theirs[5].partition("/")[0]
    return _like(kind, "snapshot")


def _like(pattern: str, text: str) -> bool:
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return bool(re.fullmatch("".join(parts), text, re.IGNORECASE | re.DOTALL))


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def judge_principals(found: Sequence[Principal], account: str) -> Line:
    """Tell who may delete snapshots; whether that is as it should be, only a person can tell."""
    named = ", ".join(map(str, found[:MOST_NAMED]))
    more = f", and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return Line(
        check="who may delete",
        subject=account,
        level=Level.OK,
        text=f"by IAM's policies: {named}{more}"
        if found
        else "by IAM's policies nobody but the root user",
        facts={
            "principals": [
                {"kind": p.kind, "name": p.name, "on_conditions": p.is_conditional} for p in found
            ]
        },
    )
