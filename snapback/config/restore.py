"""The settings of restoring."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from snapback.config.fields import RegionName, Strict

Text = Annotated[str, Field(min_length=1)]


class RestoreInto(Strict):
    """What stands in a region for the things of another. The key `*` is any other."""

    subnets: dict[Text, Text] = Field(
        default_factory=dict, description="subnet of the original to subnet there"
    )
    security_groups: dict[Text, Text] = Field(
        default_factory=dict, description="security group of the original to security group there"
    )
    key_names: dict[Text, Text] = Field(
        default_factory=dict,
        description="key pair of the original to key pair there, for --key-name as-recorded; left "
        "out: the one of its name",
    )


class Restore(Strict):
    """How instances are restored. Docs: "Restore"."""

    into: dict[RegionName, RestoreInto] = Field(
        default_factory=dict,
        description="region to what stands there for the subnets, security groups and key pairs of "
        "the originals",
    )
    check_command: Text = Field(
        "true",
        description="a command line that sh runs as root on an instance restored with --drill: it "
        "is well if that ends with 0",
    )
    drill_minutes: Annotated[int, Field(ge=1, le=1440)] = Field(
        30, description="how long a drill waits for the status checks, and then for SSH"
    )
