"""The tasks that replicate. The engine rsync has given them their names; both do the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.tasks import task

from snapback.tasks import options
from snapback.tasks.boundary import perform

if TYPE_CHECKING:
    from snapback.replication.engine import Options
    from snapback.report.report import Report
    from snapback.report.screen import Screen
    from snapback.run import Run

_COMMON = {
    "engine": "what moves the data: rsync or copy (default: as configured, rsync)",
    "compare": "compare both sides once more before the snapshot (engine rsync only)",
    "synchronously": "wait until the replicas are completed",
    **options.COMMON,
}


@task(
    aliases=("replicate_snapshot",),
    auto_shortflags=False,
    help={
        "src_region_name": "where the snapshot is; may be contracted: eu-w for eu-west-1",
        "snapshot_id": "the snapshot: snap-0123456789abcdef0",
        "dst_region_name": "where its replica is to be; may be contracted",
        "src_inst": "the instance to use in the source, instead of a temporary one (rsync only)",
        "dst_inst": "the instance to use in the destination, instead of a temporary one",
        "force": "replicate although this one, or a newer one of its volume, is there",
        **_COMMON,
    },
)
def rsync_snapshot(
    c: Any,
    src_region_name: str,
    snapshot_id: str,
    dst_region_name: str,
    src_inst: str | None = None,
    dst_inst: str | None = None,
    force: bool = False,
    engine: str | None = None,
    compare: bool = False,
    synchronously: bool = False,
    account: str | None = None,
    dry_run: bool = False,
    quiet: bool = False,
    verbose: bool = False,
    json: bool = False,
) -> None:
    """
    Replicate one snapshot into another region. Also called replicate_snapshot.

    One that is pending is waited for.

    Exit codes: 0 all done, or there already; 1 something failed; 2 refused, nothing done; 4
    something is left behind that needs a hand.
    """

    def body(run: Run, _: Screen, dry: bool) -> Report:
        from dataclasses import replace

        from snapback.replication.routes import replicate_snapshot
        from snapback.report.replications import replication_report

        chosen = replace(
            _options(run, engine, compare, synchronously),
            force=force,
            src_inst=src_inst,
            dst_inst=dst_inst,
        )
        done = replicate_snapshot(run, src_region_name, snapshot_id, dst_region_name, chosen, dry)
        return replication_report(run, done, dry)

    perform(
        c,
        "rsync_snapshot",
        body,
        account=account,
        dry_run=dry_run,
        quiet=quiet,
        verbose=verbose,
        as_json=json,
        lends=True,
    )


@task(
    aliases=("replicate_region",),
    auto_shortflags=False,
    help={
        "src_region_name": "replicate from this region; may be contracted: eu-w for eu-west-1",
        "dst_region_name": "into this one; may be contracted",
        "tag_name": options.TAG_NAME,
        "tag_value": options.TAG_VALUE,
        "native_only": "or --no-native-only: replicate what are replicas in the source, too",
        **_COMMON,
    },
)
def rsync_region(
    c: Any,
    src_region_name: str,
    dst_region_name: str,
    tag_name: str | None = None,
    tag_value: str | None = None,
    native_only: bool = True,
    engine: str | None = None,
    compare: bool = False,
    synchronously: bool = False,
    account: str | None = None,
    dry_run: bool = False,
    quiet: bool = False,
    verbose: bool = False,
    json: bool = False,
) -> None:
    """
    Replicate the latest snapshots of a region into another. Also called replicate_region.

    Of each volume the latest one, with the whole set that it belongs to, where it isn't replicated
    yet. One that is pending is waited for while others proceed. One that fails stops no other.

    Exit codes: 0 all done, or there already; 1 something failed; 2 refused, nothing done; 3
    a snapshot is archived; 4 something is left behind that needs a hand.
    """

    def body(run: Run, _: Screen, dry: bool) -> Report:
        from snapback.replication.routes import replicate_region
        from snapback.report.replications import replication_report

        done = replicate_region(
            run,
            src_region_name,
            dst_region_name,
            _options(run, engine, compare, synchronously),
            (tag_name, tag_value),
            native_only,
            dry,
        )
        return replication_report(run, done, dry)

    perform(
        c,
        "rsync_region",
        body,
        account=account,
        dry_run=dry_run,
        quiet=quiet,
        verbose=verbose,
        as_json=json,
        lends=True,
    )


@task(
    aliases=("replicate_all_regions",),
    auto_shortflags=False,
    help={
        "primary_backup_region": "every other region in use goes into this one; may be contracted",
        "secondary_backup_region": "what was taken in the primary goes into this one",
        "native_only": "or --no-native-only: all that is in the primary goes into the secondary",
        **_COMMON,
    },
)
def rsync_all_regions(
    c: Any,
    primary_backup_region: str,
    secondary_backup_region: str,
    native_only: bool = True,
    engine: str | None = None,
    compare: bool = False,
    synchronously: bool = False,
    account: str | None = None,
    dry_run: bool = False,
    quiet: bool = False,
    verbose: bool = False,
    json: bool = False,
) -> None:
    """
    Replicate every other region into the primary, then the primary's own into the secondary.

    Also called replicate_all_regions. Nothing goes back to the region where it was taken.

    Exit codes: 0 all done, or there already; 1 something failed; 2 refused, nothing done; 3
    a snapshot is archived; 4 something is left behind that needs a hand.
    """

    def body(run: Run, _: Screen, dry: bool) -> Report:
        from snapback.replication.routes import replicate_all_regions
        from snapback.report.replications import replication_report

        done = replicate_all_regions(
            run,
            primary_backup_region,
            secondary_backup_region,
            _options(run, engine, compare, synchronously),
            native_only,
            dry,
        )
        return replication_report(run, done, dry)

    perform(
        c,
        "rsync_all_regions",
        body,
        account=account,
        dry_run=dry_run,
        quiet=quiet,
        verbose=verbose,
        as_json=json,
        lends=True,
    )


def _options(run: Run, engine: str | None, compare: bool, synchronously: bool) -> Options:
    from snapback.replication.engine import Options

    return Options(
        engine=engine or run.settings.replication.engine,
        compare=compare,
        synchronously=synchronously,
    )
