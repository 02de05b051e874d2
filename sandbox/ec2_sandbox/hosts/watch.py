"""Notices when a disk has been written to, as udev does: when its node is closed after writing."""

from __future__ import annotations

import contextlib
import os
import struct
import threading
from collections.abc import Callable
from pathlib import Path

from ec2_sandbox.hosts import linux

_EVENT = struct.Struct("iIII")


class Watcher:
    """Watches folders of nodes; a thread of its own calls those who asked."""

    def __init__(self) -> None:
        self._descriptor = linux.inotify()
        self._callbacks: dict[int, Callable[[str], None]] = {}
        threading.Thread(target=self._run, daemon=True).start()

    def watch(self, folder: Path, callback: Callable[[str], None]) -> None:
        """Calls back with the name of each file of a folder that is closed after writing.

        It ends with the folder's file system.
        """
        watch = linux.inotify_add(self._descriptor, folder, linux.IN_CLOSE_WRITE)
        self._callbacks[watch] = callback

    def _run(self) -> None:
        while True:
            data = os.read(self._descriptor, 65536)
            seen: dict[tuple[int, str], None] = {}
            while data:
                watch, mask, _, length = _EVENT.unpack_from(data)
                name = data[_EVENT.size : _EVENT.size + length].rstrip(b"\0").decode()
                data = data[_EVENT.size + length :]
                if mask & linux.IN_IGNORED:
                    self._callbacks.pop(watch, None)
                else:
                    seen[watch, name] = None
            for watch, name in seen:
                callback = self._callbacks.get(watch)
                if callback is not None:
                    with contextlib.suppress(OSError):
                        callback(name)
