"""Draw ``survivors.svg``: which of ten years of hourly snapshots the default retention keeps.

The lowest row is what is left where backups stood still for five weeks before the newest snapshot.

The picture is what :func:`snapback.core.trim.retention.plan` says, not what somebody thinks it
says. Run it after a change of the retention: ``python docs/draw_survivors.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from math import log
from pathlib import Path

from snapback.core.model import Place, Record, Snapshot
from snapback.core.trim.periods import KINDS
from snapback.core.trim.policy import Policy
from snapback.core.trim.retention import Verdict, plan

TARGET = Path(__file__).with_name("survivors.svg")

NOW = datetime(2026, 11, 24, 15, tzinfo=UTC)
YEARS = 10
VOLUME = "vol-0123456789abcdef0"
PLACE = Place("us-east-1")

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OUTAGE = 35 * DAY
MARKS = {
    "now": 0 * HOUR,
    "1 hour": HOUR,
    "6 hours": 6 * HOUR,
    "1 day": DAY,
    "1 week": 7 * DAY,
    "1 month": 30.4 * DAY,
    "3 months": 91.3 * DAY,
    "1 year": 365.25 * DAY,
    "3 years": 3 * 365.25 * DAY,
    "10 years": 3652.5 * DAY,
}
COLOURS = {
    "hour": "#0a8f8f",
    "day": "#3b82c4",
    "week": "#7c6bd0",
    "month": "#b9579f",
    "quarter": "#cf5f4e",
    "year": "#b8842a",
}

WIDTH, LEFT, RIGHT = 860, 140, 24
TOP, ROW = 58, 34

STYLE = """\
.survivors { color: var(--color-foreground-primary, #24292f); font: 13px sans-serif; }
@media (prefers-color-scheme: dark) {
  .survivors { color: var(--color-foreground-primary, #d7dce2); }
}
.survivors text { fill: currentColor; }
.survivors .minor { font-size: 11px; opacity: 0.85; }
.survivors .grid { stroke: currentColor; stroke-opacity: 0.18; }
.survivors .all { stroke: currentColor; stroke-width: 2; }"""


def verdicts() -> list[Verdict]:
    """Return what becomes of a snapshot every hour for ten years."""
    hours = int(YEARS * 365.25 * 24)
    return _plan([NOW - number * HOUR for number in range(hours)])


def after_an_outage(found: Iterable[Verdict]) -> list[Verdict]:
    """Return what becomes of what was kept, and of one snapshot after an outage."""
    return _plan([NOW, *(v.snapshot.started_at - OUTAGE for v in found if v.keep)])


def _plan(taken: Iterable[datetime]) -> list[Verdict]:
    return plan(map(_snapshot, taken), lambda _: Policy(), NOW)


def _snapshot(taken_at: datetime) -> Snapshot:
    return Snapshot(
        place=PLACE,
        snapshot_id=f"snap-{taken_at:%Y%m%dT%H}",
        volume_id=VOLUME,
        started_at=taken_at,
        record=Record(region=PLACE.region, volume=VOLUME, taken_at=taken_at),
    )


def x_of(age: timedelta) -> float:
    """Return where an age is on the axis: logarithmic, now at the left."""
    span = WIDTH - LEFT - RIGHT
    return LEFT + span * log(1 + age / HOUR) / log(1 + max(MARKS.values()) / HOUR)


def drawing(found: Iterable[Verdict]) -> str:
    """Return the picture as SVG."""
    everything = list(found)
    kept = [verdict for verdict in everything if verdict.keep]
    later = [verdict for verdict in after_an_outage(kept) if verdict.keep]
    height = TOP + ROW * (len(KINDS) + 2) + 44
    size = f'viewBox="0 0 {WIDTH} {height}" width="100%"'
    short = f"Of {len(everything)} snapshots {len(kept)} survive, ever wider apart further back"
    heading = f"One snapshot an hour for {YEARS} years, default retention: "
    heading += f"{len(kept)} of {len(everything):,} are kept"
    lines = chain(
        [
            f'<svg class="survivors" xmlns="http://www.w3.org/2000/svg" role="img" {size}>',
            f"<title>{short}</title>",
            f"<style>\n{STYLE}\n</style>",
            f'<text x="{LEFT}" y="20">{heading}</text>',
        ],
        _axis(height),
        *(_row(number, kind.noun, kept) for number, kind in enumerate(KINDS)),
        _all("all kept", kept, 0),
        _all("after 5 weeks’ gap", later, 1),
        ["</svg>"],
    )
    return "\n".join(lines) + "\n"


def _axis(height: int) -> Iterator[str]:
    bottom = height - 30
    for label, age in MARKS.items():
        x = x_of(age)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="34" y2="{bottom}"/>'
        yield (
            f'<text class="minor" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{label}</text>'
        )


def _row(number: int, noun: str, kept: Iterable[Verdict]) -> Iterator[str]:
    """Return the row of one kind of period: a dot for each snapshot that such a period keeps."""
    y = TOP + ROW * number
    its = [v for v in kept if any(reason.kind.value == noun for reason in v.reasons)]
    yield f'<text x="12" y="{y + 4}">{len(its)} {noun}s</text>'
    for verdict in its:
        x = x_of(NOW - verdict.snapshot.started_at)
        yield f'<circle cx="{x:.1f}" cy="{y}" r="4" fill="{COLOURS[noun]}"/>'


def _all(title: str, kept: Iterable[Verdict], row: int) -> Iterator[str]:
    """Return a row of all that is kept: a line for each snapshot."""
    y = TOP + ROW * (len(KINDS) + row)
    yield f'<text x="12" y="{y + 4}">{title}</text>'
    for verdict in kept:
        x = x_of(NOW - verdict.snapshot.started_at)
        yield f'<line class="all" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 9}" y2="{y + 9}"/>'


if __name__ == "__main__":
    TARGET.write_text(drawing(verdicts()), encoding="utf-8")
