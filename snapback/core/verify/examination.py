"""What an examination of a volume has found, put together to a verdict; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from snapback.core.disks.filesystems import KNOWN
from snapback.core.model import Snapshot, record_of
from snapback.core.model.digest import Digest, together
from snapback.core.model.reasons import Reason
from snapback.core.model.verdicts import (
    GOOD,
    OPAQUE,
    VerdictKind,
    Verified,
    verdict_of,
)

EMPTY: Mapping[int, str] = MappingProxyType({})


UNKNOWN_FORMAT = "nothing known"


@dataclass(frozen=True, kw_only=True)
class Part:
    """What was found on a volume, or on one partition of it.

    :ivar number: the partition's; 0: the whole volume.
    :ivar fs_type: what is on it; ``""``: nothing known.
    :ivar entries: how many entries the file system has, but for its own; ``None``: it was not
        mounted.
    :ivar problem: what is wrong, in words, or ``""``.
    :ivar untold: why nobody can tell whether something is wrong, in words, or ``""``.
    :ivar is_blank: whether nothing at all is on it.
    :ivar is_proved: whether the user's command says that what isn't known is as it has to be.
    :ivar digest: of all that it holds, where that was asked for.
    """

    number: int = 0
    fs_type: str = ""
    entries: int | None = None
    problem: str = ""
    untold: str = ""
    is_blank: bool = False
    is_proved: bool = False
    digest: Digest | None = None

    @property
    def was_checked(self) -> bool:
        """Whether a file system was checked and mounted, or the user's command vouches for it."""
        return self.entries is not None or self.is_proved

    def __str__(self) -> str:
        where = f"partition {self.number}: " if self.number else ""
        what = self.fs_type or UNKNOWN_FORMAT
        if said := self.problem or self.untold:
            return f"{where}{what}: {said}"
        if self.entries is not None:
            return f"{where}{what}, {self.entries} entries"
        return f"{where}{what}, {'proved by verify_command' if self.is_proved else 'not checked'}"


def judge(parts: Sequence[Part], at: datetime, earlier: Mapping[int, str] = EMPTY) -> Verified:
    """Return the verdict on a volume.

    It is good if a file system was checked and nothing is wrong. A partition with nothing known on
    it doesn't count then, as that of a boot loader, unless something was known there earlier. A
    volume with nothing on it is no backup.

    :param earlier: what was on its parts when an earlier snapshot of it was verified, as
        :func:`known_parts` returns it.
    """
    parts = _beside(parts, earlier)
    digest = _digest_of(parts)
    if wrong := [part for part in parts if part.problem]:
        return Verified(at=at, reason=Reason(VerdictKind.CORRUPT, _listed(wrong)))
    if all(part.is_blank for part in parts):
        what = "it is empty: no file system, no partitions, nothing but zeros"
        return Verified(at=at, reason=Reason(VerdictKind.CORRUPT, what))
    known = [part for part in parts if part.fs_type or part.is_proved]
    if untold := [part for part in parts if part.untold and part.fs_type]:
        rest = [part for part in known if part not in untold]
        reason = Reason(VerdictKind.UNKNOWN, _listed([*untold, *rest]))
    elif any(part.was_checked for part in known):
        reason = Reason(VerdictKind.GOOD, _listed(known))
    elif known:
        reason = Reason(VerdictKind.OPAQUE, _listed(known))
    else:
        reason = Reason(VerdictKind.UNKNOWN, _listed([it for it in parts if not it.is_blank]))
    return Verified(at=at, reason=reason, digest=digest)


def _beside(parts: Sequence[Part], earlier: Mapping[int, str]) -> list[Part]:
    """Return parts, those with a problem more that have lost what was known on them earlier."""
    if earlier and parts and not any(part.fs_type or part.problem for part in parts):
        had = "; ".join(
            f"partition {number}: {what}" if number else what
            for number, what in sorted(earlier.items())
        )
        said = f"an earlier snapshot has on it what isn't there now: {had}"
        return [replace(parts[0], problem=said), *parts[1:]]
    return [
        replace(part, problem=f"{what} was on it in an earlier snapshot")
        if not part.fs_type and not part.problem and (what := earlier.get(part.number))
        else part
        for part in parts
    ]


_KNOWN_PART = re.compile(
    rf"(?:partition ([1-9]\d{{0,3}}): )?"
    rf"(?:({'|'.join(KNOWN)}), \d{{1,20}} entries|([\w.+-]{{1,40}}), not checked)",
    re.ASCII,
)


def known_parts(verdict: Verified) -> dict[int, str]:
    """Return what was on the parts of a volume, by number, as the evidence of a verdict says it."""
    if verdict.word not in (GOOD, OPAQUE):
        return {}
    found = map(_KNOWN_PART.fullmatch, verdict.evidence.split("; "))
    return {int(match[1] or 0): match[2] or match[3] for match in found if match}


def known_earlier(snapshot: Snapshot, everything: Iterable[Snapshot]) -> dict[int, str]:
    """Return what was on the parts of a volume when a snapshot no newer than this was verified.

    The one with the newest data decides.

    :param everything: snapshots with a record.
    """
    record = record_of(snapshot)
    found = [
        (record_of(other).taken_at, parts)
        for other in everything
        if record_of(other).timeline == record.timeline
        and record_of(other).taken_at <= record.taken_at
        and not other.unproven
        and (verdict := verdict_of(other.tags))
        and (parts := known_parts(verdict))
    ]
    return max(found, key=lambda one: one[0], default=(None, {}))[1]


def _listed(parts: Sequence[Part]) -> str:
    return "; ".join(map(str, parts))


def _digest_of(parts: Sequence[Part]) -> Digest | None:
    known = [(f"{part.number} {part.fs_type}", part.digest) for part in parts if part.digest]
    return together(known) if known and len(known) == len(parts) else None


def compare(found: Verified, others: Sequence[tuple[str, Verified]]) -> Verified:
    """Answer a verdict, once its digest is compared with those of copies of the same thing.

    One that differs is corrupt: one of the two isn't what was backed up, and nobody knows which.

    :param others: each with what it is called: ``"snap-0123 in eu-west-1"``.
    """
    if found.is_corrupt or not found.digest:
        return found
    known = [(name, other.digest) for name, other in others if other.digest]
    wrong = [
        f"it differs from {name}: {what}"
        for name, digest in known
        if (what := found.digest.differs(digest))
    ]
    if wrong:
        return replace(
            found, reason=Reason(VerdictKind.DIFFERS, "; ".join([*wrong, found.evidence]))
        )
    equal = ", ".join(name for name, _ in known)
    said = f"equal to {equal}" if equal else "no other digest to compare with yet"
    return replace(found, reason=Reason(found.reason.kind, f"{found.evidence}; {said}"))


def in_light_of(former: Verified | None, found: Verified) -> Verified:
    """Return a verdict, once it is seen beside the former one.

    The digest that was first is the one that it has to have. What differed is corrupt until it is
    read again: checking a file system says nothing of what is in its files. What was corrupt is so
    until there is another verdict.
    """
    if former is None:
        return found
    was_compared = former.digest and found.digest  # that of 0.1 is none to compare with
    if former.reason.kind is VerdictKind.DIFFERS and not was_compared and not found.is_corrupt:
        return replace(former, at=found.at, digest=former.digest or found.digest)
    was_corrupt = former.reason.kind is VerdictKind.CORRUPT
    if not found.is_known and was_corrupt and not _NO_CHECKERS_WORD.search(former.evidence):
        return replace(former, at=found.at)
    return replace(found, digest=former.digest or found.digest)


_NO_CHECKERS_WORD = re.compile("it can't be mounted|its journal can't be replayed")
"""What the evidence of 0.1.0 says of what it could not mount, which may be well all the same."""
