"""The doctor: looks at all that a night's run depends on, and says what to do. Changes nothing.

Read here, judged in :mod:`snapback.core.doctor`. What can't be read is a line of its own, and stops
nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from snapback.config import Settings
from snapback.core.doctor import checkup
from snapback.core.doctor.checkup import Level, Line, not_examined
from snapback.core.doctor.deletion import judge_principals, who_may_delete
from snapback.core.doctor.permissions import Need
from snapback.core.model import Place
from snapback.doctor.hosts import examine_hosts
from snapback.doctor.local import examine_here
from snapback.doctor.permissions import extras, try_tasks
from snapback.doctor.regions import look_everywhere
from snapback.ec2.checkup import authorization_details
from snapback.ec2.connection import SOME_REGION
from snapback.ec2.regions import enabled_regions
from snapback.errors import ApiError, SnapbackError, UsageError
from snapback.run import Run


@dataclass(frozen=True)
class Examination:
    """What was found.

    :ivar lines: in the order of what depends on what.
    :ivar lacking: what is to be allowed besides.
    """

    lines: tuple[Line, ...]
    lacking: tuple[Need, ...] = ()


def examine(
    run: Run, region_name: str | None, tasks: Sequence[str], *, with_hosts: bool = False
) -> Examination:
    """Look at the configuration, the credentials, and at each region: what tasks need there.

    :param region_name: may be contracted; ``None``: all regions in use, and the destinations.
    :param tasks: those whose permissions are tried.
    :param with_hosts: log in to the instances, too.

    :raises UsageError: no region or account is called so.

    Source: STS GetCallerIdentity, DescribeRegions, DescribeInstances, DescribeSnapshots,
    DescribeImages, DescribeSubnets, DescribeSecurityGroups, GetEbsEncryptionByDefault,
    GetEbsDefaultKmsKeyId; rbin ListRules, GetRule; kms DescribeKey; iam
    GetAccountAuthorizationDetails; and dry runs of what the tasks call.
    """
    settings = run.only(run.account).settings
    lines = list(examine_here(settings, run.loaded.source))
    arns, told = _callers(run)
    lines += told
    if not arns:
        return Examination(tuple(lines))
    places, told = _places(run, region_name, arns)
    lines += told
    enabled = {account: _enabled(run, account) for account in arns}
    helpers = any("temporary_instances" in extras(task, settings) for task in tasks)
    sights = look_everywhere(
        run,
        [place for place in places if _may_be_enabled(place, enabled)],
        named={place.region for place in places} if region_name else _named(settings),
        helpers=helpers,
    )
    unused = {sight.place for sight in sights if not (sight.things or sight.lines)}
    lines += checkup.judge_regions(places, enabled, unused)
    counts = {str(sight.place): len(sight.instances) for sight in sights}
    lines.append(checkup.judge_earmarked(counts, (settings.tag_name, settings.tag_value)))
    ready = [sight.things for sight in sights if sight.things]
    told, lacking = try_tasks(run, ready, tasks)
    lines += told
    seen = [line for sight in sights for line in sight.lines]
    order = list(dict.fromkeys(line.check for line in seen))
    lines += sorted(seen, key=lambda line: order.index(line.check))
    lines += [_principals(run, account, arns[account]) for account in arns]
    if with_hosts:
        instances = [instance for sight in sights for instance in sight.instances]
        lines += examine_hosts(run, instances)
    return Examination(tuple(lines), tuple(lacking))


# Who we are.


def _callers(run: Run) -> tuple[dict[str, str], list[Line]]:
    """Answer who we are in each account, by its name, and a line for each."""
    names = [one.name for one in run.settings.accounts] or [""]
    arns: dict[str, str] = {}
    lines = []
    for name in names if run.account is None else [run.account]:
        try:
            arns[name] = run.connections.caller(name)
            lines.append(_credentials(name, arns[name]))
        except SnapbackError as error:
            lines.append(_no_credentials(name, error))
    return arns, lines


def _credentials(name: str, arn: str) -> Line:
    account_id = arn.split(":")[4]
    is_root = arn.endswith(":root")
    return Line(
        check="credentials",
        subject=name or account_id,
        level=Level.WARNING if is_root else Level.OK,
        text=f"accepted: {arn}",
        advice="use a role, or a user, with the policies of the tasks" if is_root else "",
        facts={"arn": arn, "account_id": account_id},
    )


def _no_credentials(name: str, error: SnapbackError) -> Line:
    return Line(
        check="credentials",
        subject=name or "none",
        level=Level.FAILURE,
        text=str(error),
        advice="mend this first: nothing there was examined",
    )


def _no_regions(account: str, error: SnapbackError) -> Line:
    return Line(
        check="region",
        subject=account or "all",
        level=Level.FAILURE,
        text=str(error),
        advice="allow ec2:DescribeRegions, or name the regions in the configuration",
    )


def _named(settings: Settings) -> set[str]:
    """Answer the regions that the configuration names."""
    ends = {end for ends in settings.destinations.values() for end in ends}
    of_accounts = {region for one in settings.accounts for region in one.regions or ()}
    return {*(settings.regions or {}), *settings.destinations, *ends, *of_accounts}


def _places(
    run: Run, region_name: str | None, accounts: Collection[str]
) -> tuple[list[Place], list[Line]]:
    """Answer the places in use, with their destinations; and a line where that can't be told.

    :param accounts: those that can be worked in.
    """
    try:
        found = run.places(region_name)
    except ApiError as error:
        return [], [_no_regions("", error)]
    lines = []
    for place in found:
        if not place.region and place.account in accounts:
            try:
                run.conn(place)
            except SnapbackError as error:
                lines.append(_no_regions(place.account, error))
    places = [place for place in found if place.region and place.account in accounts]
    more = {
        Place(region, place.account)
        for place in places
        for region in run.settings.destinations.get(place.region, ())
    }
    return [*places, *sorted(more - set(places))], lines


def _enabled(run: Run, account: str) -> set[str] | None:
    """Answer the regions enabled for an account; ``None`` where that can't be told."""
    try:
        return set(enabled_regions(run.conn(_somewhere(run, account))))
    except SnapbackError:
        return None


def _may_be_enabled(place: Place, enabled: Mapping[str, set[str] | None]) -> bool:
    known = enabled[place.account]
    return known is None or place.region in known


def _somewhere(run: Run, account: str) -> Place:
    return Place(run.connections.default_region() or SOME_REGION, account)


def _principals(run: Run, account: str, arn: str) -> Line:
    subject = account or arn.split(":")[4]
    try:
        with run.connections.other("iam", _somewhere(run, account)) as conn:
            return judge_principals(who_may_delete(authorization_details(conn)), subject)
    except SnapbackError as error:
        return not_examined("who may delete", subject, error)


def check_tasks(text: str | None, known: Sequence[str]) -> list[str]:
    """Answer the tasks that are named, with commas between; all where none is.

    :raises UsageError: there is no such task.
    """
    if text is None:
        return list(known)
    named = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in named if name not in known]:
        raise UsageError(
            f"--tasks: there is no task {', '.join(unknown)}: there are {', '.join(known)}"
        )
    return named
