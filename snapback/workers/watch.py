"""Watching what is at work on hosts: whether it moves, and what ends it when it doesn't.

A program that hangs, stopped or on a disk that doesn't answer, says nothing, and so does one that
has much to do. What tells them apart are the counters of the disks that it works with. The claims
and leases of whatever hangs are no longer renewed, so they end even if this program hangs as well.

Source: https://docs.kernel.org/block/stat.html
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from snapback.core.disks import answers
from snapback.errors import HostError, Interrupted, Stalled
from snapback.run import Run
from snapback.ssh.host import Host

log = logging.getLogger(__name__)

LOOKS = 10
LONGEST_BETWEEN_LOOKS_S = 30.0
ANSWER_S = 20.0
_COUNTERS = """
number=$(lsblk -dnro MAJ:MIN -- "$1") && cat "/sys/dev/block/$number/stat"
"""
_COMPLETED = (0, 2, 4, 6, 11, 13, 15)
"""Of the kernel's numbers those that grow when a read, write, discard or flush is completed."""


class Pulse:
    """Whether of what is at work anything moves.

    :param limit_s: how long nothing may move.
    """

    def __init__(self, run: Run) -> None:
        self.limit_s = 60 * run.settings.stall_minutes
        self._clock = run.clock
        self._lock = threading.Lock()
        self._moved_at: dict[Watch, float] = {}

    def beat(self, watch: Watch) -> None:
        """Record that what is watched has moved."""
        with self._lock:
            self._moved_at[watch] = self._clock()

    def end(self, watch: Watch) -> None:
        """Record that what was watched is over."""
        with self._lock:
            self._moved_at.pop(watch, None)

    @property
    def is_gone(self) -> bool:
        """Whether there is something at work, and nothing of it has moved for too long."""
        with self._lock:
            since = max(self._moved_at.values(), default=None)
        return since is not None and self._clock() - since > self.limit_s


class Watch:
    """One thing at work on some hosts, and their disks.

    :param what: it, in words.
    :param ends: each host, with the block device that is worked with there.
    :param pulses: of what is renewed while it moves.
    """

    def __init__(
        self, run: Run, what: str, ends: Sequence[tuple[Host, str]], pulses: Sequence[Pulse]
    ) -> None:
        self._run = run
        self._what = what
        self._ends = ends
        self._pulses = (Pulse(run), *pulses)
        self._counted: dict[int, list[int]] = {}
        self._limit_s = self._pulses[0].limit_s
        self._often_s = min(LONGEST_BETWEEN_LOOKS_S, self._limit_s / LOOKS)
        self._next_look_at = 0.0
        self._is_over = False
        self._is_paused = False
        self.beat()

    @property
    def hosts(self) -> list[Host]:
        """The hosts, on which a command is ended when nothing moves, or the run is to stop."""
        return [host.heeding(self.heed) for host, _ in self._ends]

    def beat(self) -> None:
        """Record that it has moved."""
        for pulse in self._pulses:
            pulse.beat(self)
        self._next_look_at = self._run.clock() + self._often_s

    def heed(self) -> None:
        """Look at the disks every so often. Raises once: what is to be undone then has its time.

        :raises Interrupted: the run is asked to stop.
        :raises Stalled: nothing has moved for too long.
        """
        if self._is_over:
            return
        if self._run.stop.is_set():
            self._is_over = True
            raise Interrupted(f"stopped while {self._what}; nothing was made of it")
        if self._is_paused or self._run.clock() < self._next_look_at:
            return
        self._next_look_at = self._run.clock() + self._often_s
        if self._has_moved():
            self.beat()
        elif self._pulses[0].is_gone:
            self._is_over = True
            raise self._stalled()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let what has a time limit of its own move or not, as long as the context lasts.

        What is renewed while something moves is renewed by the clock meanwhile.
        """
        self._is_paused = True
        for pulse in self._pulses:
            pulse.end(self)
        try:
            yield
        finally:
            self._is_paused = False
            self._counted.clear()
            self.beat()

    def end(self) -> None:
        """Watch no longer."""
        self._is_over = True
        for pulse in self._pulses:
            pulse.end(self)

    def _has_moved(self) -> bool:
        """Return whether a counter of one of the disks has grown since the last look.

        What was never looked at may have moved.
        """
        moved = False
        for number, (host, device) in enumerate(self._ends):
            try:
                now = _counters(host, device)
            except HostError as error:
                log.debug("%s", error)
                continue
            moved = moved or now != self._counted.get(number)
            self._counted[number] = now
        return moved

    def _stalled(self) -> Stalled:
        minutes = self._limit_s / 60
        disks = " and ".join(f"{device} of {host.name}" for host, device in self._ends)
        return self._ends[-1][0].error(
            f"nothing has moved for {minutes:g} minutes while {self._what}: no read and no write "
            f"was completed on {disks}",
            "it was given up; do it again, and see what the kernels say of the disks",
            Stalled,
        )


def _counters(host: Host, device: str) -> list[int]:
    """Return what the kernel has counted of a disk's completed reads, writes, discards, flushes.

    :raises HostError: it can't be told.
    """
    said = host.run(["sh", "-c", _COUNTERS, "snapback-count", device], timeout_s=ANSWER_S).stdout
    numbers = said.split()
    try:
        return [answers.number(numbers[at]) for at in _COMPLETED if at < len(numbers)]
    except ValueError as error:
        why = f"its disk's counters can't be read: {error}"
        raise host.error(why, "see /sys/dev/block/*/stat there") from error


@contextmanager
def watched(
    run: Run, what: str, ends: Sequence[tuple[Host, str]], pulses: Sequence[Pulse] = ()
) -> Iterator[Watch]:
    """Watch what is at work on some hosts, as long as the context lasts; see :class:`Watch`."""
    watch = Watch(run, what, ends, pulses)
    try:
        yield watch
    finally:
        watch.end()
