"""How what is restored is told apart from its original: by its tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from snapback.core.model import Snapshot, record_of
from snapback.core.model import tags as our_tags
from snapback.core.model.backup_sets import BackupSet
from snapback.core.model.original import Disk
from snapback.core.model.times import in_utc

USUAL_DISK = Disk("gp3")
"""What a volume becomes whose type isn't recorded."""


def restored_tags(
    snapshot: Snapshot, first: Sequence[str], whole: BackupSet | None = None
) -> dict[str, str]:
    """Answer the tags of what is restored: the original's, and that it is restored.

    :param snapshot: that of the volume.
    :param whole: of an instance, the set that it is restored from.
    """
    record = record_of(snapshot)
    of, taken_at, source = record.volume, record.taken_at, snapshot.snapshot_id
    if whole:
        of, taken_at, source = whole.instance_id, whole.taken_at, whole.name
    restored = {our_tags.RESTORED: f"{of} as of {in_utc(taken_at)} from {source}"}
    cloned = our_tags.clone({}, snapshot.tags, ours=6, first=first, exclude_tag="", reserve=0)
    return {**cloned, **restored}


def restored_original(tags: Mapping[str, str]) -> tuple[str, str]:
    """Answer of what and from what a thing was restored, as its tags say; empty: it wasn't."""
    words = tags.get(our_tags.RESTORED, "").split()
    return (words[0], words[-1]) if len(words) > 1 else ("", "")
