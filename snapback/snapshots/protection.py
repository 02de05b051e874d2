"""What keeps snapshots at a place from being trimmed: AMIs, locks, and the tags of their home.

The home of a timeline is the region where its volume lives, or lived. An operator stops the
trimming there, by the tag ``snapback:keep`` on the instance, the volume or a snapshot. That holds
for the replicas in other regions too, so each place asks the homes of what it holds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from snapback.core.model import Place, Snapshot, Timeline
from snapback.core.model.tags import KEEP
from snapback.core.trim.retention import Protection, idle_timelines, kept_by_snapshots
from snapback.ec2.instances import instances_with_key
from snapback.ec2.regions import enabled_regions
from snapback.ec2.snapshots import locked_snapshots, own_snapshots, used_by_images
from snapback.ec2.volumes import volumes_by_id, volumes_with_key
from snapback.errors import Interrupted, SnapbackError
from snapback.run import Run, fanout


@dataclass(frozen=True)
class _Home:
    """What is read at a home of the timelines at hand.

    :ivar kept: timeline -> the resource with the tag that keeps it.
    :ivar gone: the timelines whose volume EC2 doesn't know any more.
    """

    kept: dict[Timeline, str] = field(default_factory=dict)
    gone: frozenset[Timeline] = frozenset()


def protection_of(run: Run, place: Place, snapshots: Sequence[Snapshot]) -> Protection:
    """Return what keeps snapshots at a place, and which of their volumes are gone.

    :param snapshots: those at the place.
    :raises SnapbackError: what is known at the place itself can't be read. A home that can't be
        read is no error: it is named in the answer.
    :raises Interrupted: the run is asked to stop.

    Source: DescribeImages, DescribeLockedSnapshots; in each home DescribeInstances,
    DescribeVolumes, DescribeSnapshots; DescribeRegions where there is another home.
    """
    conn = run.conn(place)
    in_use, locked = used_by_images(conn), locked_snapshots(conn)
    by_home: dict[str, list[Snapshot]] = defaultdict(list)
    for snapshot in snapshots:
        if snapshot.record:
            by_home[snapshot.record.region].append(snapshot)
    idle = frozenset(idle_timelines(snapshots, run.settings.policy_of, run.now(place)))
    enabled = _enabled(run, place, by_home)
    read = fanout.each(
        sorted(by_home),
        lambda home: _read_home(run, Place(home, place.account), by_home[home], idle, enabled),
        stop=run.stop,
    )
    kept: dict[Timeline, str] = {}
    gone: frozenset[Timeline] = frozenset()
    unread: dict[str, str] = {}
    for result in read:
        if isinstance(result.error, Interrupted):
            raise result.error
        if result.error:
            unread[result.item] = str(result.error)
        if result.value:
            kept |= result.value.kept
            gone |= result.value.gone
    return Protection(in_use=in_use, locked=locked, kept=kept, unread_homes=unread, gone=gone)


def _enabled(run: Run, place: Place, homes: Sequence[str] | dict[str, list[Snapshot]]) -> set[str]:
    """Return the regions that can be asked; a record may name any."""
    if set(homes) <= {place.region}:
        return {place.region}
    return {place.region, *enabled_regions(run.conn(place))}


def _read_home(
    run: Run,
    home: Place,
    snapshots: Sequence[Snapshot],
    idle: frozenset[Timeline],
    enabled: set[str],
) -> _Home:
    """Read at a home which of its timelines are kept, and which volumes are gone.

    :raises SnapbackError: the home can't be read.
    """
    if home.region not in enabled:
        raise SnapbackError(f"the region {home.region} isn't enabled for the account")
    conn = run.conn(home)
    kept = kept_by_snapshots(own_snapshots(conn, home, {"tag-key": [KEEP]}))
    kept |= {
        (home.region, one.volume_id): one.volume_id for one in volumes_with_key(conn, home, KEEP)
    }
    instances = instances_with_key(conn, home, KEEP)
    kept |= {
        (home.region, volume_id): instance.instance_id
        for instance in instances
        for volume_id in instance.devices.values()
    }
    ids = {instance.instance_id for instance in instances}
    kept |= {
        s.record.timeline: s.record.instance
        for s in snapshots
        if s.record and s.record.instance in ids
    }
    asked = {volume for region, volume in idle if region == home.region}
    found = volumes_by_id(conn, home, asked) if asked else {}
    return _Home(kept, frozenset((home.region, volume) for volume in asked if volume not in found))
