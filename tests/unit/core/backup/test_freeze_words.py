"""The words of a host on a freeze: those that its scripts print are read, and no others."""

from __future__ import annotations

import random
import re

import pytest

from snapback.core.backup.freeze_words import Said, read_freeze, read_rescue

GOOD = {
    "BUSY": Said("BUSY"),
    "UNLOCKED not found": Said("UNLOCKED", 0, "not found"),
    "UNLOCKED ": Said("UNLOCKED"),
    "HOLDER 4711": Said("HOLDER", 4711),
    "FREEZING 2": Said("FREEZING", 2),
    "FROZEN": Said("FROZEN"),
    "REFUSED 1 not a mount point": Said("REFUSED", 1, "not a mount point"),
    "STUCK 2 Invalid argument": Said("STUCK", 2, "Invalid argument"),
    "STUCK 2 ": Said("STUCK", 2),
    "THAWED asked": Said("THAWED", 0, "asked"),
    "THAWED lease": Said("THAWED", 0, "lease"),
    "THAWED limit": Said("THAWED", 0, "limit"),
    "THAWED signal": Said("THAWED", 0, "signal"),
    "RESCUED": Said("RESCUED"),
    "PRE 0": Said("PRE"),
    "POST 255": Said("POST", 255),
}
BAD = [
    *("", " ", "THAWED", "THAWED ", "THAWED 1", "THAWED \x1b[2J", "THAWED asked x", "thawed asked"),
    *("STUCK", "STUCK 99", "STUCK x", "STUCK 0 y", "STUCK -1 y", "STUCK \N{SUPERSCRIPT TWO} y"),
    *("STUCK \N{ARABIC-INDIC DIGIT ONE} y", f"STUCK {'9' * 5000} y", "STUCK 1\tx", "STUCK  1 x"),
    *("REFUSED", "REFUSED 3 x", "PRE", "PRE abc", "POST abc", "POST 256", "POST 1 2", "POST 01"),
    *("HOLDER", "HOLDER x", f"HOLDER {'1' * 20}", "FREEZING 3", "FREEZING 0", "FROZEN now"),
    *(
        " FROZEN",
        "FROZEN\n",
        "FROZEN\r",
        "FROZEN\0",
        "RESCUED 1",
        "BUSY 1",
        "READY",
        "[",
        "(?P<why>",
    ),
    f"STUCK 1 {'x' * 100_000}",
    "STUCK 1 x\ny",
]


@pytest.mark.parametrize("line", GOOD)
def test_a_word_of_the_scripts(line: str) -> None:
    assert read_freeze(line, 2) == GOOD[line]


@pytest.mark.parametrize("line", BAD)
def test_no_word_of_theirs(line: str) -> None:
    with pytest.raises(ValueError, match="no word of a freeze") as raised:
        read_freeze(line, 2)
    assert len(str(raised.value)) < 700
    assert str(raised.value).isprintable()


def test_the_words_of_the_one_that_stands_by() -> None:
    assert read_rescue("READY", 0) == Said("READY")
    assert read_rescue("THAWED 2", 2) == Said("THAWED", 2)
    assert read_rescue("STUCK 1 Invalid argument", 2) == Said("STUCK", 1, "Invalid argument")
    for line in (
        "THAWED",
        "THAWED 3",
        "THAWED 0",
        "THAWED asked",
        "STUCK",
        "FROZEN",
        "",
        "READY 1",
    ):
        with pytest.raises(ValueError, match="no word of a freeze"):
            read_rescue(line, 2)


def test_lines_torn_and_mixed_are_refused_or_have_a_form() -> None:
    chance = random.Random(15)
    pieces = [*GOOD, *BAD[:40], "1", "\x1b", "\udcff", "²", "\n"]
    for _ in range(3000):
        line = "".join(chance.choices(pieces, k=2))
        line = line[: chance.randrange(len(line) + 1)]
        for read in (read_freeze, read_rescue):
            try:
                said = read(line, 2)
            except ValueError:
                continue
            assert re.match(rf"{said.word}\b", line)
            assert said.number <= 999_999_999
