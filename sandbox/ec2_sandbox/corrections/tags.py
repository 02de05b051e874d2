"""Tags: looked up without a scan, limited in number and length, ``aws:`` reserved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix

from ec2_sandbox.corrections.backend_part import BackendPart
from ec2_sandbox.corrections.filters import Reader, apply_filters
from ec2_sandbox.errors import ApiError, invalid
from ec2_sandbox.wire import UNFIT

MAX_TAGS = 50
MAX_KEY = 128
MAX_VALUE = 256
#: how each filter of DescribeTags reads a tag
READERS: dict[str, Reader] = {
    "key": lambda tag: tag["key"],
    "value": lambda tag: tag["value"],
    "resource-id": lambda tag: tag["resource_id"],
    "resource-type": lambda tag: tag["resource_type"],
}


def read_tags(tags: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Reads a request's list of tags.

    :raises ApiError: a key that is reserved, too long, empty or given twice; a value too long; a
        character that XML can't carry
    """
    found: dict[str, str] = {}
    for tag in tags:
        key, value = tag.get("Key", ""), tag.get("Value") or ""
        if not key:
            raise invalid("Tag key cannot be empty.")
        if key.lower().startswith("aws:"):
            raise invalid(f"Tag keys starting with 'aws:' are reserved for internal use: {key}")
        if len(key) > MAX_KEY:
            raise invalid(f"Tag key exceeds the maximum length of {MAX_KEY} characters: {key}")
        if len(value) > MAX_VALUE:
            raise invalid(
                f"Tag value exceeds the maximum length of {MAX_VALUE} characters, key: {key}"
            )
        if UNFIT.search(key) or UNFIT.search(value):
            raise invalid(f"Tag contains invalid characters: {key!r}")
        if key in found:
            raise invalid(f"Duplicate tag key '{key}' specified.")
        found[key] = value
    check_number(found)
    return found


def check_number(keys: Iterable[str]) -> None:
    """Refuses more tags than a resource may have; ``aws:`` ones do not count.

    :raises ApiError: ``TagLimitExceeded``
    """
    if sum(not key.startswith("aws:") for key in keys) > MAX_TAGS:
        raise ApiError(
            "TagLimitExceeded", "You have reached the maximum number of tags for this resource."
        )


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]] | None:
    """Writes tags as the API answers them; None when there are none."""
    return [{"Key": key, "Value": value} for key, value in tags.items()] or None


class StrictTags(BackendPart):
    """Of the backend: tag look-ups that do not scan all tags of the region."""

    def tags_of(self, resource_id: str) -> dict[str, str]:
        """Answers a resource's tags."""
        return self.tags.get(resource_id) or {}

    def set_tags(self, resource_id: str, tags: Mapping[str, str]) -> None:
        """Gives a resource tags, ``aws:`` ones too: who calls this is EC2 itself."""
        if tags:
            self.tags[resource_id].update(tags)

    def describe_tags(self, filters: Any = None) -> list[dict[str, str]]:
        """Answers moto's own look-ups; by far most are for all tags of one resource."""
        rest = dict(filters or {})
        ids = rest.get("resource-id")
        if ids is None or any("*" in each or "?" in each for each in ids):
            wanted: list[str] = list(self.tags)
        else:
            wanted = rest.pop("resource-id")
        found = [
            {
                "resource_id": resource_id,
                "key": key,
                "value": value,
                "resource_type": EC2_PREFIX_TO_RESOURCE.get(get_prefix(resource_id), ""),
            }
            for resource_id in wanted
            for key, value in self.tags_of(resource_id).items()
        ]
        return apply_filters(found, rest, READERS) if rest else found
