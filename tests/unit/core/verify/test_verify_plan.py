"""Which snapshots are verified."""

from __future__ import annotations

import pytest

from snapback.core.model import Place
from snapback.core.model.tags import DEVICES, SET, write_long
from snapback.core.verify.verify_plan import Sample, plan_verification, read_sample
from snapback.errors import UsageError
from snapback.verify import sample_of
from tests.unit.builders import record, shot, snapshot, vol


@pytest.mark.parametrize(
    ("text", "total", "number"),
    [("5%", 100, 5), ("5%", 101, 6), ("1%", 3, 1), ("100%", 7, 7), ("20", 7, 7), ("2", 7, 2),
     ("0.5%", 1000, 5), ("3", 0, 0)],
)  # fmt: skip
def test_a_sample(text: str, total: int, number: int) -> None:
    assert read_sample(text).of(total) == number


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "101%", "2.5", "5 %", "%"])
def test_no_sample(text: str) -> None:
    with pytest.raises(UsageError, match="--sample"):
        sample_of(text)


def test_what_was_verified_longest_ago_comes_first() -> None:
    everything = [
        shot("2026-11-20T03:00", "good", "2026-11-23T00:00"),
        shot("2026-11-21T03:00", "good", "2026-11-22T00:00"),
        shot("2026-11-22T03:00"),
        shot("2026-11-23T03:00"),
        shot("2026-11-24T03:00", state="pending"),
        shot("2026-11-25T03:00", storage_tier="archive"),
    ]
    plan = plan_verification(Place("us-east-1"), everything, Sample(3), replicas=False)
    assert [s.snapshot_id[5:15] for s in plan.chosen] == ["2026-11-23", "2026-11-22", "2026-11-21"]
    assert plan.total == 4


def test_replicas_only_where_they_are_wanted() -> None:
    replica = [shot("2026-11-20T03:00", region="us-east-1", place=Place("eu-west-1"))]
    here = Place("eu-west-1")
    assert plan_verification(here, replica, Sample(9), replicas=False).total == 0
    assert plan_verification(here, replica, Sample(9), replicas=True).total == 1


def test_what_gave_no_verdict_was_tried_and_is_not_chosen_first_again() -> None:
    tried = shot("2026-11-24T03:00", "unknown", "2026-11-25T00:00")
    other = shot("2026-11-20T03:00", "good", "2026-11-24T00:00")
    plan = plan_verification(Place("us-east-1"), [tried, other], Sample(1), replicas=False)
    assert plan.chosen == (other,)


@pytest.mark.parametrize(("state", "gaps"), [("completed", 0), ("pending", 0), ("error", 1)])
def test_a_member_in_error_is_missing_from_its_set(state: str, gaps: int) -> None:
    tags = {SET: "set-1", **write_long(DEVICES, {"/dev/sda1": vol("a"), "/dev/sdf": vol("b")})}
    members = [
        snapshot(
            volume=letter,
            state=how,
            tags=tags,
            set_id="set-1",
            record=record(volume=letter, instance="i-0123456789abcdef0"),
        )
        for letter, how in (("a", "completed"), ("b", state))
    ]
    plan = plan_verification(Place("us-east-1"), members, Sample(9), replicas=False)
    assert len(plan.gaps) == gaps
