"""The words of the options that several tasks have."""

from __future__ import annotations

import re
from datetime import timedelta

from snapback.errors import UsageError

_SPAN = re.compile(r"[1-9][0-9]{0,5}[mhd]\Z")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}

REGION_NAME = "region; may be contracted: eu-w for eu-west-1 (default: all regions in use)"
ACCOUNT = "the account to work in, as the configuration calls it (default: all of them)"
EXECUTOR = "Dask's scheduler that hands the work out: tcp://scheduler:8786 (default: as configured)"
TAG_NAME = "the tag that selects (default: as configured, Earmarking)"
TAG_VALUE = "the tag's value (default: as configured, production)"
SYNCHRONOUSLY = "wait until the snapshots are completed, retake those that end in error"
CONSISTENT = "log in and freeze the file systems meanwhile; exit code 3 where one can't be"
DRY_RUN = "show what would be done and why; change nothing"
QUIET = "print nothing where all goes well"
VERBOSE = "tell on stderr what goes on, line by line"
HTML = "also write a page into this file that shows it all, to open in a browser"
PROMETHEUS = "also write metrics into this file, for node_exporter's textfile collector"
JSON = "print one JSON document, on one line, and nothing else, on stdout"
AT = "the newest whole set not later than this; 2026-11-01T03:00 is UTC, an offset says otherwise"
RESTORE_REGION = (
    "where the snapshots lie, and what is restored will be; may be contracted (default: at home)"
)
INCOMPLETE = "do it although volumes are missing from the set, but for the root"

COMMON = {
    "account": ACCOUNT,
    "dry_run": DRY_RUN,
    "quiet": QUIET,
    "verbose": VERBOSE,
    "json": JSON,
}
"""The words of what each task has that changes something, and can show it before."""


def words(text: str | None) -> tuple[str, ...]:
    """Answer the words of a list given with commas."""
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def pairs(text: str | None, option: str) -> dict[str, str]:
    """Answer what a list like ``subnet-1=subnet-2,subnet-3=subnet-4`` maps to what.

    :raises UsageError: it isn't one.
    """
    found = {}
    for word in words(text):
        key, equals, value = (part.strip() for part in word.partition("="))
        if not (key and equals and value) or key in found:
            raise UsageError(f"{option}: expected one=other,third=fourth, got {text!r}")
        found[key] = value
    return found


def span(text: str | None, option: str, default: timedelta) -> timedelta:
    """Answer a span of time given on the command line: ``90m``, ``26h``, ``7d``.

    :raises UsageError: it isn't one.
    """
    if text is None:
        return default
    if not _SPAN.match(str(text)):
        raise UsageError(f"{option}: expected a span like 90m, 26h or 7d, got {text!r}")
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


def number(text: str, option: str, default: float) -> float:
    """Answer a number given on the command line.

    :raises UsageError: it isn't one, or isn't over 0.
    """
    if not text:
        return default
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < 100_000:
        raise UsageError(f"{option}: expected a number over 0, got {text!r}")
    return found


def percent(text: str | None, option: str) -> int | None:
    """Answer a percentage given on the command line.

    :raises UsageError: it isn't one.
    """
    if text is None:
        return None
    if str(text).isascii() and str(text).isdigit() and int(text) <= 100:
        return int(text)
    raise UsageError(f"{option}: expected a whole number from 0 to 100, got {text!r}")
