"""The kinds of values that settings have."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _not_reserved(key: str) -> str:
    if key.startswith("aws:"):
        raise ValueError("tags that begin with aws: are reserved by AWS")
    return key


def nothing_is_empty(value: object) -> object:
    """Take ``eu-west-1:`` with nothing behind it for a region with nothing particular."""
    return {} if value is None else value


Count = Annotated[int, Field(ge=0, le=100_000)]
TagKey = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_not_reserved)]
TagValue = Annotated[str, Field(max_length=256)]
RegionName = Annotated[str, Field(pattern=r"^[a-z]{2,}(-[a-z]+)+-[0-9]+$")]
Minutes = Annotated[float, Field(gt=0, le=100_000)]


class Strict(BaseModel):
    """What is validated strictly and can't change."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
