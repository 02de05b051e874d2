"""What callers hand in, in one spot: our own dataclasses, or boto3's resources."""

from __future__ import annotations

from typing import Any

from snapback.core.model import Instance, Volume
from snapback.errors import UsageError


def whereabouts(thing: Any, kind: str) -> tuple[str, str]:
    """Answer the region and the id of a volume or an instance.

    :param thing: a :class:`~snapback.core.model.Volume`, an :class:`~snapback.core.model.Instance`,
        or a boto3 resource (``ec2.Volume``, ``ec2.Instance``), which knows its client's region.
    :param kind: ``"volume"`` or ``"instance"``.
    :raises UsageError: it is none of these.
    """
    if isinstance(thing, Volume) and kind == "volume":
        return thing.place.region, thing.volume_id
    if isinstance(thing, Instance) and kind == "instance":
        return thing.place.region, thing.instance_id
    found = getattr(thing, f"{kind}_id", None) or getattr(thing, "id", None)
    meta = getattr(thing, "meta", None)
    region = getattr(getattr(getattr(meta, "client", None), "meta", None), "region_name", None)
    if not isinstance(found, str) or not isinstance(region, str):
        raise UsageError(
            f"{thing!r:.60} is no {kind}: expected snapback's {kind.title()}, or boto3's resource"
        )
    return region, found
