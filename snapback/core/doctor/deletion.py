"""Who may delete snapshots. Pure.

As far as IAM's own documents tell: permission boundaries, the policies of an organization, and
whether a condition is met are not judged.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from snapback.core.doctor.checkup import Level, Line

DELETE = "ec2:DeleteSnapshot"
_A_SNAPSHOT = "arn:aws:ec2:us-east-1::snapshot/snap-0123456789abcdef0"
MOST_NAMED = 12


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
