"""The calendar periods that keep a snapshot each: in UTC, weeks from Sunday, numbered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from snapback.core.model.reasons import Reason
from snapback.core.trim.reasons import TrimReason


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of calendar period.

    :ivar name: the retention's key, ``"weekly"``.
    :ivar reason: the kind of reason that a period is to keep a snapshot.
    :ivar number_of: numbers the periods: consecutive ones have consecutive numbers.
    :ivar start_of: the instant at which the period with a number starts, UTC.
    """

    name: str
    reason: TrimReason
    number_of: Callable[[datetime], int]
    start_of: Callable[[int], datetime]

    @property
    def noun(self) -> str:
        """What one period is called: ``"week"``."""
        return str(self.reason.value)

    def period(self, number: int) -> Reason[TrimReason]:
        """Return a period as the reason to keep a snapshot: ``month 2026-11``."""
        return _period(self, number)


@lru_cache(maxsize=10_000)  # many volumes have the same periods
def _period(kind: Kind, number: int) -> Reason[TrimReason]:
    start = kind.start_of(number)
    if kind.reason is TrimReason.QUARTER:
        label = f"{start:%Y}-Q{(start.month + 2) // 3}"
    else:
        label = f"{start:{_FORMATS[kind.reason]}}"
    return Reason(kind.reason, f"{kind.noun} {label}")


_FORMATS = {
    TrimReason.HOUR: "%Y-%m-%dT%H",
    TrimReason.DAY: "%Y-%m-%d",
    TrimReason.WEEK: "of %Y-%m-%d",
    TrimReason.MONTH: "%Y-%m",
    TrimReason.YEAR: "%Y",
}


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _hour_of(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(hours=1)


_FIRST_HOUR = _hour_of(datetime(1, 1, 1, tzinfo=UTC))


def _midnight(ordinal: int) -> datetime:
    """Return the start of a day; before the first day there is, the first day."""
    day = date.fromordinal(max(ordinal, 1))
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _start_of_month(number: int) -> datetime:
    year, month = divmod(max(number, 12), 12)
    return datetime(year, month + 1, 1, tzinfo=UTC)


KINDS = (
    Kind(
        "hourly",
        TrimReason.HOUR,
        _hour_of,
        lambda number: _EPOCH + timedelta(hours=max(number, _FIRST_HOUR)),
    ),
    Kind("daily", TrimReason.DAY, lambda at: at.toordinal(), _midnight),
    # The ordinals of Sundays are the multiples of 7.
    Kind(
        "weekly",
        TrimReason.WEEK,
        lambda at: at.toordinal() // 7,
        lambda number: _midnight(number * 7),
    ),
    Kind("monthly", TrimReason.MONTH, lambda at: at.year * 12 + at.month - 1, _start_of_month),
    Kind(
        "quarterly",
        TrimReason.QUARTER,
        lambda at: at.year * 4 + (at.month - 1) // 3,
        lambda number: _start_of_month(number * 3),
    ),
    Kind(
        "yearly", TrimReason.YEAR, lambda at: at.year, lambda number: _start_of_month(number * 12)
    ),
)
