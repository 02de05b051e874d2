"""Which snapshots of ours there are at a place. The only reader of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from snapback.core.model import Place, Snapshot, provenance
from snapback.core.model import tags as our_tags
from snapback.core.replication.replication_plan import ReplicationPlan, View, plan_replication
from snapback.ec2.snapshots import own_snapshots
from snapback.run import Run, current

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

_COUNTED = ("pending", "completed")


def get_relevant_snapshots(
    conn: EC2Client,
    tag_name: str | None = None,
    tag_value: str | None = None,
    native_only: bool = True,
    filters: Mapping[str, Iterable[str]] | None = None,
) -> list[Snapshot]:
    """Return the account's own snapshots, pending or completed, that have the earmark and a record.

    A record counts as far as EC2 vouches for it. Docs: "Records and tags".

    :param conn: the region's client, as :func:`snapback.get_region_conn` answers it.
    :param tag_name: the earmark; ``None``: the configured one.
    :param tag_value: its value, with EC2's wildcards ``*`` and ``?``; ``None``: the configured.
    :param native_only: leave out those whose record is of another region, or of another account:
        replicas.
    :param filters: name -> list of values, added to ours; Source: DescribeSnapshots.
    :returns: in EC2's order; each has its ``record``.
    :raises SnapbackError: EC2 refuses, or can't be reached.
    """
    run = current()
    place = run.place_of(conn)
    return _relevant(run, conn, place, tag_name, tag_value, native_only, filters)


def _relevant(
    run: Run,
    conn: EC2Client,
    place: Place,
    tag_name: str | None,
    tag_value: str | None,
    native_only: bool,
    filters: Mapping[str, Iterable[str]] | None = None,
) -> list[Snapshot]:
    name = run.settings.tag_name if tag_name is None else tag_name
    value = run.settings.tag_value if tag_value is None else tag_value
    asked = {"status": _COUNTED, f"tag:{name}": [value], **(filters or {})}
    return [
        snapshot
        for snapshot in own_snapshots(conn, place, asked)
        if snapshot.record
        and snapshot.state in _COUNTED
        and (not native_only or snapshot.is_native)
    ]


def get_oldest_replica(
    src_conn: EC2Client,
    dst_conn: EC2Client,
    amount: int = 1,
    native_only: bool = True,
    tag_name: str | None = None,
    tag_value: str | None = None,
) -> list[Snapshot]:
    """Answer snapshots that are to be replicated next, oldest first.

    Of each volume in the source the latest snapshot, and with it all of its set, if it isn't in the
    destination, nor on its way there; where a member is archived, the newest set that can be used
    instead. What makes two snapshots the same is their record's region,
    volume and time.

    :param src_conn: the client of the region to replicate from.
    :param dst_conn: the client of the region to replicate into.
    :param amount: how many at most.
    :param native_only: leave out those that are replicas in the source already.
    :param tag_name: the earmark; ``None``: the configured one.
    :param tag_value: its value; ``None``: the configured one.
    :raises SnapbackError: EC2 refuses, or can't be reached.

    Source: DescribeSnapshots, once in each region.
    """
    run = current()
    source, destination = run.place_of(src_conn), run.place_of(dst_conn)
    here = get_relevant_snapshots(src_conn, tag_name, tag_value, native_only)
    there = _replicas(dst_conn, destination)
    return plan_replication(source, destination, here, there).lacking[:amount]


def what_is_lacking(
    run: Run,
    source: Place,
    destination: Place,
    tag_name: str | None = None,
    tag_value: str | None = None,
    native_only: bool = True,
) -> ReplicationPlan:
    """Answer what is to be replicated from one place into another."""
    here = _relevant(run, run.conn(source), source, tag_name, tag_value, native_only)
    there = _replicas(run.conn(destination), destination)
    return plan_replication(source, destination, here, there)


def view_of(run: Run, destination: Place) -> View:
    """Answer the snapshots at a place as replicas of others."""
    return View(destination, _replicas(run.conn(destination), destination))


def _replicas(conn: EC2Client, place: Place) -> list[Snapshot]:
    return own_snapshots(conn, place, {"status": (*_COUNTED, "error")})


def snapshots_of_instance(
    run: Run, place: Place, instance_id: str, *, believe: bool = False
) -> list[Snapshot]:
    """Return the snapshots at a place, in whatever state, whose record names an instance.

    :param believe: those that are unproven instead, with their records.
    """
    found = own_snapshots(run.conn(place), place, {"description": [f"*{instance_id}*"]})
    if believe:
        found = [provenance.believed(s) for s in found if s.unproven]
    return [s for s in found if s.record and s.record.instance == instance_id]


def snapshots_of_volume(run: Run, place: Place, volume_id: str) -> list[Snapshot]:
    """Answer the snapshots at a place, in whatever state, whose record names a volume."""
    conn = run.conn(place)
    native = own_snapshots(conn, place, {"volume-id": [volume_id]})
    others = own_snapshots(conn, place, {"description": [f"*{volume_id}*"]})
    found = {s.snapshot_id: s for s in (*native, *others)}
    return [s for s in found.values() if s.record and s.record.volume == volume_id]


def snapshots_with_tag(run: Run, place: Place, tag_name: str, tag_value: str) -> list[Snapshot]:
    """Answer the snapshots at a place, in whatever state, that have a tag and a record."""
    found = own_snapshots(run.conn(place), place, {f"tag:{tag_name}": [tag_value]})
    return [snapshot for snapshot in found if snapshot.record]


def verified_snapshots(run: Run, place: Place) -> list[Snapshot]:
    """Answer the snapshots at a place that have a record, and a verdict of a verification."""
    found = own_snapshots(run.conn(place), place, {"tag-key": [our_tags.VERDICT]})
    return [snapshot for snapshot in found if snapshot.record]


def all_snapshots(run: Run, place: Place) -> list[Snapshot]:
    """Answer every snapshot that the account owns at a place, ours or not."""
    return own_snapshots(run.conn(place), place)
