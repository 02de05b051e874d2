"""The task that removes what a killed run left."""

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
        "run": "remove all that this run lent, at once: run-20261125T030000-0123ab",
        **options.COMMON,
    },
)
def sweep(
    c: Any,
    region_name: str | None = None,
    run: str | None = None,
    account: str | None = None,
    dry_run: bool = False,
    quiet: bool = False,
    verbose: bool = False,
    json: bool = False,
) -> None:
    """
    Remove what a killed run left: temporary instances, volumes, key pairs, security groups.

    They are found by their tags, and go once they have expired, an hour after the run died. With
    --run all that it lent goes at once: be sure that it is dead. Nothing else is touched.

    Exit codes: 0 all is clean; 1 something failed; 2 refused, nothing done; 4 something is left
    behind that needs a hand.
    """

    def body(of: Run, _: Screen, dry: bool) -> Report:
        from snapback.report.sweeps import sweep_report
        from snapback.workers.sweep import sweep as remove

        return sweep_report(remove(of, region_name, run_id=run, dry_run=dry), dry)

    perform(
        c,
        "sweep",
        body,
        account=account,
        dry_run=dry_run,
        quiet=quiet,
        verbose=verbose,
        as_json=json,
    )
