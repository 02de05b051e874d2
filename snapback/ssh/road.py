"""The way that data takes from one host to another: over SSH, by a key that can do one thing.

The source logs in to the destination with a key that is made here, for one command. It is put down
on the source in memory, and let in on the destination to run just that command, whatever it asks
for. The command is made here: nothing that the source says has a part in it. Both are undone when
the command has ended, by the hosts themselves should this program be killed, and what the key began
on the destination is ended too: else the source could hold a session open, and write later.
Whatever comes, the destination lets the key in no longer than an hour. The destination's host key
is the one that it showed us, and no other.

Source: sshd(8), "AUTHORIZED_KEYS FILE FORMAT"; ssh(1).
"""

from __future__ import annotations

import itertools
import logging
import secrets
import shlex
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field

from snapback.errors import HostError
from snapback.ssh import shell
from snapback.ssh.hold import held
from snapback.ssh.host import Host
from snapback.ssh.keys import new_key
from snapback.ssh.scripts import text_of

log = logging.getLogger(__name__)

DEAD_AFTER_S = 30
NAME = "destination"
"""What the source calls the destination: it has no other name there, and no address."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Road:
    """The way from a source to a destination. Several things may go over it at once.

    :ivar folder: ours on the source, in memory, root's alone.
    :ivar user: whom the destination lets in.
    """

    source: Host
    destination: Host
    address: str
    port: int
    user: str
    folder: str
    is_root: bool
    dead_after_s: int
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def lane(self, command: Sequence[str]) -> Iterator[list[str]]:
        """Let the source run one command, as root, on the destination; how to, but for the host.

        :param command: what is run there, whatever else is asked for.
        :returns: the ssh command for root on the source; :data:`NAME` is the host to add.
        :raises HostError: the key can't be put down or taken back, or what it began not be ended.
        """
        with self._lock:
            number = next(self._numbers)
        key = new_key()
        mark = f"{self.folder.rpartition('/')[2]}-{number}"
        file = f"{self.folder}/key-{number}"
        with ExitStack() as stack:
            stack.callback(_undo, self.source, ["rm", "-f", "--", file], as_root=True)
            self.source.sudo(_put(file), stdin=key.private.encode())
            try:
                forced = _quoted(_forced(_as_root(command, mark, is_root=self.is_root), mark))
                self.destination.run(_script("let", forced, key.public, mark))
                yield [
                    *("ssh", "-F", "none", "-T", "-l", self.user, "-p", str(self.port)),
                    *("-i", file),
                    *(word for option in self._options() for word in ("-o", option)),
                ]
            except BaseException:
                _undo(self.destination, _script("unlet", mark), as_root=False)
                _undo(self.destination, _script("end", mark), as_root=True)
                raise
            self.destination.run(_script("unlet", mark))
            self.destination.sudo(_script("end", mark))

    def _options(self) -> list[str]:
        return [
            f"HostName={self.address}",
            f"HostKeyAlias={NAME}",
            f"UserKnownHostsFile={self.folder}/known_hosts",
            "GlobalKnownHostsFile=/dev/null",
            "StrictHostKeyChecking=yes",
            "UpdateHostKeys=no",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "BatchMode=yes",
            "ForwardAgent=no",
            "ForwardX11=no",
            "ControlPath=none",
            "Compression=no",
            "ConnectTimeout=30",
            f"ServerAliveInterval={max(1, self.dead_after_s // 3)}",
            "ServerAliveCountMax=3",
            "LogLevel=ERROR",
        ]


@contextmanager
def open_road(
    source: Host,
    destination: Host,
    address: str,
    *,
    port: int = 22,
    dead_after_s: int = DEAD_AFTER_S,
) -> Iterator[Road]:
    """Prepare the way from one host to another; nothing of it is left at the end.

    The destination's key is that of the open connection to it, so already trusted.

    :param address: where the source reaches the destination.
    :param dead_after_s: of silence, a transfer is given up.
    :raises HostError: one of the two can't be prepared.
    """
    user, is_root = _user_of(destination)
    folder = f"/run/snapback-{secrets.token_hex(8)}"
    with _folder(source, folder), _no_key_left(destination, f"{folder[5:]}-[0-9]*", is_root):
        known = destination.host_key.line(NAME) + "\n"
        source.sudo(_put(f"{folder}/known_hosts"), stdin=known.encode())
        yield Road(source, destination, address, port, user, folder, is_root, dead_after_s)


def _user_of(host: Host) -> tuple[str, bool]:
    """Return the user that a host lets in, and whether that is root."""
    said = host.run(["sh", "-c", "id -un; id -u"]).stdout.split()
    if len(said) != 2 or said[0].startswith("-"):
        raise host.error(f"id prints {said!r:.100}", "see what 'id -un; id -u' prints there")
    return said[0], said[1] == "0"


def _folder(source: Host, folder: str) -> AbstractContextManager[None]:
    make, remove = ["mkdir", "-m", "700", "--", folder], ["rm", "-rf", "--", folder]
    return held(
        source, shlex.join(make), shlex.join(remove), [], names=(make, remove), must_undo=False
    )


_UNDO_KEYS = """
sh -c "$2" snapback-key-unlet "$1"
status=$?
shift 2
"$@" && exit "$status"
"""


def _no_key_left(destination: Host, marks: str, is_root: bool) -> AbstractContextManager[None]:
    """Let in no key with some marks, a pattern, when the context has ended; end what they began."""
    names = ["true"], ["sh", "-c", "let no key in any longer"]
    end = ([] if is_root else ["sudo", "-n", "--"]) + _script("end", marks)
    arguments = [marks, text_of("key_unlet.sh"), *end]
    return held(
        destination, "true", _UNDO_KEYS, arguments, names=names, as_root=False, must_undo=False
    )


def _put(path: str) -> list[str]:
    """Answer the command that writes its input to a file that only root can read."""
    return ["sh", "-c", 'umask 077; cat >"$1"', "snapback-put", path]


def _undo(host: Host, argv: Sequence[str], *, as_root: bool) -> None:
    """Take something back; where that fails it is told in the log, and harmless."""
    try:
        (host.sudo if as_root else host.run)(argv)
    except HostError as error:
        log.warning("a key of the transfer may be left there: %s", error)


_IF_LET_IN = 'grep -q " $SNAPBACK_KEY\\$" .ssh/authorized_keys || exit; exec "$@"'


def _forced(argv: Sequence[str], mark: str) -> str:
    """Return the line that sshd has the login shell run, for a key with a mark, in its home.

    The process bears the mark before it sees whether the key is still let in. So whoever takes the
    key back first, and then ends all that bears the mark, has ended everything.
    """
    marked = ["env", f"SNAPBACK_KEY={mark}", "sh", "-c", _IF_LET_IN, "snapback-key", *argv]
    return shell.one_line(f"exec {shlex.join(marked)}")


def _as_root(argv: Sequence[str], mark: str, *, is_root: bool) -> list[str]:
    """Return what runs a program as root with a mark, and with nothing else of the environment."""
    sudo = [] if is_root else ["sudo", "-n", "--"]
    return [*sudo, "env", "-i", f"SNAPBACK_KEY={mark}", f"PATH={_PATH}", "LC_ALL=C", *argv]


def _quoted(line: str) -> str:
    """Return a line as the options of an authorized key have it."""
    return '"' + line.replace('"', '\\"') + '"'


def _script(name: str, *arguments: str) -> list[str]:
    return ["sh", "-c", text_of(f"key_{name}.sh"), f"snapback-key-{name}", *arguments]
