"""The last hand that thaws: a root process on the host from before anything was frozen."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from snapback.errors import HostError, HostTimeout
from snapback.ssh.host import Host
from snapback.ssh.scripts import text_of

START_TIMEOUT_S = 30.0
ANSWER_TIMEOUT_S = 5.0
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
        self._process = host.start(argv, as_root=True)
        if self._process.read_line(START_TIMEOUT_S) != "READY":
            raise host.error(
                "a shell as root ended without a word", "see whether its processes are killed there"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(HostError):
            self._process.close()

    def thaw(self, mount_point: str) -> bool:
        """Thaw one of them, and tell whether it is.

        :raises HostUnreachable: the connection is gone, or the process.
        """
        number = str(self._mount_points.index(mount_point) + 1)
        self._process.send(f"{number}\n".encode())
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        with suppress(HostTimeout):
            while line := self._process.read_line(deadline - time.monotonic()):
                word, about, *why = line.split(" ", 2)
                if about == number:
                    return word == "THAWED" or why == [NOT_FROZEN]
        return False
