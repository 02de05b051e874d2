"""Many things at once: none lost, none hidden, none begun after the wish to stop."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from snapback.errors import CredentialsError, Interrupted, SnapbackError, UsageError
from snapback.fanout import Result, each, refuse_if_all_refused, stream


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
