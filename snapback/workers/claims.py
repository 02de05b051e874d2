"""Claims: that one machine at a time does a thing at a place, as making the replica of a snapshot.

Tags can't be compared and set, but EC2 makes one key pair of a name only. So a claim is a key pair
at the place where the thing is done, named by what is done. Its tags say whose it is and until when
it holds; its owner renews it. One that wasn't renewed in time is taken over: deleted by its id, so
that a claim made since stays, then made anew.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from snapback.core.leases.lease import CLAIM, CLAIMS, Kind, expiry
from snapback.core.log_context import about, of_item
from snapback.core.model import Place
from snapback.core.model import tags as our_tags
from snapback.ec2.key_pairs import create_key_pair, delete_key_pair
from snapback.ec2.removal import lent_things
from snapback.ec2.tags import create_tags
from snapback.errors import Collision, SnapbackError
from snapback.run import Run
from snapback.workers.watch import Pulse

log = logging.getLogger(__name__)

RENEWALS = 3
MOST_TRIES = 5


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A claim that is asked for.

    :ivar place: where the thing is done.
    :ivar what: which thing, the same text on whichever machine.
    :ivar life: how long the claim holds without a renewal.
    :ivar collision: what is raised where somebody else holds it.
    :ivar tags: more tags of the key pair.
    """

    place: Place
    what: str
    life: timedelta
    collision: type[Collision]
    tags: Mapping[str, str]

    @property
    def name(self) -> str:
        """The name of the key pair."""
        return f"{CLAIMS}{self.what}"


@dataclass(frozen=True)
class Claim:
    """A claim that was won."""

    wish: Wish
    key_pair_id: str


@contextmanager
def held(
    run: Run, wish: Wish, tell_left: Callable[[str], None], pulse: Pulse | None = None
) -> Iterator[Claim]:
    """Hold a claim, and renew it, as long as the context lasts.

    :param pulse: of what is done; while that has stopped, the claim isn't renewed.
    :param tell_left: gets the words on a claim that can't be given back; it ends by itself.
    :raises Collision: somebody else holds it.

    Source: CreateKeyPair, DescribeKeyPairs, CreateTags, DeleteKeyPair.
    """
    claim = _win(run, wish)
    over = threading.Event()
    renewer = threading.Thread(target=_keep_alive, args=(run, claim, over, pulse), daemon=True)
    renewer.start()
    try:
        yield claim
    finally:
        over.set()
        renewer.join()
        _give_back(run, claim, tell_left)


def _win(run: Run, wish: Wish) -> Claim:
    conn = run.conn(wish.place)
    tags = {
        our_tags.PURPOSE: CLAIM,
        our_tags.RUN: run.run_id,
        our_tags.LENT: secrets.token_hex(8),
        **wish.tags,
    }
    for _ in range(MOST_TRIES):
        until = expiry(run.now(wish.place) + wish.life)
        if made := create_key_pair(conn, wish.name, {**tags, **until}):
            return Claim(wish, made)
        for other in lent_things(conn, wish.place, {"key-name": wish.name}, [Kind.KEY_PAIR]):
            if other.tags.get(our_tags.LENT) == tags[our_tags.LENT]:
                return Claim(wish, other.resource_id)  # the answer to its making was lost
            if not other.has_expired(run.now(wish.place)):
                raise wish.collision(
                    f"by {other.run_id} until {other.expires_at:%H:%M:%S} UTC or longer"
                )
            log.warning("taking over the claim %s of %s", wish.name, other.run_id)
            delete_key_pair(conn, other.resource_id)
    raise wish.collision("by others, who come and go")


def renew(run: Run, claim: Claim) -> None:
    """Make a claim hold for its whole life from now on."""
    place = claim.wish.place
    create_tags(run.conn(place), [claim.key_pair_id], expiry(run.now(place) + claim.wish.life))


def _keep_alive(run: Run, claim: Claim, over: threading.Event, pulse: Pulse | None) -> None:
    """Renew a claim, some times in its life, until it is over; one failure is not the end."""
    while not over.wait(claim.wish.life.total_seconds() / RENEWALS):
        if pulse and pulse.is_gone:
            continue
        try:
            renew(run, claim)
        except SnapbackError as error:
            with about(**of_item(claim.wish.place)):
                log.warning("the claim %s was not renewed: %s", claim.key_pair_id, error)


def _give_back(run: Run, claim: Claim, tell_left: Callable[[str], None]) -> None:
    try:
        delete_key_pair(run.conn(claim.wish.place), claim.key_pair_id)
    except SnapbackError as error:
        why = f"a claim, the key pair {claim.key_pair_id}, could not be deleted: {error}"
        tell_left(f"{why}; delete it, or it holds up to {claim.wish.life} more")
