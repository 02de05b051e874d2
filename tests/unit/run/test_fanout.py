"""Many things at once: none lost, none hidden, none begun after the wish to stop."""

from __future__ import annotations

import os
import signal
import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from snapback.errors import CredentialsError, Interrupted, SnapbackError, UsageError
from snapback.run.fanout import Result, each, flow, refuse_if_all_refused, stream, whole


def test_results_come_in_the_items_order_and_failures_stop_nobody() -> None:
    def work(number: int) -> int:
        if number == 3:
            raise UsageError("three")
        if number == 5:
            raise KeyError("a defect")
        return number * number

    seen: list[int] = []
    results = each(
        range(8), work, workers=3, stop=threading.Event(), on_done=lambda r: seen.append(r.item)
    )
    assert [result.item for result in results] == list(range(8))
    assert sorted(seen) == list(range(8))
    assert [result.value for result in results] == [0, 1, 4, None, 16, None, 36, 49]
    assert str(results[3].error) == "three"
    assert str(results[5].error) == "unexpected KeyError: 'a defect'"


def test_nothing_is_begun_once_the_run_is_to_stop() -> None:
    stop = threading.Event()
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        stop.set()

    results = each(range(5), work, workers=1, stop=stop)
    assert begun == [0]
    assert [type(result.error) for result in results[1:]] == [Interrupted] * 4


def test_no_items_are_no_work() -> None:
    assert each([], str, workers=4, stop=threading.Event()) == []


def test_a_refusal_of_everything_is_raised_once() -> None:
    refused = CredentialsError("none")
    with pytest.raises(CredentialsError, match="none"):
        refuse_if_all_refused([Result(1, error=refused), Result(2, error=UsageError("x"))])
    refuse_if_all_refused([])
    refuse_if_all_refused([Result(1, error=refused), Result(2, value=1)])
    refuse_if_all_refused([Result(1, error=refused), Result(2, error=SnapbackError("x"))])


def test_ctrl_c_without_our_signal_handlers_finishes_what_is_in_flight_and_is_raised() -> None:
    stop = threading.Event()
    finished: list[int] = []

    def work(number: int) -> None:
        time.sleep(0.1)  # until all have been handed in
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(20)
        finished.append(number)

    with pytest.raises(KeyboardInterrupt):
        each(range(5), work, workers=1, stop=stop)
    assert finished == [0]


def test_a_stream_is_done_while_it_is_still_coming() -> None:
    begun = threading.Event()

    def batches() -> Iterator[list[str]]:
        yield ["first"]
        assert begun.wait(10)  # so the first is being done before the second is there
        yield []
        yield ["second", "bad"]

    def work(item: str) -> str:
        begun.set()
        if item == "bad":
            raise SnapbackError("no")
        return item.upper()

    told: list[str] = []
    results = stream(
        batches(), work, workers=1, stop=threading.Event(), on_done=lambda r: told.append(r.item)
    )
    assert [(r.item, r.value, str(r.error or "")) for r in results] == [
        ("first", "FIRST", ""),
        ("second", "SECOND", ""),
        ("bad", None, "no"),
    ]
    assert told == ["first", "second", "bad"]


def test_what_comes_after_the_wish_to_stop_is_not_begun() -> None:
    wish = threading.Event()

    def batches() -> Iterator[list[int]]:
        yield [1]
        wish.set()
        yield [2]

    _, second = stream(batches(), lambda item: item, workers=1, stop=wish)
    assert isinstance(second.error, Interrupted)


class Item:
    """Something large."""

    def __init__(self, number: int) -> None:
        self.number = number


def test_of_a_flow_few_items_are_held_however_many_there_are() -> None:
    held: weakref.WeakSet[Item] = weakref.WeakSet()
    most_held = 0

    def batches() -> Iterator[list[Item]]:
        nonlocal most_held
        for number in range(500):
            item = Item(number)
            held.add(item)
            most_held = max(most_held, len(held))
            yield [item]

    kept = flow(
        batches(),
        lambda item: [item] * 1000,
        lambda result: result.item.number,
        workers=2,
        stop=threading.Event(),
        ahead=4,
    )
    assert kept == list(range(500))
    assert most_held <= 4 + 4  # handed out, and on its way into a thread or out of it


def test_what_a_flow_was_given_before_it_breaks_off_is_done() -> None:
    done: list[int] = []

    def batches() -> Iterator[list[int]]:
        yield [1, 2]
        raise SnapbackError("no more")

    with pytest.raises(SnapbackError, match="no more"):
        flow(batches(), done.append, whole, workers=1, stop=threading.Event())
    assert done == [1, 2]


def test_a_flow_ends_when_it_is_stopped_although_more_is_to_come() -> None:
    stop = threading.Event()

    def work(number: int) -> int:
        if number == 3:
            stop.set()
        return number

    results = flow([range(100)], work, whole, workers=1, stop=stop, ahead=2)
    assert [result.value for result in results[:4]] == [0, 1, 2, 3]
    assert len(results) == 100
    assert all(isinstance(result.error, Interrupted) for result in results[4:])
