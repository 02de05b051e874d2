"""Reasons as values: what was decided, for programs, and the same in words, for people."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

ReasonKind = TypeVar("ReasonKind", bound=Enum)


@dataclass(frozen=True, slots=True)
class Reason(Generic[ReasonKind]):
    """Why something was decided so.

    Exit codes, counts and choices go by the kind. Nothing goes by the words: they may be changed
    at any time.

    :ivar kind: a member of the room's own enumeration.
    :ivar text: the same in words, with its particulars.
    """

    kind: ReasonKind
    text: str

    def __str__(self) -> str:
        return self.text
