"""The words of a host on a freeze, one form for each: what has none of them is refused; pure.

What they mean stands at the top of ssh/freeze_begin.sh, freeze_hold.sh, freeze_watch.sh and
freeze_rescue.sh.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NUMBER = r" (?P<number>0|[1-9][0-9]{0,8})"
_WHY = r"(?: (?P<why>.{0,4096}))?"
_FREEZE: Mapping[str, str] = {
    "BUSY": "",
    "UNLOCKED": _WHY,
    "HOLDER": _NUMBER,
    "FREEZING": _NUMBER,
    "FROZEN": "",
    "REFUSED": _NUMBER + _WHY,
    "STUCK": _NUMBER + _WHY,
    "THAWED": " (?P<why>asked|lease|limit|signal)",
    "RESCUED": "",
    "PRE": _NUMBER,
    "POST": _NUMBER,
}
_RESCUE: Mapping[str, str] = {"READY": "", "THAWED": _NUMBER, "STUCK": _NUMBER + _WHY}
_OF_MOUNT_POINTS = frozenset({"FREEZING", "REFUSED", "STUCK"})
_LARGEST_STATUS = 255
_SHOWN = 100


@dataclass(frozen=True)
class Said:
    """A line that a host printed.

    :ivar number: of a mount point, counted from 1; of a process; or an exit status.
    :ivar why: the rest of the line.
    """

    word: str
    number: int = 0
    why: str = ""


def read_freeze(line: str, mount_points: int) -> Said:
    """Return what a line of the freeze's three scripts says.

    :param mount_points: how many are to be frozen.
    :raises ValueError: it says nothing that they say.
    """
    said = _read(_FREEZE, line)
    is_one = 1 <= said.number <= mount_points
    if said.word in _OF_MOUNT_POINTS and not is_one:
        raise _unknown(line)
    if said.word in {"PRE", "POST"} and said.number > _LARGEST_STATUS:
        raise _unknown(line)
    return said


def read_rescue(line: str, mount_points: int) -> Said:
    """Return what a line of the script says that stands by.

    :param mount_points: how many it may have to thaw.
    :raises ValueError: it says nothing that this says.
    """
    said = _read(_RESCUE, line)
    if said.word != "READY" and not 1 <= said.number <= mount_points:
        raise _unknown(line)
    return said


def _read(forms: Mapping[str, str], line: str) -> Said:
    word = line.partition(" ")[0]
    match = re.fullmatch(word + forms[word], line, re.ASCII) if word in forms else None
    if not match:
        raise _unknown(line)
    found = match.groupdict()
    return Said(word, int(found.get("number") or 0), found.get("why") or "")


def _unknown(line: str) -> ValueError:
    return ValueError(f"it says {line[:_SHOWN]!r}, which is no word of a freeze")
