"""One machine: run, sudo, start; reached for a backup at once, or waited for while it boots.

What is run goes over one open connection, past Invoke's ``run``: ``fab --dry`` suppresses that, and
what a dry run reads on the hosts has to be read all the same.
"""

from __future__ import annotations

import secrets
import shlex
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, overload

import paramiko

from snapback.config import HostSettings, Settings
from snapback.core.model import Instance
from snapback.core.text import abridged
from snapback.errors import CommandFailed, HostError
from snapback.ssh import shell
from snapback.ssh.connect import Way, find_way
from snapback.ssh.host_keys import Console, HostKey, KnownHosts, Pinned, Trust
from snapback.ssh.process import MOST_HELD, Process, bounded
from snapback.ssh.whom import SomeHostError, Whom

LONGEST_COMMAND = 200
PAUSES_FOR_A_SESSION_S = (0.05, 0.2, 0.5)


@dataclass(frozen=True)
class Completed:
    """A command that came to its end.

    :ivar returncode: its exit status; -1 where a signal killed it.
    :ivar stdout: what it printed, as UTF-8; other bytes as ``surrogateescape`` has them.
    """

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


class Host:
    """One machine with one open connection, which its end as a context manager closes.

    :ivar name: for messages: ``"i-0123 (web-1) at 10.1.2.3"``.
    :ivar region: where it is.
    """

    def __init__(
        self,
        whom: Whom,
        way: Way,
        start_timeout_s: float,
        heed: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = whom.name
        self.region = whom.region
        self._whom = whom
        self._way = way
        self._start_timeout_s = start_timeout_s
        self._heed = heed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def heeding(self, heed: Callable[[], None]) -> Host:
        """Return the same host, on the same connection, for what is to end before its time.

        :param heed: called every second or so while a command runs; what it raises ends the wait.
        """
        return Host(self._whom, self._way, self._start_timeout_s, heed)

    @property
    def host_key(self) -> HostKey:
        """The key that it showed, which is trusted."""
        shown = self._way.transport.get_remote_server_key()
        return HostKey(shown.get_name(), shown.asbytes())

    @overload
    def error(self, reason: str, advice: str) -> HostError: ...

    @overload
    def error(self, reason: str, advice: str, kind: type[SomeHostError]) -> SomeHostError: ...

    def error(self, reason: str, advice: str, kind: type[HostError] = HostError) -> HostError:
        """Return the error that says what went wrong on this host, and what to do.

        :param kind: its class.
        """
        return self._whom.error(reason, advice, kind)

    def command_failed(self, argv: Sequence[str], returncode: int, stderr: str) -> CommandFailed:
        """Return the error of a command that ended badly on this host."""
        shown = abridged(shlex.join(argv), LONGEST_COMMAND)
        return CommandFailed(self.name, self.region, argv, shown, returncode, abridged(stderr))

    def close(self) -> None:
        """Close the connection; what is still running there goes on."""
        self._way.close()

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float = 30,
        stdin: bytes = b"",
        check: bool = True,
        most_held: int = MOST_HELD,
    ) -> Completed:
        """Run a command to its end.

        :param argv: the program, no shell's built-in, and its arguments, given as they are.
        :param timeout_s: for all of it, once it has been started.
        :param most_held: how many bytes it may print, to each of stdout and stderr.
        :raises CommandFailed: it ended with another status than 0, and ``check``.
        :raises HostTimeout: it takes longer; it is left running there.
        :raises HostUnreachable: the connection broke.
        :raises HostError: the login shell doesn't run commands, or this one prints too much.
        """
        return self._run(argv, timeout_s, stdin, check, as_root=False, most_held=most_held)

    def sudo(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float = 30,
        stdin: bytes = b"",
        check: bool = True,
        most_held: int = MOST_HELD,
    ) -> Completed:
        """Run a command to its end as root: with ``sudo -n``, unless the user is root.

        :raises HostError: sudo isn't there or asks for a password; and as :meth:`run`.
        """
        return self._run(argv, timeout_s, stdin, check, as_root=True, most_held=most_held)

    def start(
        self, argv: Sequence[str], *, as_root: bool = False, most_held: int = MOST_HELD
    ) -> Process:
        """Start a command that runs on; no terminal.

        The host has ``connect_timeout_s`` to begin.

        :raises HostUnreachable: the connection broke.
        :raises HostTimeout: the host doesn't answer.
        :raises HostError: it allows no further session.
        """
        token = secrets.token_hex(8)
        line = shell.command_line(argv, token, as_root=as_root)
        transport = self._way.transport
        with bounded(transport, self._start_timeout_s, self._whom, f"to the start of {argv[0]}"):
            channel = self._open_session(transport)
            channel.exec_command(line)
        return Process(
            *(self._whom, channel, token, argv),
            as_root=as_root,
            most_held=most_held,
            heed=self._heed,
        )

    def _open_session(self, transport: paramiko.Transport) -> paramiko.Channel:
        """Open a session.

        :raises HostError: the host allows no further one.
        """
        # sshd frees a session a moment after its channel is closed. Where MaxSessions is low, the
        # session of the next command may come before that, and would be refused.
        for pause_s in (*PAUSES_FOR_A_SESSION_S, None):
            try:
                return transport.open_session()  # `bounded` ends the wait
            except paramiko.ChannelException as error:
                if pause_s is None:
                    raise self.error(
                        f"it allows no further session ({error})",
                        "raise MaxSessions in its sshd_config",
                    ) from error
                time.sleep(pause_s)
        raise AssertionError  # the last attempt returns or raises

    def _run(
        self,
        argv: Sequence[str],
        timeout_s: float,
        stdin: bytes,
        check: bool,
        *,
        as_root: bool,
        most_held: int,
    ) -> Completed:
        process = self.start(argv, as_root=as_root, most_held=most_held)
        deadline = time.monotonic() + timeout_s
        try:
            if stdin:
                process.send(stdin, timeout_s)
            process.close_stdin()
            status, stdout, stderr = process.output(max(0, deadline - time.monotonic()))
        finally:
            process.close()
        if check and status:
            raise self.command_failed(argv, status, stderr)
        return Completed(tuple(argv), status, stdout, stderr)


def open_host(
    settings: Settings,
    instance: Instance,
    console: Callable[[], str],
    *,
    login: HostSettings | None = None,
    host_keys: Collection[HostKey] = (),
    private_key: str = "",
) -> Host:
    """Log in to an instance, in one attempt of ``connect_timeout_s``.

    :param console: answers the instance's console output; called where ``host_keys: console`` has
        to learn its keys.
    :param login: how to log in, where it isn't as the settings say for this instance.
    :param host_keys: the keys that were given to the instance: no others are trusted then.
    :param private_key: the key that it lets in, an ed25519 one as OpenSSH writes it: no other is
        shown to it then. What is on the way to it is logged in to as ever.
    :raises HostKeyError: its key, or that of a jump host, isn't trusted.
    :raises HostTimeout: it doesn't answer in time.
    :raises HostUnreachable: there is no connection, or the login is refused.
    :raises HostError: it has no such address, or the ssh_config or a key can't be read.
    """
    login = login or settings.for_host(instance.place.region, instance.tags)
    address = address_of(instance, login)
    whom = Whom(_name(instance, address), str(instance.place))
    way = find_way(whom, address, login, settings.ssh, private_key)
    accept_new = settings.ssh.host_keys == "accept-new"
    known_hosts = Path(settings.ssh.known_hosts).expanduser()
    trusts: list[Trust] = [
        KnownHosts(whom, known_hosts, hop.known_as, accept_new) for hop in way.hops
    ]
    if host_keys:
        trusts[-1] = Pinned(whom, tuple(host_keys))
    elif settings.ssh.host_keys == "console":
        remembered = Path(settings.ssh.remembered_keys).expanduser()
        trusts[-1] = Console(whom, instance.instance_id, remembered, console)
    way.go(trusts, settings.ssh.connect_timeout_s)
    return Host(whom, way, settings.ssh.connect_timeout_s)


def open_booting_host(
    settings: Settings, attempt: Callable[[], Host], pause: Callable[[float], None]
) -> Host:
    """Log in to an instance that boots: as often and at such intervals as the settings say.

    :param attempt: calls :func:`open_host`.
    :param pause: waits for so many seconds.
    :raises HostError: the last attempt's; at once where another attempt wouldn't help.
    """
    for _ in range(settings.ssh.ssh_timeout_attempts - 1):
        try:
            return attempt()
        except HostError as error:
            if not error.may_pass:
                raise
        pause(settings.ssh.ssh_timeout_interval)
    return attempt()


def address_of(instance: Instance, login: HostSettings) -> str:
    """Answer where an instance is reached.

    :raises HostError: it has no such address.
    """
    addresses = {
        "public_dns": instance.public_dns_name,
        "private_ip": instance.private_ip_address,
        "public_ip": instance.public_ip_address,
        "instance_id": instance.instance_id,
    }
    wanted = [login.address] if login.address else ["public_dns", "private_ip"]
    found = next((addresses[kind] for kind in wanted if addresses[kind]), "")
    if not found:
        raise Whom(_name(instance, ""), str(instance.place)).error(
            f"it has no {' and no '.join(wanted)}, and is {instance.state}",
            "see that it is running, or configure another `address`",
        )
    return found


def _name(instance: Instance, address: str) -> str:
    parts = [instance.instance_id, f" ({instance.name})" if instance.name else ""]
    if address and address != instance.instance_id:
        parts.append(f" at {address}")
    return "".join(parts)
