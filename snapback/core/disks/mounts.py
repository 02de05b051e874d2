"""What is mounted where on a host, as its kernel tells it; pure.

Source: proc_pid_mountinfo(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, kw_only=True)
class Mount:
    """What a path leads to.

    :ivar maj_min: ``"259:1"``; of a btrfs a number that no block device has.
    :ivar source: what was mounted, ``/dev/nvme1n1`` or any word.
    :ivar options: the file system's, not this mount's: ``{"rw": "", "logdev": "/dev/sdb"}``.
    """

    point: str
    maj_min: str
    fs_type: str
    source: str
    options: Mapping[str, str] = field(default_factory=dict)


def read_mounts(lines: Iterable[str]) -> list[Mount]:
    """Return the mounts in ``/proc/self/mountinfo``, in its order; other lines are passed over."""
    found = []
    for line in lines:
        before, dash, after = line.partition(" - ")
        fields, said = before.split(" "), after.split(" ")
        if dash and len(fields) > 5 and len(said) > 2:
            pairs = (option.partition("=") for option in said[2].split(","))
            found.append(
                Mount(
                    point=_plain(fields[4]),
                    maj_min=fields[2],
                    fs_type=said[0],
                    source=_plain(said[1]),
                    options={key: _plain(value) for key, _, value in pairs},
                )
            )
    return found


def uppermost(mounts: Iterable[Mount]) -> dict[str, Mount]:
    """Return by mount point what was mounted there last, which hides what was before."""
    return {mount.point: mount for mount in mounts}


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), text)
