"""The words for what becomes of items, and the exit code of each."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum


class Word(Enum):
    """What became of an item: the word that people read, and the exit code that goes with it.

    Exit codes: 0 all done; 1 something failed; 2 refused, nothing done; 3 done, but less than
    asked, or broken snapshots of ours were found; 4 something may be left behind that needs a hand.
    """

    DONE = "done", 0
    OK = "ok", 0
    WARNING = "warning", 0
    CRITICAL = "critical", 0
    UNKNOWN = "unknown", 0
    DELETED = "deleted", 0
    WOULD = "would do", 0
    ALREADY_RESTORED = "already restored", 0
    BEING_RESTORED = "being restored", 0
    BEGUN = "begun", 0
    MOUNTED = "mounted", 0
    ALREADY_REPLICATED = "already replicated", 0
    BEING_REPLICATED = "being replicated", 0
    ALREADY_GONE = "already gone", 0
    IN_USE = "in use", 0
    PROTECTED = "protected", 0
    NOT_OURS = "not ours", 0
    EXCLUDED = "excluded", 0
    GONE = "gone", 0
    UNPROVEN = "unproven", 0
    PARTIAL = "partial", 3
    BUSY = "busy", 3
    ARCHIVED = "archived", 3
    LESS_CONSISTENT = "less consistent", 3
    TAKEN_TWICE = "taken twice", 3
    OPAQUE = "opaque", 0
    NO_VERDICT = "no verdict", 3
    KEPT_ALL = "kept all", 3
    STOPPED = "stopped", 3
    BROKEN = "broken", 3
    NO_VOLUMES = "no volumes", 3
    RESTORED_TWICE = "restored twice", 3
    NOT_IN_BIN = "not in the bin", 3
    CORRUPT = "corrupt", 1
    NOT_WRITTEN_DOWN = "deleted, not written down", 1
    FAILED = "failed", 1
    TIMED_OUT = "timed out", 1
    NOT_DONE = "not done", 1
    REFUSED = "refused", 2
    LEFT_BEHIND = "left behind", 4
    LEFT_FROZEN = "left frozen", 4
    NOT_KEPT = "not kept", 4

    def __init__(self, text: str, exit_code: int) -> None:
        self.text = text
        self.exit_code = exit_code

    def __str__(self) -> str:
        return self.text


_MILDEST_FIRST = (0, 3, 2, 1, 4)


def worst_of(exit_codes: Iterable[int]) -> int:
    """Return the gravest of some exit codes: 4, then 1, 2, 3, 0; 0 where there are none."""
    return max(exit_codes, key=_MILDEST_FIRST.index, default=0)
