"""How far a transfer is, and what it cost, from what rsync prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapback.core.progress import Cost, Progress, block_size, read_progress, read_stats

LINES = (
    Path(__file__)
    .with_name("answers")
    .joinpath("rsync.txt")
    .read_text(encoding="utf-8")
    .splitlines()
)


def test_what_rsync_printed():
    states = [state for line in LINES if (state := read_progress(line, "step"))]
    assert len(states) == 6
    assert states[1] == Progress(
        step="step",
        bytes_done=12124160,
        percent=33,
        bytes_per_second=11.41 * (1 << 20),
        seconds_left=2,
    )
    assert read_stats(LINES) == Cost(36700160, 36709287 + 57)


@pytest.mark.parametrize(
    ("line", "rate", "left"),
    [
        ("  1,234,567   1%  999.99kB/s   12:34:56  ", 999.99 * 1024, 45296),
        ("  1234567   1%    1.00GB/s    ??:??:??  ", 1 << 30, None),
        ("  0   0%    0.00kB/s    0:00:00  ", 0, 0),
        ("  5 100%    3.00B/s    0:00:00 (xfr#1, ir-chk=1000/1234)", 3, 0),
    ],
)
def test_forms_of_progress(line: str, rate: float, left: int | None):
    state = read_progress(line, "")
    assert state is not None
    assert (state.bytes_per_second, state.seconds_left) == (rate, left)


@pytest.mark.parametrize("line", ["", "Number of files: 3", "STATUS 0", ">f+++++++++ 100% of it"])
def test_other_lines(line: str):
    assert read_progress(line, "") is None


def test_smaller_blocks_where_there_is_memory_for_them():
    assert [block_size(gib << 30) >> 10 for gib in (1, 16, 17, 64, 500, 16384)] == [
        *(4, 4, 8, 16, 128, 128),
    ]
