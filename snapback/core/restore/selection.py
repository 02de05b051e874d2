"""Decide which instances are restored from their replicas, and from which sets. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from snapback.core.model import Snapshot, record_of
from snapback.core.model.backup_sets import Choice, choose, sets_of
from snapback.core.model.reasons import Reason
from snapback.core.model.times import in_utc
from snapback.words import Word

LATELY = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which instances are restored from their replicas.

    :ivar source_region: only those of this region; empty: of every other.
    :ivar within: only those last backed up within such a time before the last of all: others are
        likely to have been given up.
    """

    tag_name: str | None = None
    tag_value: str | None = None
    source_region: str = ""
    at: datetime | None = None
    within: timedelta = LATELY
    incomplete: bool = False


@dataclass(frozen=True, kw_only=True)
class Found:
    """What there is to restore at a place.

    :ivar lost: instance id -> why it can't be or isn't restored.
    """

    choices: dict[str, Choice] = field(default_factory=dict)
    lost: dict[str, tuple[Word, str]] = field(default_factory=dict)


def select(snapshots: Sequence[Snapshot], selection: Selection) -> Found:
    """Decide which instances are restored from replicas, and from which sets.

    :param snapshots: those at one place. An instance that has natives among them lives there.
    """
    at_home = {record_of(snapshot).instance for snapshot in snapshots if snapshot.is_native}
    of: dict[str, list[Snapshot]] = defaultdict(list)
    for snapshot in snapshots:
        record = record_of(snapshot)
        wanted = selection.source_region in ("", record.region)
        if wanted and record.instance and record.instance not in at_home:
            of[record.instance].append(snapshot)
    sets = {instance_id: sets_of(some, instance_id) for instance_id, some in of.items()}
    sets = {
        i: [one for one in some if selection.at is None or one.taken_at <= selection.at]
        for i, some in sets.items()
    }
    lasts = {i: some[0].taken_at for i, some in sets.items() if some}
    newest = max(lasts.values(), default=datetime.min.replace(tzinfo=UTC))
    choices: dict[str, Choice] = {}
    lost: dict[str, tuple[Word, str]] = {}
    for instance_id in sorted(of):
        if instance_id not in lasts:
            lost[instance_id] = Word.EXCLUDED, f"has no set of {in_utc(selection.at or newest)}"
            continue
        if newest - lasts[instance_id] > selection.within:
            lost[instance_id] = (
                Word.EXCLUDED,
                f"last backed up {in_utc(lasts[instance_id])}: given up since? Or give --within",
            )
            continue
        choice = choose(sets[instance_id], selection.at, selection.incomplete)
        if isinstance(choice, Reason):
            lost[instance_id] = Word.FAILED, str(choice)
        else:
            choices[instance_id] = choice
    return Found(choices=choices, lost=lost)
