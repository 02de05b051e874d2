"""How far back the retention reaches for one volume."""

from __future__ import annotations

from dataclasses import dataclass

from snapback.core.model import Place, Snapshot, Timeline
from snapback.core.trim import retention
from snapback.core.trim.policy import Policy
from snapback.core.trim.reach import Reach, reach_of
from snapback.errors import UsageError
from snapback.run import Run
from snapback.snapshots.catalog import snapshots_of_volume
from snapback.snapshots.protection import protection_of


@dataclass(frozen=True)
class VolumeReach:
    """How far back the retention reaches in the snapshots of a volume at a place.

    :ivar snapshots: how many completed ones there are.
    :ivar policy: the retention, or in words why there is none.
    :ivar faded: whether it is counted back from now.
    :ivar reaches: one for each kind of period that is switched on, the finest first.
    """

    place: Place
    timeline: Timeline
    newest: Snapshot
    snapshots: int
    policy: Policy | str
    faded: bool
    reaches: tuple[Reach, ...]


def volume_reach(run: Run, place: Place, volume_id: str) -> list[VolumeReach]:
    """Return how far back the retention reaches for a volume: for its one timeline at a place.

    Several timelines come of records that name one volume in several regions, or accounts.

    :raises UsageError: there is no completed snapshot of it with a record.

    Source: DescribeSnapshots, and what :func:`~snapback.snapshots.protection.protection_of` reads.
    """
    snapshots = snapshots_of_volume(run, place, volume_id)
    now = run.now(place)
    judgement = retention.judge(
        snapshots, run.settings.policy_of, now, protection_of(run, place, snapshots)
    )
    if not judgement.timelines:
        raise UsageError(f"there is no completed snapshot of {volume_id} with a record in {place}")
    found = []
    for timeline, members in judgement.timelines.items():
        newest = retention.newest_of(members)
        policy = run.settings.policy_of(retention.deciding(members))
        faded = timeline in judgement.faded
        reaches = (
            () if isinstance(policy, str) else reach_of(members, policy, now if faded else None)
        )
        found.append(
            VolumeReach(place, timeline, newest, len(members), policy, faded, tuple(reaches))
        )
    return found
