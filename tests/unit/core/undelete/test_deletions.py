"""The deletion log is read with care: torn and forged lines are no deletions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from snapback.core.model import Place
from snapback.core.undelete.deletions import last_of_each, read_line
from tests.unit.builders import at, vol

SNAPSHOT = "snap-0123456789abcdef0"
OF_A_SET = json.dumps({"Region": "us-east-1", "Instance": "i-1", "Time": "2026-11-24T03:00:00"})


def line(event: str = "deleted", **more: Any) -> str:
    said = {
        "at": "2026-11-25T03:00:00.000+00:00",
        "event": event,
        "caller": "arn:aws:iam::123456789012:user/backup",
        "run": "run-1",
        "account": "",
        "region": "us-east-1",
        "snapshot": SNAPSHOT,
        "description": OF_A_SET,
        "volume": vol("a"),
        "taken_at": "2026-11-24T03:00:00+00:00",
        "reasons": ["why"],
    }
    return json.dumps({**said, **more}) + "\n"


def test_a_line_tells_what_was_deleted_and_where() -> None:
    found = read_line(line(account="prod"))
    assert found
    assert (found.run_id, found.place) == ("run-1", Place("us-east-1", "prod"))
    assert (found.snapshot_id, found.volume, found.instance) == (SNAPSHOT, vol("a"), "i-1")
    assert (found.taken_at, found.is_done) == (at("2026-11-24T03:00"), True)


def test_a_line_without_an_account_is_of_the_chains_own() -> None:
    said = json.loads(line())
    del said["account"]
    found = read_line(json.dumps(said))
    assert found
    assert found.place == Place("us-east-1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        line()[:-20],
        line()[20:],
        line() + line(),
        "[" * 100_000,
        "[1]",
        "null",
        "\x00\ufffd",
        line("restored"),
        line(event=["deleted"]),
        line(snapshot="snap-1; rm -rf /"),
        line(snapshot=None),
        line(snapshot=["snap-0123456789abcdef0"]),
        line(region="mars"),
        line(region={}),
    ],
)
def test_what_is_no_line_of_ours_is_passed_over(text: str) -> None:
    assert read_line(text) is None


@pytest.mark.parametrize(
    "more",
    [
        {"run": 1},
        {"volume": None},
        {"description": {"Volume": 1}},
        {"description": "by hand"},
        {"account": 7},
    ],
)
def test_odd_values_stand_for_nothing(more: dict[str, Any]) -> None:
    assert read_line(line(**more)) is not None


def events(*names: str) -> list[Any]:
    return [read_line(line(name)) for name in names]


@pytest.mark.parametrize(
    ("names", "is_done"),
    [
        (["deleting"], False),
        (["deleting", "deleted"], True),
        (["deleting", "already gone"], True),
        (["deleting", "failed"], False),
        (["deleting", "in use"], None),
        (["deleting", "protected"], None),
        (["deleting", "protected", "deleting", "deleted"], True),
    ],
)
def test_what_is_told_last_counts(names: list[str], is_done: bool | None) -> None:
    found = last_of_each(events(*names))
    if is_done is None:
        assert found == {}
    else:
        assert found[Place("us-east-1")][SNAPSHOT].is_done is is_done
