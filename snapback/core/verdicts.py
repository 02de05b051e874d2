"""The verdict of a verification, as the tag ``snapback:verified`` of a snapshot says it.

``2026-11-25T03:00:00Z good ext4, 1234 entries``: when, the word, the evidence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from snapback.core import tags as our_tags
from snapback.core.model import Tags

GOOD, CORRUPT = "good", "corrupt"

_VERDICT = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)Z (good|corrupt)(?: (.*))?\Z", re.ASCII | re.DOTALL
)
_UNWANTED = re.compile(r"[^\w .,:;/+=@()'-]+")


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What a verification has found.

    :ivar word: ``good`` or ``corrupt``.
    :ivar evidence: what was seen, in words.
    """

    at: datetime
    word: str
    evidence: str = ""

    @property
    def good(self) -> bool:
        """Whether all was well."""
        return self.word == GOOD


def write_verdict(verdict: Verified) -> dict[str, str]:
    """Answer the tag that says a verdict, in characters that every tag may hold."""
    evidence = _UNWANTED.sub(" ", verdict.evidence)
    text = f"{verdict.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z {verdict.word} {evidence}".strip()
    return {our_tags.VERDICT: text[: our_tags.LONGEST_VALUE]}


def verdict_of(tags: Tags) -> Verified | None:
    """Answer the verdict that a snapshot's tags say; ``None``: it was never verified."""
    found = _VERDICT.match(tags.get(our_tags.VERDICT, ""))
    if not found:
        return None
    try:
        at = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    except ValueError:
        return None
    return Verified(at=at, word=found[2], evidence=found[3] or "")
