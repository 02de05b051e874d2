"""Tags: looked up without a scan, limited in number and length, ``aws:`` reserved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix

from ec2_sandbox.corrections.answer import Answer
from ec2_sandbox.corrections.filters import Reader, apply_filters
from ec2_sandbox.corrections.paging import page
from ec2_sandbox.errors import ApiError, invalid
from ec2_sandbox.wire import UNFIT

MAX_TAGS = 50
MAX_KEY = 128
MAX_VALUE = 256
MAX_RESOURCES = 1000


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


class StrictTags:
    """Of the backend: tag look-ups that do not scan all tags of the region."""

    tags: dict[str, dict[str, str]]

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
        return apply_filters(found, rest, _READERS) if rest else found


def _reader_of_key(key: str) -> Reader:
    return lambda tag: tag["value"] if tag["key"] == key else None


_READERS: dict[str, Reader] = {
    "key": lambda tag: tag["key"],
    "value": lambda tag: tag["value"],
    "resource-id": lambda tag: tag["resource_id"],
    "resource-type": lambda tag: tag["resource_type"],
}


class TagCalls:
    """Of the response: CreateTags, DescribeTags and the TagSpecifications of all calls."""

    params: dict[str, Any]
    flat: Mapping[str, str]
    ec2_backend: Any

    def _parse_tag_specification(
        self, expected_type: str | None = None
    ) -> dict[str, dict[str, str]]:
        specifications = (
            self.params.get("TagSpecifications") or self.params.get("TagSpecification") or []
        )
        found: dict[str, dict[str, str]] = {}
        for each in specifications:
            kind = each.get("ResourceType")
            if not kind:
                raise invalid("Tag specification resource type must have a value")
            if expected_type and kind != expected_type:
                raise invalid(f"'{kind}' is not a valid taggable resource type for this operation.")
            if kind in found:
                raise invalid(f"The same resource type may not be specified more than once: {kind}")
            if not each.get("Tags"):
                raise invalid("Tag specification must have at least one tag")
            found[kind] = read_tags(each["Tags"])
        return found

    def create_tags(self) -> Answer:
        """Tags up to 1000 resources, all or none. Source: CreateTags."""
        resources = self._taggable()
        tags = read_tags(self.params.get("Tags") or [])
        if not tags:
            raise ApiError("MissingParameter", "The request must contain the parameter tagSet")
        for resource_id in resources:
            self.ec2_backend.check_visible(resource_id)
            check_number({*self.ec2_backend.tags_of(resource_id), *tags})
        self.error_on_dryrun()  # type: ignore[attr-defined]
        for resource_id in resources:
            self.ec2_backend.set_tags(resource_id, tags)
        return Answer({})

    def delete_tags(self) -> Answer:
        """Takes tags off resources. Source: DeleteTags."""
        resources = self._taggable()
        tags = self.params.get("Tags") or []
        if any(tag.get("Key", "").startswith("aws:") for tag in tags):
            raise invalid("Tag keys starting with 'aws:' are reserved for internal use")
        self.error_on_dryrun()  # type: ignore[attr-defined]
        for resource_id in resources:
            own = self.ec2_backend.tags.get(resource_id, {})
            keys = [tag["Key"] for tag in tags] or [key for key in own if key[:4] != "aws:"]
            values = {tag["Key"]: tag.get("Value") for tag in tags}
            for key in keys:
                if values.get(key) in (None, own.get(key)):
                    own.pop(key, None)
        return Answer({})

    def describe_tags(self) -> Answer:
        """Answers tags, filtered and paged. Source: DescribeTags."""
        tags = self.ec2_backend.describe_tags(None)
        filters = self._filters_from_querystring()  # type: ignore[attr-defined]
        readers = dict(_READERS)
        for name in filters:
            if name.startswith("tag:"):
                readers[name] = _reader_of_key(name[4:])
        chosen, token = page(
            apply_filters(tags, filters, readers),
            lambda tag: (tag["resource_id"], tag["key"]),
            self.flat,
            self.ec2_backend.world.epoch,
        )
        answer = [
            {
                "Key": tag["key"],
                "Value": tag["value"],
                "ResourceId": tag["resource_id"],
                "ResourceType": tag["resource_type"],
            }
            for tag in chosen
        ]
        return Answer({"Tags": answer, "NextToken": token})

    def _taggable(self) -> list[str]:
        resources = self.params.get("Resources") or []
        if not resources:
            message = "The request must contain the parameter resourceIdSet"
            raise ApiError("MissingParameter", message)
        if len(resources) > MAX_RESOURCES:
            raise invalid(f"At most {MAX_RESOURCES} resources can be tagged in one call.")
        for resource_id in resources:
            if get_prefix(resource_id) not in EC2_PREFIX_TO_RESOURCE:
                raise ApiError("InvalidID", f"The ID '{resource_id}' is not valid")
        try:
            for resource_id in resources:
                if resource_id.startswith("i-"):
                    self.ec2_backend.get_instance(resource_id)
            self.ec2_backend.do_resources_exist(resources)
        except EC2ClientError as error:
            raise ApiError(error.code, error.message) from None
        return resources
