"""How far a transfer is, and what it cost, from what rsync prints."""

from __future__ import annotations

import os
import pty
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from snapback.core.replication.progress import Cost, Progress, block_size, read_progress, read_stats
from snapback.report.progress import Lines
from snapback.report.screen import Screen

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
    assert [state.seconds_left for state in states] == [0, 2, 0, 0, 0, 0]
    assert read_stats(LINES) == Cost(36700160, 36709287 + 57)


@pytest.mark.parametrize(
    ("line", "rate", "left"),
    [
        ("  1,234,567   1%  999.99kB/s   12:34:56  ", 999.99 * 1024, 45296),
        ("  1234567   1%    1.00GB/s    ??:??:??  ", 1 << 30, None),
        ("  0   0%    0.00kB/s    0:00:00  ", 0, 0),
        ("  5 100%    3.00B/s    0:00:00 (xfr#1, ir-chk=1000/1234)", 3, 0),
        ("  600  20%    4.00B/s    5:59:59 (xfr#9, to-chk=8/20)", 4, 600),
        ("  600   0%    4.00B/s    5:59:59 (xfr#9, to-chk=8/20)", 4, None),
    ],
)
def test_forms_of_progress(line: str, rate: float, left: int | None):
    state = read_progress(line, "")
    assert state is not None
    assert (state.bytes_per_second, state.seconds_left) == (rate, left)


@pytest.mark.parametrize("line", ["", "Number of files: 3", "STATUS 0", ">f+++++++++ 100% of it"])
def test_other_lines(line: str):
    assert read_progress(line, "") is None


HALF = Progress(
    step="ext4 by rsync",
    bytes_done=1_200_000_000,
    percent=50,
    bytes_per_second=12_340_000,
    seconds_left=3661,
)


def test_without_a_terminal_a_line_tells_now_and_then():
    said: list[str] = []
    now = 0.0
    lines = Lines(said.append, said.append, clock=lambda: now)
    for second in range(0, 6 * 3600, 2):
        now = second
        lines.moving("snap-1", HALF)
        if second == 28:
            assert said == []
        if second == 30:
            text = "snap-1: 1200 MB (50%) at 12.3 MB/s, 1:01:01 left, ext4 by rsync"
            assert said == [text]
    assert 20 < len(said) < 35
    lines.moved("snap-1")
    lines.moving("snap-1", HALF)
    lines.moving("snap-2", Progress(step="2, its hash"))
    now += 30
    lines.moving("snap-2", Progress(step="2, its hash"))
    assert said[-2:] == [text, "snap-2: 2, its hash"]


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal_bars_tell_each_volume_with_bytes_and_rate(monkeypatch, columns):
    ours, theirs = pty.openpty()
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setattr(sys, "stderr", terminal)
        screen = Screen(quiet=False, as_json=False)
        screen.progress.expect(5, "replicating into eu-west-1")
        screen.progress.done()
        volumes = [f"snap-0123456789abcde{number}" for number in "f0"]
        for volume in volumes:
            screen.progress.moving(volume, HALF)
        screen.close()
    shown = _all_of(ours)
    for volume in volumes:
        assert f"{volume}: 1200 MB (50%) at 12" in shown
    assert "1:01:01" in shown
    assert "replicating into eu-west-1" in shown
    assert "20%" in shown


def _all_of(terminal: int) -> str:
    """What was written to a terminal that is closed by now; a read answers 4 KiB at most."""
    shown = b""
    with os.fdopen(terminal, "rb", buffering=0) as ours, suppress(OSError):
        while piece := ours.read(1 << 16):
            shown += piece
    return shown.decode()


@pytest.mark.parametrize("silent", [{"quiet": True}, {"as_json": True}], ids=str)
def test_quiet_nothing_is_told(capsys, silent):
    screen = Screen(**{"quiet": False, "as_json": False, **silent})
    screen.progress.moving("snap-1", HALF)
    screen.progress = Lines(screen.line, screen.problem, clock=iter([0.0, 99.0]).__next__)
    screen.progress.moving("snap-1", HALF)
    screen.progress.moving("snap-1", HALF)
    assert capsys.readouterr() == ("", "")


def test_smaller_blocks_where_there_is_memory_for_them():
    assert [block_size(gib << 30) >> 10 for gib in (1, 16, 17, 64, 500, 16384)] == [
        *(4, 4, 8, 16, 128, 128),
    ]


def test_a_number_without_a_digit_is_none() -> None:
    assert read_progress("  ,  10%  1.00MB/s  0:00:01", "step") is None
