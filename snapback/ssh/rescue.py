"""The last hand that thaws: a root process on the host from before anything was frozen."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from snapback.core.backup.freeze_words import Said, read_rescue
from snapback.errors import HostError, HostTimeout
from snapback.ssh.host import Host
from snapback.ssh.scripts import text_of

START_TIMEOUT_S = 30.0
NOT_FROZEN = "Invalid argument"


class Rescue:
    """Thaws on request over the open connection; its end as a context manager ends the process.

    :param mount_points: what may have to be thawed.
    :raises HostError: it can't be started.
    """

    def __init__(self, host: Host, mount_points: Sequence[str]) -> None:
        self._mount_points = tuple(mount_points)
        script = text_of("freeze_rescue.sh")
        argv = ["sh", "-c", script, "snapback-rescue", *mount_points]
        self._host = host
        self._process = host.start(argv, as_root=True)
        try:
            self._demand_ready()
        except BaseException:
            self._close()
            raise

    def _demand_ready(self) -> None:
        said = self._process.read_line(START_TIMEOUT_S)
        if said is None:
            raise _unexpected(self._host, "a shell as root ended without a word")
        if self._read(said).word != "READY":
            raise _unexpected(self._host, f"it says {said[:100]!r} before anything was asked")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        with suppress(HostError):
            self._process.close()

    def thaw(self, mount_points: Sequence[str], timeout_s: float) -> list[str]:
        """Thaw some of them, all side by side, and return those that may be frozen still.

        :param timeout_s: for all of them together.
        :raises HostError: it can't be talked to any more, or says what it never says.
        """
        deadline = time.monotonic() + timeout_s
        numbers = {self._mount_points.index(path) + 1: path for path in mount_points}
        asked = "".join(f"{number}\n" for number in numbers)
        left = dict(numbers)
        waited_for = set(numbers)
        self._process.send(asked.encode(), timeout_s)
        with suppress(HostTimeout):
            while waited_for:
                line = self._process.read_line(deadline - time.monotonic())
                if line is None:
                    raise _unexpected(self._host, "the shell as root that thaws has ended")
                said = self._read(line)
                waited_for.discard(said.number)
                if said.word == "THAWED" or said.why == NOT_FROZEN:
                    left.pop(said.number, None)
        return list(left.values())

    def _read(self, line: str) -> Said:
        try:
            return read_rescue(line, len(self._mount_points))
        except ValueError as error:
            raise _unexpected(self._host, str(error)) from error


def _unexpected(host: Host, what: str) -> HostError:
    return host.error(
        what, "see what runs there by the names of sh and fsfreeze, and what kills it"
    )
