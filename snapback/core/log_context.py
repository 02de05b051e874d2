"""What is being worked at, and in which run: every line of the log says so.

The run's task sets its name and id; each item of a fan-out sets where and what it is. Threads that
a fan-out starts know it too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from snapback.core.model import Place

_ID = re.compile(r"\b(?:i|vol|snap|sg|key|ami|subnet)-[0-9a-f]{8,17}\b")
_REGION = re.compile(r"\b[a-z]{2}(?:-[a-z]+){1,3}-[0-9]\b")
_IDS = ("snapshot_id", "resource_id", "volume_id", "instance_id")
_INNER = ("snapshot", "thing", "instance", "source")


@dataclass(frozen=True, kw_only=True)
class About:
    """What a line of the log is about; what isn't known is empty."""

    task: str = ""
    run: str = ""
    account: str = ""
    region: str = ""
    resource: str = ""


_current: ContextVar[About] = ContextVar("about", default=About())  # noqa: B039 (it is frozen)


def current() -> About:
    """Answer what is being worked at in this thread."""
    return _current.get()


@contextmanager
def about(**more: str) -> Iterator[None]:
    """Have the lines that are logged meanwhile be about something more particular."""
    token = _current.set(replace(_current.get(), **more))
    try:
        yield
    finally:
        _current.reset(token)


def of_item(item: Any) -> dict[str, str]:
    """Answer where and what an item is: a place, one of our model's things, or a plan for one."""
    for name in ("", *_INNER):
        thing = getattr(item, name, None) if name else item
        place = thing if isinstance(thing, Place) else getattr(thing, "place", None)
        if isinstance(place, Place):
            ids = (getattr(thing, name, "") for name in _IDS)
            resource = next((str(found) for found in ids if found), "")
            return {"account": place.account, "region": place.region, "resource": resource}
    return {}


def completed(known: About, message: str) -> About:
    """Answer what a message is about: where that isn't known, what it names first."""
    resource = known.resource or _first(_ID, message)
    return replace(known, region=known.region or _first(_REGION, message), resource=resource)


def _first(pattern: re.Pattern[str], message: str) -> str:
    found = pattern.search(message)
    return found.group() if found else ""
