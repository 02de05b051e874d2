"""What undeleting would restore at one place: decided here, shown or done elsewhere.

What lies in the Recycle Bin is listed without its tags. So a snapshot is known for ours by its
description, or by the deletion log, where that tells the same description.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from snapback.core.model import Place, Record, Snapshot
from snapback.core.model import tags as our_tags
from snapback.core.model.reasons import Reason
from snapback.core.model.record import parse_untagged
from snapback.core.model.times import in_utc
from snapback.core.undelete.deletions import Deletion
from snapback.core.undelete.reasons import Fate


class By(Enum):
    """What the snapshots are selected by."""

    VOLUME = "volume"
    INSTANCE = "instance"
    RUN = "run"


@dataclass(frozen=True)
class Selection:
    """Which deleted snapshots are meant: those of a volume, of an instance, or of a run.

    :ivar value: the id of the volume or the instance, or of the run that deleted them.
    """

    by: By
    value: str

    def means(self, deletion: Deletion) -> bool:
        """Return whether a deletion of the log is meant."""
        found = {
            By.VOLUME: deletion.volume,
            By.INSTANCE: deletion.instance,
            By.RUN: deletion.run_id,
        }
        return found[self.by] == self.value

    def means_record(self, record: Record | None) -> bool:
        """Return whether the snapshots with a record are meant. No record names a run."""
        if record is None or self.by is By.RUN:
            return False
        found = record.volume if self.by is By.VOLUME else record.instance
        return found == self.value


@dataclass(frozen=True, kw_only=True, slots=True)
class RecycledSnapshot:
    """A snapshot in the Recycle Bin. Source: ListSnapshotsInRecycleBin.

    :ivar entered_at: when it was deleted.
    :ivar exits_at: until when it can be restored.
    """

    place: Place
    snapshot_id: str
    volume_id: str
    description: str
    entered_at: datetime
    exits_at: datetime

    @property
    def record(self) -> Record | None:
        """What it is a snapshot of, as far as that is known without its tags."""
        return parse_untagged(self.description, self.volume_id, self.place.region)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is to become of a deleted snapshot, and why.

    :ivar volume: ``""``: not known.
    :ivar taken_at: ``None``: not known, as the next two.
    :ivar deleted_at: when it entered the Recycle Bin.
    :ivar until: when it leaves the Recycle Bin.
    :ivar is_kept: whether it has the tag that keeps its timeline from being trimmed.
    """

    place: Place
    snapshot_id: str
    reason: Reason[Fate]
    volume: str = ""
    taken_at: datetime | None = None
    deleted_at: datetime | None = None
    until: datetime | None = None
    is_kept: bool = False

    @property
    def fate(self) -> Fate:
        """Where the snapshot is."""
        return self.reason.kind


def plan_undelete(
    place: Place,
    selection: Selection,
    recycled: Iterable[RecycledSnapshot],
    deletions: Mapping[str, Deletion],
    present: Mapping[str, Snapshot],
) -> list[Verdict]:
    """Decide which deleted snapshots of a place are restored, oldest data first.

    :param recycled: all that is in the Recycle Bin there.
    :param deletions: snapshot id -> its deletion, of those that are meant.
    :param present: snapshot id -> the snapshot, of those deletions that are not in the bin.
    """
    in_bin = {one.snapshot_id: one for one in recycled}
    found = [
        _of_recycled(one, deletions.get(one.snapshot_id))
        for one in in_bin.values()
        if one.snapshot_id in deletions or selection.means_record(one.record)
    ]
    for snapshot_id, deletion in deletions.items():
        if snapshot_id in in_bin:
            continue
        if snapshot_id in present:
            found += _of_present(present[snapshot_id], deletion)
        elif selection.by is By.RUN:
            found.append(_of_gone(place, deletion))
    return sorted(found, key=_by_age)


def _by_age(verdict: Verdict) -> tuple[datetime, str]:
    return verdict.taken_at or datetime.min.replace(tzinfo=UTC), verdict.snapshot_id


def _of_recycled(recycled: RecycledSnapshot, deletion: Deletion | None) -> Verdict:
    record = recycled.record
    is_ours = record is not None or (
        deletion is not None and deletion.description == recycled.description
    )
    if is_ours:
        reason = Reason(Fate.IN_THE_BIN, f"in the Recycle Bin until {in_utc(recycled.exits_at)}")
    else:
        reason = Reason(Fate.NOT_OURS, "its description is another than in the deletion log")
    return Verdict(
        place=recycled.place,
        snapshot_id=recycled.snapshot_id,
        reason=reason,
        volume=record.volume if record else (deletion.volume if deletion else ""),
        taken_at=record.taken_at if record else None,
        deleted_at=recycled.entered_at,
        until=recycled.exits_at,
    )


def _of_present(snapshot: Snapshot, deletion: Deletion) -> list[Verdict]:
    """Return the verdict on a snapshot that is there; none on one that was never deleted."""
    is_kept = our_tags.KEEP in snapshot.tags
    if not (deletion.is_done or is_kept):
        return []
    if snapshot.record is None and not our_tags.is_ours(snapshot.tags):
        reason = Reason(Fate.NOT_OURS, "it has neither a record nor a tag of snapback's")
    else:
        without = "" if is_kept else f", without the tag {our_tags.KEEP}"
        reason = Reason(Fate.BACK, f"it is there{without}")
    return [
        Verdict(
            place=snapshot.place,
            snapshot_id=snapshot.snapshot_id,
            reason=reason,
            volume=deletion.volume,
            taken_at=snapshot.record.taken_at if snapshot.record else deletion.taken_at,
            is_kept=is_kept,
        )
    ]


def _of_gone(place: Place, deletion: Deletion) -> Verdict:
    return Verdict(
        place=place,
        snapshot_id=deletion.snapshot_id,
        reason=Reason(Fate.NOT_IN_THE_BIN, f"it is not in the Recycle Bin of {place}"),
        volume=deletion.volume,
        taken_at=deletion.taken_at,
    )
