"""The pace that is learnt from refusals: as fast as the bucket is filled, with few refusals."""

from __future__ import annotations

import heapq
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from snapback.core.model import Place
from snapback.ec2.pace import Pace, Paces
from snapback.ec2.rate import FEWEST_IN_FLIGHT, FIRST_IN_FLIGHT, Rate
from snapback.errors import Interrupted

WORKERS = 32


@dataclass
class Bucket:
    """EC2's: full at the start, filled at a rate that may change at a moment."""

    capacity: float
    refill: float
    later: tuple[float, float] = (float("inf"), 0.0)
    seen: float = 0.0
    level: float = field(init=False)

    def __post_init__(self) -> None:
        self.level = self.capacity

    def take(self, now: float) -> bool:
        refill = self.refill if now < self.later[0] else self.later[1]
        self.level = min(self.capacity, self.level + (now - self.seen) * refill)
        self.seen = now
        if self.level < 1:
            return False
        self.level -= 1
        return True


@dataclass
class Fleet:
    """Some workers that make calls at a rate's pace, in a time of their own."""

    bucket: Bucket
    latency_s: float = 0.08
    rate: Rate = field(default_factory=Rate)
    now: float = 0.0
    calls: int = 0
    done: int = 0
    on_the_way: list[tuple[float, float, bool]] = field(default_factory=list)

    def make(self, count: int, seed: int) -> None:
        """Make so many calls, each again until it is served."""
        jitter = random.Random(seed)
        while self.done < count:
            most = self.rate.most_in_flight or WORKERS
            if len(self.on_the_way) >= min(most, WORKERS, count - self.done):
                self._answer()
                continue
            at = self.rate.slot(self.now)
            while self.on_the_way and self.on_the_way[0][0] <= at:
                self._answer()
            if self.done + len(self.on_the_way) < count:
                self._send(at, self.latency_s * jitter.uniform(0.8, 1.3))

    def _send(self, at: float, took_s: float) -> None:
        self.now, self.calls = at, self.calls + 1
        heapq.heappush(self.on_the_way, (at + took_s, at, self.bucket.take(at)))

    def _answer(self) -> None:
        answered_at, sent_at, served = heapq.heappop(self.on_the_way)
        self.now = max(self.now, answered_at)
        if served:
            self.rate.served()
            self.done += 1
        else:
            self.rate.refused(self.now, sent_at)


def fleets(bucket: dict[str, float], count: int, latency_s: float = 0.08) -> list[Fleet]:
    """Answer twenty fleets that have made so many calls, each with another luck."""
    found = []
    for seed in range(20):
        fleet = Fleet(Bucket(**bucket), latency_s)
        fleet.make(count, seed)
        found.append(fleet)
    return found


@pytest.mark.parametrize(
    ("capacity", "refill", "count", "latency_s", "of_floor", "calls_each"),
    [
        (100, 5, 250, 0.08, 1.03, 1.10),
        (100, 5, 250, 0.3, 1.13, 1.12),
        (100, 5, 500, 0.08, 1.02, 1.08),
        (100, 5, 5000, 0.08, 1.01, 1.06),
        (100, 20, 1000, 0.08, 1.08, 1.04),
        (50, 10, 1000, 0.08, 1.04, 1.04),
        (100, 2, 200, 0.08, 1.04, 1.17),
    ],
)
def test_it_is_as_fast_as_the_bucket_is_filled_and_refused_seldom(
    capacity: float,
    refill: float,
    count: int,
    latency_s: float,
    of_floor: float,
    calls_each: float,
) -> None:
    floor_s = (count - capacity) / refill
    for fleet in fleets({"capacity": capacity, "refill": refill}, count, latency_s):
        assert fleet.now <= floor_s * of_floor + latency_s
        assert fleet.calls <= count * calls_each


def test_where_nothing_is_refused_nothing_waits() -> None:
    for fleet in fleets({"capacity": 1000, "refill": 5}, 250):
        assert fleet.calls == 250
        assert fleet.now < 250 / 19 * 0.08 * 1.05  # 19 on their way, on the average


def test_few_are_on_their_way_when_a_bucket_is_likely_to_run_dry_and_many_where_it_did_not() -> (
    None
):
    rate, allowed = Rate(), []
    for _ in range(250):
        allowed.append(rate.most_in_flight or 0)
        rate.served()
    assert allowed[0] == FIRST_IN_FLIGHT
    assert set(allowed[96:115]) == {FEWEST_IN_FLIGHT}
    assert allowed[:115] == sorted(allowed[:115], reverse=True)
    assert allowed[115:] == sorted(allowed[115:])
    assert allowed[-1] > WORKERS


def test_a_bucket_that_others_draw_from_is_learnt_anew() -> None:
    slower, faster = Bucket(100, 10), Bucket(100, 2)
    slower.later, faster.later = (40.0, 2.0), (60.0, 10.0)
    for bucket, floor_s in ((slower, 40 + (700 - 100 - 400) / 2), (faster, 60 + 480 / 10)):
        fleet = Fleet(bucket)
        fleet.make(700, seed=1)
        assert fleet.now <= floor_s * 1.1
        assert fleet.calls <= 700 * 1.1


def test_a_refusal_of_a_call_sent_before_the_last_one_was_known_tells_nothing_new() -> None:
    one, many = Rate(), Rate()
    for rate in (one, many):
        rate.refused(now=1.0, sent_at=0.9)
    for at in (1.01, 1.02, 1.05):
        many.refused(now=at, sent_at=0.95)
    assert many.at(1.1) == one.at(1.1)
    assert many.slot(1.1) == one.slot(1.1)


def test_refused_time_and_again_it_waits_longer_and_longer_but_not_for_ever() -> None:
    rate, now = Rate(), 0.0
    for _ in range(50):
        now = rate.slot(now)
        rate.refused(now, now)
    assert rate.slot(now) - now == pytest.approx(20)


# The same, held by threads.


class Time:
    """A clock that stands still but for those who wait."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lock = threading.Lock()

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        with self.lock:
            self.now += seconds


def test_turns_are_given_to_one_thread_after_the_other() -> None:
    time = Time()
    pace, sent = Pace(time.clock), []

    def one(_: int) -> None:
        with pace.turn(time.wait):
            sent.append(time.now)

    with pace.turn(time.wait) as turn:
        turn.refused()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(40)))
    assert sent == sorted(sent)
    assert len(set(sent)) == 40


def test_before_the_first_refusal_only_some_are_on_their_way_and_then_all_that_have_a_turn() -> (
    None
):
    pace = Pace(Time().clock)
    turns = [pace.begin(lambda _: None) for _ in range(FIRST_IN_FLIGHT)]
    begun = threading.Event()

    def one_more() -> None:
        with pace.turn(lambda _: None):
            begun.set()

    thread = threading.Thread(target=one_more)
    thread.start()
    assert not begun.wait(0.05)
    turns[0].refused()
    assert begun.wait(10)
    thread.join()
    for turn in turns:
        turn.end()


def test_more_are_let_on_their_way_at_once_when_more_may_be() -> None:
    pace, under_way, most = Pace(Time().clock), 0, 0
    full, lock = threading.Event(), threading.Lock()
    for _ in range(200):  # so that over 90 may be on their way
        with pace.turn(lambda _: None) as turn:
            turn.served()
    first = [pace.begin(lambda _: None) for _ in range(90)]

    def one(_: int) -> None:
        nonlocal under_way, most
        with pace.turn(lambda _: None) as turn:
            with lock:
                under_way += 1
                most = max(most, under_way)
                if under_way == 16:
                    full.set()
            assert full.wait(20)
            turn.served()

    with ThreadPoolExecutor(16) as pool:
        done = pool.map(one, range(16))
        for turn in first[:16]:
            turn.served()
        for turn in first:
            turn.end()
        list(done)
    assert most == 16


def test_a_turn_that_is_not_wanted_any_more_is_given_back() -> None:
    pace = Pace(Time().clock)

    def stopping(_: float) -> None:
        raise Interrupted("stop")

    for _ in range(FIRST_IN_FLIGHT + 1):
        with pytest.raises(Interrupted):
            pace.begin(stopping)
    with pace.turn(lambda _: None):
        pass


def test_paces_are_one_an_account_a_region_and_an_action() -> None:
    paces = Paces(Time().clock)
    here = Place("us-east-1")
    assert paces.of(here, "CreateSnapshots") is paces.of(here, "CreateSnapshots")
    others = [(here, "CreateTags"), (Place("eu-west-1"), "CreateSnapshots")]
    others.append((Place("us-east-1", "other"), "CreateSnapshots"))
    found = {paces.of(place, action) for place, action in others}
    assert len(found | {paces.of(here, "CreateSnapshots")}) == 4
