"""A volume's snapshots on a logarithmic time axis, as SVG: from years ago to now."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from snapback.report.markup import markup

HEIGHT = 20
MARGIN = 1.5
DAY = timedelta(days=1)
FINEST = timedelta(minutes=30)
SHORTEST = 7 * DAY
TICKS = (
    ("1 h", timedelta(hours=1)),
    ("6 h", timedelta(hours=6)),
    ("1 day", DAY),
    ("1 week", 7 * DAY),
    ("1 mo", 30 * DAY),
    ("3 mo", 91 * DAY),
    ("1 year", 365 * DAY),
    ("3 years", 3 * 365 * DAY),
    ("10 years", 10 * 365 * DAY),
    ("30 years", 30 * 365 * DAY),
)
ROUND = {"kept": "3", "better": "5.5", "going": "3.2"}
TIGHT = 14.0


@dataclass(frozen=True)
class Mark:
    """A snapshot in the picture.

    :ivar kind: ``kept``, ``better`` (kept, and more than crash-consistent), ``going``, ``pending``
        or ``broken``: each has a shape of its own.
    :ivar text: what is said of it, line by line.
    """

    age: timedelta
    kind: str
    text: str


@dataclass(frozen=True)
class Lane:
    """The snapshots of one volume in one region.

    :ivar fresh: how old the newest may be; the time since then is shaded. ``None``: no matter.
    """

    label: str
    marks: tuple[Mark, ...]
    fresh: timedelta | None = None


@dataclass(frozen=True)
class Scale:
    """Where an age is on the axis, in percent of its width: now is at the right."""

    reach: timedelta

    def at(self, age: timedelta) -> float:
        """Answer the place of an age."""
        inside = min(max(age, timedelta()), self.reach)
        part = math.log1p(inside / FINEST) / math.log1p(self.reach / FINEST)
        return round(100 - MARGIN - (100 - 2 * MARGIN) * part, 2)

    def ticks(self) -> list[tuple[str, float]]:
        """Answer the ticks that there is room for, with their places, and that of now."""
        within = [(label, self.at(age)) for label, age in TICKS if age < self.reach * 0.9]
        return [*within, ("now", self.at(timedelta()))]


def scale_for(lanes: Iterable[Lane]) -> Scale:
    """Answer the scale on which all these lanes find room, so that rows can be compared."""
    oldest = max((mark.age for lane in lanes for mark in lane.marks), default=SHORTEST)
    return Scale(max(oldest * 1.2, SHORTEST))


def axis(scale: Scale) -> str:
    """Answer the axis, for the head of the column; where that is narrow, some labels give way."""
    labels, free = "", math.inf
    for label, x in sorted(scale.ticks(), key=lambda tick: -tick[1]):
        is_tight = free - x < TIGHT
        free = free if is_tight else x
        name = ' class="tight"' if is_tight else ""
        labels = f'<text{name} x="{x:g}%" y="14">{markup(label)}</text>{labels}'
    return f'<svg class="axis" height="{HEIGHT}" aria-hidden="true">{labels}</svg>'


def grid(scale: Scale) -> str:
    """Answer the lines at the axis's ticks as CSS: the background of all lanes, drawn once."""
    line = "linear-gradient(var(--grid), var(--grid))"
    lines = (f"{line} {x:g}% 0 / 1px 100% no-repeat" for _, x in scale.ticks())
    return f"svg.lane {{ background: {', '.join(lines)}; }}"


def shape(kind: str, x: str, text: str = "") -> str:
    """Answer a mark: a circle where that will do, since of those a browser bears many more.

    :param text: what is said of it.
    """
    title = f"<title>{markup(text)}</title>" if text else ""
    y = HEIGHT // 2
    if radius := ROUND.get(kind):
        return f'<circle class="{kind}" cx="{x}" cy="{y}" r="{radius}">{title}</circle>'
    return f'<use href="#{kind}" class="{kind}" x="{x}" y="{y}">{title}</use>'


def picture(lane: Lane, scale: Scale) -> str:
    """Answer one lane; what is said of a mark is its title, and may be walked through by keys."""
    about = f"{lane.label}: {_counted(lane.marks)}"
    fresh = ""
    if lane.fresh is not None:
        begins = scale.at(lane.fresh)
        fresh = (
            f'<rect class="fresh" x="{begins:g}%" y="0" width="{100 - begins:g}%" '
            f'height="{HEIGHT}"/>'
        )
    marks = "".join(
        shape(mark.kind, f"{scale.at(mark.age):g}%", mark.text)
        for mark in sorted(lane.marks, key=lambda mark: mark.age, reverse=True)
    )
    return (
        f'<svg class="lane" height="{HEIGHT}" role="img" tabindex="0" '
        f'aria-label="{markup(about)}">{fresh}{marks}</svg>'
    )


def _counted(marks: Sequence[Mark]) -> str:
    words = {
        "kept": "kept",
        "better": "kept, consistent",
        "going": "to be trimmed",
        "pending": "pending",
        "broken": "in error",
    }
    counts = [(sum(mark.kind == kind for mark in marks), word) for kind, word in words.items()]
    return ", ".join(f"{count} {word}" for count, word in counts if count) or "no snapshots"
