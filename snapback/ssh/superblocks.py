"""Superblocks on a block device of a host: what is in them, and the copies of a lost one."""

from __future__ import annotations

import re

from snapback.core.disks.superblocks import (
    BTRFS_AT,
    LENGTH,
    SCANNED,
    Btrfs,
    Xfs,
    copy_at,
    places,
    read_btrfs,
    read_xfs,
)
from snapback.ssh import disks
from snapback.ssh.digesting import Unreadable
from snapback.ssh.host import Host
from snapback.ssh.scripts import run_python
from snapback.ssh.superblock_script import UNREADABLE

_FOUND = re.compile(rf"([0-9]{{1,19}}) ([0-9a-f]{{{2 * LENGTH}}})", re.ASCII)


def lost(host: Host, device: str, size: int) -> str:
    """Return of what a copy of a superblock is on a device, and where; ``""``: there is none.

    :param device: on which nothing known is.
    :raises Unreadable: not all of it can be read that has to be looked at.
    :raises HostError: that failed for another reason.
    """
    where = [device, str(SCANNED), *map(str, places(size))]
    done = run_python(host, "superblock_script.py", *where, timeout_s=disks.LONG_S)
    if done.returncode == UNREADABLE:
        raise Unreadable(done.stderr)
    if done.returncode:
        raise host.command_failed(["python3"], done.returncode, done.stderr.strip())
    for line in done.stdout.splitlines():
        if (match := _FOUND.fullmatch(line)) and (
            what := copy_at(int(match[1]), bytes.fromhex(match[2]), size)
        ):
            return f"its superblock is gone, and the copy at byte {match[1]} is of {what}"
    return ""


def xfs_of(host: Host, device: str) -> Xfs | None:
    """Return what the superblock of an XFS says; ``None``: that isn't understood."""
    return read_xfs(disks.read_bytes(host, device, 0, LENGTH))


def btrfs_of(host: Host, device: str) -> Btrfs | None:
    """Return what the superblock of a btrfs says; ``None``: that isn't understood."""
    return read_btrfs(disks.read_bytes(host, device, BTRFS_AT, LENGTH))
