"""The settings of consistent backups."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from snapback.config.fields import Strict


class Freeze(Strict):
    """How file systems are frozen while snapshots are taken."""

    freeze_root: bool = Field(
        True,
        description="whether / is frozen too; if not, the volume that holds it is crash-consistent",
    )
    freeze_timeout_s: Annotated[int, Field(ge=1, le=300)] = Field(
        10, description="seconds after which a host thaws by itself, whatever happens here"
    )
    freeze_workers: Annotated[int, Field(ge=1, le=256)] = Field(
        8, description="how many instances are frozen at the same time"
    )
    pre_freeze: str | None = Field(
        None,
        min_length=1,
        description="a command line that sh runs on the host as root before its file systems are "
        "frozen: to write out what is in memory, or to stop a service; a lock that it takes ends "
        "with it",
    )
    post_thaw: str | None = Field(
        None,
        min_length=1,
        description="one that it runs after they are thawed, whatever else happens",
    )
    hook_timeout_s: Annotated[int, Field(ge=1, le=86_400)] = Field(
        60, description="how many seconds each of these two commands may take"
    )
    require_consistent: bool = Field(
        False,
        description="take no snapshot at all where a consistent one is asked for and can't be had",
    )
