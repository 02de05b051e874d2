"""Waiting for what takes its time: looks with growing pauses between, until a deadline.

What a wait takes is measured by the run's monotonic clock, never by EC2's time: that is known only
as of the region's last answer, and may be corrected meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from snapback.core.backoff import growing
from snapback.run import Run


class Deadline:
    """So many minutes from now on.

    :param minutes: may be a fraction, or infinite.
    """

    def __init__(self, run: Run, minutes: float) -> None:
        self._clock = run.clock
        self._ends_at = run.clock() + 60 * minutes

    @property
    def left_s(self) -> float:
        """The seconds that are left; 0 when it is over."""
        return max(0.0, self._ends_at - self._clock())

    @property
    def is_over(self) -> bool:
        """Whether no time is left."""
        return not self.left_s


def looks(
    run: Run, minutes: float = math.inf, *, first_s: float = 0.5, longest_s: float = 15.0
) -> Iterator[bool]:
    """Yield for each look: at once, then after each of the growing pauses.

    What is yielded is whether the time is over: then this look is the last one.

    :param minutes: how long to wait in all.
    :param first_s: the first pause, in seconds.
    :param longest_s: the longest pause, in seconds.
    :raises Interrupted: the run is asked to stop, in a pause.
    """
    deadline = Deadline(run, minutes)
    for pause_s in growing(first_s, longest_s):
        is_over = deadline.is_over
        yield is_over
        if is_over:
            return
        run.pause(min(pause_s, deadline.left_s))
