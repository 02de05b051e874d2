"""The task that clones tags from instances to their volumes."""

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
        "tag_name": options.TAG_NAME,
        "tag_value": options.TAG_VALUE,
        "all_instances": "take all instances, whatever their tags",
        **options.COMMON,
    },
)
def update_volumes_tags(
    c: Any,
    region_name: str | None = None,
    tag_name: str | None = None,
    tag_value: str | None = None,
    all_instances: bool = False,
    account: str | None = None,
    dry_run: bool = False,
    quiet: bool = False,
    verbose: bool = False,
    json: bool = False,
) -> None:
    """
    Clone the tags of instances to their volumes; the instance's value goes before the volume's.

    Tags of AWS, DLM and snapback are not cloned, nor preserve_snapshot nor the exclusion tag. No
    tag is taken away. That no instance has the tag is a failure.

    Exit codes: 0 all done; 1 something failed; 2 refused, nothing done; 3 a volume has no room for
    all, or its instances don't agree.
    """

    def body(run: Run, _: Screen, dry: bool) -> Report:
        from snapback.backup.volume_tags import clone_tags
        from snapback.report.volume_tags import volume_tags_report

        outcomes = clone_tags(run, region_name, tag_name, tag_value, all_instances, dry)
        return volume_tags_report(outcomes, dry)

    perform(
        c,
        "update_volumes_tags",
        body,
        account=account,
        dry_run=dry_run,
        quiet=quiet,
        verbose=verbose,
        as_json=json,
    )
