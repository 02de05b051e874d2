"""The sandbox's clock: it can be stepped, set, sped up and frozen."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """A clock of its own, which runs at a chosen speed from a chosen moment on."""

    def __init__(self, now: datetime | None = None, speed: float = 1.0) -> None:
        self._anchor = (now or datetime.now(UTC), time.monotonic(), speed)

    def now(self) -> datetime:
        """Answers the sandbox's time, aware, in UTC."""
        start, mark, speed = self._anchor
        return start + timedelta(seconds=(time.monotonic() - mark) * speed)

    @property
    def speed(self) -> float:
        """Sandbox seconds per real second; 0 when frozen."""
        return self._anchor[2]

    def advance(self, seconds: float) -> datetime:
        """Steps the clock; answers the new time.

        :param seconds: how far; a negative number steps back
        """
        return self.set(now=self.now() + timedelta(seconds=seconds))

    def set(self, now: datetime | None = None, speed: float | None = None) -> datetime:
        """Sets the time, the speed, or both; answers the new time."""
        new_speed = self.speed if speed is None else speed
        self._anchor = (now or self.now(), time.monotonic(), new_speed)
        return self._anchor[0]
