"""Digests of what a snapshot holds, by which copies of the same thing are compared; pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LENGTH = 32

_WRITTEN = re.compile(r"([0-9a-f]{32})\.([0-9a-f]{32})", re.ASCII)


@dataclass(frozen=True)
class Digest:
    """What is held, in two numbers of 32 hexadecimal digits.

    :ivar attributes: of the names, and of each entry's type, mode, owners, device number, target,
        flags and extended attributes.
    :ivar content: of what is in the files, or on what is no file system.
    """

    attributes: str
    content: str

    def __str__(self) -> str:
        return f"{self.attributes}.{self.content}"

    def differs(self, other: Digest) -> str:
        """Answer in what another one differs, in words, or ``""``."""
        said = []
        if self.attributes != other.attributes:
            said.append("names, modes, owners, flags or extended attributes")
        if self.content != other.content:
            said.append("the content of files")
        return " and ".join(said)


def read_digest(text: str) -> Digest | None:
    """Answer the digest that was written as a text; ``None``: it is none."""
    found = _WRITTEN.fullmatch(text)
    return Digest(found[1], found[2]) if found else None


def together(parts: Iterable[tuple[str, Digest]]) -> Digest:
    """Answer the digest of a disk that has several parts.

    :param parts: each with what it is: ``"1 ext4"``.
    """
    known = list(parts)
    return Digest(
        _sum([f"{what} {one.attributes}" for what, one in known]),
        _sum([f"{what} {one.content}" for what, one in known]),
    )


def _sum(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:LENGTH]
