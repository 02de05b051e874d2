"""Units of work: what the executor does with them, and what is made of it."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest

from snapback.config import Loaded, Settings
from snapback.core.model import Place
from snapback.errors import ApiError, Interrupted, Refused, SnapbackError
from snapback.run import Run, units
from snapback.run.dask import LONGEST_WITHOUT_WORKERS_S, LOOK_EVERY_S, Cluster

AGAIN = "some of it may have been done: run it again"
PLACES = [Place("eu-west-1"), Place("us-east-1"), Place("us-west-2")]


def say(run: Run, place: Place, word: str) -> str:
    """Be some work."""
    return f"{word} {place} in {run.run_id}, once: {run.once}"


def fail(_: Run, place: Place) -> str:
    """Be some work that fails in one region."""
    if place.region == "eu-west-1":
        raise ApiError("DescribeInstances", place.region, "Nope", "no")
    return "done"


def a_run(executor: Executor | None = None) -> Run:
    return Run(Loaded(settings=Settings()), run_id="run-1", executor=executor)


def unit(**others: Any) -> units.Unit:
    fields = {
        "work": say,
        "place": PLACES[0],
        "arguments": ("hello",),
        "loaded": Loaded(settings=Settings()),
        "run_id": "run-1",
        "version": units.version("snapback"),
    }
    return units.Unit(**{**fields, **others})


def test_each_place_is_worked_at_under_the_submitters_id() -> None:
    with ThreadPoolExecutor(2) as pool:
        results = units.each(a_run(pool), PLACES, say, "hello")
    assert [result.item for result in results] == PLACES
    assert [result.value for result in results] == [
        f"hello {place} in run-1, once: True" for place in PLACES
    ]
    here = units.each(a_run(), PLACES, say, "hello")
    assert [result.value for result in here] == [
        f"hello {place} in run-1, once: False" for place in PLACES
    ]


def test_a_failure_is_the_same_on_threads_and_by_an_executor() -> None:
    here = units.each(a_run(), PLACES, fail)
    with ThreadPoolExecutor(2) as pool:
        there = units.each(a_run(pool), PLACES, fail)
    assert [(r.value, str(r.error)) for r in there] == [(r.value, str(r.error)) for r in here]
    assert isinstance(there[0].error, ApiError)


def test_an_account_that_no_worker_can_work_in_is_told_once() -> None:
    closed = [Place("eu-west-1", "closed"), Place("us-east-1", "closed")]
    with ThreadPoolExecutor(2) as pool:
        results = units.each(a_run(pool), [PLACES[0], *closed], say, "hello")
    assert [result.item for result in results] == [PLACES[0], Place("", "closed")]
    assert "no account is called 'closed'" in str(results[1].error)


def test_a_unit_is_plain() -> None:
    assert pickle.loads(pickle.dumps(unit())) == unit()


def test_another_version_is_refused() -> None:
    result = units.do(unit(version="0.0.1"))
    assert isinstance(result.error, Refused)
    assert "not 0.0.1: install the same everywhere" in str(result.error)


def test_a_unit_looks_whether_it_is_still_wanted() -> None:
    assert isinstance(units.do(unit(wish=lambda: True)).error, Interrupted)
    assert units.do(unit(wish=lambda: False)).value


def test_after_a_wish_to_stop_nothing_more_is_begun() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def block(_: Run, place: Place) -> str:
        begun.set()
        go_on.wait(60)
        return str(place)

    with Remembers(1) as pool:
        run = a_run(pool)
        results: list[Any] = []
        thread = threading.Thread(target=lambda: results.extend(units.each(run, PLACES, block)))
        thread.start()
        assert begun.wait(60)
        run.stop.set()
        while len(pool.futures) < 3 or not all(one.cancelled() for one in pool.futures[1:]):
            assert thread.is_alive()
        go_on.set()
        thread.join(60)
    assert [result.value for result in results] == ["eu-west-1", None, None]
    assert all(isinstance(result.error, Interrupted) for result in results[1:])


class Remembers(ThreadPoolExecutor):
    """Remembers what it was given to do."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.futures: list[Future[Any]] = []

    def submit(self, *arguments: Any, **more: Any) -> Future[Any]:
        self.futures.append(super().submit(*arguments, **more))
        return self.futures[-1]


class Says(Executor):
    """Answers futures as it is told."""

    def __init__(self, *futures: Future[Any] | Exception) -> None:
        self._futures = list(futures)

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        found = self._futures.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


def test_what_the_executor_says_itself_is_a_failure_of_the_place() -> None:
    killed: Future[Any] = Future()
    killed.set_exception(RuntimeError("the worker\ndied"))
    given_up: Future[Any] = Future()
    given_up.cancel()
    given_up.set_running_or_notify_cancel()
    results = units.each(a_run(Says(killed, given_up, ValueError("no"))), PLACES, say, "x")
    assert [str(result.error) for result in results] == [
        f"the executor lost this: RuntimeError: the worker died: {AGAIN}",
        f"the executor lost this: it was given up: {AGAIN}",
        "the executor does not take the work: ValueError: no",
    ]
    assert not any(isinstance(result.error, Interrupted) for result in results)


class Dask:
    """As much of Dask's client as a cluster without workers has."""

    def __init__(self) -> None:
        self.workers: dict[str, int] = {}
        self.future: Future[Any] = Future()

    def get_executor(self, **_: Any) -> Executor:
        return Says(self.future)

    def nthreads(self) -> dict[str, int]:
        return self.workers


def test_a_cluster_without_workers_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("distributed.Event", lambda name, **_: type("E", (), {"name": name}))
    now, dask = [0.0], Dask()
    cluster = Cluster(dask, clock=lambda: now[0])
    now[0] += LONGEST_WITHOUT_WORKERS_S
    cluster.refuse_if_deserted()
    dask.workers = {"tcp://1": 1}
    now[0] += LOOK_EVERY_S
    cluster.refuse_if_deserted()
    dask.workers = {}
    now[0] += LONGEST_WITHOUT_WORKERS_S + 1
    with pytest.raises(SnapbackError, match="no worker or scheduler: some of this may"):
        cluster.refuse_if_deserted()
    now[0] += LOOK_EVERY_S
    (result,) = units.each(a_run(cluster), PLACES[:1], say, "x")
    assert "for 120 s the cluster has had no worker" in str(result.error)
    assert dask.future.cancelled()
