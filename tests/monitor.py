"""A monitor in the manner of healthchecks.io: a real HTTP server with a memory."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Monitor:
    """Listens on loopback while it is a context.

    :ivar told: (path, text) of each ping that came, in their order.
    :ivar answers: the statuses that it answers next; then 200.
    :ivar silent: set while it answers nothing at all.
    """

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.answers: list[int] = []
        self.silent = threading.Event()
        self._over = threading.Event()
        monitor = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                monitor.told.append((self.path, body.decode()))
                if monitor.silent.is_set():
                    monitor._over.wait(60)
                self.send_response(monitor.answers.pop(0) if monitor.answers else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.told]

    def __enter__(self) -> Monitor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
