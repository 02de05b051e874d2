"""Freeze file systems of a host, hold them, and thaw them in every case.

Three small shell scripts do it there, started as one remote command before anything is frozen: one
begins, one holds as long as we keep talking to it, one watches over the holder. Whatever dies (this
program, the connection, sshd, the holder, the watchdog), the file systems are thawed: at once, or
when the lease or the limit is over; a fourth script stands by for what these three can't do (see
:mod:`snapback.ssh.rescue`). What this side knows is only what the host answers to the thaw.

Source: fsfreeze(8), ioctl_fs(2) FIFREEZE.
"""

from __future__ import annotations

import logging
import re
import shlex
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from snapback.core.backup.freeze_words import Said, read_freeze
from snapback.core.text import abridged
from snapback.errors import FreezeRefused, HostError
from snapback.ssh.host import Host
from snapback.ssh.process import Process
from snapback.ssh.rescue import NOT_FROZEN, Rescue
from snapback.ssh.scripts import text_of

log = logging.getLogger(__name__)

LEASE_S = 3
BEAT_S = 1.0
SYNC_TIMEOUT_S = 300.0
ANSWER_TIMEOUT_S = 5.0
BY_HAND_S = 30.0
MOST_LINES = 100
"""That the scripts print in one freeze, and so many more for each mount point: they print four."""
_END_OF_PRE = re.compile(r"^PRE \d+$", re.MULTILINE)

_WHY = {
    "lease": f"the host heard nothing from here for {LEASE_S} s and thawed",
    "limit": "it took longer than freeze_timeout_s allows and the host thawed",
    "signal": "the process that held them was killed on the host and thawed",
}


@dataclass(frozen=True)
class Terms:
    """On what terms file systems are frozen.

    :ivar limit_s: the host thaws by itself after so many seconds.
    :ivar pre_freeze: a command line that sh runs as root before, or ``""``.
    :ivar post_thaw: one that it runs after, whatever happens, or ``""``.
    :ivar hook_timeout_s: how long each of the two may take.
    """

    limit_s: int = 10
    pre_freeze: str = ""
    post_thaw: str = ""
    hook_timeout_s: int = 60


class Hold:
    """A freeze, and after it what became of it.

    :ivar levels: the mount points that are frozen side by side, level after level; thawed in the
        reverse order.
    :ivar mount_points: those of all levels, in this order.
    :ivar held: after the thaw: whether all were frozen all the time, by the host's own word.
    :ivar reason: after the thaw: why not, in words.
    :ivar left_frozen: after the thaw: the mount points that may be frozen still.
    :ivar pre_problem: how ``pre_freeze`` failed, in words, or ``""``.
    :ivar post_problem: how ``post_thaw`` failed, in words, or ``""``.
    """

    def __init__(self, levels: Sequence[Sequence[str]]) -> None:
        self.levels = tuple(tuple(level) for level in levels if level)
        self.mount_points = tuple(path for level in self.levels for path in level)
        self.held = False
        self.reason = ""
        self.left_frozen: tuple[str, ...] = ()
        self.pre_problem = ""
        self.post_problem = ""


def by_hand(host_name: str, mount_points: Iterable[str]) -> str:
    """Return what a person is told when file systems may be left frozen.

    :param mount_points: in the order to thaw them.
    """
    command = "; ".join(f"sudo fsfreeze -u {shlex.quote(path)}" for path in mount_points)
    return (
        f"{host_name}: file systems may be left frozen, and whoever writes to them hangs: "
        f"run there: {command} (if that hangs too, reboot it)"
    )


@contextmanager
def frozen(
    host: Host,
    levels: Sequence[Sequence[str]],
    terms: Terms,
    *,
    alarm: Callable[[str], None],
    sleep: Callable[[float], None],
) -> Iterator[Hold]:
    """Freeze file systems of a host together; thaw them at the end of the block.

    They are synced before. Where one can't be frozen, none is. Do nothing in the block but the one
    call; it must not wait.

    :param levels: a mount point for each file system. Those of a level are frozen side by side,
        after those of the levels before. A file system in a file on another one has to come in an
        earlier level than that one. Where there are none, only the commands run.
    :param alarm: told at once, in words, if a file system may be left frozen.
    :returns: the hold; after the block it says what became of it.
    :raises FreezeRefused: one can't be frozen, or another freeze goes on: none is frozen.
    :raises HostError: the host can't be talked to: none is frozen, or it thaws by itself.
    """
    hold = Hold(levels)
    if not (hold.mount_points or terms.pre_freeze or terms.post_thaw):
        yield hold
        hold.held = True
        return
    with Rescue(host, hold.mount_points) as rescue:
        freeze = _Freeze(host, hold, terms, rescue, alarm, sleep)
        freeze.begin()
        try:
            yield hold
        finally:
            freeze.end()


class _Freeze:
    """One freeze of one host, from its begin to the host's word on the thaw."""

    def __init__(
        self,
        host: Host,
        hold: Hold,
        terms: Terms,
        rescue: Rescue,
        alarm: Callable[[str], None],
        sleep: Callable[[float], None],
    ) -> None:
        self.hold = hold
        self._host = host
        self._terms = terms
        self._rescue = rescue
        self._alarm = alarm
        self._sleep = sleep
        self._over = threading.Event()
        self._lines_left = MOST_LINES * (1 + len(hold.mount_points))
        self._stuck: dict[str, str] = {}
        self._hooks: dict[str, int] = {}
        self._process = self._start()
        self._beats = threading.Thread(target=self._beat, name="snapback-freeze", daemon=True)

    def _start(self) -> Process:
        begin, hold, watch = (text_of(f"freeze_{name}.sh") for name in ("begin", "hold", "watch"))
        terms = self._terms
        counts = " ".join(str(len(level)) for level in self.hold.levels)
        arguments = (
            *(hold, watch, terms.pre_freeze, terms.post_thaw, str(terms.hook_timeout_s)),
            *(str(terms.limit_s), str(LEASE_S), counts, *self.hold.mount_points),
        )
        return self._host.start(["sh", "-c", begin, "snapback-freeze", *arguments], as_root=True)

    def begin(self) -> None:
        """Return when all are frozen."""
        awaited = {"FROZEN", "REFUSED", "BUSY", "UNLOCKED", "THAWED", "RESCUED"}
        try:
            said = self._hear(awaited, SYNC_TIMEOUT_S + self._terms.hook_timeout_s)
        except HostError:
            with suppress(HostError):
                self._process.close()  # so, if it comes to freezing after all, it thaws
            raise
        if said.word == "FROZEN":
            self._beats.start()
            return
        if stuck := self._truly_stuck():
            self._thaw_by_hand(stuck)
        raise self._host.error(self._why_refused(said), "see to it on the host", FreezeRefused)

    def _why_refused(self, said: Said) -> str:
        if said.word == "REFUSED":
            return f"{self._mount_point(said)} can't be frozen: {abridged(said.why)}"
        if said.word == "BUSY":
            return "another backup holds its file systems frozen"
        if said.word == "UNLOCKED":
            why = abridged(said.why) or "it doesn't say why"
            return f"the lock that keeps other backups out can't be taken ({why})"
        how = f"{said.word} {said.why}".strip()
        return f"the freeze was ended on the host before it was complete ({how})"

    def _beat(self) -> None:
        with suppress(HostError):
            while not self._over.wait(BEAT_S):
                self._process.send(b".")

    def end(self) -> None:
        """Thaw, and hear what the host says of it, and of the commands before and after."""
        self._over.set()
        self._thaw()
        # Not when their ends are heard: the host may be frozen then, and nothing waits.
        self.hold.pre_problem = self._hook_problem("pre_freeze", "PRE")
        self.hold.post_problem = self.hold.post_problem or self._hook_problem("post_thaw", "POST")

    def _thaw(self) -> None:
        deadline = time.monotonic() + self._terms.limit_s + 1 + ANSWER_TIMEOUT_S
        with suppress(HostError):
            # Not taken any more if it has thawed by itself: it says so.
            self._process.send(b"T", ANSWER_TIMEOUT_S)
        try:
            said = self._hear({"THAWED", "RESCUED"}, deadline - time.monotonic())
        except HostError as error:
            self.hold.reason = f"the host's answer to the thaw is missing ({error})"
            if self.hold.mount_points:
                self._thaw_by_hand(self.hold.mount_points[::-1])
            return
        self.hold.reason = self._what_went_wrong(said)
        self.hold.held = not self.hold.reason
        if stuck := self._truly_stuck():
            self._thaw_by_hand(stuck)
        if self._terms.post_thaw:
            self._hear_of_post()

    def _what_went_wrong(self, said: Said) -> str:
        """Answer why the hold was not one from the begin to our wish to thaw, or ``""``."""
        if said.word == "RESCUED":
            return "the process that held them died, and its watchdog thawed"
        if said.why != "asked":
            return _WHY[said.why]
        if stuck := self._truly_stuck():
            return "; ".join(f"{path} can't be thawed: {self._stuck[path]}" for path in stuck)
        return "somebody else had thawed meanwhile" if self._stuck else ""

    def _hear_of_post(self) -> None:
        try:
            self._hear({"POST"}, self._terms.hook_timeout_s + ANSWER_TIMEOUT_S)
        except HostError as error:
            self.hold.post_problem = f"what became of post_thaw isn't known ({error})"

    def _hear(self, awaited: set[str], timeout_s: float) -> Said:
        """Return the first line that begins with one of some words.

        :param timeout_s: for all the lines up to that one together.
        :raises HostError: it doesn't come in time, or can't come any more; or what comes isn't what
            the scripts print.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            line = self._process.read_line(deadline - time.monotonic())
            if line is None:
                raise self._host.error(
                    f"the freeze ended without a word ({_said(self._process.stderr)})",
                    "see whether its processes are killed there",
                )
            log.debug("%s: freeze: %.200s", self._host.name, line)
            said = self._read(line)
            self._note(said)
            if said.word in awaited:
                return said

    def _read(self, line: str) -> Said:
        self._lines_left -= 1
        try:
            if self._lines_left < 0:
                raise ValueError("it repeats itself without end")
            return read_freeze(line, len(self.hold.mount_points))
        except ValueError as error:
            raise self._host.error(
                str(error), "see what runs there by the names of sh, tee and fsfreeze"
            ) from error

    def _note(self, said: Said) -> None:
        if said.word == "STUCK":
            self._stuck[self._mount_point(said)] = abridged(said.why)
        elif said.word in {"PRE", "POST"}:
            self._hooks[said.word] = said.number

    def _hook_problem(self, hook: str, word: str) -> str:
        """Return how a command failed, with what it said; ``""`` where it did not."""
        status = self._hooks.get(word, 0)
        if not status:
            return ""
        if status in {124, 137}:
            return f"{hook} took longer than {self._terms.hook_timeout_s} s"
        said = self._process.stderr_before(f"{word} {status}", ANSWER_TIMEOUT_S)
        its_own = _END_OF_PRE.split(said)[-1]
        return f"{hook} ended with {status} ({_said(its_own)})"

    def _mount_point(self, said: Said) -> str:
        return self.hold.mount_points[said.number - 1]

    def _truly_stuck(self) -> list[str]:
        return [path for path, why in self._stuck.items() if why != NOT_FROZEN]

    def _thaw_by_hand(self, mount_points: Iterable[str]) -> None:
        """Say it at once, and keep trying over the open connection."""
        left = list(mount_points)
        self._alarm(by_hand(self._host.name, left))
        deadline = time.monotonic() + self._terms.limit_s + BY_HAND_S
        try:
            while left and (left_s := deadline - time.monotonic()) > 0:
                left = self._rescue.thaw(left, min(ANSWER_TIMEOUT_S, left_s))
                if left:
                    self._sleep(BEAT_S)
        except HostError as error:
            log.debug("%s: no longer to be thawed from here: %s", self._host.name, error)
        self.hold.left_frozen = tuple(left)
        if not left:
            self._alarm(f"{self._host.name}: thawed after all, nothing is left frozen")


def _said(stderr: str) -> str:
    return abridged(stderr) or "it said nothing"
