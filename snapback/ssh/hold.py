"""What is done on a host for a while, and undone there even if this program is killed.

A process on the host does it, and undoes it at the end of its input, which comes when we say so, or
when there is no longer anybody to say it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from snapback.errors import HostError
from snapback.ssh.host import Host
from snapback.ssh.process import Process
from snapback.ssh.scripts import text_of

log = logging.getLogger(__name__)

_LONG_S = 3600.0
_AFTER_ERROR_S = 120.0


@contextmanager
def held(
    host: Host,
    do: str,
    undo: str,
    arguments: Sequence[str],
    *,
    names: tuple[Sequence[str], Sequence[str]],
    as_root: bool = True,
    must_undo: bool = True,
) -> Iterator[None]:
    """Do something on a host for as long as the context lasts.

    :param do: a shell's script. If it fails it has to have undone itself.
    :param undo: likewise; run once after ``do`` has ended well.
    :param arguments: of both.
    :param names: the commands that an error of the one or the other tells.
    :param must_undo: whether it is an error if it can't be undone; else that is told in the log.
    :raises CommandFailed: it can't be done, or not be undone.
    """
    script = text_of("hold.sh")
    argv = ["sh", "-c", script, "snapback-hold", do, undo, *arguments]
    process = host.start(argv, as_root=as_root)
    try:
        if process.read_line(_LONG_S) != "DONE":
            _demand_success(host, process, names[0])
            raise host.command_failed(names[0], 0, "it ended without a word")
        try:
            yield
        except BaseException as error:
            if failure := _undo_after(host, process, names[1]):
                error.add_note(f"not undone: {failure}")
            raise
        if must_undo:
            _undo(host, process, names[1])
        else:
            _undo_after(host, process, names[1])
    finally:
        with suppress(HostError):
            process.close()


def _demand_success(
    host: Host, process: Process, argv: Sequence[str], patience_s: float = _LONG_S
) -> None:
    status, _, stderr = process.output(patience_s)
    if status:
        raise host.command_failed(argv, status, stderr)


def _undo(host: Host, process: Process, argv: Sequence[str], patience_s: float = _LONG_S) -> None:
    process.close_stdin()
    _demand_success(host, process, argv, patience_s)


def _undo_after(host: Host, process: Process, argv: Sequence[str]) -> HostError | None:
    """Undo it after something has gone wrong, which is what is told; answer what does now."""
    try:
        _undo(host, process, argv, _AFTER_ERROR_S)
    except HostError as failure:
        log.warning("not undone: %s", failure)
        return failure
    return None
