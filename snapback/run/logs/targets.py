"""Where the log can go: a file, syslog, the journal, the terminal."""

from __future__ import annotations

import io
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator
from fcntl import LOCK_EX, flock
from logging.handlers import RotatingFileHandler, SysLogHandler
from pathlib import Path
from typing import Any

from snapback.core.text import printable
from snapback.run.logs.lines import about_of, head_of, lines_of, said_in, time_of

IDENTIFIER = "snapback"
LONGEST_DATAGRAM = 8000

_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))

Say = Callable[[str], None]


class Once:
    """Tells of a failure once, whatever goes on failing.

    :param name: the setting's.
    """

    def __init__(self, name: str, warn: Say) -> None:
        self._name = name
        self._warn = warn
        self._told = False

    def __call__(self, error: BaseException | None) -> None:
        if not self._told:
            self._told = True
            reason = getattr(error, "strerror", None) or error
            self._warn(f"{self._name} can't be written ({reason}): this run goes on without it")


class _TellsOnce(logging.Handler):
    """Tells once of what goes wrong, instead of a traceback for each record."""

    _failed: Once

    def handleError(self, _: logging.LogRecord) -> None:  # noqa: N802
        """Tell of the error that is being handled."""
        self._failed(sys.exc_info()[1])


class RotatingFile(_TellsOnce, RotatingFileHandler):
    """A file that is begun anew when it is full, also where several runs write it at a time."""

    def __init__(self, path: Path, most_bytes: int, keep: int, failed: Once) -> None:
        self._failed = failed
        super().__init__(path, maxBytes=most_bytes, backupCount=keep, encoding="utf-8")

    def _open(self) -> Any:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        raw = io.FileIO(os.open(self.baseFilename, flags, 0o600), "a")
        return io.TextIOWrapper(raw, encoding="utf-8", errors="replace", write_through=True)

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802
        """Tell whether the file is full, once it is the one that bears the name."""
        self._follow()
        return bool(super().shouldRollover(record))

    def doRollover(self) -> None:  # noqa: N802
        """Begin the file anew, unless another run has just done so."""
        folder = os.open(Path(self.baseFilename).parent, os.O_RDONLY)
        try:
            flock(folder, LOCK_EX)
            if not self._follow():
                super().doRollover()
        finally:
            os.close(folder)

    def _follow(self) -> bool:
        """Open the file anew where another run, or logrotate, has moved it away."""
        try:
            there: os.stat_result | None = Path(self.baseFilename).stat()
        except FileNotFoundError:
            there = None
        if not self.stream or (there and os.path.samestat(there, os.fstat(self.stream.fileno()))):
            return False
        self.stream.close()
        self.stream = self._open()
        return True


class Syslog(_TellsOnce, SysLogHandler):
    """The syslog daemon, or a syslog server by UDP.

    :param where: a socket's path, or ``host:port``.
    """

    append_nul = False
    ident = "snapback: "

    def __init__(self, where: str, failed: Once) -> None:
        self._failed = failed
        host, _, port = where.rpartition(":")
        if "/" in where:
            super().__init__(where)
        elif host and port.isdigit():
            super().__init__((host.strip("[]"), int(port)))
        else:
            raise ValueError(f"{where} is neither a socket's path nor host:port")

    def format(self, record: logging.LogRecord) -> str:
        """Answer one line; syslog has the time of its own."""
        message, trace = said_in(record)
        said = f"{head_of(record)} {record.levelname.lower()}: {message}"
        text = printable(f"{said}\n{trace}" if trace else said)
        return text.encode()[:LONGEST_DATAGRAM].decode(errors="ignore")


class Journal(_TellsOnce):
    """systemd's journal, with a field for each thing that is known.

    Source: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
    """

    def __init__(self, path: str, failed: Once) -> None:
        super().__init__()
        self._failed = failed
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record."""
        try:
            self._socket.send(b"".join(_field(*each) for each in _fields(record)))
        except OSError:
            self.handleError(record)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
        super().close()


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, str]]:
    message, trace = said_in(record)
    here = about_of(record)
    priority = next((number for level, number in _PRIORITIES if record.levelno >= level), 7)
    # journalctl shows no message that has control characters: "[42B blob data]".
    yield "MESSAGE", printable(message[:LONGEST_DATAGRAM])
    yield "PRIORITY", str(priority)
    yield "SYSLOG_IDENTIFIER", IDENTIFIER
    yield "SNAPBACK_RUN", here.run
    yield "SNAPBACK_TASK", here.task
    yield "SNAPBACK_ACCOUNT", here.account
    yield "SNAPBACK_REGION", here.region
    yield "SNAPBACK_RESOURCE", here.resource
    yield "SNAPBACK_FROM", record.name
    if trace:
        yield "SNAPBACK_TRACEBACK", trace


def _field(name: str, value: str) -> bytes:
    said = value[:LONGEST_DATAGRAM].encode(errors="backslashreplace")
    return name.encode() + b"\n" + len(said).to_bytes(8, "little") + said + b"\n"


class ToScreen(logging.Handler):
    """The person who watches; what the report says anyway is left out."""

    def __init__(self, tell: Say) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "shown", False):
            return
        here = about_of(record)
        where = " ".join(filter(None, (here.region, here.resource)))
        head = f"{time_of(record)[11:19]} {where}".rstrip()
        for line in lines_of(record):
            self._tell(f"{head}: {line}")
