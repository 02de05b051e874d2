"""The address that this machine has on the Internet."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from snapback.ec2.own_address import own_cidr
from snapback.errors import SnapbackError


@pytest.fixture
def answering() -> Iterator[Callable[[str], str]]:
    """Answers the URL of a service that answers some text."""
    said = [""]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(said[0].encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()

        def answer(text: str) -> str:
            said[0] = text
            return f"http://127.0.0.1:{server.server_port}/"

        yield answer
        server.shutdown()
        thread.join()


def test_it_is_asked_for(answering):
    assert own_cidr(answering("203.0.113.7\n")) == "203.0.113.7/32"
    assert own_cidr(answering("2001:db8::7\n")) == "2001:db8::7/128"


@pytest.mark.parametrize("said", ["", "<html>Log in to this WiFi</html>", "203.0.113.7, 10.0.0.1"])
def test_what_is_no_address_is_an_error_that_says_what_to_do(answering, said):
    with pytest.raises(SnapbackError, match=r"temporary\.source_cidr"):
        own_cidr(answering(said))


def test_so_is_a_service_that_does_not_answer():
    with pytest.raises(SnapbackError, match=r"temporary\.source_cidr"):
        own_cidr("http://127.0.0.1:1/")
