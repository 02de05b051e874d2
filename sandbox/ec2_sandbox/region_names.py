"""The names of EC2's regions."""

from __future__ import annotations

from collections.abc import Iterable

from ec2_sandbox.errors import SandboxError

#: The regions that every account has from the start.
WITHOUT_OPT_IN = (
    "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1",
    "ap-southeast-2", "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2",
    "eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
)  # fmt: skip
#: The regions that an account has to opt in to.
WITH_OPT_IN = (
    "af-south-1", "ap-east-1", "ap-south-2", "ap-southeast-3", "ap-southeast-4",
    "ap-southeast-5", "ca-west-1", "eu-central-2", "eu-south-1", "eu-south-2", "il-central-1",
    "me-central-1", "me-south-1", "mx-central-1",
)  # fmt: skip
ALL = tuple(sorted(WITHOUT_OPT_IN + WITH_OPT_IN))


def check_names(enabled: Iterable[str] | None, default: str) -> None:
    """Refuses settings that name a region there isn't.

    :raises SandboxError: with the names
    """
    named = None if enabled is None else list(enabled)
    unknown = sorted({*(named or ()), default} - set(ALL))
    if unknown:
        raise SandboxError(f"unknown region {', '.join(unknown)}")
    if named is not None and not named:
        raise SandboxError("no region is enabled")
