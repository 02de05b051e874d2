"""Whether what is at work on hosts moves: told by the counters of its disks."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from snapback.errors import HostError, HostTimeout, Interrupted, Stalled
from snapback.workers.watch import Pulse, Watch, watched

LIMIT_S = 600


@dataclass
class Disk:
    """A host with one disk, and what its kernel has counted."""

    name: str = "i-1"
    completed: int = 100
    answers: bool = True
    asked: int = 0

    def run(self, argv: Any, timeout_s: float) -> Any:
        self.asked += 1
        if not self.answers:
            raise HostTimeout(self.name, "here", "no answer", "see")
        numbers = [self.completed, 0, 8 * self.completed, *[0] * 14]
        return SimpleNamespace(stdout=" ".join(map(str, numbers)))

    def error(self, reason: str, advice: str, kind: type[HostError] = HostError) -> HostError:
        return kind(self.name, "here", reason, advice)

    def heeding(self, heed: Any) -> Any:
        return heed


@dataclass
class Fleet:
    """A run with a clock that is set by hand, and two hosts."""

    now: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)
    source: Disk = field(default_factory=Disk)
    destination: Disk = field(default_factory=lambda: Disk("i-2"))
    settings: Any = field(default_factory=lambda: SimpleNamespace(stall_minutes=LIMIT_S / 60))

    def clock(self) -> float:
        return self.now

    @property
    def ends(self) -> Any:
        return [(self.source, "/dev/nvme1n1"), (self.destination, "/dev/nvme2n1")]

    def watch(self, *pulses: Pulse) -> Watch:
        return Watch(self, "the data were moved", self.ends, pulses)  # type: ignore[arg-type]

    def pulse(self) -> Pulse:
        return Pulse(self)  # type: ignore[arg-type]

    def wait(self, watch: Watch, seconds: int) -> None:
        """Let time pass, as a command does that runs so long."""
        for _ in range(seconds):
            self.now += 1
            watch.heed()


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


def test_what_nothing_moves_of_ends_once(fleet):
    pulse = fleet.pulse()
    watch = fleet.watch(pulse)
    with pytest.raises(Stalled, match="nothing has moved for 10 minutes while the data were moved"):
        fleet.wait(watch, 2 * LIMIT_S)
    assert LIMIT_S < fleet.now < LIMIT_S * 1.25
    assert pulse.is_gone
    fleet.wait(watch, LIMIT_S)  # what is to be undone has its time
    watch.end()
    assert not pulse.is_gone


@pytest.mark.parametrize("which", ["source", "destination"])
def test_either_disk_counts(fleet, which):
    pulse = fleet.pulse()
    watch = fleet.watch(pulse)
    for _ in range(5):
        fleet.wait(watch, LIMIT_S - 60)
        getattr(fleet, which).completed += 1
        fleet.wait(watch, 40)
        assert not pulse.is_gone
    assert fleet.source.asked < 5 * LIMIT_S / 20


def test_what_rsync_tells_counts_as_well(fleet):
    watch = fleet.watch()
    for _ in range(5):
        fleet.wait(watch, LIMIT_S - 1)
        watch.beat()


def test_a_host_that_tells_nothing_has_not_moved(fleet):
    fleet.source.answers = fleet.destination.answers = False
    with pytest.raises(Stalled):
        fleet.wait(fleet.watch(), LIMIT_S + 60)


def test_the_wish_to_stop_ends_it_once(fleet):
    watch = fleet.watch()
    fleet.stop.set()
    with pytest.raises(Interrupted, match="stopped while the data were moved"):
        watch.heed()
    watch.heed()


def test_what_has_its_own_time_does_not_stall_and_is_renewed(fleet):
    pulse = fleet.pulse()
    with watched(fleet, "a volume was examined", fleet.ends, [pulse]) as watch:
        fleet.wait(watch, 10)
        with watch.paused():
            fleet.wait(watch, 3 * LIMIT_S)
            assert not pulse.is_gone
        fleet.wait(watch, LIMIT_S - 1)
        with pytest.raises(Stalled):
            fleet.wait(watch, LIMIT_S)


def test_what_several_things_share_lives_while_one_of_them_moves(fleet):
    pulse = fleet.pulse()
    one, other = fleet.watch(pulse), fleet.watch(pulse)
    fleet.now += LIMIT_S
    other.beat()
    fleet.now += 60
    assert not pulse.is_gone
    other.end()
    assert pulse.is_gone
    one.end()
