"""What `doctor --hosts` finds on a host: what would keep backups from being consistent. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from snapback.core.doctor.checkup import Level, Line
from snapback.core.model import Instance

LEAST_RSYNC = (3, 2, 4)
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


@dataclass(frozen=True, kw_only=True)
class HostFacts:
    """What was seen of a host.

    :ivar problem: why it could not be logged in to, or ``""``, and...
    :ivar advice: ...what to do about it.
    :ivar is_at_rest: it doesn't run, so there is nothing to log in to.
    :ivar new_key: its host key was met for the first time, and would be taken in.
    :ivar no_sudo: why nothing can be run as root, or ``""``.
    :ivar no_lsblk: why its disks can't be told, or ``""``.
    :ivar fsfreeze: what it says of its version; empty: it isn't there.
    :ivar rsync: the same.
    :ivar shortcomings: what of its volumes can't be consistent, and why.
    """

    problem: str = ""
    advice: str = ""
    is_at_rest: bool = False
    new_key: bool = False
    no_sudo: str = ""
    no_lsblk: str = ""
    fsfreeze: str = ""
    rsync: str = ""
    mount_points: tuple[str, ...] = ()
    shortcomings: tuple[str, ...] = ()


def judge_host(instance: Instance, facts: HostFacts) -> list[Line]:
    """Judge what a consistent backup of an instance would meet: a line where all is well."""

    def line(level: Level, text: str, advice: str = "", **more: Any) -> Line:
        return Line(
            check="host",
            subject=instance.instance_id,
            level=level,
            text=text,
            advice=advice,
            place=instance.place,
            facts={"name": instance.name, **more},
        )

    if facts.is_at_rest and instance.state != "stopped":
        return [line(Level.WARNING, f"it is {instance.state}", "look again in a while")]
    if facts.is_at_rest:
        return [line(Level.OK, f"{instance.state}: consistent without logging in")]
    if facts.problem:
        return [line(Level.FAILURE, facts.problem, facts.advice)]
    found = [line(level, text, advice) for level, text, advice in _of_host(facts)]
    frozen = ", ".join(facts.mount_points) or "nothing"
    if not any(one.level is Level.FAILURE for one in found):
        text = f"reachable, sudo, {facts.fsfreeze}, {facts.rsync or 'no rsync'}; freezes {frozen}"
        found.insert(0, line(Level.OK, text, mount_points=list(facts.mount_points)))
    return found


def _of_host(facts: HostFacts) -> Iterator[tuple[Level, str, str]]:
    if facts.new_key:
        yield (
            Level.WARNING,
            "its host key is not known yet, and would be taken as it comes",
            "check it, or see host_keys in the configuration",
        )
    if facts.no_sudo:
        yield (
            Level.FAILURE,
            facts.no_sudo,
            "let the user run sudo without a password: USER ALL=(root) NOPASSWD: ALL",
        )
    else:
        if not facts.fsfreeze:
            yield Level.FAILURE, "it has no fsfreeze", "install util-linux"
        if facts.no_lsblk:
            yield Level.FAILURE, facts.no_lsblk, "see what lsblk says there"
    for text in facts.shortcomings:
        yield Level.WARNING, text, "it is backed up as after a power failure: live with it, or move"
    if not facts.rsync or _version(facts.rsync) < LEAST_RSYNC:
        least = ".".join(map(str, LEAST_RSYNC))
        yield (
            Level.WARNING,
            facts.rsync or "it has no rsync",
            f"only where data are moved by this instance itself: install rsync {least}",
        )


def _version(text: str) -> tuple[int, ...]:
    match = _VERSION.search(text)
    return tuple(int(part or 0) for part in match.groups()) if match else (0,)
