"""What the files of a file system have that rsync can't carry; pure.

*Marks* are inode flags, project ids and hints for allocation, in the bits that
:mod:`snapback.ssh.walk_script` describes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

LONGEST_PATH = 3500
"""How long a path may be, in bytes: rsync takes 4095 with its own folder, and names of its own."""

_SURVEY = re.compile(
    r"([0-9a-f]{1,17}) ([0-9]{1,18}) ([0-9]{1,18}) ([0-9]{1,18}) ([0-9]{1,18}) ([0-9a-f]{32})\n",
    re.ASCII,
)
_OF_XFS = 32
_NAMES: Mapping[int, str] = {
    0x1: "s (secure deletion)",
    0x2: "u (undeletable)",
    0x4: "c (compressed)",
    0x8: "S (synchronous)",
    0x10: "i (immutable)",
    0x20: "a (append-only)",
    0x40: "d (no dump)",
    0x80: "A (no times of access)",
    0x400: "m (not compressed)",
    0x800: "E (encrypted)",
    0x4000: "j (journalled data)",
    0x8000: "t (no tail-merging)",
    0x10000: "D (synchronous folders)",
    0x20000: "T (top of hierarchies)",
    0x100000: "V (fs-verity)",
    0x800000: "C (no copy on write)",
    0x2000000: "x (direct access)",
    0x20000000: "P (project inherited)",
    0x40000000: "F (case-insensitive)",
    0x1 << _OF_XFS: "realtime",
    0x100 << _OF_XFS: "realtime inherited",
    0x400 << _OF_XFS: "no symbolic links",
    0x800 << _OF_XFS: "an extent size",
    0x1000 << _OF_XFS: "an inherited extent size",
    0x2000 << _OF_XFS: "not defragmented",
    0x4000 << _OF_XFS: "file streams",
    0x10000 << _OF_XFS: "an extent size for copies on write",
    1 << 64: "project ids",
}


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What was found in a file system.

    :ivar marks: those of all entries together.
    :ivar entries: how many files and folders have any.
    :ivar longest: the length of the longest path, in bytes.
    :ivar apparent: the size of all files, in bytes...
    :ivar holes: ...and how much of that is holes.
    :ivar digest: of which entry has which marks, with their numbers.
    """

    marks: int
    entries: int
    longest: int
    apparent: int
    holes: int
    digest: str

    @property
    def has_holes(self) -> bool:
        """Whether so much of the files is holes that these shouldn't cross."""
        return 2 * self.holes > self.apparent

    @property
    def marked(self) -> str:
        """What rsync can't carry of the marks, in words, or ``""``."""
        if not self.marks:
            return ""
        what = f"{self.entries} of its entries have" if self.entries > 1 else "one entry has"
        return f"{what} what rsync can't carry: {', '.join(_names_of(self.marks))}"

    def not_by_files(self, size: int) -> str:
        """Return why it can't, or shouldn't, be moved file by file, in words, or ``""``.

        :param size: of its device, in bytes. rsync reads holes too: those that are larger than the
            device take longer than all of its blocks.
        """
        if self.marks:
            return self.marked
        if self.longest > LONGEST_PATH:
            return f"a path of {self.longest} bytes is too long for rsync"
        if self.holes > size:
            return f"it has holes of {self.holes} bytes, more than its {size}"
        return ""

    def lost_in(self, replica: Survey) -> str:
        """Return what isn't equal in a file system that rsync made like this one, or ``""``."""
        if self.digest == replica.digest and self.marks == replica.marks:
            return ""
        if self.marked:
            return f"not all is there: {self.marked}"
        return f"there is more than in the source: {replica.marked}"


def read_survey(text: str) -> Survey | None:
    """Return what was found, as the script prints it; ``None``: that isn't what it prints."""
    found = _SURVEY.fullmatch(text)
    if not found:
        return None
    entries, longest, apparent, holes = map(int, found.groups()[1:5])
    return Survey(
        marks=int(found[1], 16),
        entries=entries,
        longest=longest,
        apparent=apparent,
        holes=holes,
        digest=found[6],
    )


def _names_of(marks: int) -> Iterator[str]:
    for bit in range(marks.bit_length()):
        if marks >> bit & 1:
            yield _NAMES.get(1 << bit, f"flag {1 << bit:#x}")
