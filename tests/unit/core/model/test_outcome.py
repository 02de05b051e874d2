"""Outcomes and the exit codes that they stand for."""

from __future__ import annotations

from itertools import permutations

import pytest

from snapback.core.model.outcome import Outcome
from snapback.errors import (
    ApiError,
    BrakeError,
    ConfigError,
    CredentialsError,
    Interrupted,
    ItemsFailed,
    LostAnswer,
    NetworkError,
    Refused,
    SnapbackError,
    SnapshotFailed,
    SnapshotTimeout,
    UsageError,
)
from snapback.words import Word, worst_of


@pytest.mark.parametrize(
    ("codes", "worst"),
    [
        ([], 0),
        ([0], 0),
        ([0, 3], 3),
        ([3, 2], 2),
        ([2, 1], 1),
        ([1, 4], 4),
        ([0, 0, 3, 3, 0], 3),
        ([2, 3, 0], 2),
        ([2, 3, 1], 1),
    ],
)
def test_the_worst_of_some_exit_codes(codes: list[int], worst: int) -> None:
    assert worst_of(codes) == worst


def test_the_worst_does_not_depend_on_the_order() -> None:
    assert {worst_of(codes) for codes in permutations((0, 1, 2, 3, 4))} == {4}
    assert {worst_of(codes) for codes in permutations((0, 1, 2, 3))} == {1}
    assert {worst_of(codes) for codes in permutations((0, 2, 3))} == {2}


def test_an_iterator_will_do() -> None:
    assert worst_of(iter((0, 3))) == 3


def test_each_word_stands_for_an_exit_code() -> None:
    assert {word.text: word.exit_code for word in Word} == {
        "done": 0,
        "deleted": 0,
        "would do": 0,
        "begun": 0,
        "mounted": 0,
        "already replicated": 0,
        "already restored": 0,
        "being restored": 0,
        "being replicated": 0,
        "already gone": 0,
        "in use": 0,
        "protected": 0,
        "not ours": 0,
        "excluded": 0,
        "gone": 0,
        "unproven": 0,
        "partial": 3,
        "restored twice": 3,
        "busy": 3,
        "archived": 3,
        "less consistent": 3,
        "taken twice": 3,
        "kept all": 3,
        "stopped": 3,
        "broken": 3,
        "no volumes": 3,
        "not in the bin": 3,
        "opaque": 0,
        "no verdict": 3,
        "corrupt": 1,
        "deleted, not written down": 1,
        "failed": 1,
        "timed out": 1,
        "not done": 1,
        "refused": 2,
        "ok": 0,
        "warning": 0,
        "critical": 0,
        "unknown": 0,
        "left behind": 4,
        "left frozen": 4,
        "not kept": 4,
    }


def test_a_word_reads_as_its_text() -> None:
    assert str(Word.ALREADY_GONE) == "already gone"


def test_an_outcome_has_the_exit_code_of_its_word() -> None:
    assert Outcome(subject="i-1", word=Word.PARTIAL).exit_code == 3


def outcomes(*words: Word) -> list[Outcome]:
    return [
        Outcome(subject=f"i-{number}", word=word, explanation=f"because {number}")
        for number, word in enumerate(words, 1)
    ]


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [
        ((Word.DONE, Word.FAILED, Word.PARTIAL), 1),
        ((Word.DONE, Word.PARTIAL), 3),
        ((Word.LEFT_BEHIND, Word.FAILED), 4),
        ((Word.REFUSED, Word.PARTIAL), 2),
    ],
)
def test_failed_items_have_the_worst_exit_code(words: tuple[Word, ...], exit_code: int) -> None:
    assert ItemsFailed(outcomes(*words)).exit_code == exit_code


def test_failed_items_keep_all_outcomes_and_tell_the_bad_ones() -> None:
    error = ItemsFailed(outcomes(Word.DONE, Word.FAILED, Word.PARTIAL))
    assert len(error.outcomes) == 3
    assert str(error) == "i-2: because 2; i-3: because 3"


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (SnapbackError, 1),
        (Refused, 2),
        (UsageError, 2),
        (ConfigError, 2),
        (CredentialsError, 2),
        (BrakeError, 2),
        (ApiError, 1),
        (NetworkError, 1),
        (LostAnswer, 1),
        (SnapshotFailed, 1),
        (SnapshotTimeout, 1),
        (Interrupted, 1),
    ],
)
def test_each_error_has_the_exit_code_that_is_documented(
    error: type[SnapbackError], exit_code: int
) -> None:
    assert error.exit_code == exit_code
    assert issubclass(error, SnapbackError)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            ApiError("DeleteSnapshot", "eu-west-1", "InvalidSnapshot.InUse", "an AMI uses it"),
            "DeleteSnapshot in eu-west-1: InvalidSnapshot.InUse: an AMI uses it",
        ),
        (
            ApiError("CreateTags", "eu-west-1", "UnauthorizedOperation", "encoded: xyz"),
            "not allowed to call ec2:CreateTags in eu-west-1: add it to the policy",
        ),
        (
            NetworkError("DescribeVolumes", "eu-west-1", "EndpointConnectionError", "no route"),
            (
                "DescribeVolumes in eu-west-1: EC2 can't be reached: no route: "
                "check the network, the proxy and the region's name"
            ),
        ),
        (
            LostAnswer("CreateSnapshots", "eu-west-1", "ReadTimeout", "60 s without an answer"),
            "CreateSnapshots in eu-west-1: the answer was lost: 60 s without an answer",
        ),
    ],
)
def test_an_api_error_is_one_line_with_the_evidence(error: ApiError, line: str) -> None:
    assert str(error) == line
