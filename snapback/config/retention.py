"""The settings of trimming: how many periods keep a snapshot each."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from snapback.config.fields import Count, Strict
from snapback.core.trim.policy import Policy


class Retention(Strict):
    """How many periods of each kind keep a snapshot. Docs: "Trimming explained".

    A key left out of ``retention`` has the default shown; left out of a region's or of a named
    one, it is that of ``retention``. 0 switches a kind off.
    """

    hourly: Count = Field(24, description="hours back that keep a snapshot each")
    daily: Count = Field(7, description="days")
    weekly: Count = Field(4, description="weeks, from Sunday")
    monthly: Count = Field(12, description="calendar months")
    quarterly: Count = Field(4, description="quarters: three calendar months")
    yearly: Count = Field(10, description="calendar years")

    def over(self, policy: Policy) -> Policy:
        """Answer the policy with the counts that were given here put in place of its own."""
        return replace(policy, **{name: getattr(self, name) for name in self.model_fields_set})
