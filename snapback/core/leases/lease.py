"""What is lent for a moment (instances, volumes, key pairs, security groups), and when it expires.

Each thing bears, from the instant of its creation, the run that it is for (``snapback:run``), what
for (``snapback:purpose``), a token of its own (``snapback:lent``) and until when it is needed
(``snapback:expires``). The run puts that off while it lives; what has expired is nobody's any more.

Anybody who may set tags can set these. So nothing is removed by them alone: EC2 has to say as well
that the thing was created with a name of ours, which nobody can change.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto

from snapback.core.model import Place, Tags
from snapback.core.model import tags as our_tags
from snapback.core.model.reasons import Reason

HELPERS = "snapback-helper-"
RESTORES = "snapback-restore-"
CLAIMS = "snapback-claim-"
CLAIM = "claim"
"""The purpose of a claim, in its tags."""


class Kind(Enum):
    """What kind of thing is lent, in the order in which they can be taken back."""

    INSTANCE = "instance"
    IMAGE = "image"
    VOLUME = "volume"
    KEY_PAIR = "key pair"
    SECURITY_GROUP = "security group"

    def __str__(self) -> str:
        return self.value


_CREATED_AS: dict[Kind, tuple[str, ...]] = {
    Kind.INSTANCE: (HELPERS, RESTORES),
    Kind.IMAGE: (RESTORES,),
    Kind.VOLUME: ("",),  # of which EC2 tells nothing that only its creation gives
    Kind.KEY_PAIR: (CLAIMS,),
    Kind.SECURITY_GROUP: (HELPERS,),
}


@dataclass(frozen=True, kw_only=True)
class Lent:
    """A thing that bears our tag of expiry.

    :ivar resource_id: EC2's id of it.
    :ivar created_as: an instance's client token, or the name of an image, a key pair or a security
        group, which only its creation gives; of a volume ``""``.
    :ivar attached_to: the instances that a volume is attached to; ``None``: not asked.
    :ivar is_ending: whether EC2 is removing it already.
    :ivar is_kept: whether a restore has made an instance stay, as EC2 tells.
    :ivar unread: why EC2 does not tell that; ``""``: it does.
    """

    place: Place
    kind: Kind
    resource_id: str
    tags: Tags = field(default_factory=dict)
    created_as: str = ""
    attached_to: tuple[str, ...] | None = None
    is_ending: bool = False
    is_kept: bool = False
    unread: str = ""

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
    def is_ours(self) -> bool:
        """Whether EC2 says that we have created it, or, of a volume, can't say."""
        return self.created_as.startswith(_CREATED_AS[self.kind])

    @property
    def is_restored(self) -> bool:
        """Whether a restore has launched it: such an instance stays once it is kept."""
        return self.kind is Kind.INSTANCE and self.created_as.startswith(RESTORES)

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


def was_created_with(thing: Lent, token: str) -> bool:
    """Return whether a thing that bears a token as a tag was created with it.

    EC2 does not say so of a volume. But one whose creation got no answer is attached to nothing.
    """
    if thing.kind is Kind.VOLUME:
        return not thing.attached_to
    return thing.created_as.startswith(token)


class Fate(Enum):
    """What is to become of a thing."""

    GOES = auto()
    IN_USE = auto()
    OF_ANOTHER_RUN = auto()
    NOT_OURS = auto()
    STAYS = auto()


@dataclass(frozen=True)
class Verdict:
    """What is to become of a thing, and why."""

    thing: Lent
    reason: Reason[Fate]


def plan_sweep(things: Collection[Lent], now: datetime, run_id: str | None = None) -> list[Verdict]:
    """Decide what goes: what has expired, or all of one run.

    What lacks one of our tags, bears an expiry that can't be read, or was not created by us, is
    nothing that we lent; nor is a restored instance once it was kept. A volume that is attached to
    an instance which is not ours stays.

    :param things: all at a place that bear an expiry, also those that EC2 is removing already.
    :param now: EC2's time there.
    :param run_id: the run whose things go at once, and nobody else's.
    """
    hosts = {
        thing.resource_id
        for thing in things
        if thing.kind is Kind.INSTANCE and thing.is_ours and not (thing.is_kept or thing.unread)
    }
    ordered = sorted(
        (thing for thing in things if not thing.is_ending),
        key=lambda thing: (list(Kind).index(thing.kind), thing.resource_id),
    )
    return [Verdict(thing, _fate(thing, hosts, now, run_id)) for thing in ordered]


def _fate(thing: Lent, hosts: set[str], now: datetime, run_id: str | None) -> Reason[Fate]:
    """Decide what is to become of a thing.

    :param hosts: the instances that are ours, and were not kept.
    """
    until = thing.expires_at
    lent = f"{thing.purpose} of {thing.run_id}"
    if run_id not in (None, thing.run_id):
        return Reason(Fate.OF_ANOTHER_RUN, lent)
    if until is None or not all(thing.tags.get(key) for key in (our_tags.RUN, *MARKS)):
        return Reason(Fate.NOT_OURS, "its tags are not as snapback writes them")
    if not thing.is_ours:
        given = "client token" if thing.kind is Kind.INSTANCE else "name"
        return Reason(Fate.NOT_OURS, f"it has our tags, but its {given} is none of snapback's")
    if thing.is_kept:
        return Reason(Fate.NOT_OURS, f"it has our tags, but was restored, and kept: {_UNTAG}")
    if run_id is None and until > now:
        return Reason(Fate.IN_USE, f"{lent}, in use until {until:%Y-%m-%d %H:%M:%S} at least")
    if thing.unread:
        return Reason(Fate.STAYS, f"{lent}: was it kept? {thing.unread}")
    foreign = [one for one in thing.attached_to or () if one not in hosts]
    if foreign:
        return Reason(
            Fate.STAYS,
            f"{lent}, attached to {', '.join(foreign)}, which is not snapback's: unmount and "
            f"detach it there, then sweep again; or, should it stay, {_UNTAG}",
        )
    if run_id is not None:
        return Reason(Fate.GOES, lent)
    return Reason(Fate.GOES, f"{lent}, expired at {until:%Y-%m-%d %H:%M:%S}")


_UNTAG = "take its tags " + ", ".join(MARKS) + " away"
