"""The tasks that delete: old snapshots and broken ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.tasks import task

from snapback.tasks import options
from snapback.tasks.boundary import perform

if TYPE_CHECKING:
    from snapback.core.trim.brake import Brake
    from snapback.report.report import Report
    from snapback.report.screen import Screen
    from snapback.run import Run


@task(
    auto_shortflags=False,
    iterable=["volume_id"],
    help={
        "region_name": options.REGION_NAME,
        "tag_name": "delete only snapshots with this tag (default: whatever their tags)",
        "tag_value": "delete only snapshots whose tag --tag-name has this value",
        "max_delete": "the brake: the percent of a volume's days that may go (default: 50)",
        "volume_id": "with --max-delete: release only this volume (vol-0123456789abcdef0); can be "
        "repeated",
        "instance_id": "with --max-delete: release only the volumes of this instance",
        "executor": options.EXECUTOR,
        "html": "with a dry run, also write a page into this file that shows what would go",
        **options.COMMON,
    },
)
def trim_snapshots(
    c: Any,
    region_name: str | None = None,
    account: str | None = None,
    executor: str | None = None,
    dry_run: bool = False,
    tag_name: str | None = None,
    tag_value: str | None = None,
    max_delete: str | None = None,
    volume_id: list[str] | None = None,
    instance_id: str | None = None,
    html: str | None = None,
    quiet: bool = False,
    verbose: bool = False,
    json: bool = False,
) -> None:
    """
    Delete old snapshots, logarithmically back in time; broken ones first.

    Only snapshots that snapback or django-fabfile made are judged, by the configured retention:
    fab show_config says how far back it reaches. The tag snapback:keep on an instance, a volume or
    a snapshot stops the trimming of the volumes.

    Exit codes: 0 all done; 1 something failed; 2 refused, by the brake too: nothing done; 3 the
    brake or an unknown retention kept a volume whole, or broken snapshots of ours were found; 4
    something is left behind that needs a hand.
    """

    def body(run: Run, screen: Screen, dry: bool) -> Report:
        from snapback.errors import UsageError
        from snapback.report.defaults import say_defaults
        from snapback.report.page import write_page
        from snapback.report.pages import page_of_trimming
        from snapback.report.trims import trim_report
        from snapback.trim import trim

        if tag_value is not None and tag_name is None:
            raise UsageError("--tag-value needs --tag-name")
        if html and not dry:
            raise UsageError("--html shows what would be deleted: it needs --dry-run")
        if dry:
            say_defaults(run, screen, "trim_snapshots")
        trimming = trim(
            run,
            region_name,
            dry_run=dry,
            tag_name=tag_name,
            tag_value=tag_value,
            brake=_brake(run, max_delete, volume_id or [], instance_id),
        )
        if html and trimming.plans:
            now = run.now(trimming.plans[0].place)
            write_page(html, page_of_trimming(trimming.plans, now))
        return trim_report(trimming, dry)

    perform(
        c,
        "trim_snapshots",
        body,
        account=account,
        hands_out=True,
        executor=executor,
        dry_run=dry_run,
        quiet=quiet,
        verbose=verbose,
        as_json=json,
    )


def _brake(run: Run, max_delete: str | None, volumes: list[str], instance: str | None) -> Brake:
    """Return the brake that the options describe.

    :raises UsageError: they don't go together, or an id can't be one.
    """
    from snapback.core.trim.brake import Brake
    from snapback.ec2 import instances as ec2_instances
    from snapback.ec2 import volumes as ec2_volumes
    from snapback.errors import UsageError

    configured = run.settings.max_delete
    percent = options.percent(max_delete, "--max-delete")
    if not volumes and instance is None:
        return Brake(percent=configured if percent is None else percent)
    if percent is None:
        raise UsageError(
            "--volume-id and --instance-id release volumes from the brake: they need --max-delete"
        )
    return Brake(
        percent=configured,
        released_percent=percent,
        volumes=frozenset(map(ec2_volumes.check_id, volumes)),
        instance=ec2_instances.check_id(instance) if instance is not None else "",
    )


@task(
    auto_shortflags=False,
    help={
        "region_name": options.REGION_NAME,
        "executor": options.EXECUTOR,
        **options.COMMON,
    },
)
def delete_broken_snapshots(
    c: Any,
    region_name: str | None = None,
    account: str | None = None,
    executor: str | None = None,
    dry_run: bool = False,
    quiet: bool = False,
    verbose: bool = False,
    json: bool = False,
) -> None:
    """
    Delete the snapshots in the state error that are ours; list the others.

    Exit codes: 0 there were none; 1 something failed; 2 refused, nothing done; 3 broken snapshots
    of ours were found; 4 something is left behind that needs a hand.
    """

    def body(run: Run, screen: Screen, dry: bool) -> Report:
        from snapback.report.defaults import say_defaults
        from snapback.report.trims import trim_report
        from snapback.trim import delete_broken

        if dry:
            say_defaults(run, screen, "delete_broken_snapshots")
        return trim_report(delete_broken(run, region_name, dry_run=dry), dry)

    perform(
        c,
        "delete_broken_snapshots",
        body,
        account=account,
        hands_out=True,
        executor=executor,
        dry_run=dry_run,
        quiet=quiet,
        verbose=verbose,
        as_json=json,
    )
