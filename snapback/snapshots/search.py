"""Finding what is to be restored: where it lies, and the snapshot or the set that is meant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from snapback.core.model import Place, Snapshot, record_of
from snapback.core.model.backup_sets import BackupSet, Choice, choose, set_with, sets_of, unfit
from snapback.core.model.provenance import believed, natives_first
from snapback.core.model.reasons import Reason
from snapback.core.model.times import in_both, read_moment
from snapback.ec2.instances import check_id as check_instance
from snapback.ec2.snapshots import check_id as check_snapshot
from snapback.ec2.snapshots import snapshots_by_id
from snapback.ec2.volumes import check_id as check_volume
from snapback.errors import SnapbackError, UsageError
from snapback.run import Run, fanout
from snapback.snapshots.catalog import snapshots_of_instance, snapshots_of_volume


def moment(at: str | datetime | None) -> datetime | None:
    """Answer the instant that ``--at`` means, aware UTC.

    :raises UsageError: it means none.
    """
    if at is None or isinstance(at, datetime):
        if at is not None and at.tzinfo is None:
            raise UsageError(f"at: {at} has no zone: give an aware datetime")
        return at
    try:
        return read_moment(at)
    except ValueError as error:
        raise UsageError(str(error)) from None


def as_meant(at: str | datetime | None) -> list[str]:
    """Answer in words which instant ``--at`` means, where it is given."""
    meant = moment(at)
    return [f"not later than {in_both(meant)}"] if meant else []


def snapshot_by_id(run: Run, region_name: str | None, snapshot_id: str) -> Snapshot:
    """Return one snapshot with its record, which is believed: it is a person who names the id.

    :raises UsageError: there is none.
    """
    wanted = check_snapshot(snapshot_id)

    def read(place: Place) -> list[Snapshot]:
        return list(snapshots_by_id(run.conn(place), place, [wanted]).values())

    _, (found,) = _one_place(run, region_name, read, f"snapshot {wanted} of yours")
    found = believed(found)
    if found.record is None:
        raise UsageError(f"{wanted} has no record, so it isn't known what it is a snapshot of")
    return found


def snapshot_of_volume(
    run: Run, region_name: str | None, volume_id: str, at: datetime | None
) -> tuple[Snapshot, list[Snapshot]]:
    """Return the newest snapshot of a volume that can be restored, not later than an instant.

    And the newer ones that can't be. Where there are natives, replicas aren't chosen.

    :raises UsageError: there is none.
    """
    wanted = check_volume(volume_id)
    place, found = _one_place(
        run, region_name, lambda place: snapshots_of_volume(run, place, wanted),
        f"snapshot with a record of {wanted}",
    )  # fmt: skip
    found = [s for s in natives_first(found) if at is None or record_of(s).taken_at <= at]
    fit = [s for s in found if not unfit(s)]
    if not fit:
        until = f" of {in_both(at)} or before" if at else ""
        raise UsageError(f"no snapshot of {wanted} in {place}{until} can be restored")
    chosen = max(fit, key=lambda s: (record_of(s).taken_at, -s.started_at.timestamp()))
    since = record_of(chosen).taken_at
    return chosen, [s for s in found if record_of(s).taken_at > since]


def set_of_instance(
    run: Run, region_name: str | None, instance_id: str, at: datetime | None, incomplete: bool
) -> Choice:
    """Return the newest whole set of an instance, not later than an instant.

    Where there are natives, replicas aren't chosen.

    :param incomplete: one will do of which volumes are missing.
    :raises UsageError: there is none; says what is missing.
    """
    wanted = check_instance(instance_id)
    place, found = _one_place(
        run, region_name, lambda place: snapshots_of_instance(run, place, wanted),
        f"snapshot with a record of {wanted}",
    )  # fmt: skip
    choice = choose(sets_of(natives_first(found), wanted), at, incomplete)
    if isinstance(choice, Reason):
        until = f" of {in_both(at)} or before" if at else ""
        raise UsageError(f"no set of {wanted} in {place}{until} can be restored: {choice}")
    return choice


def set_of_snapshot(
    run: Run, region_name: str | None, snapshot_id: str, incomplete: bool
) -> BackupSet:
    """Return the set that a snapshot belongs to: one of natives, of replicas, or of unproven ones.

    :raises UsageError: there is no such snapshot, or its set isn't whole: says what is missing.
    """
    snapshot = snapshot_by_id(run, region_name, snapshot_id)
    instance_id = record_of(snapshot).instance
    if not instance_id:
        raise UsageError(f"{snapshot_id} was taken of a volume that no instance had")
    if why := unfit(snapshot):
        raise UsageError(f"{snapshot_id} {why}")
    found = snapshots_of_instance(run, snapshot.place, instance_id, believe=bool(snapshot.unproven))
    found = [other for other in found if other.is_native is snapshot.is_native]
    one = set_with(sets_of(found, instance_id), snapshot_id)
    if one is None:
        raise UsageError(f"another snapshot of the same volume and time stands for {snapshot_id}")
    if one.missing and not (incomplete and one.root):
        raise UsageError(f"volumes are missing from {one}: {one.shortcoming}")
    return one


def _one_place(
    run: Run, region_name: str | None, read: Callable[[Place], Sequence[Snapshot]], what: str
) -> tuple[Place, Sequence[Snapshot]]:
    """Answer where snapshots lie, and which: in the region that is named, or else at home.

    Where no region is named and nothing is found at home, replicas will do, if all are in one
    region.

    :raises UsageError: there are none; or replicas in several regions.
    """
    places = run.places(region_name)
    results = fanout.each(places, read, stop=run.stop)
    fanout.refuse_if_all_refused(results)
    found = [(result.item, result.value) for result in results if result.value]
    unread = [f"{result.item} ({result.error})" for result in results if result.error]
    at_home = [(place, some) for place, some in found if any(s.is_native for s in some)]
    if len(places) == 1 and results[0].error:
        raise results[0].error
    if len(at_home) == 1:
        return at_home[0]
    if unread:
        raise SnapbackError(
            f"where there is a {what} isn't known, since not all regions could be read: name one "
            f"with --region-name: {'; '.join(unread)}"
        )
    if len(found) == 1:
        return found[0]
    where = ", ".join(str(place) for place in (places if not found else [p for p, _ in found]))
    if found:
        raise UsageError(f"there are replicas in {where}: name one with --region-name")
    raise UsageError(f"there is no {what} in {where}")
