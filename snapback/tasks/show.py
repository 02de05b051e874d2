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


@task(
    auto_shortflags=False,
    help={
        "region_name": "with --volume-id: the region of the snapshots; may be contracted",
        "volume_id": "also show how far back the retention reaches for this volume",
        "account": options.ACCOUNT,
        "verbose": options.VERBOSE,
        "json": options.JSON,
    },
)
def show_config(
    c: Any,
    region_name: str | None = None,
    volume_id: str | None = None,
    account: str | None = None,
    verbose: bool = False,
    json: bool = False,
) -> None:
    """
    Show every setting in force, where it comes from, and how far back the retention reaches.

    Calls AWS only with --volume-id, and changes nothing.

    Exit codes: 0; 1 something failed; 2 the configuration is broken, or there is no such volume.
    """

    def body(run: Run, screen: Screen, _: bool) -> Report:
        from snapback.ec2.volumes import check_id
        from snapback.errors import UsageError
        from snapback.report.configuration import config_report, with_reach
        from snapback.trim.reach import volume_reach

        if volume_id is None:
            if region_name is not None:
                raise UsageError("--region-name needs --volume-id")
            return config_report(run.loaded, screen)
        place, volume = run.place(region_name), check_id(volume_id)
        return with_reach(
            config_report(run.loaded, screen), volume_reach(run, place, volume), screen
        )

    perform(c, "show_config", body, account=account, verbose=verbose, as_json=json, only_looks=True)
