"""What `doctor` says of a KMS key that encrypts what is made in a region. Pure.

EC2 uses the key in the caller's name. KMS's own dry runs tell whether the caller may use it by
itself; a policy may allow that through EC2 only, which no dry run can try.
"""

from __future__ import annotations

from dataclasses import dataclass

from snapback.core.doctor.checkup import Level, Line
from snapback.core.model import Place

ENABLED = "Enabled"


@dataclass(frozen=True, kw_only=True)
class KeyFacts:
    """What was seen of a key.

    :ivar problem: why there is nothing to be seen of it, or ``""``.
    :ivar state: ``"Enabled"``, ``"Disabled"``, ``"PendingDeletion"`` and the like.
    :ivar is_of_aws: it is EBS's own, which whoever may use EBS may use.
    :ivar allowed: the actions of which a dry run said that they are allowed...
    :ivar denied: ...and that they aren't...
    :ivar untold: ...and of which it said something else.
    """

    problem: str = ""
    state: str = ENABLED
    is_of_aws: bool = False
    allowed: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()


def judge_key(place: Place, key: str, facts: KeyFacts) -> Line:
    """Judge whether a key can encrypt, and whether we may have it do so."""
    level, advice = Level.OK, ""
    if facts.problem:
        level, text = Level.FAILURE, facts.problem
        advice = "see replication.kms_keys, or the region's default key"
    elif facts.state != ENABLED:
        level, text = Level.FAILURE, f"it is {facts.state}: nothing can be encrypted with it"
        advice = "enable it, or name another one"
    elif facts.is_of_aws:
        text = "enabled; it is AWS's own for EBS"
    elif facts.denied:
        level, text = Level.WARNING, f"not allowed to call {', '.join(facts.denied)} by itself"
        advice = (
            "let its key policy, or this role's, allow that, unless they do so through EC2 "
            "(kms:ViaService); else what is copied ends in error: docs/reference/iam.md"
        )
    elif facts.untold:
        level, text = Level.WARNING, f"enabled; can't be tried there: {', '.join(facts.untold)}"
        advice = "see that this role may use it, or what is copied ends in error"
    else:
        text = f"enabled; allowed: {', '.join(facts.allowed)}"
    return Line(
        check="KMS key",
        subject=f"{place} {key}",
        level=level,
        text=text,
        advice=advice,
        place=place,
        facts={"key": key, "missing": list(facts.denied)},
    )
