"""The tasks that only show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.tasks import task

from snapback.tasks import options
from snapback.tasks.boundary import perform

if TYPE_CHECKING:
    from snapback.report.report import Report
    from snapback.report.screen import Screen
    from snapback.run import Run


@task(auto_shortflags=False, help={"verbose": options.VERBOSE, "json": options.JSON})
def show_config(c: Any, verbose: bool = False, json: bool = False) -> None:
    """
    Show every setting in force, where it comes from, and how far back the retention reaches.

    Calls nothing on AWS.

    Exit codes: 0; 2 the configuration is broken.
    """

    def body(run: Run, screen: Screen, _: bool) -> Report:
        from snapback.report.configuration import config_report

        return config_report(run.loaded, screen)

    perform(c, "show_config", body, verbose=verbose, as_json=json, only_looks=True)
