"""The calls whose answers were lost, and that may take effect when nobody looks any more.

CreateSnapshot and CreateSnapshots take no ClientToken. Where an answer was lost and nothing was
seen of the call, it is repeated; then the first call may take effect late, and make a double.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Lost:
    """The calls for one set whose answers were lost, and of which nothing was seen.

    :ivar count: how many may take effect still.
    :ivar at: when the last answer was lost, by the run's clock.
    """

    count: int
    at: float


class LostCalls:
    """The calls of one task at one place whose answers were lost, by set id; for any thread.

    :param clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._of: dict[str, Lost] = {}

    def add(self, set_id: str) -> None:
        """Record that the answer of a call for a set was lost."""
        with self._lock:
            before = self._of.get(set_id)
            self._of[set_id] = Lost(before.count + 1 if before else 1, self._clock())

    def seen(self, set_id: str) -> None:
        """Record that one of the calls for a set has taken effect."""
        with self._lock:
            lost = self._of.pop(set_id, None)
            if lost and lost.count > 1:
                self._of[set_id] = Lost(lost.count - 1, lost.at)

    def are_for(self, set_id: str) -> bool:
        """Return whether a call for a set may take effect still."""
        with self._lock:
            return set_id in self._of

    def all(self) -> dict[str, Lost]:
        """Return the calls that may take effect still, by set id."""
        with self._lock:
            return dict(self._of)
