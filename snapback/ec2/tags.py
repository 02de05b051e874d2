"""Tags as the API writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from sys import intern
from typing import Any

from snapback.ec2.calls import call


def read_tags(said: Mapping[str, Any]) -> dict[str, str]:
    """Answer the tags of a described resource as a mapping. Equal texts are held once."""
    return {intern(tag["Key"]): intern(tag["Value"]) for tag in said.get("Tags", ())}


def write_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Answer tags in the API's form."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def create_tags(conn: Any, resource_ids: Iterable[str], tags: Mapping[str, str]) -> None:
    """Set the same tags on up to 1000 resources. Source: CreateTags."""
    call(conn, "create_tags", Resources=list(resource_ids), Tags=write_tags(tags))


def delete_tags(conn: Any, resource_ids: Iterable[str], keys: Iterable[str]) -> None:
    """Take tags from up to 1000 resources, whatever their values. Source: DeleteTags."""
    call(conn, "delete_tags", Resources=list(resource_ids), Tags=[{"Key": key} for key in keys])
