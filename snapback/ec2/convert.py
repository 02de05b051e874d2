"""What callers hand in, in one spot: our own dataclasses, or boto3's resources."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from snapback.core.model import Instance, Place, Volume
from snapback.errors import UsageError


def whereabouts(thing: Any, kind: str, place_of: Callable[[Any], Place]) -> tuple[Place, str]:
    """Answer the place and the id of a volume or an instance.

    :param thing: a :class:`~snapback.core.model.Volume`, an :class:`~snapback.core.model.Instance`,
        or a boto3 resource (``ec2.Volume``, ``ec2.Instance``), which knows its client.
    :param kind: ``"volume"`` or ``"instance"``.
    :param place_of: answers the place of a client.
    :raises UsageError: it is none of these.
    """
    if isinstance(thing, Volume) and kind == "volume":
        return thing.place, thing.volume_id
    if isinstance(thing, Instance) and kind == "instance":
        return thing.place, thing.instance_id
    found = getattr(thing, f"{kind}_id", None) or getattr(thing, "id", None)
    client = getattr(getattr(thing, "meta", None), "client", None)
    region = getattr(getattr(client, "meta", None), "region_name", None)
    if not isinstance(found, str) or not isinstance(region, str):
        raise UsageError(
            f"{thing!r:.60} is no {kind}: expected snapback's {kind.title()}, or boto3's resource"
        )
    return place_of(client), found
