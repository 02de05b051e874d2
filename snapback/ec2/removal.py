"""Finding what was lent for a moment, and taking it back, each kind in its way.

To take back what is gone already is success; so is what EC2 will delete by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from snapback.core.backoff import growing
from snapback.core.leases.lease import Kind, Lent
from snapback.core.model import Place
from snapback.ec2.calls import call, pages
from snapback.ec2.instances import is_terminated_by_shutdown
from snapback.ec2.key_pairs import delete_key_pair
from snapback.ec2.tags import read_tags
from snapback.errors import ApiError, SnapbackError

_GONE = {
    "InvalidAMIID.NotFound",
    "InvalidAMIID.Unavailable",
    "InvalidGroup.NotFound",
    "InvalidGroupId.NotFound",
    "InvalidInstanceID.NotFound",
    "InvalidVolume.NotFound",
}
_ON_ITS_WAY_OUT = {"shutting-down", "terminated", "deleting", "deleted", "deregistered"}

Sleep = Callable[[float], None]


def pauses(total_s: float) -> Iterator[float]:
    """Answer pauses that grow, and come to so many seconds in all."""
    left_s = total_s
    for pause_s in growing():
        if left_s <= 0:
            return
        yield min(pause_s, left_s)
        left_s -= pause_s


def lent_things(
    conn: Any, place: Place, filters: Mapping[str, str], kinds: Collection[Kind] = tuple(Kind)
) -> list[Lent]:
    """Return the things that filters let pass, also those that EC2 is removing already.

    :param filters: name -> value, as the API has them.
    :param kinds: those to look for; a call each.

    Source: DescribeInstances, DescribeImages, DescribeVolumes, DescribeKeyPairs,
    DescribeSecurityGroups.
    """
    asked = [{"Name": name, "Values": [value]} for name, value in filters.items()]
    return [_read(place, kind, said) for kind in kinds for said in _described(conn, kind, asked)]


_ID_KEYS = {
    Kind.INSTANCE: "InstanceId",
    Kind.IMAGE: "ImageId",
    Kind.VOLUME: "VolumeId",
    Kind.KEY_PAIR: "KeyPairId",
    Kind.SECURITY_GROUP: "GroupId",
}
_CREATED_AS_KEYS = {
    Kind.INSTANCE: "ClientToken",
    Kind.IMAGE: "Name",
    Kind.KEY_PAIR: "KeyName",
    Kind.SECURITY_GROUP: "GroupName",
}


def _read(place: Place, kind: Kind, said: dict[str, Any]) -> Lent:
    holders = said.get("Attachments", ()) if kind is Kind.VOLUME else ()
    return Lent(
        place=place,
        kind=kind,
        resource_id=said[_ID_KEYS[kind]],
        tags=read_tags(said),
        created_as=said.get(_CREATED_AS_KEYS.get(kind, ""), ""),
        attached_to=tuple(holder["InstanceId"] for holder in holders),
        is_ending=_is_ending(said),
    )


def _described(conn: Any, kind: Kind, filters: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    if kind is Kind.INSTANCE:
        reservations = pages(conn, "describe_instances", "Reservations", Filters=filters)
        return (said for found in reservations for said in found["Instances"])
    if kind is Kind.IMAGE:
        return pages(conn, "describe_images", "Images", Owners=["self"], Filters=filters)
    if kind is Kind.VOLUME:
        return pages(conn, "describe_volumes", "Volumes", Filters=filters)
    if kind is Kind.KEY_PAIR:
        found: list[dict[str, Any]] = call(conn, "describe_key_pairs", Filters=filters)["KeyPairs"]
        return found
    return pages(conn, "describe_security_groups", "SecurityGroups", Filters=filters)


def _is_ending(said: dict[str, Any]) -> bool:
    """Return whether EC2 is removing a thing already; what has no state stays."""
    state = said.get("State", "")
    return (state if isinstance(state, str) else state["Name"]) in _ON_ITS_WAY_OUT


def with_its_end(conn: Any, thing: Lent) -> Lent:
    """Return an instance of a restore with what EC2 tells of its end; other things as they are.

    A restore launches it so that a shutdown terminates it, and has a shutdown stop it once it is
    whole: tags can't tell whether it is, since anybody may have set them again.

    Source: DescribeInstanceAttribute.
    """
    if not thing.is_restored or thing.is_ending:
        return thing
    try:
        return replace(thing, is_kept=not is_terminated_by_shutdown(conn, thing.resource_id))
    except ApiError as error:
        if error.code in _GONE:
            return replace(thing, is_ending=True)
        return replace(thing, unread=str(error))


def take_back(conn: Any, thing: Lent, sleep: Sleep, patience_s: float) -> None:
    """Remove a thing for good.

    :param sleep: waits for so many seconds.
    :param patience_s: how long to wait until EC2 lets it go.
    :raises SnapbackError: it is still there.
    """
    try:
        _REMOVERS[thing.kind](conn, thing, sleep, patience_s)
    except ApiError as error:
        if error.code not in _GONE:
            raise


def _terminate(conn: Any, thing: Lent, _: Sleep, __: float) -> None:
    """Terminate an instance, after which nothing can keep it. Source: TerminateInstances.

    A restore may have ended well since the instance was looked at: so it is looked at again.
    """
    now = with_its_end(conn, thing)
    if now.is_kept or now.unread:
        raise SnapbackError(now.unread or f"{thing} has been restored and kept meanwhile: it stays")
    call(conn, "terminate_instances", InstanceIds=[thing.resource_id])


def _deregister(conn: Any, thing: Lent, _: Sleep, __: float) -> None:
    """Deregister an image; its snapshots stay. Source: DeregisterImage."""
    call(conn, "deregister_image", ImageId=thing.resource_id)


def _delete_volume(conn: Any, thing: Lent, sleep: Sleep, patience_s: float) -> None:
    """Detach a volume, never by force, and delete it. Source: DetachVolume, DeleteVolume."""
    volume_id = thing.resource_id
    for pause_s in pauses(patience_s):
        filters = [{"Name": "volume-id", "Values": [volume_id]}]
        found = call(conn, "describe_volumes", Filters=filters)["Volumes"]
        if not found or _is_ending(found[0]):
            return
        state, holders = found[0]["State"], found[0].get("Attachments", [])
        if state in ("available", "error"):
            call(conn, "delete_volume", VolumeId=volume_id)
            return
        if thing.attached_to is not None:
            for holder in holders:
                if holder["InstanceId"] not in thing.attached_to:
                    raise SnapbackError(f"{thing} was attached to {holder['InstanceId']} meanwhile")
        if any(holder["State"] == "attached" for holder in holders):
            detach_volume(conn, volume_id)
        sleep(pause_s)
    where = ", ".join(f"{holder['InstanceId']} ({holder['Device']})" for holder in holders)
    raise SnapbackError(
        f"volume {volume_id} is {state} after {patience_s:g} s"
        + (f", attached to {where}: unmount it there, then sweep again" if where else "")
    )


def detach_volume(conn: Any, volume_id: str) -> None:
    """Begin to detach a volume; that it is detached already is as well. Source: DetachVolume."""
    try:
        call(conn, "detach_volume", VolumeId=volume_id)
    except ApiError as error:
        if error.code != "IncorrectState":  # its instance is ending, or it is detached by now
            raise


def _delete_key_pair(conn: Any, thing: Lent, _: Sleep, __: float) -> None:
    """Delete a key pair. Source: DeleteKeyPair."""
    delete_key_pair(conn, thing.resource_id)


def _delete_group(conn: Any, thing: Lent, sleep: Sleep, patience_s: float) -> None:
    """Delete a security group once EC2 has it in no use. Source: DeleteSecurityGroup."""
    group_id = thing.resource_id
    for pause_s in pauses(patience_s):
        try:
            call(conn, "delete_security_group", GroupId=group_id)
        except ApiError as error:
            if error.code != "DependencyViolation":
                raise
            sleep(pause_s)
        else:
            return
    raise SnapbackError(
        f"{thing} is still in use after {patience_s:g} s: EC2's network interfaces tell by what"
    )


_REMOVERS: dict[Kind, Callable[[Any, Lent, Sleep, float], None]] = {
    Kind.INSTANCE: _terminate,
    Kind.IMAGE: _deregister,
    Kind.VOLUME: _delete_volume,
    Kind.KEY_PAIR: _delete_key_pair,
    Kind.SECURITY_GROUP: _delete_group,
}
