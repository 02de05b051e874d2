"""A lean HTTP/1.1 server on loopback: keep-alive, a thread a connection, no delay."""

from __future__ import annotations

import json
import logging
import re
import socket
import socketserver
from email.utils import format_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from ec2_sandbox import recycle_bin, wire
from ec2_sandbox.control import control
from ec2_sandbox.dispatch import serve
from ec2_sandbox.errors import DropConnection, SandboxError
from ec2_sandbox.wire import Request, Response

if TYPE_CHECKING:
    from ec2_sandbox.world import World

logger = logging.getLogger(__name__)
HOST = "127.0.0.1"
MAX_BODY = 64 * 1024 * 1024
_SCOPE = re.compile(
    r"Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[\w-]+)/(?P<service>[\w-]+)/aws4_request"
)
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class Server(socketserver.ThreadingTCPServer):
    """Listens on 127.0.0.1; serves one world."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def __init__(self, world: World, port: int = 0) -> None:
        self.world = world
        try:
            super().__init__((HOST, port), Connection)
        except (OSError, OverflowError) as error:
            raise SandboxError(f"cannot listen on {HOST}:{port}: {error}") from None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.server_address[1]}"


class Connection(socketserver.StreamRequestHandler):
    """One connection, with one request after the other."""

    disable_nagle_algorithm = True
    rbufsize = 64 * 1024
    server: Server

    def handle(self) -> None:
        """Serves requests until the client, or a fault, closes the connection."""
        try:
            while self._one():
                pass
        except DropConnection:
            self.connection.shutdown(socket.SHUT_RDWR)
        except (ConnectionError, TimeoutError):
            pass

    def _one(self) -> bool:
        line = self.rfile.readline(65536)
        if not line.strip():
            return False
        try:
            method, target, version = line.decode("latin-1").split()
            headers = self._headers()
            length = int(headers.get("content-length", "0"))
        except ValueError:
            self._send(Response(400, b"bad request", "text/plain"), keep=False)
            return False
        if length > MAX_BODY:
            self._send(Response(413, b"too large", "text/plain"), keep=False)
            return False
        if headers.get("expect", "").lower() == "100-continue":
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self.rfile.read(length) if length else b""
        keep = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        self._send(self._answer(method, target, headers, body), keep)
        return keep

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        while True:
            line = self.rfile.readline(65536)
            if line in (b"\r\n", b"\n", b""):
                return headers
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()

    def _answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Response:
        path, _, query = target.partition("?")
        if path.startswith("/_sandbox/"):
            return control(self.server.world, path.removeprefix("/_sandbox/"), body)
        try:
            return serve(self.server.world, read_request(method, path, query, headers, body))
        except DropConnection:
            raise
        except Exception as error:
            logger.exception("%s %s failed", method, path)
            text = json.dumps({"error": repr(error)}).encode()
            return Response(500, text, "application/json")

    def _send(self, response: Response, keep: bool) -> None:
        now = self.server.world.clock.now()
        head = (
            f"HTTP/1.1 {response.status} {_REASONS.get(response.status, '')}\r\n"
            f"Date: {format_datetime(now, usegmt=True)}\r\n"
            "Server: AmazonEC2\r\n"
            f"Content-Type: {response.content_type}\r\n"
            f"Content-Length: {len(response.body)}\r\n"
            f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
        )
        self.connection.sendall(head.encode("latin-1") + response.body)


def read_request(
    method: str, path: str, query: str, headers: dict[str, str], body: bytes
) -> Request:
    """Reads which service, region and action a request is about, from its signature and body."""
    scope = _SCOPE.search(headers.get("authorization", ""))
    region = scope["region"] if scope else "us-east-1"
    service = scope["service"] if scope else "ec2"
    key = scope["key"] if scope else ""
    target = headers.get("x-amz-target", "")
    if target:
        action, given = target.rpartition(".")[2], wire.read_plain(body)
        return Request(service, region, action, given, headers, body, path, key)
    text = body.decode("utf-8", "replace") if method == "POST" and body else query
    flat = wire.read_flat(text)
    action = recycle_bin.action_of(path) if service == "rbin" else flat.get("Action", "")
    return Request(service, region, action, flat, headers, body or query.encode(), path, key)
