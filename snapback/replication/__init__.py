"""Replicating: one snapshot, a region's latest, or those of all regions. The public helpers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from snapback.replication.engine import Options
from snapback.replication.routes import (
    Replication,
    replicate_all_regions,
    replicate_region,
    replicate_snapshot,
)
from snapback.run import Run, current
from snapback.run.fanout import or_raise


def rsync_snapshot(
    src_region_name: str,
    snapshot_id: str,
    dst_region_name: str,
    src_inst: Any = None,
    dst_inst: Any = None,
    force: bool = False,
    engine: str | None = None,
    synchronously: bool = False,
    account: str | None = None,
) -> Replication:
    """Replicate one snapshot into another region; answer what became of it.

    :param src_region_name: where it is; may be contracted.
    :param snapshot_id: one with a record. Where it is pending, its completion is waited for, up to
        ``minutes_for_snap``.
    :param dst_region_name: where it is to be; may be contracted.
    :param src_inst: the instance to use in the source instead of a temporary one.
    :param dst_inst: the same in the destination.
    :param force: replicate although this one or a newer one of its volume is there.
    :param engine: ``"rsync"`` or ``"copy"``; ``None``: the configured one.
    :param synchronously: wait until the replica is completed.
    :param account: the account's name in the configuration; ``None``: all of them.
    :raises UsageError: there is no such snapshot, it is archived, or it may not be replicated
        there; nothing was done.
    :raises ItemsFailed: it failed; its ``outcomes`` say how.

    Source: DescribeSnapshots, CopySnapshot.
    """
    run = current().only(account)
    options = replace(
        _options(run, engine, synchronously), force=force, src_inst=src_inst, dst_inst=dst_inst
    )
    return or_raise(replicate_snapshot(run, src_region_name, snapshot_id, dst_region_name, options))


def rsync_region(
    src_region_name: str,
    dst_region_name: str,
    tag_name: str | None = None,
    tag_value: str | None = None,
    native_only: bool = True,
    engine: str | None = None,
    synchronously: bool = False,
    account: str | None = None,
) -> Replication:
    """Replicate the latest snapshots of a region into another; answer what became of each.

    The plan is fixed at the start: of each volume the latest snapshot, with the whole set that it
    belongs to, where it isn't replicated yet. One that is pending is waited for, up to
    ``minutes_for_snap``, while others proceed; then the newest completed one takes its place. So it
    does at once where one is archived and has no replica; that is told, and raises as well.

    :param src_region_name: may be contracted.
    :param dst_region_name: may be contracted.
    :param tag_name: the earmark; ``None``: the configured one.
    :param tag_value: its value; ``None``: the configured one.
    :param native_only: leave out those that are replicas in the source already.
    :param engine: ``"rsync"`` or ``"copy"``; ``None``: the configured one.
    :param synchronously: wait until the replicas are completed.
    :param account: the account's name in the configuration; ``None``: all of them.
    :raises ItemsFailed: not all went well; its ``outcomes`` say what became of each.

    Source: DescribeSnapshots, CopySnapshot.
    """
    run = current().only(account)
    return or_raise(
        replicate_region(
            run,
            src_region_name,
            dst_region_name,
            options=_options(run, engine, synchronously),
            earmark=(tag_name, tag_value),
            native_only=native_only,
        )
    )


def rsync_all_regions(
    primary_backup_region: str,
    secondary_backup_region: str,
    native_only: bool = True,
    engine: str | None = None,
    synchronously: bool = False,
    account: str | None = None,
) -> Replication:
    """Replicate every other region in use into the primary, then the primary's into the secondary.

    :param primary_backup_region: may be contracted.
    :param secondary_backup_region: may be contracted.
    :param native_only: into the secondary only what was taken in the primary; else all that is
        there, less what was taken in the secondary.
    :param engine: ``"rsync"`` or ``"copy"``; ``None``: the configured one.
    :param synchronously: wait until the replicas are completed.
    :param account: the account's name in the configuration; ``None``: all of them.
    :raises ItemsFailed: not all went well; its ``outcomes`` say what became of each.

    Source: DescribeRegions, DescribeSnapshots, CopySnapshot.
    """
    run = current().only(account)
    return or_raise(
        replicate_all_regions(
            run,
            primary_backup_region,
            secondary_backup_region,
            options=_options(run, engine, synchronously),
            native_only=native_only,
        )
    )


def _options(run: Run, engine: str | None, synchronously: bool) -> Options:
    return Options(engine=engine or run.settings.replication.engine, synchronously=synchronously)
