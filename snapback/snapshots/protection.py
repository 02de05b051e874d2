"""What keeps snapshots at a place from being trimmed: AMIs, locks, and the tags of their home.

The home of a timeline is the region where its volume lives, or lived. An operator stops the
trimming there, by the tag ``snapback:keep`` on the instance, the volume or a snapshot. That holds
for the replicas in other regions too, so each place asks the homes of what it holds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from snapback.core.model import Home, Place, Snapshot, Timeline, record_of
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

    kept: dict[Timeline, str]
    gone: set[Timeline]


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
    by_home: dict[Home, list[Snapshot]] = defaultdict(list)
    for snapshot in snapshots:
        if snapshot.record:
            by_home[snapshot.record.timeline.home].append(snapshot)
    idle = _idle(run, place, snapshots)
    enabled = _enabled(run, place, {region for _, region in by_home})

    def read(home: Home) -> _Home:
        account_id, region = home
        if account_id != by_home[home][0].owner_id:
            raise SnapbackError(f"it is of another account, {account_id or 'an unknown one'}")
        if region not in enabled:
            raise SnapbackError(f"the region {region} isn't enabled for the account")
        return _read_home(run, Place(region, place.account), account_id, by_home[home], idle)

    kept = kept_by_snapshots(snapshots)
    gone: set[Timeline] = set()
    unread: dict[Home, str] = {}
    for result in fanout.each(sorted(by_home), read, stop=run.stop):
        if isinstance(result.error, Interrupted):
            raise result.error
        if result.error:
            unread[result.item] = str(result.error)
        if result.value:
            kept |= result.value.kept
            gone |= result.value.gone
    return Protection(
        in_use=in_use, locked=locked, kept=kept, unread_homes=unread, gone=frozenset(gone)
    )


def _idle(run: Run, place: Place, snapshots: Sequence[Snapshot]) -> list[Timeline]:
    """Return the timelines that fade if their volume is gone; none where fading is off."""
    if run.settings.fade_after_days is None:
        return []
    return idle_timelines(snapshots, run.settings.policy_of, run.now(place))


def _enabled(run: Run, place: Place, homes: Set[str]) -> set[str]:
    """Return the regions that can be asked: a record may name any, and each would be waited for."""
    if homes <= {place.region}:
        return {place.region}
    return {place.region, *enabled_regions(run.conn(place))}


def _read_home(
    run: Run,
    home: Place,
    account_id: str,
    snapshots: Iterable[Snapshot],
    idle: Iterable[Timeline],
) -> _Home:
    """Read at a home which of its timelines are kept, and which volumes are gone.

    :param account_id: EC2's id of the account.
    :param snapshots: those whose home it is, wherever they lie.
    :raises SnapbackError: the home can't be read.
    """

    def timeline(volume_id: str) -> Timeline:
        return Timeline(account_id, home.region, volume_id)

    conn = run.conn(home)
    kept = kept_by_snapshots(own_snapshots(conn, home, {"tag-key": [KEEP]}))
    kept |= {timeline(v.volume_id): v.volume_id for v in volumes_with_key(conn, home, KEEP)}
    instances = {one.instance_id: one for one in instances_with_key(conn, home, KEEP)}
    for instance_id, instance in sorted(instances.items()):
        for volume_id in instance.devices.values():
            kept[timeline(volume_id)] = instance_id
    for snapshot in snapshots:
        record = record_of(snapshot)
        if record.instance in instances:
            kept[record.timeline] = record.instance
    asked = {one.volume for one in idle if one == timeline(one.volume)}
    there = volumes_by_id(conn, home, asked) if asked else {}
    return _Home(kept, {timeline(volume) for volume in asked - there.keys()})
