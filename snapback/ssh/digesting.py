"""Reading all that is on a disk of a host, for a digest of it.

Times aren't looked at, nor how files are laid out: replicas that rsync made are equal in all else.
"""

from __future__ import annotations

from snapback.core.model.digest import Digest, read_digest
from snapback.ssh.host import Host
from snapback.ssh.walk_script import UNREADABLE
from snapback.ssh.walking import said_of, walk


class Unreadable(Exception):
    """Something of it can't be read: says what."""


def digest_of(host: Host, what: str) -> Digest:
    """Return the digest of a file system, or of a block device.

    :param what: the folder where it is mounted, read-only; or the device.
    :raises Unreadable: not all of it can be read.
    :raises HostError: that failed for another reason, which tells nothing of it.
    """
    done = walk(host, "digest", what)
    if done.returncode == UNREADABLE:
        raise Unreadable(done.stderr)
    digest = read_digest(".".join(done.stdout.split()))
    if done.returncode or not digest:
        raise host.error(f"no digest of {what}: {said_of(done)}", "see what is wrong there")
    return digest
