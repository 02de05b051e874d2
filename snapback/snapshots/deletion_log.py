"""Every deletion is written down, before it is done and after: who, when, what and why.

One JSON object a line, appended to the file that the setting ``deletion_log`` names.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from snapback.core.log_context import about, of_item
from snapback.core.model import Snapshot
from snapback.ec2 import snapshots as ec2_snapshots
from snapback.errors import ConfigError, SnapbackError, Word
from snapback.run import Run

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DeletionLog:
    """Where a run writes its deletions down.

    :ivar caller_in: answers the ARN of whoever deletes in an account; asks once for each.
    """

    path: Path
    run_id: str
    caller_in: Callable[[str], str]

    def write(self, event: str, snapshot: Snapshot, reasons: Sequence[str]) -> None:
        """Append one line. Lines of several runs at a time don't mix: each is one write.

        :raises SnapbackError: it can't be told who deletes.
        """
        record = snapshot.record
        line: dict[str, Any] = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": event,
            "caller": self.caller_in(snapshot.place.account),
            "run": self.run_id,
            "account": snapshot.place.account,
            "region": snapshot.place.region,
            "snapshot": snapshot.snapshot_id,
            "description": snapshot.description,
            "volume": record.volume if record else snapshot.volume_id,
            "taken_at": record.taken_at.isoformat() if record else None,
            "reasons": list(reasons),
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def open_log(run: Run) -> DeletionLog:
    """Answer the run's deletion log, seen to be writable.

    :raises ConfigError: it can't be written, so nothing may be deleted.
    """
    path = Path(run.settings.deletion_log)
    try:
        path = path.expanduser()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "there is no such home"
        raise ConfigError(
            f"deletion_log: {path} can't be written ({reason}), and nothing is deleted "
            "that isn't written down: name another file"
        ) from None
    return DeletionLog(path, run.run_id, run.connections.caller)


def delete(
    run: Run, log: DeletionLog, snapshot: Snapshot, reasons: Sequence[str]
) -> tuple[Word, str]:
    """Delete a snapshot, and write it down: what is about to be done, then what came of it.

    :returns: what became of it, and an explanation.
    """
    log.write("deleting", snapshot, reasons)
    with about(**of_item(snapshot)):
        logger.info("deleting %s: %s", snapshot.snapshot_id, "; ".join(reasons))
        try:
            word, explanation = ec2_snapshots.delete(run.conn(snapshot.place), snapshot.snapshot_id)
        except SnapbackError as error:
            log.write("failed", snapshot, [str(error)])
            raise
    log.write(word.text, snapshot, [explanation] if explanation else [])
    return word, explanation
