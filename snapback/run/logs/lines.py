"""How a record of the log is written: what it is about, and what is said, without secrets."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from datetime import UTC, datetime

from snapback.core.log_context import About
from snapback.core.secrets import redact, redact_json
from snapback.core.text import printable


def about_of(record: logging.LogRecord) -> About:
    """Return what a record is about, without secrets."""
    found = getattr(record, "about", None)
    return About(**redact_json(asdict(found))) if isinstance(found, About) else About()


def said_in(record: logging.LogRecord) -> tuple[str, str]:
    """Answer what a record says, and the traceback that it came with, both without secrets."""
    trace = ""
    if record.exc_info and record.exc_info[0]:
        trace = redact(logging.Formatter().formatException(record.exc_info))
    return redact(record.getMessage()), trace


def time_of(record: logging.LogRecord) -> str:
    """Answer when a record was made, in UTC."""
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def head_of(record: logging.LogRecord) -> str:
    """Answer what a record is about in a few words: run, task, place, resource; ``-`` for none."""
    here = about_of(record)
    place = f"{here.account}:{here.region}" if here.account else here.region
    words = (here.run, here.task, place, here.resource)
    return " ".join(printable(word) or "-" for word in words)


def lines_of(record: logging.LogRecord) -> list[str]:
    """Return what a record says, on one line, and the lines of its traceback behind bars.

    So no name with a newline can forge a line.
    """
    message, trace = said_in(record)
    return [printable(message), *(f"| {printable(line)}" for line in trace.splitlines())]


class TextLines(logging.Formatter):
    """Lines for people and grep: time, level, run, place, resource, and what is said.

    The lines of a traceback are lines too, each with all of that.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines."""
        head = f"{time_of(record)} {record.levelname} {head_of(record)}"
        return "\n".join(f"{head} {line}" for line in lines_of(record))


class JsonLines(logging.Formatter):
    """An object a line, for programs."""

    def format(self, record: logging.LogRecord) -> str:
        """Answer the line."""
        here = about_of(record)
        message, trace = said_in(record)
        said = {
            "at": time_of(record),
            "level": record.levelname.lower(),
            "run": here.run,
            "task": here.task,
            "account": here.account,
            "region": here.region,
            "resource": here.resource,
            "message": message,
            "from": record.name,
        }
        return json.dumps({**said, "traceback": trace} if trace else said)
