"""Letting a person into a temporary instance by ssh, and fetching files from it by rsync.

What is fetched comes from a file system that anybody may have written. Its links lead to nothing of
the host's, and nothing is written through them here.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from snapback.core.text import abridged, printable
from snapback.errors import SnapbackError
from snapback.ssh import tools
from snapback.ssh.agent import agent
from snapback.ssh.host import Host
from snapback.ssh.keys import new_key
from snapback.ssh.scripts import PYTHON, run_python

_LET_IN = 'umask 077; mkdir -p ~/.ssh; printf "%s\\n" "$1" >>~/.ssh/authorized_keys'
_LONGEST_SEARCH_S = 600.0


@contextmanager
def door(
    host: Host, alias: str, user: str, address: str, options: Sequence[str]
) -> Iterator[tuple[list[str], str]]:
    """Answer the ssh command, but for whom to call, and whom: ``"ubuntu@10.1.2.3"``.

    The command works while the context lasts. The key that it logs in with is only in this
    program's memory; its public half and the host's key are in files.

    :param alias: what the host's key is filed under.
    :param options: more of ssh's.
    """
    key = new_key()
    host.run(["sh", "-c", _LET_IN, "snapback-let-in", key.public])
    with tempfile.TemporaryDirectory(prefix="snapback-") as name:
        folder = Path(name)
        (folder / "key.pub").write_text(key.public + "\n")
        (folder / "known_hosts").write_text(host.host_key.line(alias) + "\n")
        demanded = {
            "IdentityFile": _path(folder / "key.pub"),
            "IdentityAgent": _path(folder / "agent"),
            "IdentitiesOnly": "yes",
            "StrictHostKeyChecking": "yes",
            "HostKeyAlias": alias,
            "UserKnownHostsFile": _path(folder / "known_hosts"),
            "GlobalKnownHostsFile": "/dev/null",
            "UpdateHostKeys": "no",
            "BatchMode": "yes",
            "ControlPath": "none",
            "ForwardAgent": "no",
            "ForwardX11": "no",
        }
        words = [word for name, value in demanded.items() for word in ("-o", f"{name}={value}")]
        with agent(key, folder / "agent"):
            yield ["ssh", *options, *words], f"{user}@{address}"


def _path(path: Path) -> str:
    """Return a path as ssh's options have it."""
    return '"' + str(path).replace("%", "%%") + '"'


@dataclass(frozen=True)
class Source:
    """A file or a folder on a host.

    :ivar top: the folder beneath which it was looked for.
    :ivar path: from there on, with no link in it: ``"/etc/hostname"``. A slash at its end means
        what is in the folder.
    :ivar is_special: whether it is a device, a fifo or a socket.
    """

    top: str
    path: str
    is_special: bool


def find(host: Host, top: str, path: str) -> Source:
    """Look for a file or a folder beneath a folder of a host, as if that were ``/`` there.

    Symbolic links are followed, and don't lead out of it.

    :raises SnapbackError: there is none.
    """
    tools.demand(host, PYTHON, may_install=True)
    done = run_python(host, "beneath_script.py", top, path, timeout_s=_LONGEST_SEARCH_S)
    if done.returncode:
        said = printable(abridged(done.stderr))
        raise SnapbackError(f"not copied: {printable(path)} can't be found in the snapshot: {said}")
    kind, found = done.stdout[:1], done.stdout[1:]
    if not kind:
        raise host.error("nothing is said of what was looked for", "see what python3 does there")
    contents = "/" if path.endswith("/") or not found else ""
    return Source(top, found + contents, kind not in "-d")


def fetch(
    ssh: Sequence[str], whom: str, source: Source, to: str, *, devices: bool, setuid: bool
) -> int:
    """Copy a file or a folder of a host to this machine, read as root there.

    Links come as links, and none that is here already is followed, but for ``to`` itself.

    :param devices: whether devices, fifos and sockets are copied, too.
    :param setuid: whether setuid and setgid bits stay.
    :returns: how many devices, fifos and sockets were left out.
    :raises SnapbackError: not all of it came.

    Source: rsync(1).
    """
    program = shutil.which("rsync")
    if program is None:
        raise SnapbackError("this machine has no rsync: install it, or leave --copy out")
    if source.is_special and not devices:
        raise SnapbackError(
            f"not copied: {printable(source.path)} is a device, a fifo or a socket: "
            "--devices copies it"
        )
    argv = [
        *(program, "-rlptgoHS", "--numeric-ids"),
        *(["-D"] if devices else []),
        *([] if setuid else ["--chmod=ug-s"]),
        # In a list of files rsync takes a name as it is. In an argument it would take it for a
        # pattern, and follow links on the way to what matches.
        *("--files-from=-", "--from0", "--no-relative", "-s"),
        *("--rsync-path=sudo -n rsync", "-e", shlex.join(ssh), "--"),
        *(f"{whom}:{source.top}/", to if to.startswith("/") else f"./{to}"),
    ]
    names = source.path.encode("utf-8", "surrogateescape") + b"\0"
    done = subprocess.run(argv, input=names, capture_output=True, check=False)  # noqa: S603
    if done.returncode:
        said = abridged(done.stderr.decode(errors="replace"))
        raise SnapbackError(f"not all was copied: rsync ended with {done.returncode}: {said}")
    return sum(line.startswith(b"skipping non-regular file ") for line in done.stdout.splitlines())
