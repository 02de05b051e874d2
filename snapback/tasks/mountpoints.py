"""The task that makes what is mounted on one instance like what is mounted on another."""

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
        "src_inst": "the instance with the source: i-0123456789abcdef0",
        "src_vol": "its volume: vol-0123456789abcdef0",
        "src_mnt": "where that is mounted there",
        "dst_inst": "the instance with the destination, in whichever region",
        "dst_vol": "its volume",
        "dst_mnt": "where that is mounted there",
        "encr": "make the whole volumes alike, block by block; nothing of them may be mounted",
        "account": options.ACCOUNT,
        "dry_run": "see that all is as told; change nothing",
        "quiet": options.QUIET,
        "verbose": options.VERBOSE,
        "json": options.JSON,
    },
)
def rsync_mountpoints(
    c: Any,
    src_inst: str,
    src_vol: str,
    src_mnt: str,
    dst_inst: str,
    dst_vol: str,
    dst_mnt: str,
    encr: bool = False,
    account: str | None = None,
    dry_run: bool = False,
    quiet: bool = False,
    verbose: bool = False,
    json: bool = False,
) -> None:
    """
    Make a mounted file system like another mounted one, by rsync, with its label.

    What isn't in the source is deleted in the destination. The instances are found in the regions
    in use, and reached as they are for consistent backups. Both need python3.

    Exit codes: 0 done; 1 it failed, and they may differ; 2 refused, nothing done; 3 done, but what
    rsync can't carry differs: inode flags (lsattr) and project ids.
    """

    def body(run: Run, _: Screen, dry: bool) -> Report:
        from snapback.replication.mountpoints import find_side, move_or_look
        from snapback.report.moves import move_report

        source = find_side(run, src_inst, src_vol, src_mnt)
        destination = find_side(run, dst_inst, dst_vol, dst_mnt)
        return move_report(source, destination, move_or_look(run, source, destination, encr, dry))

    perform(
        c,
        "rsync_mountpoints",
        body,
        account=account,
        dry_run=dry_run,
        quiet=quiet,
        verbose=verbose,
        as_json=json,
    )
