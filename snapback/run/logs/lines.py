"""How a record of the log is written: what it is about, and what is said, without secrets."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from snapback.core.log_context import About
from snapback.core.secrets import redact
from snapback.core.text import printable


def about_of(record: logging.LogRecord) -> About:
    """Answer what a record is about."""
    found = getattr(record, "about", None)
    return found if isinstance(found, About) else About()


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


class TextLines(logging.Formatter):
    """Lines for people and grep: time, level, run, place, resource, and what is said.

    A text of several lines becomes several, each with all of that.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Answer the lines."""
        head = f"{time_of(record)} {record.levelname} {head_of(record)}"
        message, trace = said_in(record)
        lines = [*message.split("\n"), *trace.splitlines()]
        return "\n".join(f"{head} {printable(line)}" for line in lines)


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
