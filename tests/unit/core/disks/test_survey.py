"""What is told of a file system that rsync can't carry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snapback.core.disks.survey import LONGEST_PATH, Survey, read_survey

DIGEST = "0" * 32
PLAIN = Survey(marks=0, entries=0, longest=10, apparent=1000, holes=0, digest=DIGEST)
MARKED = replace(PLAIN, marks=1 << 64 | 0x800 << 32 | 0x800010, entries=3, digest="1" * 32)


def test_what_the_script_prints_is_read() -> None:
    assert read_survey(f"1000008000800010 3 10 1000 0 {'1' * 32}\n") == replace(
        MARKED, marks=0x1000008000800010
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"0 0 10 1000 0 {DIGEST}",
        f"0 0 10 1000 0 {DIGEST}\n\n",
        f"0 0 10 -1 0 {DIGEST}\n",
        f"0x1 0 10 1000 0 {DIGEST}\n",
        f"0 0 10 1{'0' * 18} 0 {DIGEST}\n",
        f"0 0 10 1000 0 {DIGEST}\nTraceback",
    ],
)
def test_anything_else_is_none(text: str) -> None:
    assert read_survey(text) is None


def test_what_cannot_go_by_files_says_why() -> None:
    assert PLAIN.not_by_files(1 << 30) == ""
    assert MARKED.not_by_files(1 << 30) == (
        "3 of its entries have what rsync can't carry: i (immutable), C (no copy on write), "
        "an extent size, project ids"
    )
    assert "flag 0x80000000000000" in replace(PLAIN, marks=1 << 55).not_by_files(1)
    assert replace(PLAIN, longest=LONGEST_PATH).not_by_files(1 << 30) == ""
    assert "too long" in replace(PLAIN, longest=LONGEST_PATH + 1).not_by_files(1 << 30)
    large = replace(PLAIN, apparent=9000, holes=8000)
    assert (large.not_by_files(8000), large.has_holes) == ("", True)
    assert large.not_by_files(7999) == "it has holes of 8000 bytes, more than its 7999"
    assert not replace(PLAIN, holes=500).has_holes


def test_what_is_not_equal_is_told() -> None:
    assert PLAIN.lost_in(replace(PLAIN, longest=11, holes=9)) == ""
    assert MARKED.lost_in(MARKED) == ""
    assert MARKED.lost_in(PLAIN).startswith("not all is there: 3 of its entries have what rsync")
    assert PLAIN.lost_in(MARKED).startswith("there is more than in the source: 3 of its entries")
