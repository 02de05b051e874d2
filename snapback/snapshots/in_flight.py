"""Which snapshots are being replicated right now, from where, and on the basis of which."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from snapback.core.leases.lease import CLAIM, Kind
from snapback.core.model import Place, Tags
from snapback.core.model import tags as our_tags
from snapback.ec2.removal import lent_things
from snapback.ec2.snapshots import own_snapshots
from snapback.errors import SnapbackError
from snapback.run import Run, fanout


@dataclass(frozen=True)
class Transfers:
    """The transfers in flight, into all regions in use.

    :ivar reasons: snapshot id -> what it is to a transfer, in words.
    :ivar unread: the places whose transfers could not be read, and why.
    """

    reasons: dict[str, str] = field(default_factory=dict)
    unread: dict[Place, SnapbackError] = field(default_factory=dict)


def transfers(run: Run) -> Transfers:
    """Answer what is in flight, from what the destinations hold of it: pending replicas and claims.

    Source: DescribeSnapshots, DescribeKeyPairs.
    """
    places = run.places()
    results = fanout.each(places, lambda place: dict(_into(run, place)), stop=run.stop)
    found: dict[str, str] = {}
    for result in results:
        found |= result.value or {}
    return Transfers(found, {result.item: result.error for result in results if result.error})


def _into(run: Run, place: Place) -> Iterator[tuple[str, str]]:
    conn = run.conn(place)
    pending = {"status": ["pending"], "tag-key": [our_tags.SOURCE]}
    for replica in own_snapshots(conn, place, pending):
        yield from _parts(place, replica.tags)
    for claim in lent_things(conn, place, {f"tag:{our_tags.PURPOSE}": CLAIM}, [Kind.KEY_PAIR]):
        if not claim.has_expired(run.now(place)):
            yield from _parts(place, claim.tags)


def _parts(place: Place, tags: Tags) -> Iterator[tuple[str, str]]:
    for tag, part in ((our_tags.BASE, "base"), (our_tags.SOURCE, "source")):
        if snapshot_id := tags.get(tag):
            yield snapshot_id, f"{part} of a transfer into {place}"
