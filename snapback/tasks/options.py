"""The words of the options that several tasks have."""

from __future__ import annotations

from snapback.errors import UsageError

REGION_NAME = "region; may be contracted: eu-w for eu-west-1 (default: all regions in use)"
ACCOUNT = "the account to work in, as the configuration calls it (default: all of them)"
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


def percent(text: str | None, option: str) -> int | None:
    """Answer a percentage given on the command line.

    :raises UsageError: it isn't one.
    """
    if text is None:
        return None
    if str(text).isascii() and str(text).isdigit() and int(text) <= 100:
        return int(text)
    raise UsageError(f"{option}: expected a whole number from 0 to 100, got {text!r}")
