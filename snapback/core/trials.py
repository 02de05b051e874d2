"""How a permission is tried without doing anything, on what, and what the answer means. Pure.

EC2 answers ``DryRun`` with ``DryRunOperation`` where the call is allowed and
``UnauthorizedOperation`` where it isn't. It looks at the resources that are named, and at their
tags: so what is limited by tags can be tried only on something that carries them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from snapback.core.checkup import Level, Line
from snapback.core.model import Place
from snapback.core.permissions import Need
from snapback.core.tags import CONSISTENCY, EXPIRES, SET

ALLOWED = "DryRunOperation"
REFUSED = {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"}
_NAMED = re.compile(r"not authorized to perform: (\S+)")
_BECAUSE = re.compile(r"\b(?:because|with) (.+?)\.(?: Encoded|$)")

MOST_NAMED = 3
NO_DRY_RUNS = "EC2 doesn't know dry runs there"
NOTHING_READ = "nothing may be read, so it can't be seen whether dry runs are honoured there"

Parameters = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Things:
    """What there is at a place to try permissions on; ``""`` where there is none.

    :ivar snapshot_id: one of ours, with our tags.
    :ivar untagged_id: one of ours, without.
    :ivar source: region and id of one of ours in another region.
    """

    place: Place
    instance_id: str = ""
    volume_id: str = ""
    snapshot_id: str = ""
    untagged_id: str = ""
    source: tuple[str, str] = ("", "")
    image_id: str = ""
    instance_type: str = ""
    subnet_id: str = ""
    vpc_id: str = ""
    zone: str = ""


@dataclass(frozen=True)
class Untried:
    """A permission can't be tried.

    :ivar later: whether it can be once there are backups.
    """

    why: str
    later: bool = False


@dataclass(frozen=True)
class Trial:
    """A call that is made as a dry run.

    What changes something is tried only where dry runs were seen to be honoured.

    :ivar tagged: the parameters that give tags to what the call makes; these take CreateTags.
    """

    action: str
    parameters: Parameters
    tagged: Parameters | None = None

    @property
    def only_reads(self) -> bool:
        """Whether it would do no harm if it were carried out."""
        return self.action.startswith(("Describe", "Get"))


class State(Enum):
    """What a trial tells."""

    ALLOWED = "allowed"
    MISSING = "missing"
    UNTRIED = "not tried"


@dataclass(frozen=True)
class Verdict:
    """What is known of one permission at one place.

    :ivar why: of one that is missing, or could not be tried.
    :ivar later: whether it can be tried once there are backups.
    """

    state: State
    why: str = ""
    later: bool = False


@dataclass(frozen=True)
class Tried:
    """A permission, where it was tried, and what came of it."""

    place: Place
    need: Need
    verdict: Verdict


_ONLY_TEMPORARY = Untried("on temporary things only, of which there are none now")
_NO_INSTANCE = Untried("no instance has the earmark", later=True)
_NO_SNAPSHOT = Untried("there is no snapshot of ours yet", later=True)
_NO_LEGACY = Untried("there is no snapshot that django-fabfile left")
_NO_SOURCE = Untried("there is no snapshot of ours in another region yet", later=True)
_NOWHERE = Untried("there is no image or subnet to launch with")
UNKNOWN = Untried("doctor knows no way to try it")


def trials_of(need: Need, at: Things) -> list[Trial] | Untried:
    """Answer how to try a permission at a place, or why it can't be.

    Each of the trials has to be allowed.
    """
    if need.is_for_temporary:
        return _ONLY_TEMPORARY
    if need.when_created:
        made = [_tagging(action, at) for action in need.when_created]
        return next((one for one in made if isinstance(one, Untried)), None) or [
            one for one in made if isinstance(one, Trial)
        ]
    action = need.action.removeprefix("ec2:")
    given = _parameters(action, need, at)
    return given if isinstance(given, Untried) else [Trial(action, given)]


def _tagging(action: str, at: Things) -> Trial | Untried:
    given = _WAYS[action](at)
    if isinstance(given, Untried):
        return given
    kinds = {"RunInstances": ["instance", "volume"]}.get(action, [_MADE[action]])
    tags = [{"Key": SET if kinds == ["snapshot"] else EXPIRES, "Value": "doctor"}]
    specified = [{"ResourceType": kind, "Tags": tags} for kind in kinds]
    return Trial(action, given, {"TagSpecifications": specified})


def _parameters(action: str, need: Need, at: Things) -> Parameters | Untried:
    if action == "DeleteSnapshot" and "Condition" not in need.statement:
        return {"SnapshotId": at.untagged_id} if at.untagged_id else _NO_LEGACY
    if action == "CreateTags" and ":volume/" in str(need.statement["Resource"]):
        return _tag_volume(at)
    if action in _WAYS:
        return _WAYS[action](at)
    if action.startswith(("Describe", "GetEbs")):
        return {}
    return UNKNOWN


def _create_snapshots(at: Things) -> Parameters | Untried:
    if not at.instance_id:
        return _NO_INSTANCE
    return {"InstanceSpecification": {"InstanceId": at.instance_id}}


def _create_snapshot(at: Things) -> Parameters | Untried:
    return {"VolumeId": at.volume_id} if at.volume_id else _NO_INSTANCE


def _console(at: Things) -> Parameters | Untried:
    return {"InstanceId": at.instance_id} if at.instance_id else _NO_INSTANCE


def _delete_snapshot(at: Things) -> Parameters | Untried:
    return {"SnapshotId": at.snapshot_id} if at.snapshot_id else _NO_SNAPSHOT


def _copy_snapshot(at: Things) -> Parameters | Untried:
    region, snapshot_id = at.source
    if not snapshot_id:
        return _NO_SOURCE
    return {"SourceRegion": region, "SourceSnapshotId": snapshot_id}


def _create_tags(at: Things) -> Parameters | Untried:
    if not at.snapshot_id:
        return _NO_SNAPSHOT
    tags = [{"Key": CONSISTENCY, "Value": "crash"}]
    return {"Resources": [at.snapshot_id], "Tags": tags}


def _tag_volume(at: Things) -> Parameters | Untried:
    if not at.volume_id:
        return _NO_INSTANCE
    return {"Resources": [at.volume_id], "Tags": [{"Key": "Name", "Value": "a dry run"}]}


def _run_instances(at: Things) -> Parameters | Untried:
    if not (at.image_id and at.subnet_id and at.instance_type):
        return _NOWHERE
    return {
        "ImageId": at.image_id,
        "InstanceType": at.instance_type,
        "SubnetId": at.subnet_id,
        "MinCount": 1,
        "MaxCount": 1,
    }


def _create_volume(at: Things) -> Parameters | Untried:
    if not at.zone:
        return _NOWHERE
    return {"AvailabilityZone": at.zone, "Size": 1, "VolumeType": "gp3"}


def _create_group(at: Things) -> Parameters | Untried:
    if not at.vpc_id:
        return _NOWHERE
    return {"GroupName": "snapback-doctor", "Description": "a dry run", "VpcId": at.vpc_id}


def _register_image(at: Things) -> Parameters | Untried:
    if not at.snapshot_id:
        return _NO_SNAPSHOT
    root = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": at.snapshot_id}}
    return {
        "Name": "snapback-doctor",
        "RootDeviceName": "/dev/sda1",
        "BlockDeviceMappings": [root],
    }


_WAYS: dict[str, Callable[[Things], Parameters | Untried]] = {
    "AttachVolume": lambda _: _ONLY_TEMPORARY,
    "CopySnapshot": _copy_snapshot,
    "CreateKeyPair": lambda _: {"KeyName": "snapback-claim-doctor", "KeyType": "ed25519"},
    "CreateSecurityGroup": _create_group,
    "CreateSnapshot": _create_snapshot,
    "CreateSnapshots": _create_snapshots,
    "CreateTags": _create_tags,
    "CreateVolume": _create_volume,
    "DeleteSnapshot": _delete_snapshot,
    "DetachVolume": lambda _: _ONLY_TEMPORARY,
    "GetConsoleOutput": _console,
    "ModifyInstanceAttribute": lambda _: _ONLY_TEMPORARY,
    "RegisterImage": _register_image,
    "RunInstances": _run_instances,
}
_MADE = {
    "CopySnapshot": "snapshot",
    "CreateKeyPair": "key-pair",
    "CreateSecurityGroup": "security-group",
    "CreateSnapshot": "snapshot",
    "CreateSnapshots": "snapshot",
    "CreateVolume": "volume",
    "RegisterImage": "image",
    "RunInstances": "instance",
}


def verdict_of(action: str, code: str, reason: str) -> Verdict:
    """Answer what EC2's answer to a dry run tells of an action.

    :param action: with its service, ``"ec2:CopySnapshot"``.
    :param code: the error's; ``""`` where it was no dry run, and has been done.
    """
    if code == ALLOWED:
        return Verdict(State.ALLOWED)
    if not code:
        return Verdict(State.UNTRIED, NO_DRY_RUNS)
    if code not in REFUSED:
        return Verdict(State.UNTRIED, f"EC2 answered {code}: {reason}")
    named = _NAMED.search(reason)
    if named and named[1] != action:
        return Verdict(State.UNTRIED, f"{named[1]} is not allowed, which goes before")
    because = _BECAUSE.search(reason)
    return Verdict(State.MISSING, because[1] if because else "")


def judge_task(
    task: str, tried: Sequence[Tried], without: Mapping[str, Sequence[Tried]]
) -> tuple[Line, list[Need]]:
    """Judge whether a task may do what it needs; answer what is to be added to the policy, too.

    What could be tried somewhere counts as tried: elsewhere there is nothing of ours to try it on.

    :param tried: all that it needs, at all places.
    :param without: what it can do without: why -> what that needs.
    """
    missing = [one for one in tried if one.verdict.state is State.MISSING]
    untried = _tried_nowhere(tried)
    later = any(one.verdict.later for one in untried)
    blind = any(one.verdict.why in (NO_DRY_RUNS, NOTHING_READ) for one in untried)
    actions = sorted({one.need.action for one in tried})
    regions = sorted({str(one.place) for one in tried})
    if missing:
        level, text = Level.FAILURE, _missing(missing)
        advice = (
            f"add the statement to the policy, see docs/reference/iam/{missing[0].need.policy}.json"
            ", or leave the task to another role (--tasks)"
        )
    else:
        level = Level.WARNING if later or blind else Level.OK
        told = "allowed" if not untried else "allowed as far as tried"
        text = f"{_many(len(actions), 'action')} in {_many(len(regions), 'region')} {told}"
        advice = "run doctor again after the first backup" if later else ""
        if blind:
            advice = "see that the endpoint is AWS's, and that something may be read there"
    if untried:
        text += f"; not tried: {_reasons(untried)}"
    for why, needs in without.items():
        if lacking := [one for one in needs if one.verdict.state is State.MISSING]:
            text += f"; {_missing(lacking)}, which it needs only {why}"
    line = Line(
        check="permissions",
        subject=task,
        level=level,
        text=text,
        advice=advice,
        facts={
            "actions": actions,
            "missing": [
                {
                    "action": one.need.action,
                    "region": str(one.place),
                    "reason": one.verdict.why,
                    "statement": one.need.alone,
                }
                for one in missing
            ],
            "not_tried": [
                {"action": action, "reason": why}
                for action, why in sorted({(o.need.action, o.verdict.why) for o in untried})
            ],
        },
    )
    return line, [one.need for one in missing]


def _tried_nowhere(tried: Sequence[Tried]) -> list[Tried]:
    """Answer the needs that were tried at no place, each once."""
    found: dict[str, list[Tried]] = {}
    for one in tried:
        found.setdefault(f"{one.need.policy} {one.need.alone}", []).append(one)
    return [
        max(same, key=lambda one: one.verdict.later)
        for same in found.values()
        if all(one.verdict.state is State.UNTRIED for one in same)
    ]


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _missing(tried: Sequence[Tried]) -> str:
    by_action: dict[str, set[str]] = {}
    for one in tried:
        by_action.setdefault(one.need.action, set()).add(str(one.place))
    found = [f"{action} in {', '.join(sorted(by_action[action]))}" for action in sorted(by_action)]
    because = sorted({one.verdict.why for one in tried if "explicit deny" in one.verdict.why})
    return f"not allowed: {'; '.join(found)}" + (f" ({'; '.join(because)})" if because else "")


def _reasons(tried: Sequence[Tried]) -> str:
    by_reason: dict[str, set[str]] = {}
    for one in tried:
        by_reason.setdefault(one.verdict.why, set()).add(one.need.action)
    return "; ".join(
        f"{', '.join(sorted(names)) if len(names) <= MOST_NAMED else f'{len(names)} actions'} "
        f"({why})"
        for why, names in by_reason.items()
    )
