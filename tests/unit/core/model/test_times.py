"""Instants as people give them, and what --at means."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from snapback.core.model.times import in_utc, read_moment


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("2026-11-01T03:00", "2026-11-01T03:00:59.999999"),
        ("2026-11-01 03:00", "2026-11-01T03:00:59.999999"),
        ("2026-11-01T03:00:07", "2026-11-01T03:00:07.999999"),
        ("2026-11-01T03:00Z", "2026-11-01T03:00:59.999999"),
        ("2026-11-01T03:00+01:00", "2026-11-01T02:00:59.999999"),
        ("2026-11-01T03:00:07-05:30", "2026-11-01T08:30:07.999999"),
        ("2026-11-01", "2026-11-01T23:59:59.999999"),
    ],
)
def test_without_an_offset_it_is_utc_and_all_of_what_is_named(text: str, means: str) -> None:
    assert read_moment(text) == datetime.fromisoformat(means).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "03:00", "-1", "--at"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="--at: expected a time like"):
        read_moment(text)


def test_it_is_told_in_utc() -> None:
    assert in_utc(datetime.fromisoformat("2026-11-01T03:00+01:00")) == "2026-11-01 02:00:00 UTC"
