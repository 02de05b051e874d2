"""Three years, hour by hour: a snapshot each hour, a trim each day, and exactly what survives.

From 1 July 2023 to 30 June 2026: a leap day, three ends of a year, and four gaps of weeks without
backups, during which the daily trim goes on. What should survive is worked out here in another way
than in the code: each period's two ends are written down with the calendar's own arithmetic, and
its first (best) snapshot is looked up in the schedule of all that was ever taken; periods without
one are passed over. So the code, which sees only what it has left itself, must never have deleted
what it would need later.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import count

import pytest

from snapback.core.model import Consistency, Snapshot
from snapback.core.trim import retention
from snapback.core.trim.policy import Policy
from tests.unit.builders import at, policy, snapshot

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
START, END = at("2023-07-01T00:00"), at("2026-06-30T04:00")
TRIM_AT = 4  # o'clock, after that hour's snapshot

# The last hour with a backup, and the next one.
GAPS = [
    (at("2023-11-20T05:00"), at("2023-12-11T17:00")),
    (at("2024-12-27T10:00"), at("2025-01-19T06:00")),  # over the end of a year
    (at("2025-09-03T00:00"), at("2025-10-08T13:00")),  # over the end of a quarter
    (at("2026-05-25T12:00"), at("2026-06-15T09:00")),  # over the end of a month
]


def hours() -> Iterator[datetime]:
    for number in range((END - START) // HOUR + 1):
        yield START + number * HOUR


def is_taken(hour: datetime) -> bool:
    return not any(last < hour < following for last, following in GAPS)


# What should survive.


def hours_back(from_hour: datetime) -> Iterator[tuple[datetime, datetime]]:
    for number in count():
        yield from_hour - number * HOUR, from_hour - number * HOUR + HOUR


def days_back(from_day: date) -> Iterator[tuple[datetime, datetime]]:
    for number in count():
        yield midnight(from_day - number * DAY), midnight(from_day - number * DAY + DAY)


def weeks_back(from_day: date) -> Iterator[tuple[datetime, datetime]]:
    sunday = from_day
    while sunday.strftime("%A") != "Sunday":
        sunday -= DAY
    for number in count():
        yield midnight(sunday - number * WEEK), midnight(sunday - number * WEEK + WEEK)


def months_back(from_day: date, length: int = 1) -> Iterator[tuple[datetime, datetime]]:
    """Answer months, or with a length of 3 quarters, or of 12 years."""
    first = from_day.replace(day=1)
    while (first.month - 1) % length:
        first = month_before(first)
    after = first
    for _ in range(length):
        after = (after + 31 * DAY).replace(day=1)
    while True:
        yield midnight(first), midnight(after)
        after = first
        for _ in range(length):
            first = month_before(first)


def month_before(first_of_month: date) -> date:
    return (first_of_month - DAY).replace(day=1)


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


@dataclass
class Schedule:
    """All that was ever taken, in order; of each consistency apart."""

    taken: dict[Consistency, list[datetime]] = field(
        default_factory=lambda: {quality: [] for quality in Consistency}
    )

    def survivors(self, by: Policy) -> list[datetime]:
        """Answer what should be left now."""
        newest = max(instants[-1] for instants in self.taken.values() if instants)
        day = newest.date()
        days_with_hours = list(self.last(days_back(day), 3))
        since = midnight(days_with_hours[-1].date())
        hours = self.last(hours_back(newest), by.hourly, since)
        return sorted(
            {
                newest,
                *hours,
                *self.last(days_back(day), by.daily),
                *self.last(weeks_back(day), by.weekly),
                *self.last(months_back(day), by.monthly),
                *self.last(months_back(day, length=3), by.quarterly),
                *self.last(months_back(day, length=12), by.yearly),
            }
        )

    def last(
        self, periods: Iterator[tuple[datetime, datetime]], wanted: int, until: datetime = START
    ) -> Iterator[datetime]:
        """Return the best snapshots of the last so many periods that have one."""
        for start, end in periods:
            if wanted <= 0 or end <= until:
                return
            best = self.best_between(start, end)
            wanted -= len(best)
            yield from best

    def best_between(self, start: datetime, end: datetime) -> list[datetime]:
        """Answer the best of a period, as a list of one, or of none."""
        for quality in sorted(Consistency, reverse=True):
            instants = self.taken[quality]
            first = bisect_left(instants, start)
            if first < len(instants) and instants[first] < end:
                return [instants[first]]
        return []


# What does survive.


@dataclass
class Day:
    """What was left after a day's trim, and what should have been."""

    left: list[datetime]
    expected: list[datetime]

    def in_words(self) -> list[str]:
        return [f"{instant:%Y-%m-%d %H}" for instant in self.left]


def walked(by: Policy, consistency_at: Callable[[datetime], Consistency]) -> dict[str, Day]:
    """Answer the days of the three years."""
    days = {}
    schedule = Schedule()
    left: list[Snapshot] = []
    for now in hours():
        if is_taken(now):
            consistency = consistency_at(now)
            schedule.taken[consistency].append(now)
            left.append(snapshot(now, consistency=consistency))
        if now.hour == TRIM_AT:
            verdicts = retention.plan(left, lambda _: by, now + timedelta(minutes=30))
            left = [verdict.snapshot for verdict in verdicts if verdict.keep]
            days[f"{now:%Y-%m-%d}"] = Day([s.started_at for s in left], schedule.survivors(by))
    return days


@pytest.fixture(scope="module")
def by_default() -> dict[str, Day]:
    """Answer the days under the default policy, all snapshots equally good."""
    return walked(Policy(), lambda _: Consistency.CRASH)


@pytest.fixture(scope="module")
def by_a_small_policy() -> dict[str, Day]:
    """Answer the days under a small policy, where some snapshots are better than others."""

    def consistency_at(hour: datetime) -> Consistency:
        if hour.hour == 13 and hour.isoweekday() == 3:
            return Consistency.APPLICATION
        return Consistency.FILESYSTEM if hour.hour == 22 else Consistency.CRASH

    return walked(policy(daily=3, weekly=2, monthly=2, yearly=1), consistency_at)


def wrong(days: dict[str, Day]) -> dict[str, Day]:
    return {name: day for name, day in days.items() if day.left != day.expected}


def each_hour(first: str, last: str) -> list[str]:
    """Answer the hours from one to another: ``each_hour("2026-06-29 05", "2026-06-30 04")``."""
    start, end = (at(f"{text.replace(' ', 'T')}:00") for text in (first, last))
    return [f"{start + n * HOUR:%Y-%m-%d %H}" for n in range((end - start) // HOUR + 1)]


def test_the_walk_is_of_three_years(by_default: dict[str, Day]) -> None:
    assert len(by_default) == 366 + 365 + 365
    assert "2024-02-29" in by_default


def test_by_default_each_day_leaves_exactly_what_it_should(by_default: dict[str, Day]) -> None:
    assert wrong(by_default) == {}


def test_with_a_small_policy_each_day_leaves_exactly_what_it_should(
    by_a_small_policy: dict[str, Day],
) -> None:
    assert wrong(by_a_small_policy) == {}


def test_what_three_years_leave_by_default(by_default: dict[str, Day]) -> None:
    assert by_default["2026-06-30"].in_words() == [
        # The year 2023 begins with the first snapshot ever.
        "2023-07-01 00",
        "2024-01-01 00",
        # 2025 began in a gap: its oldest is the first after it. That of January 2025, which is no
        # longer among the last 12 months, was the same one.
        "2025-01-19 06",
        # The last 12 months keep their oldest, mostly the first hour of the first. The quarters and
        # the year 2026 ask for nothing more: their oldest is the oldest of a month as well.
        "2025-07-01 00",
        "2025-08-01 00",
        "2025-09-01 00",  # two days before a gap
        "2025-10-08 13",  # the first after it; for the month and for the fourth quarter
        "2025-11-01 00",
        "2025-12-01 00",
        "2026-01-01 00",
        "2026-02-01 00",
        "2026-03-01 00",
        "2026-04-01 00",
        "2026-05-01 00",
        # June began in a gap, and so did the week of Sunday 14 June. The weeks before lie in the
        # gap altogether: of the last four that have a snapshot, the fourth is that of 24 May.
        "2026-05-24 00",
        "2026-06-15 09",
        "2026-06-21 00",  # Sunday: a week
        # The last 7 days keep their first hour. The 28th is the last week's Sunday, too.
        "2026-06-24 00",
        "2026-06-25 00",
        "2026-06-26 00",
        "2026-06-27 00",
        "2026-06-28 00",
        "2026-06-29 00",
        # The last 24 hours; among them the 30th's first, for its day, and the newest.
        "2026-06-29 05",
        "2026-06-29 06",
        "2026-06-29 07",
        "2026-06-29 08",
        "2026-06-29 09",
        "2026-06-29 10",
        "2026-06-29 11",
        "2026-06-29 12",
        "2026-06-29 13",
        "2026-06-29 14",
        "2026-06-29 15",
        "2026-06-29 16",
        "2026-06-29 17",
        "2026-06-29 18",
        "2026-06-29 19",
        "2026-06-29 20",
        "2026-06-29 21",
        "2026-06-29 22",
        "2026-06-29 23",
        "2026-06-30 00",
        "2026-06-30 01",
        "2026-06-30 02",
        "2026-06-30 03",
        "2026-06-30 04",
    ]


def test_what_is_left_on_the_leap_day(by_default: dict[str, Day]) -> None:
    assert by_default["2024-02-29"].in_words() == [
        "2023-07-01 00",
        "2023-08-01 00",
        "2023-09-01 00",
        "2023-10-01 00",
        "2023-11-01 00",
        "2023-12-11 17",  # December began in a gap
        "2024-01-01 00",
        "2024-02-01 00",
        "2024-02-04 00",  # Sundays
        "2024-02-11 00",
        "2024-02-18 00",
        "2024-02-23 00",
        "2024-02-24 00",
        "2024-02-25 00",
        "2024-02-26 00",
        "2024-02-27 00",
        "2024-02-28 00",
        *each_hour("2024-02-28 05", "2024-02-29 04"),
    ]


def test_a_gap_thins_nothing(by_default: dict[str, Day]) -> None:
    # After ten o'clock on 27 December nothing was taken; on the 28th the windows stand still.
    at_the_start = by_default["2024-12-28"].in_words()
    assert at_the_start == [
        "2023-07-01 00",
        *(f"2024-{month:02}-01 00" for month in range(1, 13)),
        "2024-12-08 00",  # Sundays: the week of the 1st is the month's oldest
        "2024-12-15 00",
        "2024-12-21 00",
        "2024-12-22 00",
        "2024-12-23 00",
        "2024-12-24 00",
        "2024-12-25 00",
        "2024-12-26 00",
        *each_hour("2024-12-26 11", "2024-12-27 10"),
    ]
    for day in ("2024-12-31", "2025-01-01", "2025-01-12", "2025-01-19"):
        assert by_default[day].in_words() == at_the_start


def test_a_gap_counts_for_nothing_once_it_is_over(by_default: dict[str, Day]) -> None:
    # The day on which backups began again and the next one took the places of 21 and 22 December
    # among the days; the latter stays for its week. 27 December is the third day with hours.
    assert by_default["2025-01-20"].in_words() == [
        "2023-07-01 00",  # for the year
        *(f"2024-{month:02}-01 00" for month in range(1, 13)),
        "2024-12-08 00",
        "2024-12-15 00",
        "2024-12-22 00",
        "2024-12-23 00",
        "2024-12-24 00",
        "2024-12-25 00",
        "2024-12-26 00",
        "2024-12-27 00",
        "2024-12-27 10",  # the last of the 24 hours
        *each_hour("2025-01-19 06", "2025-01-20 04"),
    ]


def test_what_three_years_leave_under_a_small_policy(by_a_small_policy: dict[str, Day]) -> None:
    # Wednesday's snapshot of 13:00 is the best, then each day's of 22:00.
    assert by_a_small_policy["2026-06-30"].in_words() == [
        "2026-01-07 13",  # the year's first Wednesday
        "2026-05-06 13",  # May's
        "2026-06-17 13",  # June's: after the gap, which the 3rd and the 10th lie in
        "2026-06-24 13",  # the Wednesday of the week before
        "2026-06-28 22",  # Sunday: of its day, and of a week that has no Wednesday yet
        "2026-06-29 22",
        "2026-06-30 00",  # of the day, so far: 22 o'clock is still to come
        "2026-06-30 04",  # the newest
    ]
