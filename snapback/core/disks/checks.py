"""What the checkers of file systems complain about, told apart from how far they are; pure.

Source: what e2fsck 1.47, xfs_repair 6.1 and ``btrfs check`` 6.2 print.
"""

from __future__ import annotations

import re

_STEP = re.compile(
    r"""(?x)
    Pass\ \d\w?:\ [A-Z]
    | e2fsck\ \d | /dev/\S+:\ \d+/\d+\ files
    | Phase\ \d\ -\  | \ {8}-\ [a-z(] | No\ modify\ flag\ set,
    | \[\d/\d\]\ checking\b | Opening\ filesystem\ to\ check | Checking\ filesystem\ on\b | UUID:
    """
)


def complaints(said: str) -> str:
    """Return what a checker said without the lines in which it only tells its steps.

    A cause stands between the steps, where it would be cut from a long text. Where there is nothing
    but steps, all is returned.
    """
    lines = [line for line in said.splitlines() if not _STEP.match(line)]
    return "\n".join(lines) if any(map(str.strip, lines)) else said
