"""Reading all that is on a disk of a host, for a digest of it.

Times aren't looked at, nor how files are laid out: replicas that rsync made are equal in all else.
"""

from __future__ import annotations

from importlib.resources import files

from snapback.core.model.digest import Digest, read_digest
from snapback.core.text import abridged
from snapback.ssh.digest_script import UNREADABLE
from snapback.ssh.host import Host

PROGRAMS = {"python3": "python3"}
LONGEST_S = 24 * 3600.0


class Unreadable(Exception):
    """Something of it can't be read: says what."""


def digest_of(host: Host, what: str) -> Digest:
    """Answer the digest of a file system, or of a block device.

    :param what: the folder where it is mounted, read-only; or the device.
    :raises Unreadable: not all of it can be read.
    :raises HostError: that failed for another reason, which tells nothing of it.
    """
    script = (files("snapback.ssh") / "digest_script.py").read_text(encoding="utf-8")
    done = host.sudo(["python3", "-I", "-c", script, what], timeout_s=LONGEST_S, check=False)
    if done.returncode == UNREADABLE:
        raise Unreadable(done.stderr)
    digest = read_digest(".".join(done.stdout.split()))
    if done.returncode or not digest:
        said = abridged(done.stderr) or "it said nothing"
        raise host.error(f"no digest of {what}: {said}", "see what is wrong there")
    return digest
