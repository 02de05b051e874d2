"""What trimming makes of verdicts: corrupt snapshots give way, and stay as evidence."""

from __future__ import annotations

from snapback.core.model import Place
from snapback.core.trim.brake import Brake
from snapback.core.trim.retention import Protection
from snapback.core.trim.trim_plan import plan_trim
from tests.unit.builders import at, judged, kept, policy, shot, words

NOW = at("2026-11-25T12:00")


def test_a_corrupt_one_is_kept_until_a_newer_one_is_known_to_be_good() -> None:
    old = shot("2026-10-01T03:00", "corrupt")
    newer = [shot("2026-11-01T03:00"), shot("2026-11-02T03:00")]
    found = judged([old, *newer], policy(daily=1))
    assert found[old.snapshot_id].keep
    assert "found corrupt" in words(found[old.snapshot_id])[0]
    for word, stays in (("good", False), ("corrupt", True), ("opaque", True)):
        last = shot("2026-11-03T03:00", word)
        assert (old.snapshot_id in kept([old, *newer, last], policy(daily=1))) is stays


def test_the_newest_that_is_not_corrupt_stays_as_well() -> None:
    everything = [
        shot("2026-11-01T03:00"),
        shot("2026-11-02T03:00"),
        shot("2026-11-03T03:00", "corrupt"),
    ]
    found = judged(everything, policy(yearly=1))
    assert found["snap-2026-11-02T03:00"].keep
    assert "newest that isn't corrupt" in words(found["snap-2026-11-02T03:00"])


def test_in_a_period_a_corrupt_one_gives_way() -> None:
    everything = [
        shot("2026-11-01T03:00", "corrupt"),
        shot("2026-11-01T04:00"),
        shot("2026-11-02T03:00", "good"),
    ]
    assert kept(everything, policy(daily=2)) == ["snap-2026-11-01T04:00", "snap-2026-11-02T03:00"]


def test_a_plan_to_trim_tells_the_reason() -> None:
    plan = plan_trim(
        Place("us-east-1"), [shot("2026-10-01T03:00", "corrupt"), shot("2026-11-01T03:00")],
        lambda _: policy(daily=1), NOW, Protection(), Brake(percent=100),
    )  # fmt: skip
    assert plan.deletions == []
