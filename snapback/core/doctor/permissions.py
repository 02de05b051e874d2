"""What each task needs to be allowed: its IAM policies, as docs/reference/iam/ has them. Pure.

A task has a policy of its own name: what it always needs, and what goes with its everyday options.
What it needs only in some case is a policy of its own, an extra, named here; so a role that must
not delete, say, can do without.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from snapback.core.model.tags import EXPIRES, PURPOSE

EXTRAS = {
    "console": "with `host_keys: console`, where it logs in; for a drill, to tell why one failed",
    "copy_engine": "with the engine copy",
    "django_fabfile": "where snapshots that django-fabfile left are to be deleted too",
    "instance_profile": "where an instance is restored with an instance profile",
    "own_instances": "with `--src-inst` and `--dst-inst`",
    "rsync_engine": "with the engine rsync",
    "synchronously": "with `--synchronously`, to retake what ends in error",
    "temporary_instances": "where it lends temporary instances",
}
_BACKUP = ("synchronously", "console")
_REPLICATION = ("copy_engine", "rsync_engine", "temporary_instances")
EXTRAS_OF: Mapping[str, tuple[str, ...]] = {
    "backup_instance": _BACKUP,
    "backup_instances_by_tag": _BACKUP,
    "mount_snapshot": ("temporary_instances",),
    "restore_instance": ("console", "instance_profile"),
    "restore_instances_by_tag": ("instance_profile",),
    "verify_region": ("temporary_instances",),
    "verify_snapshot": ("temporary_instances",),
    "delete_broken_snapshots": ("django_fabfile",),
    "doctor": ("console",),
    "rsync_all_regions": _REPLICATION,
    "rsync_mountpoints": ("console",),
    "rsync_region": _REPLICATION,
    "rsync_snapshot": (*_REPLICATION, "own_instances"),
    "trim_snapshots": ("django_fabfile",),
}
CALLS_NOTHING = frozenset({"show_config"})


@dataclass(frozen=True)
class Need:
    """An action that is to be allowed.

    :ivar action: as IAM names it, ``"ec2:DeleteSnapshot"``.
    :ivar statement: the statement that allows it, of the policy...
    :ivar policy: ...of this name.
    :ivar is_for_temporary: whether the policy allows it only on what is lent for a moment: it also
        may say so in another statement than this one.
    """

    action: str
    statement: Mapping[str, Any]
    policy: str
    is_for_temporary: bool = False

    @property
    def alone(self) -> dict[str, Any]:
        """The statement that allows this action and nothing else."""
        return {**self.statement, "Action": [self.action]}

    @property
    def when_created(self) -> tuple[str, ...]:
        """The operations that it is for as they create something, which tags are given to."""
        return _when_created(self.statement)


def needs_in(policy: str, text: str) -> list[Need]:
    """Answer what a policy allows, by its name and its JSON."""
    statements = json.loads(text)["Statement"]
    lent = {one for statement in statements if _is_lent(statement) for one in statement["Action"]}
    return [
        Need(
            action,
            statement,
            policy,
            is_for_temporary=_is_lent(statement)
            or not lent.isdisjoint(f"ec2:{one}" for one in _when_created(statement))
            or (action in lent and action != "ec2:CreateTags"),
        )
        for statement in statements
        for action in statement["Action"]
    ]


def _is_lent(statement: Mapping[str, Any]) -> bool:
    """Answer whether a statement is about what bears the tags of what is lent for a moment."""
    condition = json.dumps(statement.get("Condition", {}))
    return any(f"aws:ResourceTag/{tag}" in condition for tag in (EXPIRES, PURPOSE))


def _when_created(statement: Mapping[str, Any]) -> tuple[str, ...]:
    said = statement.get("Condition", {}).get("StringEquals", {}).get("ec2:CreateAction")
    return (said,) if isinstance(said, str) else tuple(said or ())


def merged(needs: Iterable[Need]) -> list[dict[str, Any]]:
    """Answer statements that allow some actions: those of one statement together, none twice."""
    found: dict[str, dict[str, Any]] = {}
    for need in needs:
        known = found.setdefault(_key(need.statement), {**need.statement, "Action": []})
        if need.action not in known["Action"]:
            known["Action"].append(need.action)
    return [{**one, "Action": sorted(one["Action"])} for one in _with_sids_of_their_own(found)]


def _key(statement: Mapping[str, Any]) -> str:
    return json.dumps([statement.get(name) for name in ("Resource", "Condition")], sort_keys=True)


def _with_sids_of_their_own(found: Mapping[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Give each statement a Sid of its own, as a policy demands."""
    seen: set[str] = set()
    for statement in found.values():
        sid, number = str(statement["Sid"]), 2
        while sid in seen:
            sid, number = f"{statement['Sid']}{number}", number + 1
        seen.add(sid)
        yield {**statement, "Sid": sid}


def table(tasks: Iterable[str]) -> str:
    """Answer in Markdown which policies each task needs."""
    rows = ["| task | policy | and |", "|---|---|---|"]
    for task in sorted(tasks):
        if task in CALLS_NOTHING:
            rows.append(f"| `{task}` | none: it calls nothing | |")
            continue
        extras = "; ".join(f"{EXTRAS[name]}: {_link(name)}" for name in EXTRAS_OF.get(task, ()))
        rows.append(f"| `{task}` | {_link(task)} | {extras} |")
    return "\n".join(rows) + "\n"


def _link(name: str) -> str:
    return f"[{name}](#{name})"
