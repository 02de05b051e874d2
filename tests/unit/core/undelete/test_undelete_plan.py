"""Which deleted snapshots are restored: those of ours that are meant, and in the bin."""

from __future__ import annotations

import json
from typing import Any

import pytest

from snapback.core.model import Place, Snapshot
from snapback.core.undelete.deletions import Deletion
from snapback.core.undelete.reasons import Fate
from snapback.core.undelete.undelete_plan import (
    By,
    RecycledSnapshot,
    Selection,
    Verdict,
    plan_undelete,
)
from tests.unit.builders import at, snapshot, vol

HERE = Place("us-east-1")
INSTANCE = "i-0123456789abcdef0"
TIME = {"Time": "2026-11-24T03:00:00"}
OF_VOLUME = json.dumps({"Volume": vol("a"), "Region": "us-east-1", "Instance": INSTANCE, **TIME})
OF_SET = json.dumps({"Region": "us-east-1", "Instance": INSTANCE, **TIME})
OF_A = Selection(By.VOLUME, vol("a"))
OF_INSTANCE = Selection(By.INSTANCE, INSTANCE)
OF_RUN = Selection(By.RUN, "run-1")


def recycled(description: str = OF_VOLUME, volume: str = "a", **more: Any) -> RecycledSnapshot:
    fields = {
        "place": HERE,
        "snapshot_id": "snap-1",
        "volume_id": vol(volume) if len(volume) == 1 else volume,
        "description": description,
        "entered_at": at("2026-11-25T03:00"),
        "exits_at": at("2026-12-02T03:00"),
    }
    return RecycledSnapshot(**{**fields, **more})


def deletion(snapshot_id: str = "snap-1", **more: Any) -> Deletion:
    fields = {
        "run_id": "run-1",
        "place": HERE,
        "snapshot_id": snapshot_id,
        "description": OF_VOLUME,
        "volume": vol("a"),
        "is_done": True,
    }
    return Deletion(**{**fields, **more})


def planned(
    selection: Selection,
    *in_bin: RecycledSnapshot,
    deletions: tuple[Deletion, ...] = (),
    present: tuple[Snapshot, ...] = (),
) -> list[Verdict]:
    return plan_undelete(
        HERE,
        selection,
        in_bin,
        {one.snapshot_id: one for one in deletions},
        {one.snapshot_id: one for one in present},
    )


def fates(*given: Any, **more: Any) -> list[Fate]:
    return [verdict.fate for verdict in planned(*given, **more)]


@pytest.mark.parametrize(
    ("selection", "in_bin", "is_meant"),
    [
        (OF_A, recycled(), True),
        (OF_A, recycled(volume="b"), True),  # a copy's own VolumeId says nothing
        (OF_A, recycled(OF_SET), True),
        (OF_A, recycled(OF_SET, volume="b"), False),
        (OF_A, recycled("by hand"), False),
        (OF_A, recycled('{"Volume": "' + vol("a") + '"}'), False),
        (OF_A, recycled("[" * 255), False),
        (OF_A, recycled(json.dumps({"Volume": [vol("a")], "Region": "us-east-1", **TIME})), False),
        (OF_A, recycled(OF_SET, place=Place("eu-west-1")), False),
        (OF_INSTANCE, recycled(), True),
        (OF_INSTANCE, recycled(OF_SET, volume="b"), True),
        (OF_INSTANCE, recycled(OF_SET, volume="vol-ffffffff"), False),
        (OF_INSTANCE, recycled(OF_SET, place=Place("eu-west-1")), False),
        (OF_INSTANCE, recycled(OF_VOLUME, place=Place("eu-west-1")), True),  # a replica
        (Selection(By.INSTANCE, "i-0fedcba9876543210"), recycled(), False),
        (OF_RUN, recycled(), False),
        (Selection(By.RUN, ""), recycled(), False),
    ],
)
def test_a_description_says_whose_snapshot_it_is(
    selection: Selection, in_bin: RecycledSnapshot, is_meant: bool
) -> None:
    assert fates(selection, in_bin) == ([Fate.IN_THE_BIN] if is_meant else [])


def test_the_log_knows_what_a_description_does_not_say() -> None:
    odd = recycled("text of ones own")
    logged = deletion(description="text of ones own")
    for selection in (OF_A, OF_INSTANCE, OF_RUN):
        assert fates(selection, odd, deletions=(logged,)) == [Fate.IN_THE_BIN]


def test_a_forged_line_restores_nothing_that_is_not_ours() -> None:
    assert fates(OF_RUN, recycled("by hand"), deletions=(deletion(),)) == [Fate.NOT_OURS]


def test_what_a_run_deleted_and_is_nowhere_is_told() -> None:
    (verdict,) = planned(OF_RUN, deletions=(deletion(),))
    assert verdict.fate is Fate.NOT_IN_THE_BIN
    assert "us-east-1" in str(verdict.reason)


def test_of_a_volume_only_what_can_be_had_back_is_told() -> None:
    assert planned(OF_A, deletions=(deletion(),)) == []


@pytest.mark.parametrize(
    ("is_done", "tags", "expected"),
    [
        (True, {}, [Fate.BACK]),
        (False, {}, []),  # it was never deleted
        (False, {"snapback:keep": "run-2"}, [Fate.BACK]),
        (True, {"snapback:keep": ""}, [Fate.BACK]),
    ],
)
def test_what_is_there_is_back_unless_it_was_never_deleted(
    is_done: bool, tags: dict[str, str], expected: list[Fate]
) -> None:
    there = snapshot(name="snap-1", tags=tags)
    verdicts = planned(OF_RUN, deletions=(deletion(is_done=is_done),), present=(there,))
    assert [verdict.fate for verdict in verdicts] == expected
    assert [verdict.is_kept for verdict in verdicts] == [bool(tags)] * len(expected)


def test_what_is_there_and_not_ours_is_left_alone() -> None:
    there = snapshot(name="snap-1", record=None)
    assert fates(OF_RUN, deletions=(deletion(),), present=(there,)) == [Fate.NOT_OURS]


def test_the_oldest_data_come_first_with_all_that_is_known() -> None:
    later = recycled(OF_VOLUME.replace("-24T", "-25T"), snapshot_id="snap-0")
    first, second = planned(OF_A, later, recycled())
    assert (first.snapshot_id, second.snapshot_id) == ("snap-1", "snap-0")
    assert (first.volume, first.taken_at) == (vol("a"), at("2026-11-24T03:00"))
    assert (first.deleted_at, first.until) == (at("2026-11-25T03:00"), at("2026-12-02T03:00"))
    assert "until 2026-12-02 03:00:00 UTC" in str(first.reason)
