"""Letting a person into a temporary instance by ssh, and fetching files from it by rsync.

The key and the host's key lie in a folder of this machine that only its user can read, for as long
as they are needed.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from snapback.errors import SnapbackError
from snapback.ssh.host import Host
from snapback.ssh.keys import new_key

_LET_IN = 'umask 077; mkdir -p ~/.ssh; printf "%s\\n" "$1" >>~/.ssh/authorized_keys'
_LONGEST_SAID = 400


@contextmanager
def door(
    host: Host, alias: str, user: str, address: str, options: Sequence[str]
) -> Iterator[tuple[list[str], str]]:
    """Answer the ssh command, but for whom to call, and whom: ``"ubuntu@10.1.2.3"``.

    :param alias: what the host's key is filed under.
    :param options: more of ssh's.
    """
    key = new_key()
    host.run(["sh", "-c", _LET_IN, "snapback-let-in", key.public])
    with tempfile.TemporaryDirectory(prefix="snapback-") as folder:
        file, known = Path(folder, "key"), Path(folder, "known_hosts")
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        file.write_text(key.private)
        known.write_text(host.host_key.line(alias) + "\n")
        demanded = {
            "IdentitiesOnly": "yes",
            "StrictHostKeyChecking": "yes",
            "HostKeyAlias": alias,
            "UserKnownHostsFile": str(known),
            "GlobalKnownHostsFile": "/dev/null",
        }
        words = [word for name, value in demanded.items() for word in ("-o", f"{name}={value}")]
        yield ["ssh", *options, "-i", str(file), *words], f"{user}@{address}"


def fetch(ssh: Sequence[str], whom: str, path: str, to: str) -> None:
    """Copy a file or a folder of a host to this machine, read as root there.

    :raises SnapbackError: not all of it came.

    Source: rsync(1).
    """
    program = shutil.which("rsync")
    if program is None:
        raise SnapbackError("this machine has no rsync: install it, or leave --copy out")
    argv = [program, "-aHS", "-s", "--rsync-path=sudo -n rsync", "-e", shlex.join(ssh), "--",
            f"{whom}:{path}", to]  # fmt: skip
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603
    if done.returncode:
        said = " ".join(done.stderr.split())[-_LONGEST_SAID:]
        raise SnapbackError(f"not all was copied: rsync ended with {done.returncode}: {said}")
