"""Which regions there are, and contracted names of them."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from snapback.ec2.calls import call
from snapback.errors import UsageError

_LOOKS_LIKE_ONE = re.compile(r"[a-z][a-z0-9-]*\Z")


def enabled_regions(conn: Any) -> list[str]:
    """Answer the regions that are enabled for the account, sorted. Source: DescribeRegions."""
    return sorted(region["RegionName"] for region in call(conn, "describe_regions")["Regions"])


def check_name(name: str) -> str:
    """Answer a region's name, contracted or not, if it can be one.

    :raises UsageError: it can't. A positional argument swallows whatever follows it, an option and
        the next task's name too.
    """
    if isinstance(name, str) and _LOOKS_LIKE_ONE.match(name):
        return name
    raise UsageError(
        f"{name!r} is no region: expected a name like eu-west-1, or a contracted one like eu-w"
        + ("; options come after it" if str(name).startswith("-") else "")
    )


def expand(name: str, in_use: Collection[str]) -> str:
    """Answer the one region in use whose name begins so; an exact name always wins.

    :raises UsageError: none does, or several; lists the candidates.
    """
    if name in in_use:
        return name
    matching = sorted(region for region in in_use if region.startswith(name))
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise UsageError(f"the region {name!r} may be any of {', '.join(matching)}: say which")
    raise UsageError(
        f"no region in use is called {name!r} or begins so: there are {', '.join(sorted(in_use))}"
    )
