"""The tasks that restore. Nothing of the original is ever touched."""

from __future__ import annotations

from functools import partial
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
        "snapshot_id": "the snapshot to make it of: snap-0123456789abcdef0",
        "volume_id": "the original, of which the newest snapshot is taken; give one of the two",
        "at": "with --volume-id: its newest snapshot not later than this (2026-11-01T03:00 is UTC)",
        "region_name": options.RESTORE_REGION,
        "zone": "the availability zone (default: where the original was, or --attach is)",
        "volume_type": "gp3 and the like (default: as the original)",
        "attach": "the instance to attach it to: i-0123456789abcdef0",
        "device": "with --attach: as what, /dev/sdf; refused where taken (default: a free one)",
        **options.COMMON,
    },
)
def restore_volume(
    c: Any,
    snapshot_id: str | None = None,
    volume_id: str | None = None,
    at: str | None = None,
    region_name: str | None = None,
    zone: str = "",
    volume_type: str = "",
    attach: str = "",
    device: str = "",
    account: str | None = None,
    dry_run: bool = False,
    quiet: bool = False,
    verbose: bool = False,
    json: bool = False,
) -> None:
    """
    Make a volume of a snapshot: of the original's type, in its zone, with its tags.

    The tag snapback:restored says of what it was restored. The original is not touched.

    Exit codes: 0 all done; 1 it failed, and nothing is left of it; 2 refused, nothing done; 4
    something is left behind that needs a hand.
    """

    def body(run: Run, _: Screen, dry: bool) -> Report:
        from snapback.report.restores import restore_report
        from snapback.restore.volumes import restore_one_volume

        restoration = restore_one_volume(
            run,
            snapshot_id,
            volume_id,
            at,
            region_name,
            zone=zone,
            volume_type=volume_type,
            attach=attach,
            device=device,
            dry_run=dry,
        )
        return restore_report(restoration, dry)

    perform(
        c,
        "restore_volume",
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
        "snapshot_id": "a snapshot of the set: snap-0123456789abcdef0",
        "instance_id": "the original, of which the newest whole set is taken; give one of the two",
        "at": "with --instance-id: " + options.AT,
        "region_name": "where the snapshots lie, and the AMI will be (default: at home)",
        "name": "the AMI's name (default: the instance's id and the time)",
        "incomplete": options.INCOMPLETE,
        **options.COMMON,
    },
)
def create_ami(
    c: Any,
    snapshot_id: str | None = None,
    instance_id: str | None = None,
    at: str | None = None,
    region_name: str | None = None,
    name: str = "",
    incomplete: bool = False,
    account: str | None = None,
    dry_run: bool = False,
    quiet: bool = False,
    verbose: bool = False,
    json: bool = False,
) -> None:
    """
    Register an AMI of an instance's snapshots of one instant.

    Snapshots that were taken one by one belong together where that was within ten minutes. Refused
    where a volume is missing. An AMI keeps its snapshots from being trimmed.

    Exit codes: 0 all done; 1 it failed; 2 refused, nothing done.
    """

    def body(run: Run, _: Screen, dry: bool) -> Report:
        from snapback.report.restores import restore_report
        from snapback.restore.images import create_one_ami

        restoration = create_one_ami(
            run,
            snapshot_id,
            instance_id,
            at,
            region_name,
            name=name,
            incomplete=incomplete,
            dry_run=dry,
        )
        return restore_report(restoration, dry, "registered")

    perform(
        c,
        "create_ami",
        body,
        account=account,
        dry_run=dry_run,
        quiet=quiet,
        verbose=verbose,
        as_json=json,
        lends=True,
    )


_LAUNCH = {
    "instance_type": "m5.large and the like (default: as the original)",
    "key_name": "as-recorded, or a key pair's name (default: none)",
    "instance_profile": "as-recorded, or an instance profile's name or ARN (default: none)",
}


@task(
    auto_shortflags=False,
    help={
        "instance_id": "the original: i-0123456789abcdef0",
        "at": options.AT,
        "region_name": options.RESTORE_REGION,
        "subnet_id": "the subnet (default: as the original, or as configured)",
        "security_group_ids": "the security groups, with commas (default: as the original, or as "
        "configured)",
        "incomplete": options.INCOMPLETE,
        "drill": "see that it works, take it down again, and tell how long that took",
        "check_command": "with --drill: run as root there, has to end with 0 (default: configured)",
        **_LAUNCH,
        **options.COMMON,
    },
)
def restore_instance(
    c: Any,
    instance_id: str,
    at: str | None = None,
    region_name: str | None = None,
    instance_type: str = "",
    subnet_id: str = "",
    security_group_ids: str = "",
    key_name: str = "none",
    instance_profile: str = "none",
    incomplete: bool = False,
    drill: bool = False,
    check_command: str = "",
    account: str | None = None,
    dry_run: bool = False,
    quiet: bool = False,
    verbose: bool = False,
    json: bool = False,
) -> None:
    """
    Launch an instance as an original was, from the newest whole set of its snapshots.

    At home from its snapshots, in another region from their replicas; then no other region is
    called. The original is not touched, whether it is there or not. See --dry-run first.

    An instance profile and a key pair give rights, and whoever may tag a snapshot can name any
    there. So both are left out, and told, unless you ask for them.

    Its settings (IMDSv2, source/destination check, EBS optimization and the like) are set as the
    original's. What can't be, such as further network interfaces, is listed as "not restored".

    A drill waits for EC2's status checks, logs in, runs a command, and takes all down again.

    Nothing is launched while another run restores the same instance as of the same time.

    Exit codes: 0 all done, or another run is at it; 1 it failed, and nothing is left of it; 2
    refused, nothing done; 3 it was restored twice; 4 something is left behind that needs a hand.
    """

    def body(run: Run, _: Screen, dry: bool) -> Report:
        from snapback.core.restore.restore_plan import Given
        from snapback.errors import UsageError
        from snapback.report.restores import drill_report, restore_report
        from snapback.restore.drill import drill as rehearse
        from snapback.restore.instances import restore_one_instance

        given = Given(
            instance_type=instance_type,
            subnet_id=subnet_id,
            security_group_ids=options.words(security_group_ids),
            key_name=key_name,
            instance_profile=instance_profile,
        )
        if check_command and not drill:
            raise UsageError("--check-command is for --drill")
        command = check_command or run.settings.restore.check_command
        restoration = restore_one_instance(
            run,
            instance_id,
            at,
            region_name,
            given=given,
            incomplete=incomplete,
            dry_run=dry,
            make=partial(rehearse, check_command=command) if drill else None,
        )
        return (drill_report if drill else restore_report)(restoration, dry)

    perform(
        c,
        "restore_instance",
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
        "region_name": "where the replicas lie, and the instances will be; may be contracted",
        "tag_name": options.TAG_NAME,
        "tag_value": options.TAG_VALUE,
        "at": options.AT,
        "src_region_name": "only the instances of this region (default: of every other)",
        "subnet_map": "theirs=one here, with commas; * is any other; before what is configured",
        "security_group_map": "security groups: theirs=one here, with commas; * is any other",
        "within": "only instances last backed up so shortly before the last of all (default: 7d)",
        "incomplete": options.INCOMPLETE,
        **_LAUNCH,
        **options.COMMON,
    },
)
def restore_instances_by_tag(
    c: Any,
    region_name: str,
    tag_name: str | None = None,
    tag_value: str | None = None,
    at: str | None = None,
    src_region_name: str = "",
    subnet_map: str = "",
    security_group_map: str = "",
    within: str | None = None,
    instance_type: str = "",
    key_name: str = "none",
    instance_profile: str = "none",
    incomplete: bool = False,
    account: str | None = None,
    dry_run: bool = False,
    quiet: bool = False,
    verbose: bool = False,
    json: bool = False,
) -> None:
    """
    Launch all instances of other regions from their replicas: for the day a region is gone.

    No other region is called. One that fails does not stop the others, and one that was restored
    already isn't restored again, so that it can be run until all is there. See --dry-run first.

    What another run is restoring at the moment is left to it, and told.

    Instance profiles and key pairs are left out, and told, unless you ask for them. Settings that
    can't be restored are listed as "not restored".

    Exit codes: 0 all done; 1 something failed; 2 something was refused; 3 something was restored
    twice; 4 something is left behind that needs a hand.
    """

    def body(run: Run, _: Screen, dry: bool) -> Report:
        from snapback.core.restore.restore_plan import Given
        from snapback.core.restore.selection import LATELY, Selection
        from snapback.ec2.regions import check_name
        from snapback.report.restores import restore_report
        from snapback.restore.instances import restore_by_tag
        from snapback.snapshots.search import moment

        if src_region_name:
            check_name(src_region_name)
        selection = Selection(
            tag_name=tag_name,
            tag_value=tag_value,
            source_region=src_region_name,
            at=moment(at),
            within=options.span(within, "--within", LATELY),
            incomplete=incomplete,
        )
        restoration = restore_by_tag(
            run,
            region_name,
            selection,
            subnets=options.pairs(subnet_map, "--subnet-map"),
            security_groups=options.pairs(security_group_map, "--security-group-map"),
            given=Given(
                instance_type=instance_type, key_name=key_name, instance_profile=instance_profile
            ),
            dry_run=dry,
        )
        return restore_report(restoration, dry)

    perform(
        c,
        "restore_instances_by_tag",
        body,
        account=account,
        dry_run=dry_run,
        quiet=quiet,
        verbose=verbose,
        as_json=json,
        lends=True,
    )
