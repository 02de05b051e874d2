"""How fast calls of one action may follow each other at one place: learnt from refusals. Pure.

EC2 keeps a bucket of tokens for every action, which it fills at a steady rate. Nobody tells how
full it is, and others draw from it too; but a refusal tells that it is empty. So between two
refusals just as many calls were served as it was filled with tokens: that is its rate, measured.
From there the rate grows, slowly at first and then faster, until the next refusal.

Source: https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
"""

from __future__ import annotations

FIRST_RATE = 5.0  # calls a second: what EC2 documents for most calls that make something
SLOWEST_RATE = 0.05
GROWTH_UNMEASURED = 1.0  # a second and the rate has doubled, two and it is fivefold
GROWTH = 0.004  # ten seconds and it is 1.4-fold, half a minute and it is fivefold
SLOW_DOWN = 0.8
SLOW_DOWN_MORE = 0.5
SO_MANY_IN_A_ROW = 3
SHORTEST_MEASURE_S = 1.5
FEWEST_SERVED = 5
FIRST_IN_FLIGHT = 32
FEWEST_IN_FLIGHT = 11
SERVED_FOR_ONE_LESS = 4
LIKELY_CAPACITY = 115  # what EC2 documents for most, 100, and what is filled in meanwhile
LATE_S = 1.0  # a call that comes late by less than this does not delay those behind it


class Rate:
    """The rate of one bucket. Moments are seconds of whatever clock, which it never asks itself.

    :ivar known: whether there was a refusal; before, calls need not wait at all.
    """

    def __init__(self) -> None:
        self.known = False
        self._base = FIRST_RATE
        self._growth = GROWTH_UNMEASURED
        self._next_at = 0.0
        self._measured_from = 0.0
        self._grown_from = 0.0
        self._served = 0
        self._refused_in_a_row = 0

    @property
    def most_in_flight(self) -> int | None:
        """How many calls may be on their way at the same time; ``None``: any number.

        All on their way when the bucket runs dry are refused. So before the first refusal they
        become fewer until as many were served as a bucket is likely to hold, and from there on
        more and more. After it, their rate is limit enough.
        """
        if self.known:
            return None
        if self._served < LIKELY_CAPACITY:
            return max(FEWEST_IN_FLIGHT, FIRST_IN_FLIGHT - self._served // SERVED_FOR_ONE_LESS)
        return FEWEST_IN_FLIGHT + self._served - LIKELY_CAPACITY

    def slot(self, now: float) -> float:
        """Answer when the next call may be sent, and count on it that it will."""
        if not self.known:
            return now
        at = max(self._next_at, now - LATE_S)
        self._next_at = at + 1 / self.at(now)
        return max(at, now)

    def at(self, now: float) -> float:
        """Answer the calls a second that are tried at a moment."""
        return self._base * (1 + self._growth * (now - self._grown_from) ** 2)

    def served(self) -> None:
        """Take note of a call that EC2 did not refuse."""
        self._served += 1
        self._refused_in_a_row = 0

    def refused(self, now: float, sent_at: float) -> None:
        """Take note of a refusal.

        :param sent_at: when the call was sent; one sent before the last refusal was known tells
            nothing new.
        """
        if self.known and sent_at < self._grown_from:
            return
        if self.known:
            self._learn(now)
        else:
            self.known = True
            self._measure_from(now)
        self._grown_from = now
        self._next_at = now + 1 / self._base

    def _learn(self, now: float) -> None:
        elapsed = now - self._measured_from
        self._refused_in_a_row += 1
        if elapsed >= SHORTEST_MEASURE_S and self._served >= FEWEST_SERVED:
            self._base = max(SLOWEST_RATE, self._served / elapsed)
            self._growth = GROWTH
            self._measure_from(now)
        elif self._refused_in_a_row < SO_MANY_IN_A_ROW:
            self._base = max(SLOWEST_RATE, self.at(now) * SLOW_DOWN)
        else:
            self._base = max(SLOWEST_RATE, self._base * SLOW_DOWN_MORE)
            self._growth = GROWTH

    def _measure_from(self, now: float) -> None:
        self._measured_from = now
        self._served = 0
