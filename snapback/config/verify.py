"""The settings of verifying."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from snapback.config.fields import Minutes, Strict


class Verify(Strict):
    """How snapshots are verified. Docs: "Verify"."""

    verify_command: str | None = Field(
        None,
        min_length=1,
        description="a command line that sh runs as root in each file system, mounted read-only, "
        "and in an empty folder where nothing known is on its device: it is well if that ends "
        "with 0",
    )
    verify_minutes: Minutes = Field(60, description="how long this command may take")
    verify_workers: Annotated[int, Field(ge=1, le=11)] = Field(
        4, description="volumes at the same time on one temporary instance"
    )
