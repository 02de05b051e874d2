"""What the answers to dry runs mean, for an action and for a task. Pure.

EC2 answers ``DryRun`` with ``DryRunOperation`` where the call is allowed and
``UnauthorizedOperation`` where it isn't.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from snapback.core.doctor.checkup import Level, Line
from snapback.core.doctor.permissions import Need
from snapback.core.model import Place

ALLOWED = "DryRunOperation"
REFUSED = {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"}
_NAMED = re.compile(r"not authorized to perform: (\S+)")
_BECAUSE = re.compile(r"\b(?:because|with) (.+?)\.(?: Encoded|$)")

MOST_NAMED = 3
NO_DRY_RUNS = "EC2 doesn't know dry runs there"
NOTHING_READ = "nothing may be read, so it can't be seen whether dry runs are honoured there"


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
