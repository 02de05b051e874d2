"""What `doctor` finds: lines, each ok, warning or failure, with what to do. Pure judgements.

Whoever looks hands in what was seen; nothing here looks for itself.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from snapback.core.model import NOWHERE, Place
from snapback.errors import Interrupted, SnapbackError

SSH_PORT = 22
_OTHERS = 0o077
_OPENSSH = b"openssh-key-v1\0"


class Level(IntEnum):
    """How a line is meant; more is worse."""

    OK = 0
    WARNING = 1
    FAILURE = 2


@dataclass(frozen=True, kw_only=True)
class Line:
    """One thing that was looked at.

    :ivar check: what kind of thing: ``"credentials"``.
    :ivar subject: which one: a file, a region, a task, an instance.
    :ivar text: what was found.
    :ivar advice: what to do about it; empty where it is ok.
    :ivar facts: what else is known, as JSON's values.
    """

    check: str
    subject: str
    level: Level
    text: str
    advice: str = ""
    place: Place = NOWHERE
    facts: Mapping[str, Any] = field(default_factory=dict)


def not_examined(check: str, subject: str, error: SnapbackError, place: Place = NOWHERE) -> Line:
    """Return that something could not be looked at: a failure where the run was asked to stop."""
    return Line(
        check=check,
        subject=subject,
        level=Level.FAILURE if isinstance(error, Interrupted) else Level.WARNING,
        text=f"not examined: {error}",
        advice="allow doctor to read it: its policy is docs/reference/iam/doctor.json",
        place=place,
    )


@dataclass(frozen=True, kw_only=True)
class KeyFile:
    """A private key's file, as it was found.

    :ivar problem: why it can't be read, or ``""``.
    :ivar mode: its permission bits.
    :ivar text: what is in it.
    """

    path: str
    problem: str = ""
    mode: int = 0o600
    text: str = ""


def judge_key_file(key: KeyFile) -> Line:
    """Judge the file of a private key that is to log in with."""
    level, text, advice = Level.OK, f"a private key, mode {key.mode:04o}", ""
    if key.problem:
        level, text = Level.FAILURE, key.problem
        advice = "see key_filename in the configuration, and whose file it is"
    elif key.mode & _OTHERS:
        level, text = Level.FAILURE, f"others may read it: mode {key.mode:04o}"
        advice = f"chmod 600 {key.path}"
    elif "PRIVATE KEY-----" not in key.text:
        level, text = Level.FAILURE, "it is no private key"
        advice = "name the private key, not the one with .pub"
    elif _has_passphrase(key.text):
        level, text = Level.WARNING, f"{text}, with a passphrase"
        advice = "see that an agent has it, also for cron; or use a key without one"
    return Line(check="key file", subject=key.path, level=level, text=text, advice=advice)


def _has_passphrase(text: str) -> bool:
    """Source: OpenSSH's PROTOCOL.key: the cipher's name comes first, none or another."""
    if "ENCRYPTED" in text:
        return True
    body = "".join(line for line in text.splitlines() if not line.startswith("-----"))
    try:
        blob = base64.b64decode(body)
    except binascii.Error:
        return False
    return blob.startswith(_OPENSSH) and blob[len(_OPENSSH) + 4 :][:4] != b"none"


def judge_regions(
    places: Sequence[Place],
    enabled: Mapping[str, Collection[str] | None],
    unused: Collection[Place],
) -> list[Line]:
    """Judge whether the regions in use are enabled for their accounts.

    Where there is nothing of ours, they are told together.

    :param enabled: account -> its regions; ``None`` where they could not be read.
    :param unused: those that were not looked at closely.
    """
    idle = [place for place in places if place in unused and enabled[place.account] is not None]
    lines = [_judge_region(place, enabled[place.account]) for place in places if place not in idle]
    if idle:
        text = f"enabled; nothing of ours in {', '.join(map(str, idle))}"
        lines.append(
            Line(
                check="region",
                subject=f"{len(idle)} others" if lines else "all",
                level=Level.OK,
                text=f"{text}: looked at only if regions or destinations name them",
                facts={"regions": list(map(str, idle))},
            )
        )
    return lines


def _judge_region(place: Place, enabled: Collection[str] | None) -> Line:
    level, text, advice = Level.OK, "enabled", ""
    if enabled is None:
        level, text = Level.WARNING, "whether it is enabled can't be told"
        advice = "allow ec2:DescribeRegions"
    elif place.region not in enabled:
        level, text = Level.FAILURE, "not enabled for this account"
        advice = "enable it in the account's settings, or take it out of the configuration"
    return Line(
        check="region",
        subject=str(place),
        level=level,
        text=text,
        advice=advice,
        place=place,
    )


def judge_earmarked(counts: Mapping[str, int], tag: tuple[str, str]) -> Line:
    """Judge whether there is anything to back up.

    :param counts: region -> how many instances have the earmark.
    """
    earmark, total = "=".join(tag), sum(counts.values())
    where = ", ".join(f"{count} in {region}" for region, count in counts.items() if count)
    return Line(
        check="instances",
        subject=earmark,
        level=Level.OK if total else Level.FAILURE,
        text=where or "no instance has this tag: nothing would be backed up",
        advice="" if total else "tag instances, or see tag_name, tag_value and regions",
        facts={"instances": dict(counts)},
    )


def judge_image(place: Place, image: str, problem: str) -> Line:
    """Judge whether there is an image to launch temporary instances from."""
    return Line(
        check="image",
        subject=str(place),
        level=Level.FAILURE if problem else Level.OK,
        text=problem or image,
        advice="see temporary.image_name, image_owner and architecture" if problem else "",
        place=place,
    )


def judge_subnets(place: Place, zones: Sequence[str], problem: str) -> Line:
    """Judge where temporary instances would be launched."""
    return Line(
        check="subnet",
        subject=str(place),
        level=Level.FAILURE if problem else Level.OK,
        text=problem or f"{len(zones)} to try, in {', '.join(sorted(set(zones)))}",
        advice="name some in temporary.subnets" if problem else "",
        place=place,
    )


@dataclass(frozen=True)
class Group:
    """A security group, and the rules that let something in, as DescribeSecurityGroups has them."""

    group_id: str
    let_in: Sequence[Mapping[str, Any]]

    @property
    def lets_ssh_in(self) -> bool:
        """Whether it lets SSH in from anywhere at all."""
        return any(
            rule.get("IpProtocol") == "-1"
            or (
                rule.get("IpProtocol") == "tcp"
                and rule.get("FromPort", 0) <= SSH_PORT <= rule.get("ToPort", 65535)
            )
            for rule in self.let_in
        )


def judge_groups(
    place: Place, wanted: Sequence[str], found: Collection[Group], source_cidr: str | None
) -> Line:
    """Judge the security groups of temporary instances.

    :param wanted: those configured; none: a temporary one is made.
    """
    missing = sorted(set(wanted) - {group.group_id for group in found})
    closed = sorted(group.group_id for group in found if not group.lets_ssh_in)
    level, advice = Level.OK, ""
    if not wanted:
        text = f"a temporary one is made, which lets in {source_cidr or 'this machine'}"
    elif missing:
        level, text = Level.FAILURE, f"there is no {', '.join(missing)}"
        advice = "see temporary.security_groups"
    elif len(closed) == len(found):
        level, text = Level.FAILURE, f"none lets SSH in: {', '.join(closed)}"
        advice = "let port 22 in, from here and from the other temporary instance"
    else:
        text = ", ".join(wanted)
    return Line(
        check="security group",
        subject=str(place),
        level=level,
        text=text,
        advice=advice,
        place=place,
    )


def judge_encryption(place: Place, by_default: bool, key: str, configured: str) -> Line:
    """Tell what new volumes and replicas are encrypted with.

    :param key: the region's default key.
    :param configured: the key that all replicas there are to have, or ``""``.
    """
    default = f"by default: {'yes' if by_default else 'no'}, with {key}"
    text = f"{default}; replicas with {configured}" if configured else default
    return Line(
        check="encryption",
        subject=str(place),
        level=Level.OK,
        text=text,
        place=place,
        facts={"encrypted_by_default": by_default, "key": key},
    )
