"""Whether EC2 has room for one more snapshot of a volume: its limit of pending ones, its pause.

Source: https://docs.aws.amazon.com/ebs/latest/userguide/ebs-resource-quotas.html and the errors
ConcurrentSnapshotLimitExceeded, SnapshotCreationPerVolumeRateExceeded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from snapback.core.model import Snapshot, Volume

MOST_PENDING = 5
MOST_PENDING_HDD = 1
SECONDS_BETWEEN_SNAPSHOTS = 15.0

_HDD = {"st1", "sc1"}
COUNTED_STATES = ("pending", "error")
"""The states of snapshots that count towards EC2's limit of pending ones."""


def most_pending(volume: Volume) -> int:
    """Answer how many pending snapshots a volume may have."""
    return MOST_PENDING_HDD if volume.volume_type in _HDD else MOST_PENDING


def full(volumes: Collection[Volume], snapshots: Iterable[Snapshot]) -> dict[str, Snapshot]:
    """Answer the volumes that are at their limit: volume id -> the snapshot in the way.

    That is the one pending that is furthest, or else one in error, which EC2 counts too.

    :param snapshots: those of these volumes, of whatever state.
    """
    counted: Mapping[str, list[Snapshot]] = defaultdict(list)
    for snapshot in snapshots:
        if snapshot.state in COUNTED_STATES:
            counted[snapshot.volume_id].append(snapshot)
    return {
        volume.volume_id: max(counted[volume.volume_id], key=_furthest)
        for volume in volumes
        if len(counted[volume.volume_id]) >= most_pending(volume)
    }


def seconds_to_wait(snapshots: Iterable[Snapshot], now: datetime) -> float:
    """Answer how long EC2 still refuses a snapshot of volumes, since there is one so new.

    :param snapshots: those of these volumes, of whatever state.
    """
    newest = max((snapshot.started_at for snapshot in snapshots), default=None)
    if newest is None:
        return 0.0
    return max(0.0, SECONDS_BETWEEN_SNAPSHOTS - (now - newest).total_seconds())


def _furthest(snapshot: Snapshot) -> tuple[bool, int, float]:
    digits = snapshot.progress.rstrip("%")
    percent = int(digits) if digits.isdigit() else 0
    return snapshot.state == "pending", percent, -snapshot.started_at.timestamp()
