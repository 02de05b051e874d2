"""Write every deletion down, before it is done and after: who, when, what and why.

One JSON object a line, appended to the file that the setting ``deletion_log`` names. The targets of
the log (a file, syslog, the journal) get the same in words, at every level.

Nothing is deleted that isn't written down before. Once a line could not be written, the run begins
no further deletion; those under way end, and their callers learn what came of them.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Any

from snapback.core.log_context import about, of_item
from snapback.core.model import Snapshot
from snapback.ec2 import snapshots as ec2_snapshots
from snapback.errors import ConfigError, LogFailed, NotBegun, NotWrittenDown
from snapback.run import Run
from snapback.words import Word

logger = logging.getLogger(__name__)

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)

_writing = threading.Lock()


@dataclass(frozen=True)
class Entry:
    """A deletion that was written down as about to be done.

    :ivar fields: what its two lines have in common.
    :ivar reasons: why it is done.
    """

    snapshot: Snapshot
    fields: dict[str, Any]
    reasons: tuple[str, ...]


@dataclass
class DeletionLog:
    """Where a run writes its deletions down.

    :ivar caller_in: returns the ARN of whoever deletes in an account; asks once for each.
    :ivar failures: why lines could not be written; with the first, the run's deletions end.
    :ivar told: the ids of the snapshots of which the log's targets know what came of the deletion.
    """

    path: Path
    run_id: str
    caller_in: Callable[[str], str]
    failures: list[str] = field(default_factory=list)
    told: set[str] = field(default_factory=set)

    def begin(self, snapshot: Snapshot, reasons: Sequence[str]) -> Entry:
        """Write down that a snapshot is about to be deleted.

        :raises LogFailed: the line can't be written: the snapshot must not be deleted.
        :raises NotBegun: another line could not be written before.
        :raises SnapbackError: STS does not tell who deletes.
        """
        self._refuse_if_failed()
        entry = Entry(snapshot, self._fields(snapshot), tuple(reasons))
        with _writing:
            self._refuse_if_failed()
            failure = self._write(entry, "deleting", reasons)
        if failure:
            raise LogFailed(f"not deleted, since {failure}")
        known = entry.fields
        _tell(
            logging.INFO,
            "deleting %s: %s (%s, taken %s, by %s)",
            snapshot.snapshot_id,
            "; ".join(reasons),
            known["volume"],
            known["taken_at"] or "at an unknown time",
            known["caller"],
        )
        return entry

    def end(self, entry: Entry, word: Word, explanation: str = "") -> str:
        """Write down what came of a deletion.

        :returns: why that can't be written; ``""`` where it is written.
        """
        with _writing:
            failure = self._write(entry, word.text, [explanation] if explanation else [])
        said = word
        if failure:
            said = Word.NOT_WRITTEN_DOWN if word is Word.DELETED else Word.FAILED
        before = f"{word}: " if failure and word not in (Word.DELETED, Word.FAILED) else ""
        why = explanation or "; ".join(entry.reasons)
        _tell(
            logging.ERROR if said.exit_code else logging.INFO,
            "%s: %s: %s",
            entry.snapshot.snapshot_id,
            said,
            before + "; ".join(filter(None, (failure, why))),
            shown=True,
        )
        self.told.add(entry.snapshot.snapshot_id)
        return failure

    def _refuse_if_failed(self) -> None:
        if self.failures:
            raise NotBegun(f"not begun, since {self.failures[0]}")

    def _fields(self, snapshot: Snapshot) -> dict[str, Any]:
        record = snapshot.record
        return {
            "caller": self.caller_in(snapshot.place.account),
            "run": self.run_id,
            "account": snapshot.place.account,
            "region": snapshot.place.region,
            "snapshot": snapshot.snapshot_id,
            "description": snapshot.description,
            "volume": record.volume if record else snapshot.volume_id,
            "taken_at": record.taken_at.isoformat() if record else None,
        }

    def _write(self, entry: Entry, event: str, reasons: Sequence[str]) -> str:
        """Append a line; return why that failed, or ``""``."""
        line = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": event,
            **entry.fields,
            "reasons": list(reasons),
        }
        try:
            append(self.path, json.dumps(line))
        except OSError as error:
            failure = f"the deletion log {self.path} can't be written ({error.strerror or error})"
            self.failures.append(failure)
            return failure
        return ""


def _tell(level: int, message: str, *words: object, shown: bool = False) -> None:
    """Log for all targets, whatever their level is."""
    logger.log(level, message, *words, extra={"always": True, "shown": shown})


def append(path: Path, line: str) -> None:
    """Append a line to a file by one write. After a torn line, begin a new one.

    The file is opened for each line, since logrotate may have moved it.

    :raises OSError: the line isn't written, or only a part of it.
    """
    file = _open(path)
    try:
        # Another run must not write between our look at the file's end and our write. Where a file
        # system has no locks, a torn line may then spoil the next one; that is no reason to stop.
        with suppress(OSError):
            flock(file, LOCK_EX)
        size = os.fstat(file).st_size
        torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
        data = f"\n{line}\n".encode() if torn else f"{line}\n".encode()
        if os.write(file, data) < len(data):
            raise OSError(errno.ENOSPC, "only a part of the line was written: is the disk full?")
    finally:
        os.close(file)


def _open(path: Path) -> int:
    """Open a file for appending, and create it where there is none.

    :raises OSError: that fails, or it is no regular file.
    """
    # Looked at before it is opened: to open a device may already do something.
    if found := irregular(path):
        raise OSError(errno.EINVAL, f"it is {found}, not a regular file")
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY
    file = os.open(path, flags, 0o600)
    try:
        if found := _kind(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, f"it is {found}, not a regular file")
    except OSError:
        os.close(file)
        raise
    return file


def irregular(path: Path) -> str:
    """Return what a path is that is no regular file, as ``"a FIFO"``; ``""`` where it may be one.

    :raises OSError: its folder can't be searched.
    """
    try:
        return _kind(path.stat().st_mode)
    except FileNotFoundError:
        return ""


def _kind(mode: int) -> str:
    return next((kind for is_such, kind in _KINDS if is_such(mode)), "")


def open_log(run: Run, *, anew: bool = True) -> DeletionLog:
    """Return the run's deletion log, after a look whether it can be written.

    :param anew: whether this begins a run's deletions, so that what failed before is forgotten.
    :raises ConfigError: it can't be written, so nothing may be deleted.
    """
    path = Path(run.settings.deletion_log)
    try:
        path = path.expanduser()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(_open(path))
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        if isinstance(error, RuntimeError):
            reason = "there is no such home"
        raise ConfigError(
            f"deletion_log: {path} can't be written ({reason}), and nothing is deleted "
            "that isn't written down: name another file"
        ) from None
    if anew:
        run.log_failures.clear()
    return DeletionLog(path, run.run_id, run.connections.caller, run.log_failures)


def delete(
    run: Run, log: DeletionLog, snapshot: Snapshot, reasons: Sequence[str]
) -> tuple[Word, str]:
    """Delete a snapshot, and write down what is about to be done, then what came of it.

    :returns: what became of it, and an explanation.
    :raises LogFailed: a line of the deletion log could not be written; EC2's error is in its words.
    :raises NotWrittenDown: the same, and the snapshot is deleted.
    :raises NotBegun: the log failed before; the snapshot is not deleted.
    :raises SnapbackError: EC2 refuses; or STS does not tell who deletes.
    """
    with about(**of_item(snapshot)):
        entry = log.begin(snapshot, reasons)
        try:
            word, explanation = ec2_snapshots.delete(run.conn(snapshot.place), snapshot.snapshot_id)
        except Exception as error:
            if failure := log.end(entry, Word.FAILED, str(error) or type(error).__name__):
                raise LogFailed(f"{error}; and {failure}") from error
            raise
        failure = log.end(entry, word, explanation)
    if not failure:
        return word, explanation
    if word is Word.DELETED:
        raise NotWrittenDown(f"{failure}; {'; '.join(reasons)}")
    raise LogFailed(": ".join(filter(None, (str(word), explanation))) + f"; and {failure}")
