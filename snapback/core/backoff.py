"""How long to wait between looks at what takes its time: shorter first, then ever longer."""

from __future__ import annotations

from collections.abc import Iterator


def growing(first_s: float = 0.5, longest_s: float = 15.0) -> Iterator[float]:
    """Answer pauses without end, each half as long again as the one before, up to the longest."""
    pause_s = first_s
    while True:
        yield pause_s
        pause_s = min(pause_s * 1.5, longest_s)
