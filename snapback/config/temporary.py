"""The settings of what is lent for a moment: temporary instances, and what they need."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from snapback.config.fields import RegionName, Strict

Text = Annotated[str, Field(min_length=1)]
SomeIds = Annotated[list[Text], Field(min_length=1)]


ARM_TYPES = ["t4g.small", "m6g.large", "m7g.large"]


class Temporary(Strict):
    """Temporary instances, which move data and are gone afterwards."""

    instance_types: list[Text] = Field(
        default=["t3.small", "t3a.small", "m5.large"],
        min_length=1,
        description="what to launch; the next one where there is no capacity for the first. With "
        f"arm64, if left out: {', '.join(ARM_TYPES)}",
    )
    architecture: Literal["x86_64", "arm64"] = Field(
        "x86_64", description="theirs, and that of their image"
    )
    image_owner: Text = Field(
        "099720109477", description="the account whose image is used: Canonical's"
    )
    image_name: Text = Field(
        "ubuntu/images/hvm-ssd*/ubuntu-*-24.04-*-server-*",
        description="the image's name, with EC2's wildcards; the newest one is taken. It needs "
        "cloud-init, rsync 3.2.4, sudo",
    )
    username: Text = Field("ubuntu", description="the image's own user, who may use sudo")
    subnets: dict[RegionName, SomeIds] = Field(
        default_factory=dict,
        description="region to the ids of subnets, tried in turn; elsewhere the default ones",
    )
    security_groups: dict[RegionName, SomeIds] = Field(
        default_factory=dict,
        description="region to the ids of security groups that let SSH in, from here and from the "
        "other temporary instance; elsewhere a temporary one is made",
    )
    source_cidr: Text | None = Field(
        None,
        description="the addresses that the temporary security groups let in, `203.0.113.7/32`; "
        "left out: this machine's, as checkip.amazonaws.com sees it",
    )
    lease_minutes: Annotated[int, Field(ge=10, le=1440)] = Field(
        60,
        description="a temporary instance ends by itself, and all may be swept, so many minutes "
        "after the run last said that it lives",
    )

    @model_validator(mode="before")
    @classmethod
    def _types_that_fit(cls, said: Any) -> Any:
        """Take types of the architecture that is asked for, where none are named."""
        if isinstance(said, dict) and said.get("architecture") == "arm64":
            return {"instance_types": ARM_TYPES, **said}
        return said
