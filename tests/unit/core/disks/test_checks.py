"""What checkers complain about."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapback.core.disks.checks import complaints
from snapback.core.text import abridged

ANSWERS = Path(__file__).parent / "answers"


@pytest.mark.parametrize(
    ("file", "cause"),
    [
        ("e2fsck.txt", "Entry 'cron.md' in /how-to (17) has deleted/unused inode 24."),
        ("xfs_repair.txt", "would have reset inode 128 nlinks from 77 to 2"),
    ],
)
def test_the_cause_is_told_however_many_steps_stand_around_it(file: str, cause: str) -> None:
    assert cause in abridged(complaints((ANSWERS / file).read_text()), 240)
    assert cause[:60] in abridged(complaints((ANSWERS / file).read_text()), 160)


def test_where_there_are_only_steps_they_are_told() -> None:
    assert complaints("Opening filesystem to check...\n") == "Opening filesystem to check...\n"
    assert complaints("") == ""
