"""An ssh-agent of our own: it lets this machine's ssh log in by a key that only this program has.

The key lies in this program's memory, and nowhere else: however the program ends, nobody can log in
by it afterwards. Whoever may open the socket can: that is, this user and root.

Source: draft-ietf-sshm-ssh-agent, "SSH Agent Protocol".
"""

from __future__ import annotations

import io
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingUnixStreamServer

import paramiko

from snapback.errors import SnapbackError
from snapback.ssh.keys import Key

_LONGEST_REQUEST = 256 * 1024
_POLL_S = 0.05

_FAILURE = b"\x05"
_REQUEST_IDENTITIES, _IDENTITIES_ANSWER = b"\x0b", b"\x0c"
_SIGN_REQUEST, _SIGN_RESPONSE = b"\x0d", b"\x0e"


@contextmanager
def agent(key: Key, path: Path) -> Iterator[None]:
    """Offer a key on a socket for as long as the context lasts.

    :param path: the socket's, which is made, in a folder that only this user can enter.
    :raises SnapbackError: there can't be a socket.
    """
    try:
        server = _Server(key, path)
    except OSError as error:
        raise SnapbackError(
            f"no socket at {path}: {error}: set TMPDIR to a folder with a short name"
        ) from error
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(_POLL_S,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, key: Key, path: Path) -> None:
        super().__init__(str(path), _Connection)
        self._key = paramiko.Ed25519Key.from_private_key(io.StringIO(key.private))

    def answer(self, request: bytes) -> bytes:
        """Return the answer to a request: the public key, a signature, or a refusal."""
        message, answer = paramiko.Message(request), paramiko.Message()
        kind = message.get_byte()
        if kind == _REQUEST_IDENTITIES:
            answer.add_byte(_IDENTITIES_ANSWER)
            answer.add_int(1)
            answer.add_string(self._key.asbytes())
            answer.add_string("snapback")
        elif kind == _SIGN_REQUEST and message.get_binary() == self._key.asbytes():
            answer.add_byte(_SIGN_RESPONSE)
            answer.add_string(self._key.sign_ssh_data(message.get_binary()).asbytes())
        else:
            answer.add_byte(_FAILURE)
        whole: bytes = answer.asbytes()
        return whole


class _Connection(StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        """Serve requests until the client closes the connection."""
        with suppress(OSError):  # the client has gone
            while len(head := self.rfile.read(4)) == 4:
                (length,) = struct.unpack(">I", head)
                if length > _LONGEST_REQUEST:
                    return
                answer = self.server.answer(self.rfile.read(length))
                self.wfile.write(struct.pack(">I", len(answer)) + answer)
