"""The settings of `check`: when a volume's backups are good enough."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from snapback.config.fields import Count, Strict, TagValue
from snapback.core.model import Consistency, Tags
from snapback.core.status.health import Limits

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}

Span = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}[mhd]$")]


def read_span(text: str) -> timedelta:
    """Answer the span of time that a setting names: ``26h``, ``90m``, ``7d``."""
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


class CheckLimits(Strict):
    """When a volume's backups are good enough: for all, or for the instances with some tag."""

    max_age: Span = Field("26h", description="how old the last snapshot may be: `90m`, `26h`, `7d`")
    max_replica_age: Span = Field(
        "26h", description="how old the data of the last replica in each destination may be"
    )
    max_pending: Span = Field(
        "24h", description="how long a snapshot or replica may be pending until it counts as stuck"
    )
    min_kept: Count = Field(1, description="how many completed snapshots there are at least")
    consistency: Literal["crash", "filesystem", "application"] = Field(
        "crash",
        description="how consistent a snapshot of the last `max_age` has to be; `crash` demands "
        "nothing; `application` is what only snapshots of older versions are called",
    )
    max_verified_age: Span | None = Field(
        None,
        description="how long ago one of its snapshots was verified at most; left out: none has "
        "to be",
    )

    def over(self, limits: Limits) -> Limits:
        """Answer the limits with those that were given here put in place of their own."""
        given = {name: getattr(self, name) for name in self.model_fields_set & _NAMES}
        return limits.changed(
            **{
                name: Consistency[value.upper()]
                if name == "consistency"
                else value
                if name == "min_kept" or value is None
                else read_span(value)
                for name, value in given.items()
            }
        )


_NAMES = set(CheckLimits.model_fields)


class CheckOverride(CheckLimits):
    """Limits that differ for the instances with certain tags."""

    match: dict[Annotated[str, Field(min_length=1, max_length=128)], TagValue] = Field(
        min_length=1, description="the tags, all of which an instance must have, with these values"
    )


class Check(CheckLimits):
    """When a volume's backups are good enough."""

    overrides: list[CheckOverride] = Field(
        default_factory=list,
        description="limits that differ for the instances with certain tags; of several that match "
        "and give the same limit, the first",
    )

    def limits_for(self, tags: Tags) -> Limits:
        """Answer the limits of an instance with some tags."""
        limits = self.over(Limits())
        for override in reversed(self.overrides):
            if all(tags.get(name) == value for name, value in override.match.items()):
                limits = override.over(limits)
        return limits
