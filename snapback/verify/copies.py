"""Where else the same is held: the copies of snapshots, and what verifying has found of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from snapback.core.model import NOWHERE, Identity, Place, Snapshot, record_of
from snapback.core.model.times import in_utc
from snapback.core.model.verdicts import Verified, verdict_of
from snapback.errors import SnapbackError
from snapback.run import Run, fanout
from snapback.snapshots.catalog import verified_snapshots


@dataclass(frozen=True)
class Elsewhere:
    """What is known of copies in other places.

    :ivar unread: the places that could not be looked into, and why.
    """

    copies: Mapping[Identity, list[Snapshot]] = field(default_factory=dict)
    unread: tuple[tuple[Place, SnapbackError], ...] = ()

    def found_of(self, snapshot: Snapshot) -> list[tuple[str, Verified]]:
        """Answer what was found of a snapshot earlier, and of its copies; each with its name."""
        former = verdict_of(snapshot.tags)
        found = [(f"what it was on {in_utc(former.at)}", former)] if former else []
        copies = self.copies.get(record_of(snapshot).identity, ())
        return found + [
            (f"{one.snapshot_id} in {one.place}", verdict)
            for one in copies
            if (verdict := verdict_of(one.tags))
        ]


def copies_elsewhere(run: Run, place: Place) -> Elsewhere:
    """Answer the verified snapshots of all places in use but one, as copies of what is there.

    Source: DescribeSnapshots, once in each.
    """
    copies: dict[Identity, list[Snapshot]] = defaultdict(list)
    try:
        places = [one for one in run.places() if one != place]
    except SnapbackError as error:
        return Elsewhere(unread=((NOWHERE, error),))
    results = fanout.each(places, lambda place: verified_snapshots(run, place), stop=run.stop)
    for result in results:
        for snapshot in result.value or ():
            copies[record_of(snapshot).identity].append(snapshot)
    return Elsewhere(copies, tuple((r.item, r.error) for r in results if r.error))
