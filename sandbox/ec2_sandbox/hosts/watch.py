"""Notices when a disk has been written to, as udev does: when its node is closed after writing."""

from __future__ import annotations

import os
import select
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ec2_sandbox.errors import SandboxError
from ec2_sandbox.hosts import linux

_TRIES, _PAUSE = 5, 0.1
_STEP = 0.005
_EVENT = struct.Struct("iIII")


class Watcher:
    """Watches folders of nodes; a thread of its own calls those who asked."""

    def __init__(self) -> None:
        self._descriptor = linux.inotify()
        self._callbacks: dict[int, Callable[[set[str]], None]] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._run, daemon=True).start()

    def watch(self, folder: Path, callback: Callable[[set[str]], None]) -> None:
        """Calls back with the names of the files of a folder that were closed after writing.

        It ends with the folder's file system.
        """
        watch = linux.inotify_add(self._descriptor, folder, linux.IN_CLOSE_WRITE)
        self._callbacks[watch] = callback

    def settle(self) -> None:
        """Waits until of all that has been closed by now those who asked have been told."""
        while True:
            with self._lock:
                if not select.select([self._descriptor], [], [], 0)[0]:
                    return
            time.sleep(_STEP)

    def _run(self) -> None:
        while True:
            select.select([self._descriptor], [], [])
            with self._lock:
                self._read()

    def _read(self) -> None:
        data = os.read(self._descriptor, 65536)
        seen: dict[int, set[str]] = {}
        while data:
            watch, mask, _, length = _EVENT.unpack_from(data)
            name = data[_EVENT.size : _EVENT.size + length].rstrip(b"\0").decode()
            data = data[_EVENT.size + length :]
            if mask & linux.IN_IGNORED:
                self._callbacks.pop(watch, None)
            else:
                seen.setdefault(watch, set()).add(name)
        for watch, names in seen.items():
            callback = self._callbacks.get(watch)
            if callback is not None:
                _call(callback, names)


def _call(callback: Callable[[set[str]], None], names: set[str]) -> None:
    """Calls back, again where somebody else changes the disk at this very moment."""
    for _ in range(_TRIES):
        try:
            callback(names)
        except (OSError, ValueError, SandboxError):
            time.sleep(_PAUSE)
        else:
            return
