"""The pace of calls: one for each account, region and action, as EC2's buckets are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from snapback.core.model import Place
from snapback.ec2.rate import Rate

Wait = Callable[[float], None]


class Turn:
    """The right to send one call, and later on what EC2 said to it."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._begun_at = self._sent_at = pace.now()

    @property
    def waited_s(self) -> float:
        """How long ago it was asked for."""
        return self._pace.now() - self._begun_at

    def wait(self, wait: Wait) -> None:
        """Wait until the call may be sent, the first time or again."""
        self._sent_at = self._pace.wait(wait)

    def end(self) -> None:
        """Give it back: the call is no longer on its way."""
        self._pace.end()

    def served(self) -> None:
        """Take note that EC2 did not refuse it for the rate."""
        self._pace.served()

    def refused(self) -> None:
        """Take note that EC2 did."""
        self._pace.refused(self._sent_at)


class Pace:
    """Lets the calls of one action at one place go as fast as EC2 serves them, from any thread.

    :param clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.now = clock
        self._rate = Rate()
        self._changed = threading.Condition()
        self._next = threading.Lock()
        self._in_flight = 0

    @contextmanager
    def turn(self, wait: Wait) -> Iterator[Turn]:
        """Wait for a turn and hold it for a while."""
        turn = self.begin(wait)
        try:
            yield turn
        finally:
            turn.end()

    def begin(self, wait: Wait) -> Turn:
        """Wait for a turn and answer it; its ``end`` has to follow.

        :param wait: waits for so many seconds, or raises where nothing new is to be begun.
        """
        turn = Turn(self)
        with self._changed:
            self._changed.wait_for(self._has_room)
            self._in_flight += 1
            if self._has_room():
                self._changed.notify()  # one call's end may make room for several
        try:
            turn.wait(wait)
        except BaseException:
            self.end()
            raise
        return turn

    def end(self) -> None:
        """Take note that a call is no longer on its way."""
        with self._changed:
            self._in_flight -= 1
            self._changed.notify()

    def wait(self, wait: Wait) -> float:
        """Wait until one more call may be sent; answer the moment. One thread after the other."""
        with self._next:
            with self._changed:
                now = self.now()
                pause_s = self._rate.slot(now) - now
            wait(max(0.0, pause_s))
            return self.now()

    def served(self) -> None:
        """Take note of a call that was not refused."""
        with self._changed:
            self._rate.served()

    def refused(self, sent_at: float) -> None:
        """Take note of a call that was refused for its rate."""
        with self._changed:
            self._rate.refused(self.now(), sent_at)
            self._changed.notify_all()

    def _has_room(self) -> bool:
        most = self._rate.most_in_flight
        return most is None or self._in_flight < most


class Paces:
    """All paces of a run."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._paces: dict[tuple[Place, str], Pace] = {}

    def of(self, place: Place, action: str) -> Pace:
        """Answer the pace of an action at a place."""
        with self._lock:
            if (place, action) not in self._paces:
                self._paces[place, action] = Pace(self._clock)
            return self._paces[place, action]
