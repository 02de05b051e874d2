"""Do many things at once, collect what became of every one, lose none.

One that fails never stops the others. When the run is asked to stop, nothing new is begun, what is
in flight is finished, and what was not begun is answered as such.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextvars import copy_context
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from snapback.core.log_context import about, of_item
from snapback.core.model import Place
from snapback.core.model.outcome import Outcome
from snapback.errors import Interrupted, ItemsFailed, Refused, SnapbackError

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Value = TypeVar("Value")
Kept = TypeVar("Kept")


class HasOutcomes(Protocol):
    """What tells what became of many things."""

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """What became of each."""
        ...


Done = TypeVar("Done", bound=HasOutcomes)


@dataclass(frozen=True)
class Result(Generic[Item, Value]):
    """What became of one item: its value, or the error that it raised."""

    item: Item
    value: Value | None = None
    error: SnapbackError | None = None


def whole(it: Kept) -> Kept:
    """Answer the thing itself, where all of it is kept."""
    return it


def each(
    items: Sequence[Item],
    work: Callable[[Item], Value],
    *,
    workers: int | None = None,
    stop: threading.Event,
    on_done: Callable[[Result[Item, Value]], None] = lambda _: None,
) -> list[Result[Item, Value]]:
    """Call ``work`` with every item, on threads, and answer the results in the items' order.

    :param workers: how many at the same time; ``None``: all of them.
    :param stop: once set, no item is begun any more.
    :param on_done: told of each result as it comes, in the calling thread.
    :raises KeyboardInterrupt: after a Ctrl-C, when what was in flight is done.
    """
    if not items:
        return []
    done: dict[int, Result[Item, Value]] = {}
    with ThreadPoolExecutor(min(workers or len(items), len(items))) as pool:
        try:
            futures = {
                pool.submit(copy_context().run, _one, item, work, stop): number
                for number, item in enumerate(items)
            }
            for future in as_completed(futures):
                done[futures[future]] = future.result()
                on_done(future.result())
        except KeyboardInterrupt:
            stop.set()
            raise  # and leaving the pool waits for what is in flight
    return [done[number] for number in range(len(items))]


def each_by_place(
    items: Sequence[Item],
    place_of: Callable[[Item], Place],
    work: Callable[[Item], Value],
    *,
    workers: int,
    stop: threading.Event,
    on_done: Callable[[Result[Item, Value]], None] = lambda _: None,
) -> list[Result[Item, Value]]:
    """Do as :func:`each`, the places side by side; return the results place by place.

    :param workers: how many at the same time, at each place.
    :param on_done: told of each result, in a thread of its place.
    """
    by_place: dict[Place, list[Item]] = {}
    for item in items:
        by_place.setdefault(place_of(item), []).append(item)

    def at(place: Place) -> list[Result[Item, Value]]:
        return each(by_place[place], work, workers=workers, stop=stop, on_done=on_done)

    results: list[Result[Item, Value]] = []
    for done in each(sorted(by_place), at, stop=stop):
        results += done.value or [Result(one, error=done.error) for one in by_place[done.item]]
    return results


def stream(
    batches: Iterable[Sequence[Item]],
    work: Callable[[Item], Value],
    *,
    workers: int,
    stop: threading.Event,
    on_done: Callable[[Result[Item, Value]], None] = lambda _: None,
) -> list[Result[Item, Value]]:
    """Do as :func:`each`, while the items come by and by; answer the results in their order.

    :param batches: iterated in the calling thread, while what it gave already is being done.
    :param on_done: told of each result, in the thread that did it.
    """

    def keep(result: Result[Item, Value]) -> Result[Item, Value]:
        on_done(result)
        return result

    return flow(batches, work, keep, workers=workers, stop=stop)


def flow(
    batches: Iterable[Sequence[Item]],
    work: Callable[[Item], Value],
    keep: Callable[[Result[Item, Value]], Kept],
    *,
    workers: int,
    stop: threading.Event,
    ahead: int | None = None,
) -> list[Kept]:
    """Do as :func:`stream`, and keep of each result only what is asked for, in the items' order.

    So however many items there are, few are held at a time.

    :param batches: where it raises, what it gave already is done before that is raised here.
    :param keep: answers what is kept of a result, in the thread that did it.
    :param ahead: how many items at most are handed out and not done; the next is asked for then.
    """
    may_come = threading.Semaphore(ahead) if ahead else None

    def one(item: Item) -> Kept:
        try:
            return keep(_one(item, work, stop))
        finally:
            if may_come:
                may_come.release()

    kept: list[Kept] = []
    under_way: deque[Future[Kept]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in (item for batch in batches for item in batch):
                if may_come:
                    may_come.acquire()
                under_way.append(pool.submit(copy_context().run, one, item))
                while under_way and under_way[0].done():
                    kept.append(under_way.popleft().result())
            return kept + [future.result() for future in under_way]
        except KeyboardInterrupt:
            stop.set()
            raise


def _one(item: Item, work: Callable[[Item], Value], stop: threading.Event) -> Result[Item, Value]:
    if stop.is_set():
        return Result(item, error=Interrupted("not begun: the run was asked to stop"))
    with about(**of_item(item)):
        try:
            return Result(item, value=work(item))
        except SnapbackError as error:
            return Result(item, error=error)
        except Exception as error:
            log.exception("unexpected")
            return Result(item, error=SnapbackError(f"unexpected {type(error).__name__}: {error}"))


def refuse_if_all_refused(results: Sequence[Result[Item, Value]]) -> None:
    """Raise the first refusal where nothing but refusals came of it: then nothing was done.

    :raises Refused: missing credentials are one line, not one for every region.
    """
    errors = [result.error for result in results]
    first = errors[0] if errors else None
    if isinstance(first, Refused) and all(isinstance(error, Refused) for error in errors):
        raise first


def raise_if_any_failed(outcomes: Sequence[Outcome]) -> None:
    """Raise once for all that did not go well.

    :raises ItemsFailed: something didn't; it has the outcomes of all.
    """
    if any(outcome.exit_code for outcome in outcomes):
        raise ItemsFailed(outcomes)


def or_raise(done: Done) -> Done:
    """Answer what was done, where all of it went well.

    :raises ItemsFailed: something didn't.
    """
    raise_if_any_failed(done.outcomes)
    return done
