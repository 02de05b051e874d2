"""The standard streams, made safe: what one can't take is lost and remembered, and stops nothing.

A full disk, a closed stream or a reader that has gone would raise an error in whoever writes: in a
report, in Invoke, in rich, in Python itself at its end. And a file that is opened where a standard
stream is missing would get its number, and what is written to that stream.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from select import select
from typing import Any, NamedTuple, TextIO


class Loss(NamedTuple):
    """What a stream could not take.

    :ivar stream: ``stdout`` or ``stderr``.
    :ivar reason: why, in the system's words.
    :ivar wanted: whether somebody wanted it: false where the stream was closed on purpose, where
        its reader has gone (``| head``), or its terminal.
    """

    stream: str
    reason: str
    wanted: bool


class _File(io.FileIO):
    """The file under a standard stream: takes all that is written, also what it can't write."""

    def __init__(self, number: int, *, missing: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self._unwanted = missing or self.isatty()
        self._error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of some bytes; where that fails, lose the rest and remember why."""
        left = memoryview(data).cast("B")
        try:
            while left:
                written = super().write(left)
                if written is None:  # another program made the pipe or terminal non-blocking
                    select([], [self], [])
                left = left[written or 0 :]
        except OSError as error:
            self._error = error
        return memoryview(data).nbytes

    def take_loss(self, stream: str) -> Loss | None:
        """Return what was lost since the last time, if anything was."""
        error, self._error = self._error, None
        if error is None:
            return None
        wanted = not (self._unwanted or isinstance(error, ConnectionError))
        return Loss(stream, error.strerror or str(error), wanted)


def make_safe() -> None:
    """Make this program's stdout and stderr safe, unless they are, or others have replaced them.

    Characters that the charset of a stream lacks are written as escapes.
    """
    for number in range(3):
        _occupy(number)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _safe(sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _safe(sys.stderr, by_line=True)


def take_losses() -> list[Loss]:
    """Return what stdout and stderr could not take since the last time."""
    found = []
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        file = getattr(stream, "buffer", None)
        if isinstance(file, _File):
            stream.flush()
            if loss := file.take_loss(name):
                found.append(loss)
    return found


def _occupy(number: int) -> None:
    """Open the null device for a number below 3 that is free, for this program and its children."""
    try:
        os.fstat(number)
    except OSError:
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _safe(stream: TextIO | None, *, by_line: bool = False) -> TextIO:
    if stream is None:  # it was closed when Python began; its number may be another file's by now
        unwritable = os.open(os.devnull, os.O_RDONLY)
        return _over(_File(unwritable, missing=True), "utf-8", by_line=by_line)
    with suppress(OSError):
        stream.flush()
    file = _File(stream.fileno(), missing=False)
    return _over(file, stream.encoding, by_line=by_line or file.isatty())


def _over(file: _File, encoding: str, *, by_line: bool) -> TextIO:
    # There is no buffer between: a signal's handler that says something while the main thread
    # writes would be refused by it.
    return io.TextIOWrapper(
        file, encoding=encoding, errors="backslashreplace", line_buffering=by_line
    )
