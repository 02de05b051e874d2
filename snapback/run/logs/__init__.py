"""Where a task's log goes: a file, syslog, the journal, the terminal. Set up by tasks only.

Every line says in which run, where and about what it was said. No secret gets there: all that is
said goes through :func:`snapback.core.secrets.redact`, and of other libraries only warnings are
taken, since what botocore says in detail has whole requests in it. A log that can't be written is
a warning, once: a backup matters more than its log.

A record with the attribute ``always`` gets to every target, whatever the level: a deletion's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from snapback.config import Logging
from snapback.core.log_context import About, completed, current
from snapback.run.logs.lines import JsonLines, TextLines
from snapback.run.logs.targets import Journal, Once, RotatingFile, Say, Syslog, ToScreen

OURS = "snapback"
OTHERS = ("boto3", "botocore", "fabric", "invoke", "paramiko", "py.warnings", "urllib3")
MIB = 1 << 20


@contextmanager
def kept(settings: Logging, *, warn: Say, tell: Say | None = None) -> Iterator[None]:
    """Have what is logged meanwhile go where the settings say.

    :param warn: told once of each log that can't be written.
    :param tell: given each line of level info too, in short: a person watches.
    """
    known = current()
    with ExitStack() as stack:
        handlers: list[logging.Handler] = []
        for name, make in _makers(settings):
            failed = Once(f"logging.{name}", warn)
            try:
                handlers.append(make(failed))
            except (OSError, ValueError, RuntimeError) as error:
                failed(error)
        level = logging.getLevelNamesMapping()[settings.level.upper()]
        for handler in handlers:
            handler.addFilter(_AtLeast(level))
        if tell:
            watched = ToScreen(tell)
            watched.addFilter(_AtLeast(min(logging.INFO, level) if handlers else logging.INFO))
            handlers.append(watched)
        for handler in handlers:
            handler.addFilter(_Context(known))
            stack.callback(handler.close)
        stack.enter_context(_attached(handlers, min(logging.INFO, level)))
        yield


def _makers(settings: Logging) -> Iterator[tuple[str, Callable[[Once], logging.Handler]]]:
    if settings.file:
        yield "file", lambda failed: _to_file(settings, failed)
    if settings.syslog:
        yield "syslog", lambda failed: Syslog(str(settings.syslog), failed)
    if settings.journald:
        yield "journald", lambda failed: Journal(str(settings.journald), failed)


def _to_file(settings: Logging, failed: Once) -> logging.Handler:
    path = Path(str(settings.file)).expanduser().absolute()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handler = RotatingFile(path, settings.rotate_mib * MIB, settings.rotate_keep, failed)
    handler.setFormatter(JsonLines() if settings.format == "json" else TextLines())
    return handler


@contextmanager
def _attached(handlers: Sequence[logging.Handler], lowest: int) -> Iterator[None]:
    """Attach handlers to our logger and to those of the libraries; take them off at the end.

    :param lowest: the level at which our logger makes records; the handlers' filters choose.
    """
    ours = logging.getLogger(OURS)
    loggers = [ours, *map(logging.getLogger, OTHERS)]
    level = ours.level
    if handlers:
        ours.setLevel(lowest)
    for logger in loggers:
        for handler in handlers:
            logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            for handler in handlers:
                logger.removeHandler(handler)
        ours.setLevel(level)


class _AtLeast(logging.Filter):
    """Keeps out what is less grave than a level, but for records that say ``always``.

    A handler's own level could not make that exception.
    """

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= self._level or bool(getattr(record, "always", False))


class _Context(logging.Filter):
    """Gives each record what it is about; keeps out what other libraries say in detail.

    :param known: what is known where a thread knows nothing.
    """

    def __init__(self, known: About) -> None:
        super().__init__()
        self._known = known

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] != OURS and record.levelno < logging.WARNING:
            return False
        here = current()
        if not here.run:
            here = replace(self._known, **{k: v for k, v in asdict(here).items() if v})
        record.about = completed(here, record.getMessage())
        return True
