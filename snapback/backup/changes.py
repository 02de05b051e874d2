"""What became of an instance since it was listed: terminated, stopped, with other volumes."""

from __future__ import annotations

import logging
from collections.abc import Collection

from snapback.core.backup.set_plan import Earmark, SetPlan, plan_set
from snapback.core.model import Instance, Volume
from snapback.ec2.calls import THROTTLED
from snapback.ec2.instances import described, instance_by_id, is_gone
from snapback.ec2.snapshots import TOO_SOON
from snapback.ec2.volumes import volumes_by_id, volumes_of
from snapback.errors import ApiError, InstanceGone, LostAnswer, NetworkError, SnapbackError
from snapback.run import Run

log = logging.getLogger(__name__)

_WHATEVER_IS_ATTACHED = {"UnauthorizedOperation", TOO_SOON, *THROTTLED}
"""The codes of refusals that have nothing to do with what an instance has become."""


def earmark(run: Run) -> Earmark:
    """Return the names of the tags that steer backups, the most important to clone first."""
    return Earmark(exclude_tag=run.settings.exclude_tag, first=run.settings.first_tags)


def as_it_is(run: Run, instance: Instance) -> Instance | None:
    """Return an instance as it is now, in whatever state; ``None``: EC2 doesn't tell.

    Source: DescribeInstances.
    """
    try:
        return described(run.conn(instance.place), instance.place, instance.instance_id)
    except SnapbackError as error:
        log.warning("%s: what became of it isn't known: %s", instance.instance_id, error)
        return None


def refuse_if_gone(now: Instance | None, error: SnapbackError | None = None) -> None:
    """Raise that an instance was terminated, where EC2 says so.

    An instance that EC2 doesn't know is not called gone: terminated ones stay to be seen for a
    while.

    :param error: what went wrong with it.
    :raises InstanceGone: it was.
    """
    if now and is_gone(now):
        why = f"terminated after it was listed: EC2 says {now.state}"
        raise InstanceGone(why) from error


def not_at_rest(run: Run, volumes: Collection[Volume], before: Instance | None) -> str:
    """Return why volumes may have been in use since they were described, or ``""``.

    :param volumes: all at one place.
    :param before: the stopped instance that has them; ``None``: they were attached to nothing.

    Source: DescribeInstances or DescribeVolumes.
    """
    place = next(iter(volumes)).place
    try:
        if before is None:
            ids = [volume.volume_id for volume in volumes]
            found = volumes_by_id(run.conn(place), place, ids)
            at_rest = all(i in found and not found[i].instance_id for i in ids)
        else:
            now = instance_by_id(run.conn(place), place, before.instance_id)
            at_rest = now.state == "stopped" and now.launched_at == before.launched_at
    except SnapbackError as error:
        return f"what used it meanwhile isn't known: {error}"
    return "" if at_rest else "it was started or attached meanwhile"


def may_be_by_changes(error: SnapbackError) -> bool:
    """Return whether a call for an instance may have failed since the instance has changed."""
    if isinstance(error, LostAnswer | NetworkError):
        return False
    return not isinstance(error, ApiError) or error.code not in _WHATEVER_IS_ATTACHED


def changes_between(before: Instance, now: Instance) -> tuple[str, ...]:
    """Return which volumes were detached and attached, in words."""
    old, new = set(before.devices.values()), set(now.devices.values())
    return (
        *(f"{volume} was detached meanwhile" for volume in sorted(old - new)),
        *(f"{volume} was attached meanwhile" for volume in sorted(new - old)),
    )


def planned_anew(run: Run, before: SetPlan, now: Instance) -> SetPlan:
    """Return the plan for another set of an instance, with the volumes that it has now.

    :param before: the plan that was made when it was listed.
    :raises SnapbackError: its volumes can't be read.

    Source: DescribeVolumes.
    """
    volumes = volumes_of(run.conn(now.place), now.place, [now])
    return plan_set(
        now,
        volumes,
        earmark(run),
        run.run_id,
        consistent=before.consistent,
        shared=before.shared,
    )
