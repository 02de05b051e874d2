"""How far EC2 vouches for a record. Whoever may snapshot a volume of his own can write any record.

A snapshot that lies where its record says that it was taken is *native*, and EC2 knows of what
volume it is, and since when: its record counts only where EC2 says the same. Otherwise it is
*unproven*: it is shown as such and kept, it displaces nothing, and nobody chooses it unless its id
is named. EC2 says nothing of a copy's origin, so replicas can't be proven.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

from snapback.core.model import Record, Snapshot, Unproven

LATEST = timedelta(days=1)
"""How far EC2's StartTime may be from the time of the record."""


def vouched(snapshot: Snapshot, record: Record | None) -> Snapshot:
    """Return a snapshot with a record, or as unproven where EC2 says otherwise.

    :param snapshot: as EC2 describes it.
    :param record: what its description and its tags say.
    """
    if record is None:
        return snapshot
    if why := _objection(snapshot, record):
        return replace(snapshot, unproven=Unproven(record, why))
    return replace(snapshot, record=record)


def _objection(snapshot: Snapshot, record: Record) -> str:
    """Return what EC2 says against a record, in words; ``""`` where it doesn't."""
    if not snapshot.lies_at_home_of(record):
        return ""
    if snapshot.volume_id != record.volume:
        return f"its record says {record.volume}, and EC2 says {snapshot.volume_id or 'nothing'}"
    if abs(snapshot.started_at - record.taken_at) > LATEST:
        return (
            f"its record says {record.taken_at:%Y-%m-%d %H:%M}, "
            f"and EC2 says {snapshot.started_at:%Y-%m-%d %H:%M}"
        )
    return ""


def objections(snapshots: Iterable[Snapshot]) -> dict[str, str]:
    """Return the unproven ones of some snapshots: snapshot id -> what EC2 says, in words."""
    return {one.snapshot_id: one.unproven.why for one in snapshots if one.unproven}


def believed(snapshot: Snapshot) -> Snapshot:
    """Return a snapshot with its record, unproven or not, since a person has named its id."""
    return replace(snapshot, record=snapshot.unproven.record) if snapshot.unproven else snapshot


def natives_first(snapshots: Sequence[Snapshot]) -> list[Snapshot]:
    """Return the natives of some snapshots at one place; where there are none, the replicas.

    Nobody vouches for a replica that lies where the volume itself has snapshots.

    :param snapshots: of one volume, or of one instance.
    """
    return [one for one in snapshots if one.is_native] or [one for one in snapshots if one.record]
