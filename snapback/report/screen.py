"""Where a task's words go: tables on a terminal, plain lines elsewhere, JSON where asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, TextIO

from snapback.core.model.outcome import Outcome
from snapback.core.text import printable
from snapback.report.progress import Bars, Lines
from snapback.report.report import Column, Report, in_words
from snapback.run import Progress

_STYLES = {0: "green", 1: "bold red", 2: "bold red", 3: "yellow", 4: "bold white on red"}


class Screen:
    """Shows one task to a person, or to the program that called it.

    Results go to stdout, problems to stderr. Quiet: nothing on stdout, so nothing at all where all
    went well. JSON: one document on stdout and nothing else there. Plain: no progress bars; where
    there are none, a line tells now and then how far the data of a volume are.
    """

    def __init__(self, *, quiet: bool, as_json: bool, plain: bool = False) -> None:
        self._silent = quiet or as_json
        self._as_json = as_json
        self._terminal = sys.stdout.isatty() and not self._silent
        bars = self._terminal and not plain
        self.progress: Progress = (Bars if bars else Lines)(self.line, self.problem)

    def line(self, text: str) -> None:
        """Say something that is no problem, in one line."""
        if not self._silent:
            _write(sys.stdout, [printable(text)])

    def result(self, text: str) -> None:
        """Say what was asked for, where quiet would silence it; JSON has it in its document."""
        if self._silent and not self._as_json:
            _write(sys.stdout, [printable(text)])

    def problem(self, text: str) -> None:
        """Say what went wrong, in one line."""
        _write(sys.stderr, [printable(text)])

    def report(self, report: Report) -> None:
        """Show a task's report: its table, its summary, and each problem in a line."""
        self.close()
        try:
            self._table(report)
        finally:
            for text in report.summary:
                self.line(text)
            for outcome in report.outcomes:
                if outcome.exit_code:
                    self.problem(one_line(outcome))

    def _table(self, report: Report) -> None:
        if self._silent or not (report.outcomes and report.columns):
            return
        show = _rich_table if self._terminal else _plain_table
        show(report.shown, report.outcomes)

    def document(self, make: Callable[[], dict[str, Any]]) -> None:
        """Print the JSON document, on one line, where it was asked for."""
        if self._as_json:
            _write(sys.stdout, [json.dumps(make())])

    def close(self) -> None:
        """End the progress bars, if there are any."""
        if isinstance(self.progress, Bars):
            self.progress.close()


def one_line(outcome: Outcome) -> str:
    """Return what became of an item as a sentence of its own."""
    place = str(outcome.place)
    where = f" in {place}" if place not in ("", outcome.subject) else ""
    return f"{outcome.subject}{where}: {in_words(outcome)}"


def _write(stream: TextIO, lines: Iterable[str]) -> None:
    stream.writelines(line + "\n" for line in lines)
    stream.flush()


def _rows(columns: Sequence[Column], outcomes: Sequence[Outcome]) -> Iterator[list[str]]:
    for outcome in outcomes:
        yield [_as_written(printable(column.cell(outcome))) for column in columns]


def _as_written(text: str) -> str:
    """Return a text with escapes for what stdout's charset lacks: so long will it be there."""
    charset = sys.stdout.encoding or "utf-8"
    return text.encode(charset, "backslashreplace").decode(charset)


def _plain_table(columns: Sequence[Column], outcomes: Sequence[Outcome]) -> None:
    """Print aligned columns; the last one runs on."""
    titles = [column.title for column in columns]
    widths = [len(title) for title in titles]
    for row in _rows(columns, outcomes):
        widths = [max(width, len(cell)) for width, cell in zip(widths, row, strict=True)]
    widths[-1] = 0
    rows = chain([titles], _rows(columns, outcomes))
    _write(sys.stdout, ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows))


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
