"""A connection to a host: over jump hosts, host keys checked on each, within a time limit.

Fabric's Connection reads the ssh_config. Left to itself it trusts any host key, on jump hosts too,
and goes through several jump hosts in the reverse of OpenSSH's order; both are mended here.
Source: ssh_config(5).
"""

from __future__ import annotations

import io
import itertools
import math
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko
from fabric import Config, Connection
from fabric.connection import derive_shorthand

from snapback.config import HostSettings, Ssh
from snapback.core.text import abridged
from snapback.errors import HostError
from snapback.ssh.host_keys import HostKey, Trust
from snapback.ssh.whom import Whom

KEEPALIVE_S = 5
LONGEST_PACKET = 256 << 10
"""Bytes, as OpenSSH has it: paramiko would wait for one of 4 GiB, and hold what comes of it."""
_LONGEST_SAID = 1 << 16
_RSA = ("rsa-sha2-512", "rsa-sha2-256")


@dataclass(frozen=True)
class Hop:
    """A machine to log in to on the way; the last one is the host itself.

    :ivar proxy: the command that makes the connection to it, or ``""``.
    """

    connection: Connection
    proxy: str = ""

    @property
    def known_as(self) -> str:
        """Its name in a known_hosts file."""
        port = int(self.connection.port)
        return self.connection.host if port == 22 else f"[{self.connection.host}]:{port}"


@dataclass
class Way:
    """How to get to a host, and what is open on the way."""

    whom: Whom
    hops: Sequence[Hop]
    _open: ExitStack = field(default_factory=ExitStack)

    @property
    def transport(self) -> Any:
        """paramiko's transport to the host itself."""
        return self.hops[-1].connection.transport

    def go(self, trusts: Sequence[Trust], timeout_s: float) -> None:
        """Open every connection on the way.

        :param trusts: of each hop.
        :raises HostError: it didn't work; all is closed again.
        """
        attempt = _Attempt(lambda: self._go(trusts, timeout_s), self.close)
        try:
            attempt.run(self.whom, timeout_s)
        except BaseException:
            self.close()
            raise

    def _go(self, trusts: Sequence[Trust], timeout_s: float) -> None:
        for hop, trust in zip(self.hops, trusts, strict=True):
            proxy = _Proxy(hop.proxy) if hop.proxy else None
            if proxy:
                self._open.callback(proxy.close)
                hop.connection.connect_kwargs["sock"] = proxy.socket
            try:
                self._open_hop(hop.connection, trust, timeout_s)
            except Exception as error:
                where = "" if hop is self.hops[-1] else f"the gateway {hop.connection.host}: "
                raise _in_our_words(error, self.whom, hop.connection, where, proxy) from error

    def _open_hop(self, connection: Connection, trust: Trust, timeout_s: float) -> None:
        speaker = paramiko.SSHClient()
        speaker.set_missing_host_key_policy(_Policy(trust))
        self._open.callback(speaker.close)
        connection.client = speaker
        kinds = trust.kinds()

        def transport(sock: Any, **options: Any) -> Any:
            made = _transport(sock, kinds, timeout_s, options)
            # From here on, and not from the login: whoever never lets us in is hung up on, too.
            self._open.callback(_shut, made)
            return made

        connection.connect_kwargs["transport_factory"] = transport
        for limit in ("banner_timeout", "auth_timeout", "channel_timeout"):
            connection.connect_kwargs[limit] = timeout_s
        connection.open()

    def close(self) -> None:
        """Close every connection on the way."""
        self._open.close()


def _shut(transport: Any) -> None:
    """Close a connection; paramiko leaves the socket open where the other side was faster."""
    transport.close()
    transport.sock.close()


class _Policy(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
    """Asks our trust. The client itself knows no keys, so it asks us each time."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust

    def missing_host_key(self, _client: Any, _hostname: str, key: Any) -> None:
        """Return if the key is trusted."""
        self._trust.admit(HostKey(key.get_name(), key.asbytes()))


def _transport(
    sock: Any, known_kinds: Sequence[str], dead_after_s: float, options: dict[str, Any]
) -> Any:
    """Answer a transport that asks for the known kinds of keys first, and notices a dead peer."""
    if isinstance(sock, socket.socket) and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            sock.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, math.ceil(dead_after_s * 1000)
            )
    transport = paramiko.Transport(sock, **options)
    _bound_packets(transport.packetizer)
    wanted = [n for kind in known_kinds for n in (_RSA if kind == "ssh-rsa" else (kind,))]
    offered = transport.get_security_options()
    offered.key_types = sorted(
        offered.key_types, key=lambda kind: wanted.index(kind) if kind in wanted else len(wanted)
    )
    transport.set_keepalive(KEEPALIVE_S)
    return transport


def _bound_packets(packetizer: Any) -> None:
    """Refuse packets that are longer than any that a server sends."""
    read_all = packetizer.read_all

    def read(count: int, *args: Any, **options: Any) -> bytes:
        if count > LONGEST_PACKET:
            raise paramiko.SSHException(f"it sends a packet of {count} bytes")
        return bytes(read_all(count, *args, **options))

    packetizer.read_all = read


class _Attempt:
    """Something done in a thread that is not waited for any longer than so many seconds."""

    def __init__(self, action: Callable[[], None], undo: Callable[[], None]) -> None:
        self._action = action
        self._undo = undo
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._abandoned = False
        self._error: BaseException | None = None

    def run(self, whom: Whom, timeout_s: float) -> None:
        """Do it.

        :raises HostTimeout: it takes longer; it is undone, now and when it comes to its end.
        """
        threading.Thread(target=self._do, name="snapback-connect", daemon=True).start()
        self._over.wait(timeout_s)
        with self._lock:
            self._abandoned = not self._over.is_set()
        if self._abandoned:
            raise whom.timeout(
                f"no connection in {timeout_s:g} s",
                "see that it is up, that its security groups let you in, and that `address` and "
                "`gateway` are right",
            )
        if self._error:
            raise self._error

    def _do(self) -> None:
        try:
            self._action()
        except BaseException as error:  # noqa: BLE001 (raised where it is waited for)
            self._error = error
        with self._lock:
            self._over.set()
            abandoned = self._abandoned
        if abandoned:
            self._undo()


class _Proxy:
    """A ProxyCommand, run by sh, with a socket for its input and output."""

    def __init__(self, command: str) -> None:
        self.command = command
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        self.socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 (the operator's own command)
                ["/bin/sh", "-c", f"exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._said,
                start_new_session=True,  # so that Ctrl-C doesn't end it before what is in flight
            )

    def said(self) -> str:
        """Return what it said on stderr."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(0.5)
        self._said.seek(0)
        return abridged(self._said.read(_LONGEST_SAID).decode("utf-8", "replace"))

    def close(self) -> None:
        """End it."""
        self.socket.close()
        self._process.terminate()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()


def find_way(
    whom: Whom, address: str, settings: HostSettings, ssh: Ssh, private_key: str = ""
) -> Way:
    """Answer how to get to an address: what the settings say, and else the ssh_config.

    :param private_key: the only key to show to the host itself, as OpenSSH writes it.
    :raises HostError: the ssh_config or the key can't be read, or a gateway isn't one.
    """
    try:
        config = Config(runtime_ssh_path=_file(ssh.ssh_config), lazy=False)
        builder = _Builder(config, ssh.connect_timeout_s, _file(settings.key_filename))
        hops = builder.hops(
            address, settings.gateway, {"user": settings.username, "port": settings.port}
        )
    except (OSError, ValueError, paramiko.ConfigParseError) as error:
        raise whom.error(f"no way to it: {error}", "mend the ssh_config or the settings") from error
    if private_key:
        key = paramiko.Ed25519Key.from_private_key(io.StringIO(private_key))
        hops[-1].connection.connect_kwargs.update(
            pkey=key, key_filename=[], look_for_keys=False, allow_agent=False
        )
    for before, hop in itertools.pairwise(hops):
        hop.connection.gateway = before.connection
    return Way(whom, hops)


def _file(path: str | None) -> str | None:
    return str(Path(path).expanduser()) if path else None


@dataclass(frozen=True)
class _Builder:
    config: Config
    timeout_s: float
    key: str | None

    def hops(
        self,
        host: str,
        jump: str | None,
        options: Mapping[str, Any],
        reached_over_it: frozenset[str] = frozenset(),
    ) -> list[Hop]:
        """Answer the machines on the way to one, itself the last.

        :param jump: the jump hosts, as ProxyJump; ``None``: as the ssh_config says.
        :param reached_over_it: the machines that this one is on the way to.
        """
        connection = self._connection(host, options)
        said = connection.ssh_config
        reached = reached_over_it | {connection.original_host, connection.host}
        jumps = _jumps(said.get("proxyjump", "") if jump is None else jump)
        if jump is None and any(derive_shorthand(one)["host"] in reached for one in jumps):
            jumps = []  # what the ssh_config says of all hosts can't hold for the jump host itself
        before = self.hops(jumps[0], None, {}, reached) if jumps else []
        before += [Hop(self._connection(one, {})) for one in jumps[1:]]
        proxy = "" if jumps or jump is not None else said.get("proxycommand", "")
        return [*before, Hop(connection, proxy)]

    def _connection(self, host: str, options: Mapping[str, Any]) -> Connection:
        connection = Connection(
            host,
            config=self.config,
            gateway=False,
            connect_timeout=math.ceil(self.timeout_s),
            connect_kwargs={"look_for_keys": not self.key},
            **options,
        )
        of_ssh_config = connection.connect_kwargs.get("key_filename", ())
        keys = [key for key in of_ssh_config if Path(key).expanduser().is_file()]
        connection.connect_kwargs["key_filename"] = [*([self.key] if self.key else []), *keys]
        return connection


def _jumps(said: str) -> list[str]:
    return [] if said.lower() in {"", "none"} else [one.strip() for one in said.split(",")]


_NO_KEY = "No authentication methods available"  # paramiko's words where it has no key to show


def _in_our_words(
    error: Exception, whom: Whom, connection: Connection, where: str, proxy: _Proxy | None
) -> Exception:
    """Answer the error of ours that says what went wrong with a hop."""
    if isinstance(error, HostError):
        return error
    said = abridged(str(error)) or type(error).__name__
    if isinstance(error, paramiko.AuthenticationException) or said == _NO_KEY:
        keys = ", ".join(connection.connect_kwargs["key_filename"])
        return whom.unreachable(
            f"{where}it doesn't let {connection.user} in ({said})",
            f"check `username` and `key_filename` ({keys or 'the agent and ~/.ssh were tried'})",
        )
    if proxy:
        return whom.unreachable(
            f"{where}the ProxyCommand {proxy.command!r} makes no connection "
            f"({proxy.said() or said})",
            "try it by hand",
        )
    if isinstance(error, FileNotFoundError | PermissionError) and error.filename:
        return whom.error(f"{where}{said}", "correct `key_filename`")
    return whom.unreachable(
        f"{where}no connection to port {connection.port} ({said})",
        "see that it is up, that its security groups let you in, and that `address` and `gateway` "
        "are right",
    )
