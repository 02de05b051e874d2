"""What happened to an item, in one word and an explanation, and what that means for the exit code.

Exit codes: 0 all done; 1 something failed; 2 refused, nothing done; 3 done, but less than asked, or
broken snapshots of ours were found; 4 something may be left behind that needs a hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from snapback.core.model import NOWHERE, Place
from snapback.errors import (
    AlreadyReplicated,
    BeingReplicated,
    Interrupted,
    LeftBehind,
    LeftFrozen,
    SnapbackError,
    SnapshotTimeout,
    VolumesBusy,
)


class Word(Enum):
    """What became of an item. The value is the word people read; with it goes the exit code."""

    DONE = "done", 0
    OK = "ok", 0
    WARNING = "warning", 0
    CRITICAL = "critical", 0
    UNKNOWN = "unknown", 0
    DELETED = "deleted", 0
    WOULD = "would do", 0
    ALREADY_RESTORED = "already restored", 0
    BEGUN = "begun", 0
    MOUNTED = "mounted", 0
    ALREADY_REPLICATED = "already replicated", 0
    BEING_REPLICATED = "being replicated", 0
    ALREADY_GONE = "already gone", 0
    IN_USE = "in use", 0
    PROTECTED = "protected", 0
    NOT_OURS = "not ours", 0
    EXCLUDED = "excluded", 0
    PARTIAL = "partial", 3
    BUSY = "busy", 3
    LESS_CONSISTENT = "less consistent", 3
    OPAQUE = "opaque", 0
    KEPT_ALL = "kept all", 3
    BROKEN = "broken", 3
    NO_VOLUMES = "no volumes", 3
    CORRUPT = "corrupt", 1
    FAILED = "failed", 1
    TIMED_OUT = "timed out", 1
    NOT_DONE = "not done", 1
    REFUSED = "refused", 2
    LEFT_BEHIND = "left behind", 4
    LEFT_FROZEN = "left frozen", 4

    def __init__(self, text: str, exit_code: int) -> None:
        self.text = text
        self.exit_code = exit_code

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What happened to one item.

    :ivar subject: the item, as people call it: an instance, a snapshot, a region.
    :ivar word: what became of it.
    :ivar explanation: why, in words; empty where the word says it all.
    :ivar place: where.
    :ivar facts: what else is known, for the table and for ``--json``; values are JSON's.
    """

    subject: str
    word: Word
    explanation: str = ""
    place: Place = NOWHERE
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """This outcome's part in the exit code."""
        return self.word.exit_code


_WORDS: dict[type[SnapbackError], Word] = {
    AlreadyReplicated: Word.ALREADY_REPLICATED,
    BeingReplicated: Word.BEING_REPLICATED,
    Interrupted: Word.NOT_DONE,
    LeftBehind: Word.LEFT_BEHIND,
    LeftFrozen: Word.LEFT_FROZEN,
    SnapshotTimeout: Word.TIMED_OUT,
    VolumesBusy: Word.TIMED_OUT,
}


def word_for(error: SnapbackError | None) -> Word:
    """Answer the word for what became of an item that an error ended."""
    return next((word for kind, word in _WORDS.items() if isinstance(error, kind)), Word.FAILED)
