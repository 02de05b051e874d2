"""Deletions as the deletion log tells them: one JSON object a line, written by whoever could.

A line may be torn or forged, so a line counts only where all that it says can be true.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from snapback.core.model import Place
from snapback.core.model.ids import REGION_NAME, SNAPSHOT_ID
from snapback.core.model.record import parse_untagged
from snapback.words import Word

_BEGUN = "deleting"
_DONE = {Word.DELETED.text, Word.ALREADY_GONE.text}
_NOT_DONE = {Word.IN_USE.text, Word.PROTECTED.text}


@dataclass(frozen=True, kw_only=True, slots=True)
class Deletion:
    """What the log tells last of the deletion of a snapshot.

    :ivar volume: the volume of its record; ``""``: not known.
    :ivar instance: the instance of its record; ``""``: not known.
    :ivar taken_at: ``None``: not known.
    :ivar is_done: whether EC2 is known to have deleted it.
    :ivar is_refused: whether EC2 is known to have refused that.
    """

    run_id: str
    place: Place
    snapshot_id: str
    description: str
    volume: str = ""
    instance: str = ""
    taken_at: datetime | None = None
    is_done: bool = False
    is_refused: bool = False


def read_line(line: str) -> Deletion | None:
    """Return what a line of the log tells, or ``None`` where it is no such line."""
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    words = {
        name: _word(said, name)
        for name in ("event", "run", "account", "region", "snapshot", "description", "volume")
    }
    if not SNAPSHOT_ID.match(words["snapshot"]) or not REGION_NAME.match(words["region"]):
        return None
    if words["event"] not in {_BEGUN, Word.FAILED.text, *_DONE, *_NOT_DONE}:
        return None
    record = parse_untagged(words["description"], words["volume"], words["region"])
    return Deletion(
        run_id=words["run"],
        place=Place(words["region"], words["account"]),
        snapshot_id=words["snapshot"],
        description=words["description"],
        volume=words["volume"],
        instance=record.instance if record else "",
        taken_at=record.taken_at if record else None,
        is_done=words["event"] in _DONE,
        is_refused=words["event"] in _NOT_DONE,
    )


def _word(said: Mapping[str, Any], name: str) -> str:
    found = said.get(name)
    return found if isinstance(found, str) else ""


def last_of_each(deletions: Iterable[Deletion]) -> dict[Place, dict[str, Deletion]]:
    """Return of each snapshot what is told last, without those that EC2 refused to delete.

    :returns: place -> snapshot id -> its deletion.
    """
    last: dict[Place, dict[str, Deletion]] = {}
    for deletion in deletions:
        last.setdefault(deletion.place, {})[deletion.snapshot_id] = deletion
    found = {
        place: {key: one for key, one in here.items() if not one.is_refused}
        for place, here in last.items()
    }
    return {place: here for place, here in found.items() if here}
