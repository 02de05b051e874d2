"""Claims: that one machine at a time makes the replica of a snapshot in a region.

Tags can't be compared and set, but EC2 makes one key pair of a name only. So a claim is a key pair
in the destination, named by the hash of what makes a snapshot the same wherever it is. Its tags say
whose it is and until when it holds; its owner renews it. One that wasn't renewed in time is taken
over: deleted by its id, so that a claim made since stays, then made anew. Should two claims be won
all the same, two replicas of one identity count as one.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from snapback.core.leases.lease import CLAIMS, Kind, expiry
from snapback.core.log_context import about, of_item
from snapback.core.model import tags as our_tags
from snapback.core.model.outcome import Outcome
from snapback.core.replication.replication_plan import Step
from snapback.ec2.key_pairs import create_key_pair, delete_key_pair
from snapback.ec2.removal import lent_things
from snapback.ec2.snapshots import own_snapshots
from snapback.ec2.tags import create_tags
from snapback.errors import AlreadyReplicated, BeingReplicated, SnapbackError
from snapback.run import Run
from snapback.snapshots.in_flight import CLAIM
from snapback.words import Word

log = logging.getLogger(__name__)

SHORTEST_LIFE_S = 60.0
RENEWALS = 3
MOST_TRIES = 5


@dataclass(frozen=True)
class Claim:
    """A claim that was won.

    :ivar life: how long it holds without a renewal.
    """

    step: Step
    key_pair_id: str
    life: timedelta


def name_of(step: Step) -> str:
    """Answer the name of the key pair that claims a step's replica."""
    return f"{CLAIMS}{step.record.digest}"


def life_of(step: Step, speed: float) -> timedelta:
    """Answer how long a claim holds: as long as its volume takes at the least speed."""
    return timedelta(seconds=max(SHORTEST_LIFE_S, step.source.size_gib / speed))


@contextmanager
def held(run: Run, step: Step, left: list[Outcome], force: bool = False) -> Iterator[Claim]:
    """Hold the claim of a step's replica, and renew it, as long as the context lasts.

    :param left: a claim that can't be given back is added here; it ends by itself.
    :param force: claim it although there is a replica.
    :raises Collision: somebody else holds it, or there is a replica by now.
    """
    claim = _win(run, step)
    over = threading.Event()
    renewer = threading.Thread(target=_keep_alive, args=(run, claim, over), daemon=True)
    renewer.start()
    try:
        refuse_if_there(run, step, force)
        yield claim
    finally:
        over.set()
        renewer.join()
        _give_back(run, claim, left)


def refuse_if_there(run: Run, step: Step, force: bool = False) -> None:
    """See whether there is a replica by now, or one is on its way.

    :raises Collision: so it is.
    """
    filters = {f"tag:{our_tags.SET}": [our_tags.set_of_replica(step.source)]}
    for found in own_snapshots(run.conn(step.destination), step.destination, filters):
        if found.record is None or found.record.identity != step.record.identity:
            continue
        if found.state == "pending":
            raise BeingReplicated(f"{found.snapshot_id} is pending ({found.progress or '0%'})")
        if found.state == "completed" and not force:
            raise AlreadyReplicated(f"{found.snapshot_id} has come since the plan was made")


def _win(run: Run, step: Step) -> Claim:
    place = step.destination
    conn = run.conn(place)
    name, life = name_of(step), life_of(step, _speed(run))
    tags = {
        our_tags.PURPOSE: CLAIM,
        our_tags.RUN: run.run_id,
        our_tags.SOURCE: step.source.snapshot_id,
        our_tags.LENT: secrets.token_hex(8),
        **({our_tags.BASE: step.base.snapshot_id} if step.base else {}),
    }
    for _ in range(MOST_TRIES):
        until = expiry(run.now(place) + life)
        if made := create_key_pair(conn, name, {**tags, **until}):
            return Claim(step, made, life)
        for other in lent_things(conn, place, {"key-name": name}, [Kind.KEY_PAIR]):
            if other.tags.get(our_tags.LENT) == tags[our_tags.LENT]:
                return Claim(step, other.resource_id, life)  # the answer to its making was lost
            if not other.has_expired(run.now(place)):
                raise BeingReplicated(
                    f"by {other.run_id} until {other.expires_at:%H:%M:%S} UTC or longer"
                )
            log.warning("taking over the claim %s of %s", name, other.run_id)
            delete_key_pair(conn, other.resource_id)
    raise BeingReplicated("by others, who come and go")


def renew(run: Run, claim: Claim) -> None:
    """Make a claim hold for its whole life from now on."""
    place = claim.step.destination
    create_tags(run.conn(place), [claim.key_pair_id], expiry(run.now(place) + claim.life))


def _keep_alive(run: Run, claim: Claim, over: threading.Event) -> None:
    """Renew a claim, some times in its life, until it is over; one failure is not the end."""
    while not over.wait(claim.life.total_seconds() / RENEWALS):
        try:
            renew(run, claim)
        except SnapbackError as error:
            with about(**of_item(claim.step.destination)):
                log.warning("the claim %s was not renewed: %s", claim.key_pair_id, error)


def _give_back(run: Run, claim: Claim, left: list[Outcome]) -> None:
    place = claim.step.destination
    try:
        delete_key_pair(run.conn(place), claim.key_pair_id)
    except SnapbackError as error:
        why = f"a claim, the key pair {claim.key_pair_id}, could not be deleted: {error}"
        left.append(
            Outcome(
                subject=claim.step.source.snapshot_id,
                word=Word.LEFT_BEHIND,
                explanation=f"{why}; delete it, or it holds up to {claim.life} more",
                place=place,
                facts={"source_region": claim.step.source.place.region},
            )
        )


def _speed(run: Run) -> float:
    return run.settings.replication.replication_speed
