"""Contracted names of regions."""

from __future__ import annotations

import pytest

from snapback.ec2.regions import check_name, expand
from snapback.errors import UsageError

IN_USE = ["ap-southeast-1", "eu-west-1", "us-east-1", "us-east-2", "us-east-11"]


@pytest.mark.parametrize(
    ("name", "region"),
    [
        ("eu-w", "eu-west-1"),
        ("eu", "eu-west-1"),
        ("ap-s", "ap-southeast-1"),
        ("us-east-1", "us-east-1"),
        ("us-east-11", "us-east-11"),
    ],
)
def test_a_clear_name_is_expanded_and_an_exact_one_wins(name: str, region: str) -> None:
    assert expand(name, IN_USE) == region


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("us", "may be any of us-east-1, us-east-11, us-east-2: say which"),
        ("mars", "there are ap-southeast-1, eu-west-1, us-east-1, us-east-11, us-east-2"),
        ("west", "no region in use is called 'west'"),
    ],
)
def test_an_unclear_name_lists_the_candidates(name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        expand(name, IN_USE)


@pytest.mark.parametrize(
    "name", ["", "--help", "trim_snapshots", "EU-WEST-1", "eu west", "-", "a\n"]
)
def test_what_can_be_no_region_is_refused_before_any_call(name: str) -> None:
    with pytest.raises(UsageError, match="is no region"):
        check_name(name)


@pytest.mark.parametrize("name", ["eu-west-1", "eu-w", "u", "us-gov-east-1"])
def test_what_can_be_one_passes(name: str) -> None:
    assert check_name(name) == name
