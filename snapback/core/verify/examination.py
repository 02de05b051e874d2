"""What an examination of a volume has found, put together to a verdict; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from snapback.core.model.digest import Digest, together
from snapback.core.model.reasons import Reason
from snapback.core.model.verdicts import VerdictKind, Verified


@dataclass(frozen=True, kw_only=True)
class Part:
    """What was found on a volume, or on one partition of it.

    :ivar number: the partition's; 0: the whole volume.
    :ivar fs_type: what is on it; ``""``: nothing known.
    :ivar entries: how many entries the file system has, but for its own; ``None``: it was not
        mounted.
    :ivar problem: what is wrong, in words, or ``""``.
    :ivar is_blank: whether nothing at all is on it.
    :ivar digest: of all that it holds, where that was asked for.
    """

    number: int = 0
    fs_type: str = ""
    entries: int | None = None
    problem: str = ""
    is_blank: bool = False
    digest: Digest | None = None

    @property
    def was_checked(self) -> bool:
        """Whether a file system was checked and mounted."""
        return self.entries is not None

    def __str__(self) -> str:
        where = f"partition {self.number}: " if self.number else ""
        if self.problem:
            return f"{where}{self.fs_type or 'unknown'}: {self.problem}"
        if self.entries is not None:
            return f"{where}{self.fs_type}, {self.entries} entries"
        return f"{where}{self.fs_type or 'nothing known'}, not checked"


def judge(parts: Sequence[Part], at: datetime) -> Verified:
    """Answer the verdict on a volume.

    It is good if a file system was checked and nothing is wrong; a partition that can't be checked
    doesn't count then, as that of a boot loader. A volume with nothing on it is no backup.
    """
    if wrong := [part for part in parts if part.problem]:
        return Verified(at=at, reason=Reason(VerdictKind.CORRUPT, _listed(wrong)))
    digest = _digest_of(parts)
    if checked := [part for part in parts if part.was_checked]:
        return Verified(at=at, reason=Reason(VerdictKind.GOOD, _listed(checked)), digest=digest)
    if all(part.is_blank for part in parts):
        what = "it is empty: no file system, no partitions, nothing but zeros"
        return Verified(at=at, reason=Reason(VerdictKind.CORRUPT, what))
    return Verified(at=at, reason=Reason(VerdictKind.OPAQUE, _listed(parts)), digest=digest)


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
    """Answer a verdict, once it is seen beside the former one.

    The digest that was first is the one that it has to have. What differed is corrupt until it is
    read again: checking a file system says nothing of what is in its files.
    """
    if former is None:
        return found
    was_compared = former.digest and found.digest  # that of 0.1 is none to compare with
    if former.reason.kind is VerdictKind.DIFFERS and not was_compared and not found.is_corrupt:
        return replace(former, at=found.at, digest=former.digest or found.digest)
    return replace(found, digest=former.digest or found.digest)
