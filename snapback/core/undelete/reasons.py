"""The kinds of reasons for which a deleted snapshot is restored or not."""

from __future__ import annotations

from enum import Enum, auto


class Fate(Enum):
    """Where a deleted snapshot is, and so what can be done."""

    IN_THE_BIN = auto()
    BACK = auto()
    NOT_IN_THE_BIN = auto()
    NOT_OURS = auto()
