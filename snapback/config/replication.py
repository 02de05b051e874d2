"""The settings of replication."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from snapback.config.fields import RegionName, Strict


class Replication(Strict):
    """How snapshots are replicated. Docs: "Replicate for disaster recovery"."""

    engine: Literal["rsync", "copy"] = Field(
        "rsync",
        description="what moves the data: temporary instances by SSH, or EC2's own CopySnapshot",
    )
    replication_workers: Annotated[int, Field(ge=1, le=64)] = Field(
        4, description="volumes at the same time on one pair of temporary instances"
    )
    replication_speed: Annotated[float, Field(gt=0, le=100)] = Field(
        0.007,
        description="GiB a second that a transfer makes at least: one that hasn't shown life for "
        "longer than its volume would take is taken for dead",
    )
    compare: bool = Field(
        False,
        description="with the engine rsync, compare both sides once more before the snapshot",
    )
    exclude: list[Annotated[str, Field(min_length=1)]] = Field(
        default_factory=list,
        description="with the engine rsync, rsync's patterns of files that replicas are without; a "
        "backup is exact unless there are any",
    )
    kms_keys: dict[RegionName, Annotated[str, Field(min_length=1)]] = Field(
        default_factory=dict,
        description="region to KMS key: all replicas there are encrypted with it",
    )
