"""Whether EC2 has room for one more snapshot of a volume."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snapback.core.backup.pending_limit import full, seconds_to_wait
from tests.unit.builders import at, snapshot, vol, volume


@pytest.mark.parametrize(("kind", "most"), [("gp3", 5), ("io2", 5), ("st1", 1), ("sc1", 1)])
def test_a_volume_is_full_at_its_limit_and_not_before(kind: str, most: int) -> None:
    one = replace(volume("a"), volume_type=kind)
    pending = [snapshot(volume="a", state="pending", progress=f"{n}%") for n in range(most)]
    assert full([one], pending[1:]) == {}
    assert full([one], pending) == {vol("a"): pending[-1]}


def test_those_in_error_count_and_those_completed_and_of_others_do_not() -> None:
    counted = [snapshot(volume="a", state="error") for _ in range(4)]
    others = [snapshot(volume="a"), snapshot(volume="b", state="pending")]
    assert full([volume("a"), volume("b")], counted + others) == {}
    last = snapshot(volume="a", state="pending", progress="3%")
    assert full([volume("a"), volume("b")], [last, *counted, *others]) == {vol("a"): last}


def test_fifteen_seconds_lie_between_two_snapshots_of_a_volume() -> None:
    assert seconds_to_wait([], at("2026-11-24T03:00")) == 0
    taken = [snapshot("2026-11-24T02:00"), snapshot("2026-11-24T03:00:00")]
    assert seconds_to_wait(taken, at("2026-11-24T03:00:05")) == 10
    assert seconds_to_wait(taken, at("2026-11-24T03:00:15")) == 0
