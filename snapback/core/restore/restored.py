"""How what is restored is told apart from its original: by its tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from snapback.core.model import Snapshot, record_of
from snapback.core.model import tags as our_tags
from snapback.core.model.backup_sets import BackupSet
from snapback.core.model.original import Disk
from snapback.core.model.times import in_utc

USUAL_DISK = Disk("gp3")
"""What a volume becomes whose type isn't recorded."""


@dataclass(frozen=True)
class Origin:
    """What a thing was restored of.

    :ivar original: the id of the instance or the volume.
    :ivar as_of: the instant, as :func:`in_utc` writes it.
    :ivar source: the name of the set, or the id of the snapshot.
    """

    original: str
    as_of: str
    source: str

    def __str__(self) -> str:
        return f"{self.original} as of {self.as_of} from {self.source}"

    @property
    def tag(self) -> dict[str, str]:
        """The tag that says so."""
        return {our_tags.RESTORED: str(self)}


def origin_of(whole: BackupSet) -> Origin:
    """Return the origin of an instance that is restored from a set."""
    return Origin(whole.instance_id, in_utc(whole.taken_at), whole.name)


def read_origin(tags: Mapping[str, str]) -> Origin | None:
    """Return the origin that the tags of a thing name; ``None``: it wasn't restored."""
    original, _, rest = tags.get(our_tags.RESTORED, "").partition(" as of ")
    as_of, _, source = rest.partition(" from ")
    return Origin(original, as_of, source) if original and as_of and source else None


def restored_tags(
    snapshot: Snapshot, first: Sequence[str], whole: BackupSet | None = None
) -> dict[str, str]:
    """Answer the tags of what is restored: the original's, and that it is restored.

    :param snapshot: that of the volume.
    :param whole: of an instance, the set that it is restored from.
    """
    record = record_of(snapshot)
    origin = Origin(record.volume, in_utc(record.taken_at), snapshot.snapshot_id)
    restored = (origin_of(whole) if whole else origin).tag
    cloned = our_tags.clone({}, snapshot.tags, ours=6, first=first, exclude_tag="", reserve=0)
    return {**cloned, **restored}
