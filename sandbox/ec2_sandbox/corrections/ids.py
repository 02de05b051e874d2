"""Ids: their form, their making."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from ec2_sandbox.errors import ApiError, invalid

_NAMED = re.compile(
    r"(?:^|\.)(?:Source)?(Snapshot|Volume|Instance|Image|Exclude(?=DataVolume))"
    r"(?:Data(Volume))?Id(?:\.\d+)?$"
)
_FORMS = {
    "Snapshot": ("snap", "snapshotId", "InvalidSnapshotID.Malformed"),
    "Volume": ("vol", "volumeId", "InvalidVolumeID.Malformed"),
    "Instance": ("i", "instanceId", "InvalidInstanceID.Malformed"),
    "Image": ("ami", "imageId", "InvalidAMIID.Malformed"),
}
_TAIL = re.compile(r"(?:[0-9a-f]{8}|[0-9a-f]{17})\Z")


def check_ids(parameters: Mapping[str, str]) -> None:
    """Refuses malformed ids of snapshots, volumes, instances and images, wherever they stand.

    :param parameters: the request's flat parameters
    :raises ApiError: ``InvalidParameterValue`` for another kind's id, ``Invalid...Malformed``
        for a wrong tail
    """
    for key, value in parameters.items():
        if key.startswith("Filter."):
            continue
        match = _NAMED.search(key)
        if not match or (match[1] == "Image" and value.startswith("resolve:ssm:")):
            continue
        prefix, parameter, malformed = _FORMS[match[2] or match[1]]
        if not value.startswith(f"{prefix}-"):
            raise invalid(
                f"Value ({value}) for parameter {parameter} is invalid. Expected: '{prefix}-...'."
            )
        if not _TAIL.match(value[len(prefix) + 1 :]):
            raise ApiError(malformed, f'Invalid id: "{value}" (expecting "{prefix}-...")')


def stable_id(prefix: str, *names: object) -> str:
    """Makes an id that is always the same for the same names."""
    text = "\0".join(str(name) for name in names)
    return f"{prefix}-{hashlib.sha256(text.encode()).hexdigest()[:17]}"
