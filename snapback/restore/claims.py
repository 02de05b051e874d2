"""That one run at a time restores an original as of an instant; what came twice is told.

The claim is named by the hash of the original and the instant. EC2 would also refuse a second
launch by a client token that is made of the same, but for a day: whoever terminates what was
restored could not restore it again, nor could a run whose first attempt failed.

A restore doesn't fail for want of a claim. Whoever has no permission to claim still sees the claims
of others, and is told that others don't see his.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, timedelta

from snapback.core.leases.lease import CLAIM, Kind, Lent
from snapback.core.log_context import about, of_item
from snapback.core.model import Instance, Place, record_of
from snapback.core.model import tags as our_tags
from snapback.core.model.backup_sets import BackupSet
from snapback.core.model.outcome import Outcome
from snapback.core.restore.restored import Origin, origin_of, read_origin
from snapback.ec2.removal import lent_things, pauses
from snapback.ec2.restoring import restored_of
from snapback.errors import AlreadyRestored, BeingRestored, Collision, Interrupted, SnapbackError
from snapback.restore.common import outcome
from snapback.run import Run
from snapback.words import Word
from snapback.workers import claims
from snapback.workers.claims import Wish

log = logging.getLogger(__name__)

LIFE = timedelta(minutes=15)
SEEN_S = 7.5


@dataclass(frozen=True, kw_only=True)
class Rivals:
    """Which other restores of the same original are in a restore's way.

    :ivar known: the ids of the instances that had been restored of it when the plan was made: these
        aren't.
    :ivar any_instant: whether those as of another instant are.
    """

    known: frozenset[str] = frozenset()
    any_instant: bool = False

    def are(self, other: Origin | None, mine: Origin) -> bool:
        """Return whether another origin is in the way of mine."""
        return (
            other is not None
            and other.original == mine.original
            and (self.any_instant or other.as_of == mine.as_of)
        )


def wish_of(source: BackupSet) -> Wish:
    """Return the claim of a restore, of the same name on whichever machine."""
    region = record_of(source.members[0]).region
    text = f"{region} {source.instance_id} {source.taken_at.astimezone(UTC).isoformat()}"
    return Wish(
        place=source.place,
        what=f"restore-{hashlib.sha256(text.encode()).hexdigest()[:32]}",
        life=LIFE,
        collision=BeingRestored,
        tags=origin_of(source).tag,
    )


def under_way(run: Run, place: Place) -> list[Lent]:
    """Return the claims of restores at a place that hold; none where they can't be read.

    Source: DescribeKeyPairs.
    """
    filters = {f"tag:{our_tags.PURPOSE}": CLAIM, "tag-key": our_tags.RESTORED}
    try:
        found = lent_things(run.conn(place), place, filters, [Kind.KEY_PAIR])
    except Interrupted:
        raise
    except SnapbackError as error:
        with about(**of_item(place)):
            log.warning("whether others are restoring the same can't be read: %s", error)
        return []
    now = run.now(place)
    return [claim for claim in found if not claim.has_expired(now)]


def refuse_if_under_way(source: BackupSet, others: Iterable[Lent], rivals: Rivals) -> None:
    """Raise an error if a claim of another run is in a restore's way.

    :param others: the claims that hold at the place.
    :raises BeingRestored: one is.
    """
    mine = origin_of(source)
    for other in others:
        origin = read_origin(other.tags)
        if origin and rivals.are(origin, mine):
            raise BeingRestored(_by(other, origin, mine))


def _by(other: Lent, origin: Origin, mine: Origin) -> str:
    at = "" if origin.as_of == mine.as_of else f" as of {origin.as_of}"
    return f"by {other.run_id} until {other.expires_at:%Y-%m-%d %H:%M:%S} UTC or longer{at}"


def others_in_words(
    source: BackupSet, there: Iterable[Instance], others: Iterable[Lent]
) -> list[str]:
    """Return what else was, or is being, restored of an original, as of whichever instant."""
    mine = origin_of(source)
    claimed = [(other, read_origin(other.tags)) for other in others]
    return [
        *(f"{one.instance_id} is {one.state}: {one.tags[our_tags.RESTORED]}" for one in there),
        *(
            f"it is being restored {_by(other, origin, mine)}"
            for other, origin in claimed
            if origin and origin.original == mine.original
        ),
    ]


@contextmanager
def held(run: Run, source: BackupSet, rivals: Rivals, left: list[Outcome]) -> Iterator[str]:
    """Hold the claim of a restore as long as the context lasts; why there is none, or ``""``.

    :param left: a claim that can't be given back is added here; it ends by itself.
    :raises Collision: somebody else is restoring the original, or has meanwhile.

    Source: as :func:`snapback.workers.claims.held`, and DescribeInstances.
    """
    place, unclaimed = source.place, ""

    def tell_left(why: str) -> None:
        left.append(outcome(source.instance_id, Word.LEFT_BEHIND, why, place, {}))

    with ExitStack() as stack:
        try:
            refuse_if_under_way(source, under_way(run, place), rivals)
            stack.enter_context(claims.held(run, wish_of(source), tell_left))
        except (Collision, Interrupted):
            raise
        except SnapbackError as error:
            unclaimed = f"not claimed, so others may restore it at the same time: {error}"
            with about(**{**of_item(place), "resource": source.instance_id}):
                log.warning("%s", unclaimed)
        for one in _meanwhile(run, source, rivals):
            what = one.tags[our_tags.RESTORED]
            raise AlreadyRestored(f"{one.instance_id} has come since the plan was made: {what}")
        yield unclaimed


def _meanwhile(run: Run, source: BackupSet, rivals: Rivals) -> list[Instance]:
    """Return the instances in a restore's way that came since its plan was made."""
    mine = origin_of(source)
    return [
        one
        for one in restored_of(run.conn(source.place), source.place, source.instance_id)
        if one.instance_id not in rivals.known and rivals.are(read_origin(one.tags), mine)
    ]


def doubles_of(
    run: Run, source: BackupSet, rivals: Rivals, made: str, told: list[str]
) -> list[Outcome]:
    """Return what is to be told of instances that were restored twice, in spite of all claims.

    EC2 may show to others a little later what was made. So wait a moment until it shows this one:
    the claim isn't given back before.

    :param made: the id of the instance that has just been restored.
    :param told: why they can't be looked for is added here.
    """
    try:
        for pause_s in pauses(SEEN_S):
            found = _meanwhile(run, source, rivals)
            if any(one.instance_id == made for one in found):
                break
            run.sleep(pause_s)
    except SnapbackError as error:
        told.append(f"whether it was restored twice is not known: {error}")
        return []
    ids = {made, *(one.instance_id for one in found)}
    return [restored_twice(source, ids)] if len(ids) > 1 else []


def restored_twice(source: BackupSet, ids: Collection[str]) -> Outcome:
    """Return what is to be told of instances that were restored of the same; none is deleted."""
    why = (
        f"{' and '.join(sorted(ids))} were restored of it: terminate all but one, or take the tag "
        f"{our_tags.RESTORED} away from those that are meant to be"
    )
    facts = {"instances": sorted(ids)}
    return outcome(source.instance_id, Word.RESTORED_TWICE, why, source.place, facts)
