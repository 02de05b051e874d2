"""The task that takes a deletion back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.tasks import task

from snapback.tasks import options
from snapback.tasks.boundary import perform

if TYPE_CHECKING:
    from snapback.report.report import Report
    from snapback.report.screen import Screen
    from snapback.run import Run


@task(
    auto_shortflags=False,
    help={
        "region_name": options.REGION_NAME,
        "volume_id": "the snapshots of this volume, its replicas too: vol-0123456789abcdef0",
        "instance_id": "the snapshots of this instance: i-0123456789abcdef0",
        "run_id": "what this run deleted, by this machine's deletion log: give one of the three",
        **options.COMMON,
        "dry_run": "show what is in the Recycle Bin, and until when; change nothing",
    },
)
def undelete_snapshots(
    c: Any,
    region_name: str | None = None,
    account: str | None = None,
    volume_id: str | None = None,
    instance_id: str | None = None,
    run_id: str | None = None,
    dry_run: bool = False,
    quiet: bool = False,
    verbose: bool = False,
    json: bool = False,
) -> None:
    """
    Restore deleted snapshots from the Recycle Bin: a volume's, an instance's, or a run's.

    Only snapshots that snapback or django-fabfile made are restored, and only where a retention
    rule of the Recycle Bin kept them. Each gets the tag snapback:keep, which stops the trimming of
    its volume until you remove it.

    Exit codes: 0 all are back; 1 something failed, or nothing is in the Recycle Bin; 2 refused,
    nothing done; 3 some are not in the Recycle Bin, or hold no backup; 4 some are back without the
    tag, so the next trimming may delete them again.
    """

    def body(run: Run, _: Screen, dry: bool) -> Report:
        from snapback.report.undeletions import undelete_report
        from snapback.undelete import run_undelete_snapshots, selection_of

        selection = selection_of(volume_id, instance_id, run_id)
        undeletion = run_undelete_snapshots(run, selection, region_name, dry_run=dry)
        return undelete_report(undeletion, dry)

    perform(
        c,
        "undelete_snapshots",
        body,
        account=account,
        dry_run=dry_run,
        quiet=quiet,
        verbose=verbose,
        as_json=json,
    )
