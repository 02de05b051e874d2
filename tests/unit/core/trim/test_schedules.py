"""What the default retention leaves of usual schedules: just what the documentation tells."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from snapback.core.model import Snapshot
from snapback.core.trim import retention
from snapback.core.trim.policy import Policy
from tests.unit.builders import at, snapshot

PAGE = Path(__file__).parents[4] / "docs" / "how-to" / "trimming.md"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START, END = at("2024-07-01T00:00"), at("2026-11-24T15:00")  # a Tuesday
OUTAGE = 35 * DAY


def hours(step: timedelta = HOUR) -> Iterator[datetime]:
    for number in range((END - START) // step + 1):
        yield START + number * step


def hours_that(are_backed_up: Callable[[datetime], bool]) -> list[datetime]:
    return [hour for hour in hours() if are_backed_up(hour)]


SCHEDULES = {
    "every hour": lambda: list(hours()),
    "every night": lambda: hours_that(lambda at: at.hour == 3),
    "hourly in business hours, Monday to Friday": lambda: hours_that(
        lambda at: at.weekday() < 5 and 8 <= at.hour <= 18
    ),
    "hourly on two days a month": lambda: hours_that(lambda at: at.day in (1, 15)),
    "at each month's end": lambda: hours_that(
        lambda at: at.hour == 22 and (at + DAY).month != at.month
    ),
    "on Sundays": lambda: hours_that(lambda at: at.weekday() == 6 and at.hour == 3),
    "replicas, every 37 hours": lambda: list(hours(37 * HOUR)),
}


def told() -> dict[str, list[int]]:
    """The table of the page: schedule -> kept, days, pushed out."""
    rows = re.findall(
        r"^\| ([^|]+) \| (\d+) \| (\d+) \| (\d+) \|$",
        PAGE.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    return {name: list(map(int, numbers)) for name, *numbers in rows}


def kept(snapshots: list[Snapshot], now: datetime) -> list[Snapshot]:
    return [v.snapshot for v in retention.plan(snapshots, lambda _: Policy(), now) if v.keep]


def test_all_schedules_are_told() -> None:
    assert set(told()) == set(SCHEDULES)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_leaves_what_is_told(name: str) -> None:
    left = kept([snapshot(hour) for hour in SCHEDULES[name]()], END)
    after = kept([*left, snapshot(END + OUTAGE)], END + OUTAGE)
    days = {one.started_at.date() for one in left}
    assert [len(left), len(days), len(left) + 1 - len(after)] == told()[name]
