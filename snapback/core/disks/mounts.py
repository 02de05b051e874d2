"""What is mounted where on a host, as its kernel tells it; pure.

Source: proc_pid_mountinfo(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, kw_only=True)
class Mount:
    """What a path leads to.

    :ivar maj_min: ``"259:1"``; of a btrfs a number that no block device has.
    :ivar source: what was mounted, ``/dev/nvme1n1`` or any word.
    """

    maj_min: str
    fs_type: str
    source: str


def uppermost(lines: Iterable[str]) -> dict[str, Mount]:
    """Answer by mount point what was mounted there last, which hides what was before.

    :param lines: of ``/proc/self/mountinfo``, in its order; others are passed over.
    """
    found = {}
    for line in lines:
        before, dash, after = line.partition(" - ")
        fields, said = before.split(" "), after.split(" ")
        if dash and len(fields) > 5 and len(said) > 2:
            mount = Mount(maj_min=fields[2], fs_type=said[0], source=_plain(said[1]))
            found[_plain(fields[4])] = mount
    return found


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), text)
