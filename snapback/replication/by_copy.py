"""The engine ``copy``: EC2 itself copies the snapshots, by CopySnapshot.

No claims are made: a copy that is under way shows as a pending snapshot with its record, and where
two runs ask for the same copy in the same moment there are two replicas of one identity, of which
trimming deletes the later.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from snapback.core.model import Place, Snapshot, record
from snapback.core.model import tags as our_tags
from snapback.core.model.outcome import Outcome
from snapback.core.replication.replication_plan import Step
from snapback.ec2.snapshots import Copy, copy_surely
from snapback.errors import ApiError, SnapshotTimeout, UsageError
from snapback.replication.claims import refuse_if_there
from snapback.replication.engine import Options, kms_key_of, tags_of
from snapback.run import Run
from snapback.run.waiting import Deadline, looks

log = logging.getLogger(__name__)

TOO_MANY = "ResourceLimitExceeded"
FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 60.0
FRESH = timedelta(seconds=60)


@contextmanager
def open_copy_engine(
    run: Run, _source: Place, destination: Place, options: Options
) -> Iterator[CopyEngine]:
    """Answer the engine; there is nothing to prepare and nothing to take down.

    :raises UsageError: it is asked for what only the engine rsync can do.
    """
    if options.src_inst or options.dst_inst or options.compare:
        raise UsageError(
            "src_inst, dst_inst and compare are for the engine rsync: leave them out, or use "
            "--engine rsync"
        )
    yield CopyEngine(run.now(destination), options.force)


class CopyEngine:
    """See :class:`~snapback.replication.engine.Engine`.

    One call at a time, so that copies begin oldest first and each may be incremental on the last.
    """

    name = "copy"
    workers = 1

    def __init__(self, opened_at: datetime, force: bool) -> None:
        self._opened_at = opened_at
        self._no_room: Deadline | None = None
        self._force = force
        self.facts: dict[str, dict[str, Any]] = {}
        self.outcomes: list[Outcome] = []

    def replicate(self, run: Run, step: Step) -> Snapshot:
        """Begin a copy and answer it, pending.

        EC2 makes 20 copies at a time into a region, everybody's counted: over that, this waits.

        :raises SnapshotTimeout: there was no room for any for ``minutes_for_snap``.
        """
        copy = _copy_of(run, step)
        if run.now(step.destination) - self._opened_at > FRESH:
            refuse_if_there(run, step, self._force)
        attempts = looks(run, first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S)
        next(attempts)
        while True:
            try:
                copy_id = copy_surely(run.conn(step.destination), copy, run.patience)
                self._no_room = None
                return _as_begun(run, step, copy, copy_id)
            except ApiError as error:
                if error.code != TOO_MANY:
                    raise
                self._give_up_if_late(run, step.destination, error)
            log.info("%s: %s: waiting", step.source.snapshot_id, TOO_MANY)
            next(attempts)
            refuse_if_there(run, step, self._force)

    def _give_up_if_late(self, run: Run, destination: Place, error: ApiError) -> None:
        """Record that there is no room for one more copy.

        :raises SnapshotTimeout: nor has there been for long.
        """
        minutes = run.settings.minutes_for_snap
        self._no_room = self._no_room or Deadline(run, minutes)
        if self._no_room.is_over:
            raise SnapshotTimeout(
                f"not begun: for {minutes:g} minutes EC2 has had no room for one more copy into "
                f"{destination}: {error.reason}"
            ) from error


def _copy_of(run: Run, step: Step) -> Copy:
    key = kms_key_of(run, step.destination)
    return Copy(
        source=step.source,
        destination=step.destination,
        description=record.describe(step.record),
        tags=tags_of(run, step),
        encrypted=step.source.encrypted or bool(key),
        kms_key_id=key,
    )


def _as_begun(run: Run, step: Step, copy: Copy, copy_id: str) -> Snapshot:
    return replace(
        step.source,
        place=step.destination,
        snapshot_id=copy_id,
        volume_id="",
        started_at=run.now(step.destination),
        state="pending",
        progress="",
        description=copy.description,
        storage_tier="standard",
        restored_until=None,
        encrypted=copy.encrypted,
        tags=copy.tags,
        set_id=copy.tags[our_tags.SET],
        source_id=step.source.snapshot_id,
    )
