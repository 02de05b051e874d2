"""The tasks that back up."""

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
        "region_name": "where the instance is; may be contracted: eu-w for eu-west-1",
        "instance_id": "the instance: i-0123456789abcdef0",
        "instance": "the same as --instance-id; give one of them",
        "synchronously": options.SYNCHRONOUSLY,
        "consistent": options.CONSISTENT,
        **options.COMMON,
    },
)
def backup_instance(
    c: Any,
    region_name: str,
    instance_id: str | None = None,
    instance: str | None = None,
    synchronously: bool = False,
    consistent: bool = False,
    account: str | None = None,
    dry_run: bool = False,
    quiet: bool = False,
    verbose: bool = False,
    json: bool = False,
) -> None:
    """
    Take snapshots of all volumes of one instance, at one instant.

    Volumes with the exclusion tag are left out.

    Exit codes: 0 all done; 1 something failed; 2 refused, nothing done; 3 done, but less than
    asked; 4 something is left behind that needs a hand.
    """

    def body(run: Run, screen: Screen, dry: bool) -> Report:
        from snapback.backup import back_up_instance
        from snapback.report.backups import backup_report
        from snapback.report.defaults import say_defaults

        say_defaults(run, screen, "backup_instance")
        outcomes, _snapshots = back_up_instance(
            run, region_name, instance_id, instance, synchronously, consistent, dry
        )
        return backup_report(outcomes, dry)

    perform(
        c,
        "backup_instance",
        body,
        account=account,
        dry_run=dry_run,
        quiet=quiet,
        verbose=verbose,
        as_json=json,
    )


@task(
    auto_shortflags=False,
    help={
        "region_name": options.REGION_NAME,
        "tag_name": options.TAG_NAME,
        "tag_value": options.TAG_VALUE,
        "synchronously": options.SYNCHRONOUSLY,
        "consistent": options.CONSISTENT,
        "executor": options.EXECUTOR,
        **options.COMMON,
    },
)
def backup_instances_by_tag(
    c: Any,
    region_name: str | None = None,
    tag_name: str | None = None,
    tag_value: str | None = None,
    synchronously: bool = False,
    consistent: bool = False,
    account: str | None = None,
    executor: str | None = None,
    dry_run: bool = False,
    quiet: bool = False,
    verbose: bool = False,
    json: bool = False,
) -> None:
    """
    Take snapshots of all instances that have a tag, running or stopped.

    All volumes of an instance are taken at one instant; those with the exclusion tag are left out.
    An instance that fails does not stop the others. That no instance has the tag is a failure.

    Exit codes: 0 all done; 1 something failed; 2 refused, nothing done; 3 done, but less than
    asked; 4 something is left behind that needs a hand.
    """

    def body(run: Run, screen: Screen, dry: bool) -> Report:
        from snapback.backup import back_up_by_tag
        from snapback.report.backups import backup_report
        from snapback.report.defaults import say_defaults

        say_defaults(run, screen, "backup_instances_by_tag")
        outcomes = back_up_by_tag(
            run, region_name, tag_name, tag_value, synchronously, consistent, dry
        )
        return backup_report(outcomes, dry)

    perform(
        c,
        "backup_instances_by_tag",
        body,
        account=account,
        hands_out=True,
        executor=executor,
        dry_run=dry_run,
        quiet=quiet,
        verbose=verbose,
        as_json=json,
    )
