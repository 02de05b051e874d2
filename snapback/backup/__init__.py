"""Backing up: one volume, one instance, or all instances with the earmark."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

from snapback.backup import consistency, fleet, late, pending_limit
from snapback.backup.capture import Taken, see_through
from snapback.backup.changes import earmark
from snapback.core.backup.set_plan import (
    own_tags_of_one,
    record_of_one,
    tags_of_one,
)
from snapback.core.model import Instance, Place, Snapshot, Volume, record
from snapback.core.model.outcome import Outcome
from snapback.core.model.sharing import in_charge
from snapback.core.model.tags import SET
from snapback.ec2.convert import whereabouts
from snapback.ec2.instances import check_id, instance_by_id, instances_by_tag, instances_with
from snapback.ec2.regions import check_name
from snapback.ec2.snapshots import create_one
from snapback.ec2.volumes import volume_by_id
from snapback.errors import SnapbackError, UsageError
from snapback.run import Run, current, fanout, units
from snapback.words import Word

log = logging.getLogger(__name__)


def create_snapshot(
    vol: Any,
    description: str = "",
    tags: Mapping[str, str] | None = None,
    synchronously: bool = True,
    consistent: bool = False,
    account: str | None = None,
) -> Snapshot:
    """Take a snapshot of one volume and return it.

    Its record names the instance that the volume is attached to: of several the first by id, with
    the earmark if any has it.

    Where EC2's answer was lost, this waits for up to a minute; that a call took effect late, and so
    made a second snapshot, is logged as a warning.

    :param vol: a :class:`~snapback.core.model.Volume` or boto3's resource.
    :param description: by default the record. One of your own means that the snapshot has no
        record: it is not trimmed and not replicated.
    :param tags: by default cloned from the volume and from its instance, whose tags win.
    :param synchronously: wait for completion, up to ``minutes_for_snap``. A snapshot that ends in
        ``error`` is deleted and taken again, three times at most.
    :param consistent: freeze the volume's file systems meanwhile. Where that can't be, the snapshot
        is taken all the same, unless ``require_consistent``; its ``consistency`` tells.
    :param account: the account's name in the configuration, where there are several and ``vol`` is
        boto3's.
    :raises UsageError: ``vol`` is no volume or isn't there.
    :raises HostError: it can't be consistent, and ``require_consistent``: nothing was taken.
    :raises LeftFrozen: a file system may be left frozen; says where, and what to do.
    :raises SnapshotFailed: it ended in ``error`` each time.
    :raises SnapshotTimeout: it is still pending; it was not deleted.
    :raises ApiError: EC2 refuses.

    Source: CreateSnapshot, DescribeVolumes, DescribeInstances.
    """
    run = late.apart(current().only(account))
    place, volume_id = whereabouts(vol, "volume", run.place_of)
    volume = volume_by_id(run.conn(place), place, volume_id)
    owners = instances_with(run.conn(place), volume)
    tag = run.settings.tag_name, run.settings.tag_value
    instance = in_charge(owners, tag) if owners else None
    consistent = consistency.wanted(run, instance, consistent)
    (result,) = pending_limit.take_all(
        run,
        place,
        [[volume]],
        lambda one: _take_one(run, one, instance, description, tags, consistent=consistent),
        fanout.whole,
    )
    taken = result.value
    if taken and synchronously:
        (taken,) = see_through(run, place, [taken])
    _tell_late(run, volume, taken)
    if not taken:
        raise result.error or AssertionError
    if taken.error:
        raise taken.error
    return taken.snapshots[0]


def _tell_late(run: Run, volume: Volume, taken: Taken | None) -> None:
    """Log the snapshots of a volume that came late."""
    known = [snapshot.snapshot_id for snapshot in taken.snapshots] if taken else []
    try:
        for some in late.find(run, volume.place, known).values():
            log.warning("%s: %s", volume.volume_id, late.in_words(some))
    except SnapbackError as error:
        log.warning("%s: whether a call took effect late can't be seen: %s",
                    volume.volume_id, error)  # fmt: skip


def _take_one(
    run: Run,
    volume: Volume,
    instance: Instance | None,
    description: str,
    tags: Mapping[str, str] | None,
    *,
    consistent: bool,
) -> Taken:
    place = volume.place
    if tags is None:
        all_tags = tags_of_one(volume, instance, earmark(run), run.run_id)
    else:
        all_tags = {**tags, **own_tags_of_one(volume, instance, run.run_id)}

    def make(conn: Any) -> list[dict[str, Any]]:
        taken_at = run.now(place)
        text = description or record.describe(record_of_one(volume, instance, taken_at))
        return create_one(conn, volume.volume_id, text, all_tags)

    order = consistency.Order(place, [volume], all_tags[SET], "CreateSnapshot", make)
    with pending_limit.named(run, place, [volume]):
        still = consistency.take(run, order, instance, consistent=consistent)
    return Taken(
        snapshots=still.snapshots,
        again=lambda: _take_one(run, volume, instance, description, tags, consistent=consistent),
        problems=still.problems,
        error=still.error,
    )


def backup_instance(
    region_name: str,
    instance_id: str | None = None,
    instance: Any = None,
    synchronously: bool = False,
    consistent: bool = False,
    account: str | None = None,
) -> list[Snapshot]:
    """Take snapshots of all volumes of an instance, at one instant, and answer them.

    :param region_name: where the instance is; may be contracted.
    :param instance_id: either this or ``instance``.
    :param instance: an :class:`~snapback.core.model.Instance` or boto3's resource.
    :param synchronously: wait for completion, as :func:`create_snapshot` does.
    :param consistent: freeze the file systems meanwhile. Where that can't be, the snapshots are
        taken all the same, unless ``require_consistent``, and that counts as less than asked.
    :param account: the account's name in the configuration; ``None``: all of them.
    :raises UsageError: not exactly one of the two is given; there is no such instance.
    :raises ItemsFailed: not all was done; its ``outcomes`` say what was.

    Source: CreateSnapshots; one call takes all volumes.
    """
    run = current().only(account)
    outcomes, snapshots = back_up_instance(
        run, region_name, instance_id, instance, synchronously, consistent
    )
    fanout.raise_if_any_failed(outcomes)
    return snapshots


def backup_instances_by_tag(
    region_name: str | None = None,
    tag_name: str | None = None,
    tag_value: str | None = None,
    synchronously: bool = False,
    consistent: bool = False,
    account: str | None = None,
    executor: Executor | str | None = None,
) -> list[Outcome]:
    """Back up all instances with a tag, running or stopped; answer what became of each.

    :param region_name: may be contracted; ``None``: all regions in use.
    :param tag_name: ``None``: the configured earmark.
    :param tag_value: ``None``: the configured one.
    :param synchronously: wait for completion, as :func:`create_snapshot` does.
    :param consistent: freeze the file systems meanwhile. Where that can't be, the snapshots are
        taken all the same, unless ``require_consistent``, and that counts as less than asked.
    :param account: the account's name in the configuration; ``None``: all of them.
    :param executor: what does the work, an account's region at a time: any
        :class:`concurrent.futures.Executor`, or the address of a Dask scheduler. ``None``: the
        configured one, or threads.
    :raises ItemsFailed: not all went well; its ``outcomes`` say what became of every instance.
    :raises CredentialsError: and other refusals: nothing was done.

    Source: DescribeInstances, DescribeVolumes, CreateSnapshots, CreateTags.
    """
    with units.handed_to(current().only(account), executor) as run:
        outcomes = back_up_by_tag(run, region_name, tag_name, tag_value, synchronously, consistent)
    fanout.raise_if_any_failed(outcomes)
    return outcomes


def back_up_instance(
    run: Run,
    region_name: str,
    instance_id: str | None,
    instance: Any,
    synchronously: bool = False,
    consistent: bool = False,
    dry_run: bool = False,
) -> tuple[list[Outcome], list[Snapshot]]:
    """Back up one instance; answer what became of it, and its snapshots.

    :raises UsageError: as :func:`backup_instance`.
    """
    check_name(region_name)
    if (instance_id is None) == (instance is None):
        raise UsageError("expected exactly one of instance_id and instance")
    places = run.places(region_name)
    if instance is not None and not isinstance(instance, str):
        place, instance_id = whereabouts(instance, "instance", run.place_of)
        if place.region != run.region(region_name):
            raise UsageError(
                f"{instance_id} is in {place.region}, not in {run.region(region_name)}"
            )
        places = [place]
    found = find_instance(run, places, check_id(instance_id or instance))
    if dry_run:
        return fleet.foresee(run, found.place, [found], consistent), []
    return fleet.take_and_hold(run, found.place, [found], synchronously, consistent)


def find_instance(run: Run, places: Sequence[Place], instance_id: str) -> Instance:
    """Answer an instance, at whichever of some places it is: one region in several accounts.

    :raises UsageError: there is none.
    :raises SnapbackError: there is none as far as could be seen.
    """
    results = fanout.each(
        places,
        lambda place: instance_by_id(run.conn(place), place, instance_id),
        stop=run.stop,
    )
    for result in results:
        if result.value:
            return result.value
    errors = [result.error for result in results if result.error]
    graver = [error for error in errors if not isinstance(error, UsageError)]
    raise (graver or errors)[0]


def back_up_by_tag(
    run: Run,
    region_name: str | None,
    tag_name: str | None,
    tag_value: str | None,
    synchronously: bool = False,
    consistent: bool = False,
    dry_run: bool = False,
) -> list[Outcome]:
    """Back up all instances with a tag, regions side by side; answer what became of each.

    :raises Refused: nothing was done.
    """
    name = run.settings.tag_name if tag_name is None else tag_name
    value = run.settings.tag_value if tag_value is None else tag_value
    if not name:
        raise UsageError("the tag's name is empty: expected one like Earmarking")
    places = run.places(region_name)
    results = units.each(
        run, places, back_up_place, name, value, synchronously, consistent, dry_run
    )
    fanout.refuse_if_all_refused(results)
    outcomes = []
    for result in results:
        outcomes += result.value or []
        if result.error:
            outcomes.append(Outcome.of_failed(result.item, result.error))
    if not outcomes:
        regions = ", ".join(str(place) for place in places)
        outcomes.append(
            Outcome(
                subject=f"{name}={value}",
                word=Word.FAILED,
                explanation=f"no instance in {regions} has the tag {name}={value}",
            )
        )
    return outcomes


def back_up_place(
    run: Run,
    place: Place,
    tag_name: str,
    tag_value: str,
    synchronously: bool,
    consistent: bool,
    dry_run: bool,
) -> list[Outcome]:
    """Back up the instances with a tag at one place; answer what became of each."""
    instances = instances_by_tag(run.conn(place), place, tag_name, tag_value)
    instances.sort(key=lambda instance: (instance.name, instance.instance_id))
    if dry_run:
        return fleet.foresee(run, place, instances, consistent)
    if synchronously:
        return fleet.take_and_wait(run, place, instances, consistent)
    return fleet.take(run, place, instances, consistent)
