"""The tasks that tell how good the backups are. They change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.tasks import task

from snapback.tasks import options
from snapback.tasks.boundary import perform

if TYPE_CHECKING:
    from snapback.report.report import Report
    from snapback.report.screen import Screen
    from snapback.run import Run
    from snapback.status import Status


@task(
    auto_shortflags=False,
    help={
        "region_name": options.REGION_NAME,
        "account": options.ACCOUNT,
        "executor": options.EXECUTOR,
        "html": options.HTML,
        "prometheus": options.PROMETHEUS,
        "verbose": options.VERBOSE,
        "json": options.JSON,
    },
)
def status(
    c: Any,
    region_name: str | None = None,
    account: str | None = None,
    executor: str | None = None,
    html: str | None = None,
    prometheus: str | None = None,
    verbose: bool = False,
    json: bool = False,
) -> None:
    """
    Show how good the backups are: of each volume the last, the oldest, the replicas, what is wrong.

    What wants to be looked at comes first: volumes without any snapshot, those that are no longer
    backed up, what is left of volumes that are gone, what a killed run left. Changes nothing.

    Exit codes: 0 whatever there is to see; 1 a region could not be read; 2 refused.
    """

    def body(run: Run, _: Screen, _dry: bool) -> Report:
        from snapback.report.statuses import status_report

        return status_report(_read(run, region_name, html, prometheus))

    perform(
        c,
        "status",
        body,
        account=account,
        hands_out=True,
        executor=executor,
        verbose=verbose,
        as_json=json,
        only_looks=True,
    )


@task(
    auto_shortflags=False,
    help={
        "region_name": options.REGION_NAME,
        "account": options.ACCOUNT,
        "executor": options.EXECUTOR,
        "html": options.HTML,
        "prometheus": options.PROMETHEUS,
        "verbose": options.VERBOSE,
        "json": options.JSON,
    },
)
def check(
    c: Any,
    region_name: str | None = None,
    account: str | None = None,
    executor: str | None = None,
    html: str | None = None,
    prometheus: str | None = None,
    verbose: bool = False,
    json: bool = False,
) -> None:
    """
    Judge the backups by the configured limits, for a monitor: one line, and Nagios's exit codes.

    Changes nothing.

    Exit codes: 0 ok; 1 warning; 2 critical; 3 unknown, which wrong usage, a broken configuration
    and missing credentials are too.
    """

    def body(run: Run, _: Screen, _dry: bool) -> Report:
        from snapback.report.statuses import check_report

        return check_report(_read(run, region_name, html, prometheus))

    perform(
        c,
        "check",
        body,
        account=account,
        hands_out=True,
        executor=executor,
        verbose=verbose,
        as_json=json,
        for_monitor=True,
        only_looks=True,
    )


def _read(run: Run, region_name: str | None, html: str | None, prometheus: str | None) -> Status:
    """Read the state of all backups, and write the files that were asked for."""
    from snapback.report.files import write_whole
    from snapback.report.page import write_page
    from snapback.report.pages import page_of_status
    from snapback.report.prometheus import metrics_text
    from snapback.status import read_status

    found = read_status(run, region_name, with_trim_plans=bool(html))
    now = run.now(found.places[0])
    if prometheus:
        write_whole(prometheus, metrics_text(found, now.timestamp()))
    if html:
        write_page(html, page_of_status(found, now))
    return found
