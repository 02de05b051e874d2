"""Two helpers, one at each end of a replication, which serve many volumes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

from snapback.core.leases.lease import Lent
from snapback.core.model import Instance, Place
from snapback.errors import HostError, Interrupted, LeftBehind, SnapbackError
from snapback.run import Run, fanout
from snapback.ssh.road import Road, open_road
from snapback.workers import Helper, borrowed, helper

log = logging.getLogger(__name__)

MOST_PAIRS = 3
SIGN_OF_LIFE_S = 20
_NEVER = threading.Event()


@dataclass(frozen=True)
class Pair:
    """The helpers at both ends, and the way from the one to the other."""

    source: Helper
    destination: Helper
    road: Road

    def is_alive(self) -> bool:
        """Tell whether both still do what they are told."""
        try:
            for end in (self.source, self.destination):
                end.host.run(["true"], timeout_s=SIGN_OF_LIFE_S)
        except HostError:
            return False
        return True


@contextmanager
def open_pair(
    run: Run,
    source: Place,
    destination: Place,
    src_inst: Instance | None = None,
    dst_inst: Instance | None = None,
) -> Iterator[Pair]:
    """Launch two helpers side by side, and let the one into the other.

    :param src_inst: use this instance instead of a temporary one in the source.
    :param dst_inst: the same in the destination.
    :raises LeftBehind: something could not be taken down.
    :raises SnapbackError: one doesn't come up; the other is taken down again.
    """
    ends = [
        borrowed(run, src_inst) if src_inst else helper(run, source, f"source for {destination}"),
        borrowed(run, dst_inst) if dst_inst else helper(run, destination, f"copies of {source}"),
    ]
    with _both(run, ends) as (src, dst):
        to, by = addresses(run, src.instance, dst.instance)
        dst.let_in(f"{by}/32")
        port = 22 if dst.is_temporary else port_of(run, dst.instance)
        with open_road(src.host, dst.host, to, port=port) as road:
            yield Pair(src, dst, road)


def addresses(run: Run, src: Instance, dst: Instance) -> tuple[str, str]:
    """Answer where one instance reaches another, and as whom it is seen there.

    Privately where the settings say so of the other, or it has no other address.
    """
    wanted = run.settings.for_host(dst.place.region, dst.tags).address
    if wanted == "private_ip" or not dst.public_ip_address:
        return dst.private_ip_address, src.private_ip_address
    return dst.public_ip_address, src.public_ip_address or src.private_ip_address


def port_of(run: Run, instance: Instance) -> int:
    """Answer the port of the sshd of an instance of the operator's own."""
    return run.settings.for_host(instance.place.region, instance.tags).port or 22


@contextmanager
def _both(run: Run, ends: Sequence[AbstractContextManager[Helper]]) -> Iterator[list[Helper]]:
    """Enter two contexts side by side, and leave them side by side, whatever happens."""
    stacks = [ExitStack() for _ in ends]

    def enter(number: int) -> Helper:
        return stacks[number].enter_context(ends[number])

    entered = fanout.each(range(len(ends)), enter, stop=run.stop)
    try:
        for result in entered:
            if result.error:
                raise result.error
        yield [result.value for result in entered if result.value]
    finally:
        left = fanout.each(stacks, lambda stack: stack.close(), stop=_NEVER)
        _raise_all([result.error for result in left if result.error], run.run_id)


def _raise_all(errors: list[SnapbackError], run_id: str) -> None:
    """Raise one error for what could not be taken down at either end."""
    things: list[tuple[Lent, str]] = []
    for error in errors:
        if not isinstance(error, LeftBehind):
            raise error
        things += error.left
    if things:
        raise LeftBehind(things, run_id)


class Pairs:
    """The pair that is at work: opened when it is first needed, replaced when it is lost.

    :param opener: opens one.
    """

    def __init__(self, opener: Callable[[], AbstractContextManager[Pair]]) -> None:
        self._opener = opener
        self._lock = threading.Lock()
        self._pair: Pair | None = None
        self._opened: list[ExitStack] = []
        self._left: list[tuple[Lent, str]] = []
        self._problem: SnapbackError | None = None

    def get(self) -> Pair:
        """Answer the pair.

        :raises SnapbackError: there is none: none came up, or too many were lost.
        """
        with self._lock:
            if self._pair is None:
                self._pair = self._open()
            return self._pair

    def _open(self) -> Pair:
        if not self._problem and len(self._opened) == MOST_PAIRS:
            self._problem = SnapbackError(f"{MOST_PAIRS} pairs of temporary instances were lost")
        if isinstance(self._problem, Interrupted):
            raise Interrupted(str(self._problem))
        if self._problem:
            raise SnapbackError(f"not begun: {self._problem}")
        stack = ExitStack()
        try:
            pair = stack.enter_context(self._opener())
        except SnapbackError as error:
            self._problem = error
            if isinstance(error, LeftBehind):
                self._left += error.left
            raise
        self._opened.append(stack)
        return pair

    def look_after(self, pair: Pair) -> None:
        """See whether a pair is still there, and have the next one replaced if it isn't."""
        if not pair.is_alive():
            self.give_up(pair)

    def give_up(self, pair: Pair) -> None:
        """Begin the next transfer on another pair."""
        with self._lock:
            if self._pair is pair:
                log.warning("given up, with what is on the other side: %s", pair.source.instance)
                self._pair = None

    def close(self) -> list[tuple[Lent, str]]:
        """Take all down, and answer what is left, each thing with the reason."""
        for stack in self._opened:
            try:
                stack.close()
            except LeftBehind as error:
                self._left += error.left
        return self._left
