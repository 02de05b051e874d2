"""What is lent for a moment (instances, volumes, key pairs, security groups), and when it expires.

Each thing bears, from the instant of its creation, the run that it is for (``snapback:run``), what
for (``snapback:purpose``), a token of its own (``snapback:lent``) and until when it is needed
(``snapback:expires``). The run puts that off while it lives; what has expired is nobody's any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum

from snapback.core.model import Place, Tags
from snapback.core.model import tags as our_tags


class Kind(Enum):
    """What kind of thing is lent, in the order in which they can be taken back."""

    INSTANCE = "instance"
    IMAGE = "image"
    VOLUME = "volume"
    KEY_PAIR = "key pair"
    SECURITY_GROUP = "security group"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, kw_only=True)
class Lent:
    """A thing that bears our tag of expiry.

    :ivar resource_id: EC2's id of it; of a key pair its name.
    """

    place: Place
    kind: Kind
    resource_id: str
    tags: Tags = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.kind} {self.resource_id}"

    @property
    def run_id(self) -> str:
        """The run that it is for."""
        return self.tags.get(our_tags.RUN, "")

    @property
    def run_began_at(self) -> datetime | None:
        """When that run began, as its id says."""
        try:
            return datetime.strptime(self.run_id[4:19], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            return None

    @property
    def purpose(self) -> str:
        """What it is for, in words."""
        return self.tags.get(our_tags.PURPOSE, "")

    @property
    def expires_at(self) -> datetime | None:
        """Until when it is needed; ``None`` where the tag can't be read."""
        try:
            said = datetime.fromisoformat(self.tags.get(our_tags.EXPIRES, ""))
        except ValueError:
            return None
        return said if said.tzinfo else None

    def has_expired(self, now: datetime) -> bool:
        """Tell whether it is needed no longer; what doesn't say until when isn't."""
        return self.expires_at is None or self.expires_at <= now


MARKS = (our_tags.PURPOSE, our_tags.LENT, our_tags.EXPIRES)


def marks(run_id: str, purpose: str, token: str, expires_at: datetime) -> dict[str, str]:
    """Answer the tags of a thing that is lent."""
    return {
        "Name": f"snapback {purpose}",
        our_tags.RUN: run_id,
        our_tags.PURPOSE: purpose,
        our_tags.LENT: token,
        **expiry(expires_at),
    }


def expiry(expires_at: datetime) -> dict[str, str]:
    """Answer the tag that says until when a thing is needed."""
    return {our_tags.EXPIRES: expires_at.astimezone(UTC).isoformat(timespec="seconds")}


@dataclass(frozen=True)
class Verdict:
    """What is to become of a thing, and why."""

    thing: Lent
    goes: bool
    reason: str


def plan_sweep(things: Iterable[Lent], now: datetime, run_id: str | None = None) -> list[Verdict]:
    """Decide what goes: what has expired, or all of one run.

    What lacks one of our tags, or bears an expiry that can't be read, is nothing that we lent.

    :param now: EC2's time there.
    :param run_id: the run whose things go at once, and nobody else's.
    """
    ordered = sorted(things, key=lambda thing: (list(Kind).index(thing.kind), thing.resource_id))
    return [_verdict(thing, now, run_id) for thing in ordered]


def _verdict(thing: Lent, now: datetime, run_id: str | None) -> Verdict:
    until = thing.expires_at
    if not thing.run_id or not thing.purpose or until is None:
        return Verdict(thing, False, "its tags are not as snapback writes them")
    lent = f"{thing.purpose} of {thing.run_id}"
    if run_id is not None:
        return Verdict(thing, thing.run_id == run_id, lent)
    if until <= now:
        return Verdict(thing, True, f"{lent}, expired at {until:%Y-%m-%d %H:%M:%S}")
    return Verdict(thing, False, f"{lent}, in use until {until:%Y-%m-%d %H:%M:%S} at least")
