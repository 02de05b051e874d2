"""How far a transfer is, and what it has cost, from what rsync prints; pure.

Source: rsync(1), --info=progress2 and stats2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

_UNITS = {"": 1, "k": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_PROGRESS = re.compile(
    r"\s*([0-9][0-9,]{0,25})\s+(\d{1,3})%\s+(\d{1,9}(?:\.\d{1,9})?)([kMGT]?)B/s"
    r"\s+(?:(\d{1,6}):(\d\d):(\d\d)|\?+:\?+:\?+)( +\(xfr#)?",
    re.ASCII,
)
_STAT = re.compile(r"Total (file size|bytes sent|bytes received): ([0-9][0-9,]{0,25})\b")


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far one step of a transfer is.

    :ivar step: what is done, in words: ``"partition 1, ext4 by rsync"``.
    :ivar bytes_done: so many of the source's data have been dealt with.
    :ivar percent: of those known by now, as rsync says.
    :ivar bytes_per_second: at the moment.
    :ivar seconds_left: a guess; ``None`` where there is none.
    """

    step: str
    bytes_done: int = 0
    percent: int = 0
    bytes_per_second: float = 0.0
    seconds_left: int | None = None

    def __str__(self) -> str:
        """Answer it for the person: ``120 MB (20%) at 12.3 MB/s, 0:00:39 left, ext4 by rsync``."""
        if not self.bytes_done:
            return self.step
        said = f"{self.bytes_done / 1e6:.0f} MB ({self.percent}%)"
        if self.bytes_per_second:
            said += f" at {self.bytes_per_second / 1e6:.1f} MB/s"
        if self.seconds_left is not None:
            said += f", {timedelta(seconds=self.seconds_left)} left"
        return f"{said}, {self.step}"


def read_progress(line: str, step: str) -> Progress | None:
    """Answer the state that a line tells; ``None`` where it is another line.

    At the end of a file the time that it tells is what has passed, not what is left.
    """
    match = _PROGRESS.match(line)
    if not match:
        return None
    done, percent, rate, unit, *left, at_end = match.groups()
    hours, minutes, seconds = (int(one or 0) for one in left)
    state = Progress(
        step=step,
        bytes_done=int(done.replace(",", "")),
        percent=int(percent),
        bytes_per_second=float(rate) * _UNITS[unit],
        seconds_left=None if left[0] is None else 3600 * hours + 60 * minutes + seconds,
    )
    return replace(state, seconds_left=_seconds_left(state)) if at_end else state


def _seconds_left(state: Progress) -> int | None:
    """Answer how long the rest takes at the rate of what is done."""
    if not state.percent or not state.bytes_per_second:
        return None
    rest = state.bytes_done * (100 - state.percent) / state.percent
    return round(rest / state.bytes_per_second)


@dataclass(frozen=True)
class Cost:
    """What one run of rsync had to do.

    :ivar bytes_total: the size of all the files.
    :ivar bytes_crossed: what went over the wire, both ways.
    :ivar seconds: how long it took, with the hashes where there are some.
    """

    bytes_total: int = 0
    bytes_crossed: int = 0
    seconds: float = 0.0


def read_stats(lines: Iterable[str]) -> Cost:
    """Answer what rsync's statistics say."""
    said = {"file size": 0, "bytes sent": 0, "bytes received": 0}
    for line in lines:
        if match := _STAT.match(line):
            said[match[1]] = int(match[2].replace(",", ""))
    return Cost(said["file size"], said["bytes sent"] + said["bytes received"])


def block_size(size: int) -> int:
    """Answer in blocks of how many bytes rsync should compare devices of so many.

    The smaller the less is sent; each takes some 40 bytes of memory on either side.
    """
    blocks = 4096
    while size // blocks > 4 << 20 and blocks < 128 << 10:
        blocks *= 2
    return blocks
