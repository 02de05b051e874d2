"""Snapshots whose records aren't believed, in a few words."""

from __future__ import annotations

from collections.abc import Mapping

MOST_TOLD = 3


def unproven_in_words(unproven: Mapping[str, str]) -> str:
    """Return how many snapshots are kept whose records aren't believed, and why not.

    :param unproven: snapshot id -> what EC2 says, in words.
    """
    told = [f"{snapshot_id} ({why})" for snapshot_id, why in unproven.items()]
    more = f" and {len(told) - MOST_TOLD} more" if len(told) > MOST_TOLD else ""
    return f"{len(told)} unproven and kept: {', '.join(told[:MOST_TOLD])}{more}"
