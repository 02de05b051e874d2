"""Instants as people give and read them (UTC unless they say otherwise), and spans of time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_MINUTES = re.compile(r"T\d\d:\d\d(?!:)", re.IGNORECASE)


def read_moment(text: str, option: str = "--at") -> Moment:
    """Answer the instant that a text means; without an offset it is UTC.

    A time that is given to the minute means all of that minute, a day all of that day: what was
    taken at 03:00:07 is not later than 03:00.

    :raises ValueError: it means none; says what is expected.
    """
    try:
        said = datetime.fromisoformat(str(text).strip())
    except ValueError:
        raise ValueError(
            f"{option}: expected a time like 2026-11-01T03:00 (UTC) or 2026-11-01T03:00+01:00, got "
            f"{text!r}"
        ) from None
    if said.tzinfo is None:
        said = said.replace(tzinfo=UTC)
    return _inclusive(said, str(text).strip()).astimezone(UTC)


def _inclusive(said: datetime, text: str) -> datetime:
    if len(text) == len("2026-11-01") and "T" not in text.upper():
        return said.replace(hour=23, minute=59, second=59, microsecond=999_999)
    if _MINUTES.search(text.replace(" ", "T")):
        return said.replace(second=59, microsecond=999_999)
    return said.replace(microsecond=999_999) if said.microsecond == 0 else said


Moment = datetime


def in_utc(at: datetime) -> str:
    """Answer an instant as people read it: ``2026-11-01 03:00:00 UTC``."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def in_both(at: datetime) -> str:
    """Answer an instant in UTC and in this machine's zone: ``... UTC (... 12:00:00 JST here)``."""
    local = at.astimezone()
    return f"{in_utc(at)} ({local:%Y-%m-%d %H:%M:%S} {local.tzname()} here)"


def age(span: timedelta) -> str:
    """Return a span of time as people say it: ``5 min``, ``3 h``, ``12 days``."""
    span = max(span, timedelta())
    hours = span // timedelta(hours=1)
    if not hours:
        return f"{span // timedelta(minutes=1)} min"
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"
