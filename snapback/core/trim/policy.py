"""The retention of a timeline: how many periods of each kind keep a snapshot."""

from __future__ import annotations

from dataclasses import dataclass

from snapback.core.trim.periods import KINDS, Kind

HOURS_A_DAY = 24
SPARE_DAYS = 2


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How many periods of each kind keep a snapshot; 0 switches a kind off.

    Only periods that have a snapshot count. A policy of zeros deletes nothing. Raising a count of
    any other policy can only keep more.

    :ivar fade_after_days: a timeline without a new snapshot for so many days, whose volume is
        gone, is counted by the calendar back from now, so that it thins out; ``None``: never.
    """

    hourly: int = 24
    daily: int = 7
    weekly: int = 4
    monthly: int = 12
    quarterly: int = 4
    yearly: int = 10
    fade_after_days: float | None = None

    def counts(self) -> list[tuple[Kind, int]]:
        """Return the kinds that are switched on with their counts, finest first."""
        counted = [(kind, getattr(self, kind.name)) for kind in KINDS]
        return [(kind, count) for kind, count in counted if count > 0]

    @property
    def days_of_hours(self) -> int:
        """How many of the newest days that have a snapshot the hours are counted in.

        Without that bound, 24 hours would be 24 nights for whoever backs up once a night, and no
        count of days could keep fewer.
        """
        return -(-self.hourly // HOURS_A_DAY) + SPARE_DAYS
