"""What does the work where one machine is not enough: a Dask cluster, as a standard executor.

Any other :class:`concurrent.futures.Executor` does as well. Dask is loaded only where it is asked
for.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from snapback.errors import SnapbackError, UsageError

log = logging.getLogger(__name__)

CONNECT_S = 10.0
LONGEST_WITHOUT_WORKERS_S = 120.0
LOOK_EVERY_S = 5.0


@dataclass(frozen=True)
class _Wish:
    """Whether the submitter wishes to stop; may be asked by any worker of the cluster."""

    name: str

    def __call__(self) -> bool:
        from distributed import Event

        return bool(Event(self.name).is_set())


class Cluster(Executor):
    """A Dask cluster, as an executor.

    Dask runs a unit once more whose worker was lost. It has no way to tell what is running already
    from what is not begun; so it is asked to stop by an event, at which each unit looks first.

    :ivar wish: tells, wherever it is asked, whether :meth:`ask_to_stop` was called.
    """

    def __init__(self, dask: Any, clock: Callable[[], float] = time.monotonic) -> None:
        from distributed import Event

        self._dask = dask
        self._executor = dask.get_executor(pure=False)
        self._event = Event(f"snapback-stop-{secrets.token_hex(8)}", client=dask)
        self._clock = clock
        self._looked_at = self._workers_at = clock()
        self.wish: Callable[[], bool] = _Wish(self._event.name)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hand a call out."""
        future: Future[Any] = self._executor.submit(fn, *args, **kwargs)
        return future

    def ask_to_stop(self) -> None:
        """Have no unit begin any more."""
        self._event.set()

    def refuse_if_deserted(self) -> None:
        """See whether there are workers; looks now and then only.

        :raises SnapbackError: there have been none for two minutes.
        """
        now = self._clock()
        if now - self._looked_at < LOOK_EVERY_S:
            return
        self._looked_at = now
        if self._has_workers():
            self._workers_at = now
        elif now - self._workers_at > LONGEST_WITHOUT_WORKERS_S:
            raise SnapbackError(
                f"for {LONGEST_WITHOUT_WORKERS_S:g} s the cluster has had no worker or scheduler: "
                "some of this may have been done: run it again"
            )

    def _has_workers(self) -> bool:
        try:
            return bool(self._dask.nthreads())
        except Exception:
            log.debug("the scheduler does not answer", exc_info=True)
            return False


@contextmanager
def opened(address: str) -> Iterator[Cluster]:
    """Answer the cluster of a scheduler: ``tcp://scheduler:8786``.

    TLS and what else there is to configure are Dask's own: see its configuration.

    :raises UsageError: Dask isn't installed, or no scheduler answers there.
    """
    try:
        from distributed import Client
    except ImportError:
        raise UsageError(
            f"the executor {address} needs Dask: pip install 'snapback[dask]'"
        ) from None
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what fails is told by us
    dask = Client.__new__(Client)
    try:
        dask.__init__(address, timeout=CONNECT_S, set_as_default=False, name="snapback")
    except Exception as error:
        dask.status = "closed"  # or else it would close itself for a minute
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"no Dask scheduler answers at {address}: {reason:.200}") from error
    try:
        yield Cluster(dask)
    finally:
        with suppress(OSError):
            dask.close(timeout=CONNECT_S)
