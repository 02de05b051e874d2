"""The state of all backups: read everywhere, put together, judged. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from snapback.core.leases.lease import Kind
from snapback.core.model import Instance, Place, Tags
from snapback.core.model.tags import EXPIRES
from snapback.core.status.health import (
    Finding,
    Limits,
    Severity,
    judge,
    judge_leftover,
    worst,
)
from snapback.core.status.history import History, Standing
from snapback.core.status.survey import Seen, Survey, survey
from snapback.core.trim.brake import Brake
from snapback.core.trim.trim_plan import TrimPlan, plan_trim
from snapback.ec2.instances import all_instances
from snapback.ec2.removal import lent_things
from snapback.ec2.volumes import all_volumes
from snapback.run import Run, fanout, units
from snapback.snapshots.catalog import all_snapshots
from snapback.snapshots.protection import protection_of

WITHOUT_BODY = (Kind.IMAGE, Kind.KEY_PAIR, Kind.SECURITY_GROUP)


@dataclass(frozen=True)
class Judged:
    """A volume's history, and what is wrong with it.

    :ivar limits: those that hold for it.
    :ivar findings: the worst first.
    """

    history: History
    limits: Limits
    findings: tuple[Finding, ...]

    @property
    def severity(self) -> Severity:
        """The worst of the findings'."""
        return worst(list(self.findings))


@dataclass(frozen=True, kw_only=True)
class Status:
    """The state of all backups.

    :ivar judged: in the order in which they want to be looked at.
    :ivar trim_plans: what the next trimming would delete, where that was asked for.
    """

    places: tuple[Place, ...]
    survey: Survey
    judged: tuple[Judged, ...]
    trim_plans: tuple[TrimPlan, ...] = ()

    @property
    def earmarked(self) -> list[Judged]:
        """The volumes that should be backed up."""
        return [one for one in self.judged if one.history.standing is Standing.EARMARKED]

    @property
    def leftover(self) -> list[Judged]:
        """The volumes of which no more backups are taken, and something is wrong with the old."""
        return [
            one
            for one in self.judged
            if one.history.standing is not Standing.EARMARKED and one.findings
        ]

    @property
    def severity(self) -> Severity:
        """The worst there is. A fleet of which nothing should be backed up is as bad as can be."""
        found = [one.severity for one in self.judged]
        if self.survey.unread:
            found.append(Severity.UNKNOWN)
        elif not self.earmarked and not self.survey.bare:
            found.append(Severity.CRITICAL)
        if self.survey.bare:
            found.append(Severity.WARNING)
        return max(found, default=Severity.OK)


@dataclass(frozen=True)
class _Read:
    seen: Seen
    trim_plan: TrimPlan | None


def read_status(
    run: Run, region_name: str | None = None, *, with_trim_plans: bool = False
) -> Status:
    """Answer the state of the backups of one region, or of all that are in use.

    The regions where replicas should be are read too. In each: six describes, paged; for what the
    next trimming would delete two more, and three in the home of each volume.

    :raises Refused: nothing could be read.

    Source: DescribeInstances, DescribeVolumes, DescribeSnapshots, DescribeImages,
    DescribeKeyPairs, DescribeSecurityGroups, DescribeLockedSnapshots.
    """
    shown = run.places(region_name)
    everywhere = _with_destinations(run, shown)
    results = units.each(run, everywhere, _read, with_trim_plans)
    fanout.refuse_if_all_refused(results)
    settings = run.settings
    found = survey(
        [result.value.seen for result in results if result.value],
        tag=(settings.tag_name, settings.tag_value),
        exclude_tag=settings.exclude_tag,
        destinations=settings.destinations,
        unread={result.item: result.error for result in results if result.error},
    )
    return Status(
        places=tuple(shown),
        survey=found.at(shown),
        judged=tuple(
            judge_all(
                found.at(shown).histories,
                settings.check.limits_for,
                root_is_frozen=settings.freeze.freeze_root,
            )
        ),
        trim_plans=tuple(
            result.value.trim_plan for result in results if result.value and result.value.trim_plan
        ),
    )


def judge_all(
    histories: Sequence[History],
    limits_for: Callable[[Tags], Limits],
    *,
    root_is_frozen: bool = True,
) -> list[Judged]:
    """Answer each history with what is wrong with it; of those in use the worst first.

    :param limits_for: the limits of an instance with some tags.
    :param root_is_frozen: as for :func:`~snapback.core.status.health.judge`.
    """
    judged = []
    for history in histories:
        limits = limits_for(history.tags)
        findings = (
            judge(history, limits, root_is_frozen=root_is_frozen)
            if history.standing is Standing.EARMARKED
            else judge_leftover(history, limits)
        )
        judged.append(Judged(history, limits, tuple(findings)))
    fine = [one for one in judged if _is_kept_up(one.history)]
    others = [one for one in judged if not _is_kept_up(one.history)]
    return [*others, *sorted(fine, key=lambda one: -one.severity)]


def bare_finding(instance: Instance) -> Finding:
    """Answer what is wrong with an instance that has the earmark and nothing to back up."""
    why = "all its volumes are left out by their tag" if instance.devices else "no EBS volumes"
    return Finding(Severity.WARNING, f"nothing to back up: {why}")


def _is_kept_up(history: History) -> bool:
    return history.standing is Standing.EARMARKED and history.last is not None


def _with_destinations(run: Run, shown: Sequence[Place]) -> list[Place]:
    """Answer the places with those where their replicas should be."""
    more = {
        Place(region, place.account)
        for place in shown
        for region in run.settings.destinations.get(place.region, ())
    }
    return [*shown, *sorted(more - set(shown))]


def _read(run: Run, place: Place, with_trim_plan: bool) -> _Read:
    conn = run.conn(place)
    snapshots = all_snapshots(run, place)
    instances = all_instances(conn, place)
    volumes = all_volumes(conn, place)
    lent = lent_things(conn, place, {"tag-key": EXPIRES}, WITHOUT_BODY)
    now = run.now(place)
    plan = None
    if with_trim_plan:
        plan = plan_trim(
            place,
            snapshots,
            run.settings.policy_of,
            now,
            protection_of(run, place, snapshots),
            Brake(percent=run.settings.max_delete),
        )
    seen = Seen(
        place=place, now=now, instances=instances, volumes=volumes, snapshots=snapshots, lent=lent
    )
    return _Read(seen, plan)
