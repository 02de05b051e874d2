"""The tasks that prove backups, and that let single files be got back."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from invoke.tasks import task

from snapback.tasks import options
from snapback.tasks.boundary import perform

if TYPE_CHECKING:
    from snapback.core.model.outcome import Outcome
    from snapback.report.report import Report
    from snapback.report.screen import Screen
    from snapback.run import Run


_DIGEST = "also read all of it, and compare its digest with those of its replicas or its source"


@task(
    auto_shortflags=False,
    help={
        "snapshot_id": "the snapshot: snap-0123456789abcdef0",
        "region_name": "where it lies; may be contracted (default: looked for)",
        "digest": _DIGEST,
        **options.COMMON,
    },
)
def verify_snapshot(
    c: Any,
    snapshot_id: str,
    region_name: str | None = None,
    digest: bool = False,
    account: str | None = None,
    dry_run: bool = False,
    quiet: bool = False,
    verbose: bool = False,
    json: bool = False,
) -> None:
    """
    Prove that a snapshot can be restored, on a temporary instance.

    On a volume made of it the file systems are checked, mounted read-only and counted, and the
    configured verify_command is run. The tag snapback:verified of the snapshot tells the verdict.

    Exit codes: 0 it is good, or of a known format that nobody looks into; 1 it is corrupt, its set
    isn't whole, or it could not be verified; 2 refused, nothing done; 3 there is no verdict, or a
    region's copies could not be compared; 4 something is left behind that needs a hand.
    """

    def body(run: Run, _: Screen, dry: bool) -> Report:
        from snapback.report.verifications import verification_report
        from snapback.verify import verify_one

        found = verify_one(run, snapshot_id, region_name, dry, digest=digest)
        return verification_report(found, dry)

    perform(
        c,
        "verify_snapshot",
        body,
        account=account,
        dry_run=dry_run,
        quiet=quiet,
        verbose=verbose,
        as_json=json,
        lends=True,
    )


@task(
    auto_shortflags=False,
    help={
        "region_name": "the region; may be contracted: eu-w for eu-west-1",
        "sample": "so many only, 20 or 5%: those verified longest ago (default: all)",
        "replicas": "also the replicas of other regions' snapshots",
        "digest": _DIGEST,
        **options.COMMON,
    },
)
def verify_region(
    c: Any,
    region_name: str,
    sample: str | None = None,
    replicas: bool = False,
    digest: bool = False,
    account: str | None = None,
    dry_run: bool = False,
    quiet: bool = False,
    verbose: bool = False,
    json: bool = False,
) -> None:
    """
    Prove of a region's snapshots, or of some, that they can be restored.

    One temporary instance serves many volumes, several at a time. What was never verified comes
    first, then what was verified longest ago. Sets from which a volume is missing are failures.

    Exit codes: 0 all are good, or of known formats that nobody looks into; 1 some are corrupt, or
    could not be verified; 2 refused, nothing done; 3 of some there is no verdict, or a region's
    copies could not be compared; 4 something is left behind that needs a hand.
    """

    def body(run: Run, _: Screen, dry: bool) -> Report:
        from snapback.report.verifications import verification_report
        from snapback.verify import sample_of, verify_all

        found = verify_all(run, region_name, sample_of(sample), replicas, dry, digest=digest)
        return verification_report(found, dry)

    perform(
        c,
        "verify_region",
        body,
        account=account,
        dry_run=dry_run,
        quiet=quiet,
        verbose=verbose,
        as_json=json,
        lends=True,
    )


@task(
    auto_shortflags=False,
    help={
        "snapshot_id": "the snapshot: snap-0123456789abcdef0",
        "region_name": "where it lies; may be contracted (default: looked for)",
        "hours": "how long it stays; without a terminal to press Enter on it stays so long (1)",
        "copy": "fetch this file or folder, as seen from the top of its file system, and end",
        "to": "with --copy: where to (default: the current folder)",
        "partition": "with --copy: of which partition (default: the only one, or the largest)",
        "devices": "with --copy: copy devices, fifos and sockets, too (default: leave them out)",
        "setuid": "with --copy: keep setuid and setgid bits (default: clear them)",
        "account": options.ACCOUNT,
        "quiet": options.QUIET,
        "verbose": options.VERBOSE,
        "json": options.JSON,
    },
)
def mount_snapshot(
    c: Any,
    snapshot_id: str,
    region_name: str | None = None,
    hours: str = "",
    copy: str = "",
    to: str = ".",
    partition: str = "",
    devices: bool = False,
    setuid: bool = False,
    account: str | None = None,
    quiet: bool = False,
    verbose: bool = False,
    json: bool = False,
) -> None:
    """
    Mount a snapshot read-only on a temporary instance, to get single files back.

    Prints the ssh line to look into it, and stays until Enter or Ctrl-C is pressed, or for --hours.
    All of it is taken down then. The snapshot itself is not touched. With --copy symbolic links on
    the way to the file are followed within its file system; those in a folder are copied as links.

    Exit codes: 0 all done; 1 it can't be mounted, or not copied; 2 refused, nothing done; 4
    something is left behind that needs a hand.
    """

    def body(run: Run, screen: Screen, _: bool) -> Report:
        from snapback.errors import UsageError
        from snapback.report.report import Report, document
        from snapback.verify.mount import Errand, Telling, mount

        if not copy and (to != "." or devices or setuid):
            raise UsageError("--to, --devices and --setuid are for --copy")
        errand = Errand(
            hours=options.number(hours, "--hours", 1.0),
            enter=_enter(),
            copy=copy,
            to=to,
            partition=int(options.number(partition, "--partition", 0)),
            devices=devices,
            setuid=setuid,
        )

        def ready(mounted: Outcome) -> None:
            screen.result(mounted.facts["ssh"])
            now = Report(outcomes=[mounted], columns=())
            screen.document(lambda: document("mount_snapshot", run, False, now, 0, ""))

        done = mount(run, snapshot_id, region_name, errand, Telling(screen.line, ready))
        return Report(outcomes=[done], columns=(), summary=[done.explanation])

    perform(
        c,
        "mount_snapshot",
        body,
        account=account,
        quiet=quiet,
        verbose=verbose,
        as_json=json,
        lends=True,
    )


def _enter() -> threading.Event:
    """Answer what is set once Enter is pressed; where there is no terminal it never is."""
    pressed = threading.Event()

    def wait() -> None:
        if sys.stdin.readline():
            pressed.set()

    if sys.stdin is not None and sys.stdin.isatty():
        threading.Thread(target=wait, daemon=True).start()
    return pressed
