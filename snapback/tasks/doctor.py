"""The task that looks whether all is as the others need it. It changes nothing."""

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
        "account": options.ACCOUNT,
        "hosts": "also log in to each instance with the earmark, and look what freezing it takes",
        "tasks": "try the permissions of these only, with commas between (default: of all tasks)",
        "quiet": options.QUIET,
        "verbose": options.VERBOSE,
        "json": options.JSON,
    },
)
def doctor(
    c: Any,
    region_name: str | None = None,
    account: str | None = None,
    hosts: bool = False,
    tasks: str | None = None,
    quiet: bool = False,
    verbose: bool = False,
    json: bool = False,
) -> None:
    """
    Look whether all is as a night's run needs it: a line each, with what to do. Changes nothing.

    The configuration, the credentials; in each region the permissions, by dry runs of EC2's, what
    temporary instances are launched with, encryption, who may delete snapshots; with --hosts the
    instances. What is not allowed is named, with the statement to add to the policy.

    Exit codes: 0 nothing to be mended, also where something is to be looked at; 1 something is to
    be mended; 2 refused: wrong usage, or the configuration is broken.
    """

    def body(run: Run, _: Screen, _dry: bool) -> Report:
        from snapback.doctor import check_tasks, examine
        from snapback.report.examinations import examination_report
        from snapback.tasks import ns

        known = sorted(name for name in ns.tasks if name != "doctor")
        found = examine(run, region_name, check_tasks(tasks, known), with_hosts=hosts)
        return examination_report(found.lines, found.lacking)

    perform(
        c,
        "doctor",
        body,
        account=account,
        quiet=quiet,
        verbose=verbose,
        as_json=json,
        only_looks=True,
    )
