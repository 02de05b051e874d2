"""What this run has made already, where its work may have been begun by a process that was lost.

EC2 refuses a second snapshot of a volume within 15 s. So who has looked less long ago than that
can't make one twice: either the first was to be seen, or the second is refused, and that refusal
makes us look again (:func:`snapback.ec2.snapshots.create_surely`).
"""

from __future__ import annotations

import threading
from collections import defaultdict

from snapback.backup.capture import Taken, taken_before
from snapback.core.backup.set_plan import SetPlan
from snapback.core.model import Place, Snapshot
from snapback.core.model import tags as our_tags
from snapback.ec2.snapshots import own_snapshots
from snapback.run import Run

FRESH_S = 5.0


class Made:
    """The sets of a run at one place, read once in a while; to be asked from any thread."""

    def __init__(self, run: Run, place: Place) -> None:
        self._run = run
        self._place = place
        self._lock = threading.Lock()
        self._read_at: float | None = None
        self._of_volume: dict[str, list[Snapshot]] = {}

    def of(self, plan: SetPlan) -> Taken | None:
        """Answer the set that this run has taken of an instance; ``None`` where there is none.

        What the lost process may not have come to is done: its tags are set.

        :raises SnapbackError: EC2 can't be asked.

        Source: DescribeSnapshots, CreateTags.
        """
        newest = self._newest(plan)
        return taken_before(self._run, plan, newest) if newest else None

    def _newest(self, plan: SetPlan) -> list[Snapshot]:
        """Answer the members of the last set of any of the volumes."""
        with self._lock:
            now = self._run.clock()
            if self._read_at is None or now - self._read_at > FRESH_S:
                self._of_volume = self._read()
                self._read_at = now
            found = [
                snapshot
                for volume in plan.volumes
                for snapshot in self._of_volume.get(volume.volume_id, ())
                if not snapshot.record or snapshot.record.instance == plan.instance.instance_id
            ]
        if not found:
            return []
        last = max(found, key=lambda snapshot: snapshot.started_at).set_id
        return [snapshot for snapshot in found if snapshot.set_id == last]

    def _read(self) -> dict[str, list[Snapshot]]:
        of_volume: dict[str, list[Snapshot]] = defaultdict(list)
        filters = {f"tag:{our_tags.RUN}": [self._run.run_id], "status": ["pending", "completed"]}
        for snapshot in own_snapshots(self._run.conn(self._place), self._place, filters):
            if not snapshot.source_id:
                of_volume[snapshot.volume_id].append(snapshot)
        return of_volume
