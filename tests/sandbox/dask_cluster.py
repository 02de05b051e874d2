"""A real Dask cluster on this machine: a scheduler and workers, each a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from distributed import Client

from tests.waiting import wait_until

BIN = Path(sys.executable).parent


class DaskCluster:
    """Processes of this machine.

    :param environ: the workers' environment.
    :ivar address: the scheduler's.
    """

    def __init__(self, folder: Path, environ: dict[str, str], workers: int) -> None:
        self._folder = folder
        self._environ = environ
        self._file = folder / "scheduler.json"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._begin("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file")
        wait_until(self._file.exists, "the scheduler is up")
        wait_until(lambda: self._file.read_text().endswith("}"), "its file is written")
        self.address: str = json.loads(self._file.read_text())["address"]
        self._client = Client(self.address, set_as_default=False)
        self.workers: list[subprocess.Popen[bytes]] = []
        self.have_workers(workers)

    def have_workers(self, count: int) -> None:
        """Have so many workers, each with one thread, started anew where some were killed."""
        self.workers = [one for one in self.workers if one.poll() is None]
        while len(self.workers) < count:
            more = ("--no-nanny", "--nthreads", "1", "--memory-limit", "0")
            folder = ("--local-directory", str(self._folder))
            self.workers.append(self._begin("worker", *more, *folder, "--scheduler-file"))

    def at_work(self) -> list[subprocess.Popen[bytes]]:
        """The workers that have something to do, as the scheduler says."""
        busy = [address for address, tasks in self._client.processing().items() if tasks]
        pids = set(self._client.run(os.getpid, workers=busy).values()) if busy else set()
        return [worker for worker in self.workers if worker.pid in pids]

    def wishes(self) -> int:
        """How many times it was asked to stop, as the scheduler remembers."""

        def count(dask_scheduler: Any) -> int:
            events = dask_scheduler.extensions["events"]._events
            return sum(event.is_set() for event in events.values())

        return int(self._client.run_on_scheduler(count))

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        """End a worker as a power failure does."""
        worker.send_signal(signal.SIGKILL)
        worker.wait()

    def close(self) -> None:
        self._client.close()
        for process in (*self.workers, *self._processes):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _begin(self, kind: str, *arguments: str) -> subprocess.Popen[bytes]:
        log = (self._folder / f"{kind}-{len(self._processes)}.log").open("wb")
        with log:
            process = subprocess.Popen(
                [BIN / "dask", kind, "--no-dashboard", *arguments, self._file],
                env=self._environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self._processes.append(process)
        return process
