"""Units of work: one at each place, an account's part of a region, done here or handed out.

EC2's limits are an account's and a region's, so one unit is all of the work there, and each pace is
learnt in one place. What is handed out is plain: a function by its name, its arguments, the
settings, the run's id. Credentials are not among it: each machine has its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any, TypeVar

from snapback.config import Loaded
from snapback.core.log_context import about
from snapback.core.model import Place
from snapback.errors import Interrupted, Refused, SnapbackError
from snapback.run import Progress, Run, dask, fanout, new_run_id
from snapback.run.dask import Cluster

log = logging.getLogger(__name__)

Value = TypeVar("Value")

LOOK_EVERY_S = 0.2


@dataclass(frozen=True)
class Unit:
    """All that another machine needs to know to do the work at one place.

    :ivar work: called with a run, the place and the arguments; found by its name there.
    :ivar run_id: the submitter's; what bears it is not made again.
    :ivar version: the submitter's snapback.
    :ivar wish: tells whether the submitter wishes to stop.
    """

    work: Callable[..., Any]
    place: Place
    arguments: tuple[Any, ...]
    loaded: Loaded
    run_id: str
    version: str
    wish: Callable[[], bool] | None = None


class _Worker(Progress):
    """What a worker has to say at once, it says in its own log."""

    def alarm(self, text: str) -> None:
        log.critical(text)


def each(
    run: Run, places: Sequence[Place], work: Callable[..., Value], *arguments: Any
) -> list[fanout.Result[Place, Value]]:
    """Call ``work(run, place, *arguments)`` for every place, side by side; answer the results.

    On threads, or by the run's executor. What it is called with and what it answers can be pickled
    then, and it is a function of a module. It may be called once more for a place, in a process of
    its own, where whoever called it first was lost.

    :returns: in the places' order; an account that can't be worked in once, at no region.
    """
    if run.executor is None:
        return fanout.each(
            places,
            lambda place: work(run, place, *arguments),
            stop=run.stop,
        )
    wish = run.executor.wish if isinstance(run.executor, Cluster) else None
    loaded = run.loaded.to_hand_out()
    units = [
        Unit(work, place, arguments, loaded, run.run_id, version("snapback"), wish)
        for place in places
    ]
    return _HandedOut(run, run.executor).results(units)


def do(unit: Unit) -> fanout.Result[Place, Any]:
    """Do a unit, in whatever process this is."""
    here = version("snapback")
    if unit.version != here:
        why = f"its worker has snapback {here}, not {unit.version}: install the same everywhere"
        return fanout.Result(unit.place, error=Refused(why))
    if unit.wish and unit.wish():
        return fanout.Result(unit.place, error=_not_begun())
    run = Run(unit.loaded, run_id=unit.run_id, progress=_Worker(), once=True)
    account = unit.place.account
    try:
        if account:
            run.connections.check(account)
        with about(run=unit.run_id):
            (result,) = fanout.each(
                [unit.place],
                lambda place: unit.work(run, place, *unit.arguments),
                workers=1,
                stop=run.stop,
            )
    except SnapbackError as error:
        return fanout.Result(Place("", account), error=error)
    finally:
        run.connections.close()
    return result


@contextmanager
def handed_to(run: Run, executor: Executor | str | None) -> Iterator[Run]:
    """Answer a run whose units an executor does, with an id of its own.

    :param executor: or the address of a Dask scheduler; ``None``: the configured one, or threads.
    :raises UsageError: no scheduler answers at that address.
    """
    chosen = executor or run.settings.executor
    if chosen is None:
        yield run
    elif isinstance(chosen, str):
        with dask.opened(chosen) as cluster, handed_to(run, cluster) as mine:
            yield mine
    else:
        mine = replace(run, run_id=new_run_id(), executor=chosen)
        try:
            yield mine
        finally:
            mine.connections.close()


class _HandedOut:
    """Units that an executor does, each a future, until all have ended."""

    def __init__(self, run: Run, executor: Executor) -> None:
        self._run = run
        self._executor = executor
        self._stopping = False
        self._results: dict[Place, fanout.Result[Place, Any]] = {}

    def results(self, units: Sequence[Unit]) -> list[fanout.Result[Place, Any]]:
        """Answer what became of the units, in their order."""
        self._run.progress.expect(len(units), "regions")
        pending = self._submit(units)
        try:
            while pending:
                ended, _ = wait(pending, LOOK_EVERY_S, FIRST_COMPLETED)
                for future in ended:
                    place = pending.pop(future)
                    self._end(place, _result_of(future, place, asked=self._stopping))
                self._look(pending)
        except KeyboardInterrupt:
            self._run.stop.set()
            self._stop(pending)
            raise
        return list(_closed_once({unit.place: self._results[unit.place] for unit in units}))

    def _submit(self, units: Sequence[Unit]) -> dict[Future[Any], Place]:
        pending: dict[Future[Any], Place] = {}
        for unit in units:
            try:
                self._run.refuse_if_closed(unit.place)
                pending[self._executor.submit(do, unit)] = unit.place
            except SnapbackError as error:
                self._end(unit.place, fanout.Result(unit.place, error=error))
            except Exception as error:
                log.debug("not handed out: %s", unit.place, exc_info=True)
                why = f"the executor does not take the work: {type(error).__name__}: {error}"
                self._end(unit.place, fanout.Result(unit.place, error=SnapbackError(why)))
        return pending

    def _end(self, place: Place, result: fanout.Result[Place, Any]) -> None:
        self._results[place] = result
        self._run.progress.done()

    def _look(self, pending: dict[Future[Any], Place]) -> None:
        """See whether to stop, and whether anybody is left to do the work."""
        if self._run.stop.is_set() and not self._stopping:
            self._stop(pending)
        if pending and isinstance(self._executor, Cluster):
            try:
                self._executor.refuse_if_deserted()
            except SnapbackError as error:
                self._give_up(pending, error)

    def _stop(self, pending: dict[Future[Any], Place]) -> None:
        """Have nothing begun any more; what is under way is finished."""
        self._stopping = True
        if isinstance(self._executor, Cluster):
            self._executor.ask_to_stop()
            return
        for future in [future for future in pending if future.cancel()]:
            place = pending.pop(future)
            self._end(place, fanout.Result(place, error=_not_begun()))

    def _give_up(self, pending: dict[Future[Any], Place], error: SnapbackError) -> None:
        for future, place in pending.items():
            future.cancel()
            self._end(place, fanout.Result(place, error=error))
        pending.clear()


def _result_of(future: Future[Any], place: Place, *, asked: bool) -> fanout.Result[Place, Any]:
    """Answer a unit's result; what the executor itself has to say is an error."""
    if future.cancelled():
        error: BaseException | None = None
    elif (error := future.exception()) is None:
        result: fanout.Result[Place, Any] = future.result()
        return result
    if asked and error is None:
        return fanout.Result(place, error=_not_begun())
    reason = f"{type(error).__name__}: {error}" if error else "it was given up"
    reason = " ".join(reason.split())
    why = f"the executor lost this: {reason:.300}: some of it may have been done: run it again"
    return fanout.Result(place, error=SnapbackError(why))


def _closed_once(
    results: Mapping[Place, fanout.Result[Place, Any]],
) -> Iterator[fanout.Result[Place, Any]]:
    """Answer the results; of an account that no worker could work in, one for all its places."""
    open_ones = {place.account for place, result in results.items() if result.item == place}
    told = set()
    for place, result in results.items():
        if result.item == place or place.account in open_ones:
            yield replace(result, item=place)
        elif place.account not in told:
            told.add(place.account)
            yield result


def _not_begun() -> Interrupted:
    return Interrupted("not begun: the run was asked to stop")
