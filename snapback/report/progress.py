"""What a person sees while a task goes on: bars on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from snapback.core.model import Place, Snapshot
from snapback.core.replication.progress import Progress as Transfer
from snapback.core.text import printable
from snapback.run import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as RichBars
    from rich.progress import ProgressColumn, Task, TaskID
    from rich.text import Text

FIRST_LINE_S = 30.0
SPACING = 0.25

Say = Callable[[str], None]


class _Words(Progress):
    """Says only what can't wait.

    :param say: says something that is no problem.
    :param alarm: says something that is.
    """

    def __init__(self, say: Say, alarm: Say) -> None:
        self._say = say
        self._alarm = alarm

    def plan(self, lines: Sequence[str]) -> None:
        for text in lines:
            self._say(text)

    def alarm(self, text: str) -> None:
        self._alarm(text)


@dataclass
class _Spacing:
    """When something began, and when it is told of next."""

    began: float
    due: float


class Lines(_Words):
    """Tells in lines how far the data of each volume are.

    The first after half a minute, then each when a quarter of the time so far has passed again: a
    transfer of six hours has thirty of them. Its methods may be called from any thread.

    :param clock: seconds that only grow.
    """

    def __init__(self, say: Say, alarm: Say, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(say, alarm)
        self._clock = clock
        self._lock = threading.Lock()
        self._spacings: dict[str, _Spacing] = {}

    def moving(self, what: str, state: Transfer) -> None:
        now = self._clock()
        with self._lock:
            spacing = self._spacings.setdefault(what, _Spacing(now, now + FIRST_LINE_S))
            if now < spacing.due:
                return
            spacing.due = now + max(FIRST_LINE_S, SPACING * (now - spacing.began))
        self._say(f"{what}: {state}")

    def moved(self, what: str) -> None:
        with self._lock:
            self._spacings.pop(what, None)


class Bars(_Words):
    """Progress bars on a terminal. Its methods may be called from any thread."""

    def __init__(self, say: Say, alarm: Say) -> None:
        super().__init__(say, alarm)
        self._lock = threading.RLock()  # a signal's handler may want it in the midst of us
        self._bars: RichBars | None = None
        self._current: TaskID | None = None
        self._totals: dict[str, tuple[TaskID, int]] = {}
        self._waiting: dict[Place, TaskID] = {}
        self._moving: dict[str, TaskID] = {}

    def _start(self) -> RichBars:
        if self._bars is None:
            from rich.console import Console
            from rich.progress import Progress as RichBars

            console = Console(stderr=True)
            self._bars = RichBars(*_columns(), console=console, transient=True, expand=True)
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
        left = state.seconds_left
        said = printable(f"{what}: {replace(state, seconds_left=None)}")
        with self._lock:
            if what not in self._moving:
                self._moving[what] = self._start().add_task(said, total=100, seconds_left=left)
            self._start().update(
                self._moving[what], description=said, completed=state.percent, seconds_left=left
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


def _columns() -> Sequence[ProgressColumn]:
    """Answer what a line of the bars is made of; where it is narrow its words are cut."""
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.table import Column
    from rich.text import Text

    class Left(TimeRemainingColumn):
        """How long it takes yet: as told, or as the bar's own progress has it."""

        def render(self, task: Task) -> Text:
            if "seconds_left" not in task.fields:
                return super().render(task)
            left = task.fields["seconds_left"]
            said = "-:--:--" if left is None else str(timedelta(seconds=left))
            return Text(said, style="progress.remaining")

    words = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    return (
        TextColumn("{task.description}", markup=False, table_column=words),
        BarColumn(bar_width=16),
        TaskProgressColumn(),
        Left(),
    )


def _percent(snapshot: Snapshot) -> int:
    if snapshot.state == "completed":
        return 100
    digits = snapshot.progress.rstrip("%")
    return int(digits) if digits.isdigit() else 0
