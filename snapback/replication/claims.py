"""That one machine at a time makes the replica of a snapshot in a region.

The claim is named by the hash of what makes a snapshot the same wherever it is. Should two be won
all the same, two replicas of one identity count as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from snapback.core.model import tags as our_tags
from snapback.core.model.outcome import Outcome
from snapback.core.replication.replication_plan import Step
from snapback.ec2.snapshots import own_snapshots
from snapback.errors import AlreadyReplicated, BeingReplicated
from snapback.run import Run
from snapback.words import Word
from snapback.workers import claims
from snapback.workers.claims import Claim, Wish
from snapback.workers.watch import Pulse

SHORTEST_LIFE_S = 60.0


def wish_of(run: Run, step: Step) -> Wish:
    """Return the claim of a step's replica: it holds as long as its volume takes at least speed."""
    speed = run.settings.replication.replication_speed
    return Wish(
        place=step.destination,
        what=step.record.digest,
        life=timedelta(seconds=max(SHORTEST_LIFE_S, step.source.size_gib / speed)),
        collision=BeingReplicated,
        tags={
            our_tags.SOURCE: step.source.snapshot_id,
            **({our_tags.BASE: step.base.snapshot_id} if step.base else {}),
        },
    )


@contextmanager
def held(
    run: Run, step: Step, left: list[Outcome], pulse: Pulse, force: bool = False
) -> Iterator[Claim]:
    """Hold the claim of a step's replica as long as the context lasts.

    :param left: a claim that can't be given back is added here; it ends by itself.
    :param pulse: of the transfer; while that has stopped, the claim isn't renewed.
    :param force: claim it although there is a replica.
    :raises Collision: somebody else holds it, or there is a replica by now.
    """

    def tell_left(why: str) -> None:
        left.append(
            Outcome(
                subject=step.source.snapshot_id,
                word=Word.LEFT_BEHIND,
                explanation=why,
                place=step.destination,
                facts={"source_region": step.source.place.region},
            )
        )

    with claims.held(run, wish_of(run, step), tell_left, pulse) as claim:
        refuse_if_there(run, step, force)
        yield claim


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
