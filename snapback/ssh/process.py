"""A program that runs on a host: its input, its output line by line, its end.

However much the host prints, and however slowly, this program holds a bounded part of it, and waits
for a bounded time: what prints more than that is ended by closing its channel.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import paramiko

from snapback.core.text import abridged
from snapback.errors import HostError, HostUnreachable
from snapback.ssh import shell
from snapback.ssh.whom import LOST_ADVICE, Whom

MOST_HELD = 8 << 20
"""Bytes of each output that are held: ten times what lsblk and mountinfo print of 2,000 mounts."""
_STEP_S = 1.0
_LINGER_S = 1.0


@contextmanager
def bounded(transport: Any, seconds: float, whom: Whom, doing: str) -> Iterator[None]:
    """Close the connection if a block takes longer: paramiko may wait forever on a dead one.

    :raises HostTimeout: it took longer.
    :raises HostUnreachable: the connection broke.
    """
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        transport.close()

    timer = threading.Timer(max(seconds, 0.01), expire)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (paramiko.SSHException, EOFError, OSError) as error:
        if expired.is_set():
            raise whom.timeout(f"no answer in {seconds:g} s {doing}", LOST_ADVICE) from error
        raise whom.lost(f"{doing} ({_said(error)})") from error
    finally:
        timer.cancel()


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


class _Stream:
    """What a program prints, less what its login shell printed before it began."""

    def __init__(
        self,
        receive: Callable[[int], bytes],
        mark: bytes,
        told: threading.Condition,
        most: int,
        flooded: Callable[[], None],
    ):
        self.data = bytearray()
        self.begun = False
        self.ended = False
        self.is_flood = False
        self._receive = receive
        self._flooded = flooded
        self._mark = mark
        self._told = told
        self._most = most
        self._searched = 0
        threading.Thread(target=self._read, name="snapback-ssh", daemon=True).start()

    def _read(self) -> None:
        while not self.ended:
            try:
                # All that paramiko has: whoever ignores the window would else fill its buffer.
                piece = self._receive(self._most)
            except TimeoutError:
                continue
            except (OSError, EOFError):
                piece = b""
            with self._told:
                self._take(piece)
                if len(self.data) > self._most:
                    self.data.clear()
                    self.ended = self.is_flood = True
                self._told.notify_all()
            if self.is_flood:
                self._flooded()

    def _take(self, piece: bytes) -> None:
        self.data += piece
        self.ended = not piece
        if not self.begun:
            unseen = len(self.data) - len(piece) - len(self._mark)
            at = self.data.find(self._mark, max(0, unseen))
            if at >= 0:
                self.begun = True
                del self.data[: at + len(self._mark)]

    def has_line(self) -> bool:
        """Return whether a whole line has come. Nothing is searched twice."""
        if not self.begun:
            return False
        end = self.data.find(b"\n", self._searched)
        self._searched = len(self.data) if end < 0 else end
        return end >= 0

    def line(self) -> bytes | None:
        """Take the next whole line out; ``None``: there is none yet."""
        if not self.has_line():
            return None
        line = bytes(self.data[: self._searched])
        del self.data[: self._searched + 1]  # cheap, however much comes behind it
        self._searched = 0
        return line

    def text(self) -> str:
        """Answer what was printed and not yet read."""
        return self.data.decode("utf-8", "surrogateescape")


class Process:
    """A program that runs on a host, without a terminal.

    Its methods raise :class:`~snapback.errors.HostError` where it turns out that the program was
    never begun: sudo asks for a password, or the login shell ends by itself; and where it prints
    more than is held of what nobody has read yet: then its channel is closed.

    :param most_held: bytes of each of its two outputs.
    :param heed: called before each step of a wait; what it raises ends the wait.
    """

    def __init__(
        self,
        whom: Whom,
        channel: Any,
        token: str,
        argv: Sequence[str],
        *,
        as_root: bool,
        most_held: int,
        heed: Callable[[], None],
    ) -> None:
        self.argv = tuple(argv)
        self._whom = whom
        self._channel = channel
        self._as_root = as_root
        self._most_held = most_held
        self._heed = heed
        self._told = threading.Condition()
        mark = shell.mark(token)
        channel.settimeout(_STEP_S)
        held = mark, self._told, most_held, self._end
        self._out = _Stream(channel.recv, *held)
        self._err = _Stream(channel.recv_stderr, *held)

    @property
    def stderr(self) -> str:
        """What it said on stderr so far."""
        with self._told:
            return self._err.text()

    def stderr_before(self, line: str, timeout_s: float) -> str:
        """Return what it said on stderr before a line there, once that has come.

        What was printed to the two streams may arrive in any order. A line that doesn't come in
        time is done without.
        """
        end = f"{line}\n".encode()
        with self._told:
            self._told.wait_for(lambda: end in self._err.data or self._err.ended, timeout_s)
            before, found, after = bytes(self._err.data).rpartition(end)
        return (before if found else after).decode("utf-8", "surrogateescape")

    def send(self, data: bytes, timeout_s: float = 10) -> None:
        """Give it some input.

        :raises HostUnreachable: the connection broke, or the program has closed its input.
        :raises HostTimeout: it didn't take all of it in time.
        """
        deadline = time.monotonic() + timeout_s
        with self._heard(timeout_s + _STEP_S, "while sending input"):
            while data:
                if time.monotonic() > deadline:
                    raise self._whom.timeout(
                        f"{self.argv[0]} didn't take its input in {round(timeout_s, 1):g} s",
                        LOST_ADVICE,
                    )
                try:
                    data = data[self._channel.send(data) :]
                except TimeoutError:
                    continue

    def close_stdin(self) -> None:
        """End its input."""
        with self._heard(10, "while ending the input"):
            self._channel.shutdown_write()

    @contextmanager
    def _heard(self, seconds: float, doing: str) -> Iterator[None]:
        """Do as :func:`bounded`; where the channel was closed since too much came, say that."""
        try:
            with bounded(self._channel.transport, seconds, self._whom, doing):
                yield
        except HostUnreachable:
            self._demand_no_flood()
            raise

    def read_line(self, timeout_s: float) -> str | None:
        """Answer the next whole line it printed, without the newline; ``None`` at the end.

        What stands behind the last newline is no line.

        :param timeout_s: once none is left, no line is returned any more, also of those that have
            come: so a conversation with a deadline ends in time, whatever is printed.
        :raises HostTimeout: no line came in time.
        """
        deadline = time.monotonic() + timeout_s
        self._heeded(self._has_told, deadline)
        with self._told:
            while (left_s := deadline - time.monotonic()) > 0:
                self._demand_no_flood()
                line = self._out.line()
                if line is not None:
                    return line.decode("utf-8", "surrogateescape")
                if self._out.ended:
                    break
                self._told.wait(left_s)
            else:
                raise self._whom.timeout(
                    f"{self.argv[0]} printed nothing in {round(timeout_s, 1):g} s", LOST_ADVICE
                )
        self._demand_begun(deadline)
        return None

    def wait(self, timeout_s: float) -> int:
        """Answer its exit status; -1 where a signal killed it or the connection died.

        :raises HostTimeout: it is still running when the time is over.
        """
        deadline = time.monotonic() + timeout_s
        if not self._heeded(self._channel.status_event.wait, deadline):
            raise self._whom.timeout(
                f"{self.argv[0]} is still running after {round(timeout_s, 1):g} s",
                "it was left running there: see what holds it up",
            )
        self._demand_no_flood()
        self._settle(min(deadline, time.monotonic() + _LINGER_S))
        self._demand_begun(deadline)
        return int(self._channel.exit_status)

    def output(self, timeout_s: float) -> tuple[int, str, str]:
        """Answer its exit status and all that it printed and that was not read yet.

        :raises HostTimeout: it is still running, or something keeps its output open.
        :raises HostUnreachable: the connection broke.
        """
        deadline = time.monotonic() + timeout_s
        status = self.wait(timeout_s)
        if self._lost():
            raise self._whom.lost(f"while {self.argv[0]} was running")
        if not self._settle(deadline):
            raise self._whom.timeout(
                f"the output of {self.argv[0]} is still open after {round(timeout_s, 1):g} s",
                "something that it started goes on running",
            )
        self._demand_no_flood()
        return status, self._out.text(), self._err.text()

    def close(self) -> None:
        """Let go of it; what is still running there goes on."""
        with bounded(self._channel.transport, 10, self._whom, "while closing"):
            self._channel.close()

    def _end(self) -> None:
        """Take no more of what it prints: it gets SIGPIPE, and the end of its input."""
        self._channel.status_event.set()
        with suppress(HostError):
            self.close()

    def _demand_no_flood(self) -> None:
        if self._out.is_flood or self._err.is_flood:
            raise self._whom.error(
                f"{self.argv[0]} printed more than {self._most_held / (1 << 20):g} MiB",
                "see what it prints there by hand",
            )

    def _heeded(self, wait: Callable[[float], bool], deadline: float) -> bool:
        """Wait in short steps, and call what may end the wait before each.

        :param wait: waits for so many seconds at most, and answers whether it has come.
        """
        while True:
            self._heed()
            if wait(max(0.0, min(_STEP_S, deadline - time.monotonic()))):
                return True
            if time.monotonic() >= deadline:
                return False

    def _has_told(self, seconds: float) -> bool:
        """Wait for a line or the end of its output; answer whether one came."""
        with self._told:
            return self._told.wait_for(lambda: self._out.ended or self._out.has_line(), seconds)

    def _has_settled(self, seconds: float) -> bool:
        """Wait for the end of its output; answer whether it came."""
        with self._told:
            return self._told.wait_for(lambda: self._out.ended and self._err.ended, seconds)

    def _settle(self, deadline: float) -> bool:
        return self._heeded(self._has_settled, deadline)

    def _lost(self) -> bool:
        """Answer whether the connection is gone; it may just be going."""
        if self._channel.exit_status >= 0:
            return False
        self._channel.transport.join(0.5)
        return not self._channel.transport.is_active()

    def _demand_begun(self, deadline: float) -> None:
        self._settle(min(max(deadline, time.monotonic() + 0.1), time.monotonic() + _LINGER_S))
        if self._out.begun or self._lost():
            return
        said = abridged(f"{self._err.text()} {self._out.text()}")
        if self._as_root and "sudo" in said:
            raise self._whom.error(
                f"can't become root ({said})",
                "allow it without a password (NOPASSWD: ALL in /etc/sudoers.d), or log in as root",
            )
        raise self._whom.error(
            f"the login shell ended without running {self.argv[0]} ({said or 'it said nothing'})",
            "see that 'ssh' with this user and key runs a command there",
        )
