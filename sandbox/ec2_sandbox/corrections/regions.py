"""Regions: only enabled ones are answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ec2_sandbox.corrections.answer import Answer
from ec2_sandbox.corrections.filters import apply_filters
from ec2_sandbox.corrections.response_part import ResponsePart
from ec2_sandbox.errors import ApiError, invalid
from ec2_sandbox.region_names import ALL, WITH_OPT_IN


def check_enabled(region: str, enabled: tuple[str, ...]) -> None:
    """Refuses a call in a region that is not enabled for the account.

    :raises ApiError: ``OptInRequired`` where the account could opt in, else ``AuthFailure``
    """
    if region in enabled:
        return
    if region in WITH_OPT_IN:
        raise ApiError(
            "OptInRequired",
            f"You are not subscribed to this service. Please opt in to the region {region}.",
        )
    raise ApiError("AuthFailure", "AWS was not able to validate the provided access credentials")


class RegionCalls(ResponsePart):
    """Of the response: DescribeRegions."""

    def describe_regions(self) -> Answer:
        """Shows the enabled regions, or all with AllRegions. Source: DescribeRegions."""
        self.error_on_dryrun()
        enabled = self.ec2_backend.world.enabled_regions()
        names = self.params.get("RegionNames")
        unknown = sorted(set(names or ()) - set(ALL))
        if unknown:
            raise invalid(f"Invalid region: {unknown[0]}")
        chosen = ALL if self.params.get("AllRegions") or names else enabled
        regions = [
            {
                "RegionName": name,
                "Endpoint": f"ec2.{name}.amazonaws.com",
                "OptInStatus": _status(name, enabled),
            }
            for name in chosen
            if not names or name in names
        ]
        readers: Mapping[str, Any] = {
            "endpoint": lambda each: each["Endpoint"],
            "opt-in-status": lambda each: each["OptInStatus"],
            "region-name": lambda each: each["RegionName"],
        }
        filters = self._filters_from_querystring()
        return Answer({"Regions": apply_filters(regions, filters, readers)})


def _status(name: str, enabled: tuple[str, ...]) -> str:
    if name not in enabled:
        return "not-opted-in"
    return "opted-in" if name in WITH_OPT_IN else "opt-in-not-required"
