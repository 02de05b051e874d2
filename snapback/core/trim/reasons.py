"""The kinds of reasons for which trimming keeps or deletes a snapshot."""

from __future__ import annotations

from enum import Enum

from snapback.core.model.tags import KEEP, PIN


class TrimReason(Enum):
    """Why a snapshot is kept or goes. The value is what reports count it by."""

    PINNED = f"tag {PIN}"
    KEPT = f"tag {KEEP}"
    HOME_UNREAD = "home can't be read"
    PENDING = "pending"
    IN_USE = "in use"
    LOCKED = "locked"
    ARCHIVED = "archived"
    MANAGED = "managed by another"
    FUTURE = "dated in the future"
    IN_FLIGHT = "in a transfer"
    NOT_SELECTED = "not selected"
    NO_POLICY = "no such retention"
    NO_COUNTS = "the policy has no counts"
    NEWEST = "newest"
    NEWEST_SOUND = "newest that isn't corrupt"
    EVIDENCE = "found corrupt"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    STOPPED = "stopped by the brake"
    SET = "set"

    SURPASSED = "its period keeps another"
    TOO_OLD = "older than every period that keeps one"
    DOUBLE = "the same as another"
