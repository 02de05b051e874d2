"""The calls about tags: CreateTags, DeleteTags, DescribeTags."""

from __future__ import annotations

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix

from ec2_sandbox.corrections.answer import Answer
from ec2_sandbox.corrections.filters import Reader, apply_filters
from ec2_sandbox.corrections.paging import page
from ec2_sandbox.corrections.response_part import ResponsePart
from ec2_sandbox.corrections.tags import READERS, check_number, read_tags
from ec2_sandbox.errors import ApiError, invalid

MAX_RESOURCES = 1000


class TagCalls(ResponsePart):
    """Of the response: CreateTags, DescribeTags and the TagSpecifications of all calls."""

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
        self.error_on_dryrun()
        for resource_id in resources:
            self.ec2_backend.set_tags(resource_id, tags)
        return Answer({})

    def delete_tags(self) -> Answer:
        """Takes tags off resources. Source: DeleteTags."""
        resources = self._taggable()
        tags = self.params.get("Tags") or []
        if any(tag.get("Key", "").startswith("aws:") for tag in tags):
            raise invalid("Tag keys starting with 'aws:' are reserved for internal use")
        self.error_on_dryrun()
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
        filters = self._filters_from_querystring()
        readers = dict(READERS)
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
            self.ec2_backend.do_resources_exist(
                [each for each in resources if not self.ec2_backend.is_in_bin(each)]
            )
        except EC2ClientError as error:
            raise ApiError(error.code, error.message) from None
        return resources


def _reader_of_key(key: str) -> Reader:
    return lambda tag: tag["value"] if tag["key"] == key else None
