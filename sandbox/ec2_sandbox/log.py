"""The log of every call the sandbox answered, or refused, or dropped."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Call:
    """One call as the sandbox saw it.

    ``outcome`` is ``ok``, an error code, or ``dropped`` (no answer was sent; whether the call
    took effect first, the fault's rule says), or ``late`` (it has taken effect now; its client was
    told nothing). ``seconds`` is real time, ``time`` the sandbox's.
    """

    region: str
    action: str
    time: datetime
    outcome: str
    seconds: float
    parameters: Mapping[str, str] = field(default_factory=dict)
    service: str = "ec2"
    access_key: str = ""

    def as_json(self) -> dict[str, Any]:
        """Answers the call as JSON can carry it."""
        return asdict(self) | {"time": self.time.isoformat()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Call:
        """Reads what :meth:`as_json` wrote."""
        return cls(**{**data, "time": datetime.fromisoformat(data["time"])})


class CallLog:
    """All calls since the start, or since they were last cleared."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._under_way = 0
        self._lock = threading.Lock()

    def add(self, call: Call) -> None:
        """Writes one call down."""
        with self._lock:
            self._calls.append(call)

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Counts a call as being under way."""
        with self._lock:
            self._under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1

    @property
    def under_way(self) -> int:
        """How many calls have come in and are not answered yet."""
        return self._under_way

    def clear(self) -> None:
        """Forgets all calls."""
        with self._lock:
            self._calls.clear()

    def select(self, action: str | None = None, region: str | None = None) -> list[Call]:
        """Answers the calls of an action, of a region, of both, or all; in order of their time."""
        with self._lock:
            calls = list(self._calls)
        chosen = [
            call for call in calls
            if (action is None or call.action == action)
            and (region is None or call.region == region)
        ]  # fmt: skip
        return sorted(chosen, key=lambda call: call.time)
