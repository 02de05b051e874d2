"""Snapshots: read into :class:`~snapback.core.model.Snapshot`, made, deleted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from functools import partial
from typing import Any

from snapback.core.backup.pending_limit import SECONDS_BETWEEN_SNAPSHOTS
from snapback.core.model import Place, Snapshot, record
from snapback.core.model.ids import SNAPSHOT_ID
from snapback.core.model.provenance import vouched
from snapback.core.model.tags import RUN, SET, SOURCE
from snapback.ec2.calls import call, may_have_succeeded_before, pages
from snapback.ec2.lost_calls import LostCalls
from snapback.ec2.tags import read_tags, write_tags
from snapback.errors import ApiError, LostAnswer, UsageError
from snapback.words import Word

# Looking for what a lost call may have made: 7.5 s in all, on purpose less than the 15 s in which
# EC2 refuses a second snapshot of a volume. So, should it become visible later than that, a
# repeated call is refused, and that refusal makes us look again.
LOOK_AFTER_S = (0.5, 1.0, 2.0, 4.0)
MOST_CREATIONS = 4

TOO_SOON = "SnapshotCreationPerVolumeRateExceeded"
_NOT_LOCKABLE_HERE = {"InvalidAction", "UnsupportedOperation", "UnknownOperationException"}


def check_id(snapshot_id: str) -> str:
    """Answer a snapshot's id if it can be one.

    :raises UsageError: it can't.
    """
    if isinstance(snapshot_id, str) and SNAPSHOT_ID.match(snapshot_id):
        return snapshot_id
    raise UsageError(f"{snapshot_id!r} is no snapshot id: expected one like snap-0123456789abcdef0")


def own_snapshots(
    conn: Any, place: Place, filters: Mapping[str, Iterable[str]] | None = None
) -> list[Snapshot]:
    """Answer the account's own snapshots. Source: DescribeSnapshots.

    :param filters: name -> values, as the API has them.
    """
    asked = [{"Name": name, "Values": list(values)} for name, values in (filters or {}).items()]
    found = pages(conn, "describe_snapshots", "Snapshots", OwnerIds=["self"], Filters=asked)
    return [read(place, said) for said in found]


def snapshots_by_id(
    conn: Any,
    place: Place,
    ids: Iterable[str],
    keep: Callable[[Snapshot], Snapshot] = lambda snapshot: snapshot,
) -> dict[str, Snapshot]:
    """Answer those of some snapshots that are there, by id; one call for 200.

    :param keep: answers what is kept of each, so that however many there are, 200 are held whole.
    """
    wanted = list(ids)
    found: dict[str, Snapshot] = {}
    for at in range(0, len(wanted), 200):
        some = own_snapshots(conn, place, {"snapshot-id": wanted[at : at + 200]})
        found |= {snapshot.snapshot_id: keep(snapshot) for snapshot in some}
    return found


def snapshots_of(
    conn: Any, place: Place, volume_ids: Iterable[str], states: Collection[str] = ()
) -> list[Snapshot]:
    """Answer the account's snapshots of some volumes; one call for 200. Source: DescribeSnapshots.

    :param states: only those in one of these, ``"pending"``; none named: all.
    """
    wanted = list(volume_ids)
    found: list[Snapshot] = []
    for at in range(0, len(wanted), 200):
        filters: dict[str, Iterable[str]] = {"volume-id": wanted[at : at + 200]}
        found += own_snapshots(conn, place, filters | ({"status": states} if states else {}))
    return found


def read(place: Place, said: Mapping[str, Any]) -> Snapshot:
    """Return a described snapshot, or one as CreateSnapshot and CreateSnapshots answer it."""
    tags = read_tags(said)
    description = said.get("Description", "")
    owner_id = said.get("OwnerId", "")
    volume_id = said.get("VolumeId", "")
    described = Snapshot(
        place=place,
        snapshot_id=said["SnapshotId"],
        owner_id=owner_id,
        volume_id=volume_id,
        started_at=said["StartTime"].astimezone(UTC),
        state=said.get("State", "pending"),
        state_message=said.get("StateMessage", ""),
        progress=said.get("Progress", ""),
        size_gib=said.get("VolumeSize", 0),
        description=description,
        storage_tier=said.get("StorageTier", "standard"),
        restored_until=said.get("RestoreExpiryTime"),
        encrypted=bool(said.get("Encrypted")),
        tags=tags,
        set_id=tags.get(SET, ""),
        source_id=tags.get(SOURCE, ""),
        consistency=record.consistency_of(tags),
    )
    return vouched(described, record.parse(description, tags, volume_id, owner_id))


def create_one(
    conn: Any, volume_id: str, description: str, tags: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Ask for a snapshot of one volume. Source: CreateSnapshot."""
    specification = [{"ResourceType": "snapshot", "Tags": write_tags(tags)}]
    return [
        call(
            conn,
            "create_snapshot",
            VolumeId=volume_id,
            Description=description,
            TagSpecifications=specification,
        )
    ]


def create_set(
    conn: Any,
    instance_id: str,
    description: str,
    tags: Mapping[str, str],
    *,
    copy_tags: bool,
    exclude_boot: bool,
    exclude_data: Collection[str],
) -> list[dict[str, Any]]:
    """Ask for the snapshots of an instance's volumes at one instant. Source: CreateSnapshots."""
    specification: dict[str, Any] = {"InstanceId": instance_id, "ExcludeBootVolume": exclude_boot}
    if exclude_data:
        specification["ExcludeDataVolumeIds"] = sorted(exclude_data)
    parameters: dict[str, Any] = {"CopyTagsFromSource": "volume"} if copy_tags else {}
    answer = call(
        conn,
        "create_snapshots",
        InstanceSpecification=specification,
        Description=description,
        TagSpecifications=[{"ResourceType": "snapshot", "Tags": write_tags(tags)}],
        **parameters,
    )
    found: list[dict[str, Any]] = answer["Snapshots"]
    return found


@dataclass(frozen=True)
class Patience:
    """How to wait while something is made.

    :ivar pause: waits for so many seconds, or raises when the run is to stop.
    :ivar sleep: waits in any case, since what is in flight is to be finished.
    :ivar lost_calls: records the calls that may take effect late.
    """

    pause: Callable[[float], None]
    sleep: Callable[[float], None]
    lost_calls: LostCalls = field(default_factory=LostCalls)


def create_surely(
    conn: Any,
    place: Place,
    set_id: str,
    expected: int,
    create: Callable[[], list[dict[str, Any]]],
    patience: Patience,
    also: Mapping[str, Iterable[str]] | None = None,
) -> list[Snapshot]:
    """Make snapshots once, also where the answer is lost: look before repeating the call.

    :param set_id: the tag that this call gives them, and no other call.
    :param expected: how many they will be.
    :param also: filters for what counts as these too, since a process that was lost may have made
        it a moment ago.
    :raises ApiError: EC2 refuses; :class:`~snapback.errors.LostAnswer`: time and again no answer,
        and nothing to be seen of them.
    """
    lost_calls = patience.lost_calls
    sought = also or {f"tag:{SET}": [set_id]}
    seen = partial(_seen, conn, place, sought, expected, patience)
    if lost_calls.are_for(set_id) and (found := seen()):
        return found
    for creation in range(1, MOST_CREATIONS + 1):
        try:
            return [read(place, said) for said in create()]
        except ApiError as error:
            too_soon = error.code == TOO_SOON
            if isinstance(error, LostAnswer):
                lost_calls.add(set_id)
            elif not too_soon:
                raise
            look = also is not None or lost_calls.are_for(set_id)
            if look and (found := seen()):
                return found
            if creation == MOST_CREATIONS:
                raise
            if too_soon:
                patience.pause(SECONDS_BETWEEN_SNAPSHOTS)
    raise AssertionError  # the last creation returns or raises


def _seen(
    conn: Any, place: Place, sought: Mapping[str, Iterable[str]], expected: int, patience: Patience
) -> list[Snapshot]:
    """Return what one of the lost calls for a set has made, and record that it has."""
    found = of_one_call(_look_for(conn, place, sought, expected, patience))
    if found:
        patience.lost_calls.seen(found[0].set_id)
    return found


def of_one_call(snapshots: Iterable[Snapshot]) -> list[Snapshot]:
    """Return the snapshots that one call made, one of each volume.

    Several calls for one set may have taken effect, each at an instant of its own. One description
    is given to all that a call makes, and it names the instant.
    """
    calls: dict[tuple[str, str], dict[str, Snapshot]] = {}
    for one in sorted(snapshots, key=lambda one: one.started_at):
        calls.setdefault((one.set_id, one.description), {}).setdefault(one.volume_id, one)
    return list(max(calls.values(), key=len, default={}).values())


def snapshot_surely(
    conn: Any,
    place: Place,
    volume_id: str,
    description: str,
    tags: Mapping[str, str],
    patience: Patience,
) -> Snapshot:
    """Take one snapshot of a volume that has none yet, also where the answer is lost.

    :raises ApiError: EC2 refuses; :class:`~snapback.errors.LostAnswer`: time and again no answer,
        and nothing to be seen of it.

    Source: CreateSnapshot, DescribeSnapshots.
    """
    for creation in range(1, MOST_CREATIONS + 1):
        try:
            (said,) = create_one(conn, volume_id, description, tags)
            return read(place, said)
        except LostAnswer:
            found = _look_for(conn, place, {"volume-id": [volume_id]}, 1, patience)
            if found:
                return found[0]
            if creation == MOST_CREATIONS:
                raise
    raise AssertionError  # the last creation returns or raises


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A copy of a snapshot that is to be made.

    :ivar tags: with the source's id and the run's, by which it is known again.
    :ivar kms_key_id: the key to encrypt it with; empty: the default one.
    """

    source: Snapshot
    destination: Place
    description: str
    tags: Mapping[str, str]
    encrypted: bool
    kms_key_id: str = ""


def copy_surely(conn: Any, copy: Copy, patience: Patience) -> str:
    """Make a copy of a snapshot once, also where the answer is lost, and answer its id.

    :param conn: the destination's client.
    :raises ApiError: EC2 refuses; :class:`~snapback.errors.LostAnswer`: time and again no answer,
        and nothing to be seen of it.

    Source: CopySnapshot.
    """
    marks = {tag: copy.tags[tag] for tag in (SOURCE, RUN)}
    for creation in range(1, MOST_CREATIONS + 1):
        try:
            return _copy(conn, copy)
        except LostAnswer:
            if found := look_for(conn, copy.destination, marks, 1, patience):
                return max(found, key=lambda snapshot: snapshot.started_at).snapshot_id
            if creation == MOST_CREATIONS:
                raise
    raise AssertionError  # the last creation returns or raises


def _copy(conn: Any, copy: Copy) -> str:
    key = {"KmsKeyId": copy.kms_key_id} if copy.kms_key_id else {}
    encryption = {"Encrypted": True, **key} if copy.encrypted else {}
    answer = call(
        conn,
        "copy_snapshot",
        SourceRegion=copy.source.place.region,
        SourceSnapshotId=copy.source.snapshot_id,
        Description=copy.description,
        TagSpecifications=[{"ResourceType": "snapshot", "Tags": write_tags(copy.tags)}],
        **encryption,
    )
    return str(answer["SnapshotId"])


def look_for(
    conn: Any, place: Place, marks: Mapping[str, str], expected: int, patience: Patience
) -> list[Snapshot]:
    """Answer the snapshots with some tags as soon as all are to be seen, else those that are."""
    return _look_for(conn, place, {f"tag:{key}": [marks[key]] for key in marks}, expected, patience)


def _look_for(
    conn: Any, place: Place, filters: Mapping[str, Iterable[str]], expected: int, patience: Patience
) -> list[Snapshot]:
    found: list[Snapshot] = []
    for wait_s in LOOK_AFTER_S:
        patience.sleep(wait_s)
        found = own_snapshots(conn, place, filters)
        if len(found) >= expected:
            break
    return found


def delete(conn: Any, snapshot_id: str) -> tuple[Word, str]:
    """Delete a snapshot and return what became of it. Source: DeleteSnapshot.

    A snapshot that is gone when the call is repeated, since its answer was lost, is one that this
    call deleted.

    :raises ApiError: EC2 refuses for a reason that isn't the snapshot's own state.
    """
    try:
        call(conn, "delete_snapshot", SnapshotId=snapshot_id)
    except ApiError as error:
        if error.code == "InvalidSnapshot.NotFound":
            if may_have_succeeded_before(error):
                return Word.DELETED, "EC2's answer was lost, and now the snapshot is gone"
            return Word.ALREADY_GONE, ""
        if error.code == "InvalidSnapshot.InUse":
            return Word.IN_USE, error.reason
        if error.code == "SnapshotLocked" or (
            error.code == "InvalidParameterValue" and "backup" in error.reason.lower()
        ):
            return Word.PROTECTED, error.reason
        raise
    return Word.DELETED, ""


def used_by_images(conn: Any) -> dict[str, str]:
    """Answer the snapshots that AMIs of the account use, disabled ones too: snapshot id -> AMI id.

    Source: DescribeImages.
    """
    images = pages(conn, "describe_images", "Images", Owners=["self"], IncludeDisabled=True)
    return {
        mapping["Ebs"]["SnapshotId"]: image["ImageId"]
        for image in images
        for mapping in image.get("BlockDeviceMappings", ())
        if "SnapshotId" in mapping.get("Ebs", {})
    }


def locked_snapshots(conn: Any) -> frozenset[str]:
    """Answer the ids of the locked snapshots; none where EC2 has no locks.

    Source: DescribeLockedSnapshots.
    """
    try:
        found = pages(conn, "describe_locked_snapshots", "Snapshots")
        return frozenset(s["SnapshotId"] for s in found if s.get("LockState") != "expired")
    except ApiError as error:
        if error.code in _NOT_LOCKABLE_HERE:
            return frozenset()
        raise
