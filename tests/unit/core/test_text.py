"""How texts are shown."""

from __future__ import annotations

import pytest

from snapback.core import secrets
from snapback.core.text import abridged


def test_a_short_text_is_told_whole_on_one_line() -> None:
    assert abridged(" mount:\n\t/run/x: bad  superblock\n", 40) == "mount: /run/x: bad superblock"
    assert abridged(" \n", 40) == ""
    assert abridged("x" * 40, 40) == "x" * 40


def test_a_long_text_keeps_its_beginning_and_its_end_in_whole_words() -> None:
    said = "mount: /run/snapback-0123456789abcdef: wrong fs type, bad option; see dmesg(1)."
    assert abridged(said, 60) == "mount: /run/snapback-0123456 ... bad option; see dmesg(1)."
    assert abridged(f"ab cd {'x' * 50} yz", 21) == "ab cd ... xxxxx yz"


@pytest.mark.parametrize("most", [6, 7, 20, 59])
@pytest.mark.parametrize("text", ["x" * 200, "one two " * 30, "x" + " y" * 100, "aaaa " + "b" * 99])
def test_it_never_has_more_characters_than_are_allowed(text: str, most: int) -> None:
    told = abridged(text, most)
    assert len(told) <= most
    assert " ... " in told


def test_a_secret_is_hidden_before_it_could_be_cut_in_two() -> None:
    secrets.keep("wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY12")
    said = f"{'a' * 10} wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY12 {'b' * 60}"
    assert abridged(said, 60) == f"{'a' * 10} (hidden) ... {'b' * 27}"
    assert "hunter" not in abridged(f"{'a' * 20} password= hunter2hunter2 {'b' * 60}", 60)


def test_of_megabytes_only_both_ends_are_read() -> None:
    assert abridged(f"the cause{' ' * (1 << 20)}the end", 60) == "the cause ... the end"
