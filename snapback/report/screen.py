"""Where a task's words go: tables on a terminal, plain lines elsewhere, JSON where asked for."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from snapback.core.model import Place, Snapshot
from snapback.core.outcome import Outcome
from snapback.core.progress import Progress as Transfer
from snapback.core.wording import printable
from snapback.report.report import Column, Report, in_words
from snapback.runtime import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

_STYLES = {0: "green", 1: "bold red", 2: "bold red", 3: "yellow", 4: "bold white on red"}


class Screen:
    """Shows one task to a person, or to the program that called it.

    Results go to stdout, problems to stderr. Quiet: nothing on stdout, so nothing at all where all
    went well. JSON: one document on stdout and nothing else there. Plain: no progress bars.
    """

    def __init__(self, *, quiet: bool, as_json: bool, plain: bool = False) -> None:
        self._silent = quiet or as_json
        self._as_json = as_json
        self._terminal = sys.stdout.isatty() and not self._silent
        bars = self._terminal and not plain
        self.progress: Progress = (_Bars if bars else _Alarms)(self.line)

    def line(self, text: str) -> None:
        """Say something that is no problem."""
        if not self._silent:
            _write(sys.stdout, text)

    def problem(self, text: str) -> None:
        """Say what went wrong."""
        for one_line in text.split("\n"):
            _write(sys.stderr, printable(one_line))

    def report(self, report: Report) -> None:
        """Show a task's report: its table, its summary, and each problem in a line."""
        self.close()
        if report.outcomes and report.columns and not self._silent:
            if self._terminal:
                _rich_table(report.shown, report.outcomes)
            else:
                _plain_table(report.shown, report.outcomes)
        for text in report.summary:
            self.line(text)
        for outcome in report.outcomes:
            if outcome.exit_code:
                self.problem(one_line(outcome))

    def document(self, document: dict[str, Any]) -> None:
        """Print the JSON document, on one line, where it was asked for."""
        if self._as_json:
            _write(sys.stdout, json.dumps(document))

    def close(self) -> None:
        """End the progress bars, if there are any."""
        if isinstance(self.progress, _Bars):
            self.progress.close()


def one_line(outcome: Outcome) -> str:
    """Answer what became of an item as a sentence of its own."""
    place = str(outcome.place)
    where = f" in {place}" if place not in ("", outcome.subject) else ""
    return f"{outcome.subject}{where}: {in_words(outcome)}"


def _write(stream: Any, text: str) -> None:
    """Write a line; that its reader has gone (``| head``) is no failure of the task."""
    try:
        stream.write(text + "\n")
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _rows(columns: Sequence[Column], outcomes: Sequence[Outcome]) -> list[list[str]]:
    return [[printable(column.cell(outcome)) for column in columns] for outcome in outcomes]


def _plain_table(columns: Sequence[Column], outcomes: Sequence[Outcome]) -> None:
    """Print aligned columns; the last one runs on."""
    rows = [[column.title for column in columns], *_rows(columns, outcomes)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns) - 1)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    _write(sys.stdout, "\n".join(lines))


def _rich_table(columns: Sequence[Column], outcomes: Sequence[Outcome]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="bold")
    for column in columns:
        table.add_column(column.title, overflow="fold")
    for outcome, row in zip(outcomes, _rows(columns, outcomes), strict=True):
        style = _STYLES[outcome.exit_code]
        table.add_row(*map(Text, row[:-1]), Text(row[-1], style=style))
    Console().print(table)


class _Alarms(Progress):
    """Says only what can't wait."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def plan(self, lines: Sequence[str]) -> None:
        for text in lines:
            self._say(printable(text))

    def alarm(self, text: str) -> None:
        _write(sys.stderr, printable(text))


class _Bars(_Alarms):
    """Progress bars on a terminal. Its methods may be called from any thread."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(say)
        self._lock = threading.RLock()  # a signal's handler may want it in the midst of us
        self._bars: Bars | None = None
        self._current: TaskID | None = None
        self._totals: dict[str, tuple[TaskID, int]] = {}
        self._waiting: dict[Place, TaskID] = {}
        self._moving: dict[str, TaskID] = {}

    def _start(self) -> Bars:
        if self._bars is None:
            from rich.console import Console
            from rich.progress import Progress as Bars

            self._bars = Bars(console=Console(stderr=True), transient=True)
            self._bars.start()
        return self._bars

    def expect(self, count: int, what: str) -> None:
        with self._lock:
            bar, total = self._totals.get(what) or (self._start().add_task(what, total=0), 0)
            self._totals[what] = bar, total + count
            self._start().update(bar, total=total + count)
            self._current = bar

    def done(self) -> None:
        with self._lock:
            if self._current is not None:
                self._start().advance(self._current)

    def waiting(self, place: Place, snapshots: Collection[Snapshot]) -> None:
        percent = sum(_percent(snapshot) for snapshot in snapshots)
        with self._lock:
            if place not in self._waiting:
                what = f"completing in {place}"
                self._waiting[place] = self._start().add_task(what, total=None)
            bar = self._waiting[place]
            self._start().update(bar, completed=percent, total=100 * len(snapshots))

    def moving(self, what: str, state: Transfer) -> None:
        said = f"{what}: {state.step}, {state.bytes_done / 1e6:.0f} MB"
        if state.bytes_per_second:
            said += f" at {state.bytes_per_second / 1e6:.1f} MB/s"
        if state.seconds_left is not None:
            said += f", {timedelta(seconds=state.seconds_left)} left"
        with self._lock:
            if what not in self._moving:
                self._moving[what] = self._start().add_task(said, total=100)
            self._start().update(
                self._moving[what], description=printable(said), completed=state.percent
            )

    def moved(self, what: str) -> None:
        with self._lock:
            if what in self._moving:
                self._start().remove_task(self._moving.pop(what))

    def close(self) -> None:
        """Take the bars away."""
        with self._lock:
            if self._bars is not None:
                self._bars.stop()
                self._bars = None
                self._current = None
                self._totals.clear()
                self._waiting.clear()
                self._moving.clear()


def _percent(snapshot: Snapshot) -> int:
    if snapshot.state == "completed":
        return 100
    digits = snapshot.progress.rstrip("%")
    return int(digits) if digits.isdigit() else 0
