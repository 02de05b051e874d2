"""Finding what was lent for a moment, and taking it back, each kind in its way.

To take back what is gone already is success; so is what EC2 will delete by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from snapback.core.backoff import growing
from snapback.core.leases.lease import Kind, Lent
from snapback.core.model import Place
from snapback.ec2.calls import call, pages
from snapback.ec2.tags import read_tags
from snapback.errors import ApiError, SnapbackError

_GONE = {
    "InvalidAMIID.NotFound",
    "InvalidAMIID.Unavailable",
    "InvalidGroup.NotFound",
    "InvalidGroupId.NotFound",
    "InvalidInstanceID.NotFound",
    "InvalidKeyPair.NotFound",
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
    conn: Any, place: Place, tag_filter: dict[str, str], kinds: Collection[Kind] = tuple(Kind)
) -> list[Lent]:
    """Answer the things that bear some tags, but those that are going already.

    :param tag_filter: tag key -> value; ``"*"`` is any.
    :param kinds: those to look for; a call each.

    Source: DescribeInstances, DescribeImages, DescribeVolumes, DescribeKeyPairs,
    DescribeSecurityGroups.
    """
    filters = [
        {"Name": "tag-key", "Values": [key]}
        if value == "*"
        else {"Name": f"tag:{key}", "Values": [value]}
        for key, value in tag_filter.items()
    ]
    return [
        Lent(place=place, kind=kind, resource_id=said[_ID_KEYS[kind]], tags=read_tags(said))
        for kind in kinds
        for said in _described(conn, kind, filters)
        if _stays(said)
    ]


_ID_KEYS = {
    Kind.INSTANCE: "InstanceId",
    Kind.IMAGE: "ImageId",
    Kind.VOLUME: "VolumeId",
    Kind.KEY_PAIR: "KeyName",
    Kind.SECURITY_GROUP: "GroupId",
}


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


def _stays(said: dict[str, Any]) -> bool:
    """Tell whether a thing isn't going already; what has no state stays."""
    state = said.get("State", "")
    return (state if isinstance(state, str) else state["Name"]) not in _ON_ITS_WAY_OUT


def take_back(conn: Any, thing: Lent, sleep: Sleep, patience_s: float) -> None:
    """Remove a thing for good.

    :param sleep: waits for so many seconds.
    :param patience_s: how long to wait until EC2 lets it go.
    :raises SnapbackError: it is still there.
    """
    try:
        _REMOVERS[thing.kind](conn, thing.resource_id, sleep, patience_s)
    except ApiError as error:
        if error.code not in _GONE:
            raise


def _terminate(conn: Any, instance_id: str, _: Sleep, __: float) -> None:
    """Source: TerminateInstances, after which nothing can keep it."""
    call(conn, "terminate_instances", InstanceIds=[instance_id])


def _deregister(conn: Any, image_id: str, _: Sleep, __: float) -> None:
    """Source: DeregisterImage; its snapshots stay."""
    call(conn, "deregister_image", ImageId=image_id)


def _delete_volume(conn: Any, volume_id: str, sleep: Sleep, patience_s: float) -> None:
    """Detach a volume, never by force, and delete it. Source: DetachVolume, DeleteVolume."""
    for pause_s in pauses(patience_s):
        filters = [{"Name": "volume-id", "Values": [volume_id]}]
        found = call(conn, "describe_volumes", Filters=filters)["Volumes"]
        if not found or not _stays(found[0]):
            return
        state, holders = found[0]["State"], found[0].get("Attachments", [])
        if state in ("available", "error"):
            call(conn, "delete_volume", VolumeId=volume_id)
            return
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


def _delete_key_pair(conn: Any, key_name: str, _: Sleep, __: float) -> None:
    """Source: DeleteKeyPair."""
    call(conn, "delete_key_pair", KeyName=key_name)


def _delete_group(conn: Any, group_id: str, sleep: Sleep, patience_s: float) -> None:
    """Delete a security group once no instance is in it. Source: DeleteSecurityGroup."""
    for pause_s in pauses(patience_s):
        try:
            call(conn, "delete_security_group", GroupId=group_id)
        except ApiError as error:
            if error.code != "DependencyViolation":
                raise
            sleep(pause_s)
        else:
            return
    raise SnapbackError(f"security group {group_id} is still in use after {patience_s:g} s")


_REMOVERS: dict[Kind, Callable[[Any, str, Sleep, float], None]] = {
    Kind.INSTANCE: _terminate,
    Kind.IMAGE: _deregister,
    Kind.VOLUME: _delete_volume,
    Kind.KEY_PAIR: _delete_key_pair,
    Kind.SECURITY_GROUP: _delete_group,
}
