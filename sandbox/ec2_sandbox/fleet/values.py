"""The values of a fleet file: spans of time, names, templates; each reader says what is wrong."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from string import Template
from typing import Any

from ec2_sandbox.wire import UNFIT

#: The variables of templates.
VARIABLES = (
    "volume_id", "region", "device", "instance_id", "instance_type", "instance_name",
    "architecture", "root_device_name", "time", "set_id", "set_number", "device_map",
)  # fmt: skip
_SPAN = re.compile(r"(\d+)\s*([smhdwMy])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True)
class Span:
    """A span of time: calendar months, and seconds."""

    months: int = 0
    seconds: int = 0

    def __bool__(self) -> bool:
        return bool(self.months or self.seconds)

    def times(self, number: int) -> Span:
        """Answers the span a number of times over."""
        return Span(self.months * number, self.seconds * number)

    def after(self, moment: datetime) -> datetime:
        """Answers the moment that is this span later; a month's day is clipped to the month."""
        months = moment.year * 12 + moment.month - 1 + self.months
        year, month = divmod(months, 12)
        day = min(moment.day, calendar.monthrange(year, month + 1)[1])
        shifted = moment.replace(year=year, month=month + 1, day=day)
        return shifted + timedelta(seconds=self.seconds)

    def before(self, moment: datetime) -> datetime:
        """Answers the moment that is this span earlier."""
        return self.times(-1).after(moment)


def span(value: Any) -> Span:
    """Reads a span: a number and one of s, m, h, d, w, M (months), y; or several of them."""
    text = str(value).strip()
    if not re.fullmatch(rf"(?:{_SPAN.pattern}\s*)+", text):
        raise ValueError(f"{value!r} is no span of time; write 30m, 6h, 1d, 2w, 14M or 1y")
    months = seconds = 0
    for number, unit in _SPAN.findall(text):
        if unit in "My":
            months += int(number) * (12 if unit == "y" else 1)
        else:
            seconds += int(number) * _SECONDS[unit]
    return Span(months, seconds)


def text(value: Any) -> str:
    """Reads a text."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is no text")
    return value


def tag_text(value: Any) -> str:
    """Reads a tag's value, which YAML may have taken for a number or a truth."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return _carried(str(value))
    raise ValueError(f"{value!r} is no text")


def _carried(value: str) -> str:
    if UNFIT.search(value):
        raise ValueError(f"{value!r} has a character that XML can't carry")
    return value


def truth(value: Any) -> bool:
    """Reads true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


def whole(least: int) -> Callable[[Any], int]:
    """Makes a reader of whole numbers from a least one upwards."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{value!r} is no whole number from {least} upwards")
        return value

    return read


def one_of(*names: str) -> Callable[[Any], str]:
    """Makes a reader of one of some words."""

    def read(value: Any) -> str:
        if value not in names:
            raise ValueError(f"{value!r} is none of {', '.join(names)}")
        return str(value)

    return read


def matching(pattern: str, example: str) -> Callable[[Any], str]:
    """Makes a reader of texts of a form."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(f"{value!r} does not look like {example}")
        return value

    return read


def texts(value: Any) -> tuple[str, ...]:
    """Reads a list of texts."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"{value!r} is no list")
    return tuple(text(each) for each in value)


def template(value: Any) -> Template:
    """Reads a template; ``$$`` is a dollar sign."""
    made = Template(tag_text(value))
    if not made.is_valid():
        raise ValueError(f"{value!r} has a $ that names nothing; write $$ for a dollar sign")
    unknown = sorted(set(made.get_identifiers()) - set(VARIABLES))
    if unknown:
        raise ValueError(f"no variable ${unknown[0]}; there are ${', $'.join(VARIABLES)}")
    return made


def mapping(reader: Callable[[Any], Any], nothing: bool = False) -> Callable[[Any], Any]:
    """Makes a reader of mappings; with ``nothing`` a value may be null."""

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise ValueError(f"{value!r} is no mapping")
        return {
            _carried(str(key)): None if each is None and nothing else reader(each)
            for key, each in value.items()
        }

    return read
