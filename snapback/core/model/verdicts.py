"""The verdict of a verification, as the tag ``snapback:verified`` of a snapshot says it.

``2026-11-25T03:00:00Z good ext4, 1234 entries``: when, the word, the evidence; before that, where
one was asked for, the digest: ``digest2=3f0c….9ae1…``. ``opaque`` is a known format that nobody
looks into, as LUKS: it can be read, and that is all that is known. ``unknown`` says that it was
tried, and why there is no verdict: it counts as not verified. ``kind=differs`` before the evidence
marks what is corrupt since its digest isn't that of a copy. ``digest=`` of 0.1 is passed over: it
knew no flags, so no digest of today is equal to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from snapback.core.model import Tags
from snapback.core.model import tags as our_tags
from snapback.core.model.digest import Digest, read_digest
from snapback.core.model.reasons import Reason
from snapback.core.text import abridged

GOOD, OPAQUE, UNKNOWN, CORRUPT = "good", "opaque", "unknown", "corrupt"

_VERDICT = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)Z (good|opaque|unknown|corrupt)"
    r"(?: digest=[0-9a-f.]+)?(?: digest2=([0-9a-f.]+))?"
    r"( kind=differs)?(?: (.*))?\Z",
    re.ASCII | re.DOTALL,
)
_DIFFERED = "it differs from"
"""How the evidence of 0.1.0 begins, whose tags have no kind, where a digest differs."""
_UNWANTED = re.compile(r"[^\w .,:;/+=@()'-]+")


class VerdictKind(Enum):
    """What a verification can find. The value is the word of the verdict."""

    GOOD = GOOD
    OPAQUE = OPAQUE
    UNKNOWN = UNKNOWN
    CORRUPT = CORRUPT
    DIFFERS = "differs"

    @property
    def word(self) -> str:
        """The word of the verdict: what differs from its copy is corrupt."""
        return CORRUPT if self is VerdictKind.DIFFERS else str(self.value)


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What a verification has found.

    :ivar reason: what was found, and the evidence in words.
    :ivar digest: of all that it holds, where one was ever asked for.
    """

    at: datetime
    reason: Reason[VerdictKind]
    digest: Digest | None = None

    @property
    def word(self) -> str:
        """``good``, ``opaque``, ``unknown`` or ``corrupt``."""
        return self.reason.kind.word

    @property
    def evidence(self) -> str:
        """What was seen, in words."""
        return self.reason.text

    @property
    def is_corrupt(self) -> bool:
        """Whether something was wrong with it."""
        return self.word == CORRUPT

    @property
    def is_known(self) -> bool:
        """Whether there is a verdict at all."""
        return self.word != UNKNOWN


def write_verdict(verdict: Verified) -> dict[str, str]:
    """Answer the tag that says a verdict, in characters that every tag may hold."""
    words = [f"{verdict.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z", verdict.word]
    words += [f"digest2={verdict.digest}"] if verdict.digest else []
    words += ["kind=differs"] if verdict.reason.kind is VerdictKind.DIFFERS else []
    begin = " ".join(words)
    room = our_tags.LONGEST_VALUE - len(begin) - 1
    evidence = abridged(_UNWANTED.sub(" ", verdict.evidence), room)
    return {our_tags.VERDICT: f"{begin} {evidence}".strip()}


def verdict_of(tags: Tags) -> Verified | None:
    """Answer the verdict that a snapshot's tags say; ``None``: it was never verified."""
    found = _VERDICT.match(tags.get(our_tags.VERDICT, ""))
    if not found:
        return None
    try:
        at = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    except ValueError:
        return None
    kind, evidence = VerdictKind(found[2]), found[5] or ""
    if kind is VerdictKind.CORRUPT and (found[4] or evidence.startswith(_DIFFERED)):
        kind = VerdictKind.DIFFERS
    return Verified(at=at, reason=Reason(kind, evidence), digest=read_digest(found[3] or ""))


def is_corrupt(tags: Tags) -> bool:
    """Tell whether a snapshot was found corrupt when it was verified last."""
    verdict = verdict_of(tags)
    return verdict is not None and verdict.is_corrupt
