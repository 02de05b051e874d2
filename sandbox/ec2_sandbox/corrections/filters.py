"""Filters of Describe calls: names are checked, values may have wildcards."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from ec2_sandbox.errors import ApiError, invalid

MAX_VALUES = 200
Thing = TypeVar("Thing")
#: How a filter reads the values of a resource: one value, several, or none.
Reader = Callable[[Any], Any]


def apply_filters(
    things: Iterable[Thing],
    filters: Mapping[str, list[str]],
    readers: Mapping[str, Reader],
    tags_of: Callable[[Thing], Mapping[str, str]] | None = None,
) -> list[Thing]:
    """Answers the things that match every filter; within one filter any value will do.

    :param readers: the names of the filters there are, and how each reads a thing
    :param tags_of: how to read a thing's tags; makes ``tag:KEY`` and ``tag-key`` filters known
    :raises ApiError: ``InvalidParameterValue`` for an unknown name, ``FilterLimitExceeded``
    """
    if sum(len(values) for values in filters.values()) > MAX_VALUES:
        raise ApiError(
            "FilterLimitExceeded",
            f"The maximum number of filter values specified on a single call is {MAX_VALUES}",
        )
    found = list(things)
    for name, values in filters.items():
        reader = readers.get(name)
        if reader is None and tags_of is not None:
            reader = _tag_reader(name, tags_of)
        if reader is None:
            raise invalid(f"The filter '{name}' is invalid")
        found = _matching(found, reader, values)
    return found


def _tag_reader(name: str, tags_of: Callable[[Any], Mapping[str, str]]) -> Reader | None:
    if name == "tag-key":
        return lambda thing: list(tags_of(thing))
    if name.startswith("tag:"):
        key = name[4:]
        return lambda thing: tags_of(thing).get(key)
    return None


def _matching(things: list[Thing], reader: Reader, values: list[str]) -> list[Thing]:
    literal = {value for value in values if not any(sign in value for sign in "*?\\")}
    patterns = [_pattern(value) for value in values if value not in literal]

    def one(value: Any) -> bool:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return text in literal or any(pattern.match(text) for pattern in patterns)

    def matches(thing: Thing) -> bool:
        value = reader(thing)
        if value is None:
            return False
        if isinstance(value, list | tuple | set):
            return any(one(each) for each in value)
        return one(value)

    return [thing for thing in things if matches(thing)]


def _pattern(value: str) -> re.Pattern[str]:
    parts = []
    signs = iter(value)
    for sign in signs:
        if sign == "\\":
            parts.append(re.escape(next(signs, "\\")))
        else:
            parts.append({"*": ".*", "?": "."}.get(sign) or re.escape(sign))
    return re.compile("".join(parts) + r"\Z", re.DOTALL)
