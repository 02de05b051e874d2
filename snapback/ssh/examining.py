"""Examining a disk of a temporary instance: its file systems are checked, mounted and counted.

The disk is a volume made of the snapshot: journals are replayed on it, and nothing of it ever gets
back to the snapshot.

Source: e2fsck(8), dumpe2fs(8), xfs_repair(8), btrfs-check(8).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from snapback.core.disks.checks import complaints
from snapback.core.disks.filesystems import EXT, PACKAGES, Found
from snapback.core.disks.partitions import node_of
from snapback.core.model.digest import Digest
from snapback.core.text import abridged
from snapback.core.verify.examination import Part
from snapback.errors import CommandFailed
from snapback.ssh import digesting, disks, tools
from snapback.ssh.host import Completed, Host

log = logging.getLogger(__name__)

LONGEST_SAID = 160
_EXT_CHECKS_WELL = (0, 1)

# What is counted, but for the file system's own: its top and, of ext, lost+found.
_COUNT = 'find "$1" -xdev -mindepth 1 ! -path "$1/lost+found" -printf x | wc -c'
_IS_BLANK = 'cmp -s -n "$(blockdev --getsize64 "$1")" -- "$1" /dev/zero'


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command of the user's, by which a file system proves itself.

    :ivar line: run by sh as root, in the mounted file system.
    :ivar environment: what it is told: name -> value.
    """

    line: str
    environment: dict[str, str]
    timeout_s: float


def examine(
    host: Host, device: str, command: Command | None = None, *, digest: bool = False
) -> list[Part]:
    """Answer what is on a disk, and what is wrong with it.

    :param device: the whole disk, of a temporary volume; nothing may use it.
    :param digest: also read all of it, for a digest.
    :raises HostError: it could not be examined, which tells nothing of the disk.
    """
    tools.demand(host, {**tools.BASE, "cmp": "diffutils", "find": "findutils"}, may_install=True)
    if digest:
        tools.demand(host, digesting.PROGRAMS, may_install=True)
    found = disks.probe(host, device)
    if not found.has_table:
        return [_part(host, device, 0, found, command, digest=digest)]
    tools.demand(host, tools.TABLE, may_install=True)
    try:
        table = disks.read_table(host, device)
    except CommandFailed as error:
        return [Part(fs_type=found.table, problem=_said(error.stderr))]
    parts = []
    for one in table.partitions:
        node = node_of(device, one.number)
        try:
            inside = disks.probe(host, node)
        except CommandFailed as error:
            parts.append(Part(number=one.number, problem=f"can't be read: {_said(error.stderr)}"))
            continue
        parts.append(_part(host, node, one.number, inside, command, digest=digest))
    return parts


def _part(
    host: Host, device: str, number: int, found: Found, command: Command | None, *, digest: bool
) -> Part:
    if found.is_ambivalent:
        return Part(number=number, problem="its signatures contradict each other")
    if not found.has_file_system:
        what = found.fs_type or found.table
        try:
            whole = digesting.digest_of(host, device) if digest else None
        except digesting.Unreadable as error:
            return Part(number=number, fs_type=what, problem=_cannot_be_read(error))
        is_blank = not what and _is_blank(host, device)
        return Part(number=number, fs_type=what, is_blank=is_blank, digest=whole)
    tools.demand(host, PACKAGES[found.fs_type], may_install=True)
    try:
        _CHECKS[found.fs_type](host, device)
        entries, whole = _look_inside(host, device, found.fs_type, command, digest=digest)
        return Part(number=number, fs_type=found.fs_type, entries=entries, digest=whole)
    except _Wrong as wrong:
        return Part(number=number, fs_type=found.fs_type, problem=str(wrong))


class _Wrong(Exception):
    """Something is wrong with a file system: says what."""


def _is_blank(host: Host, device: str) -> bool:
    argv = ["sh", "-c", _IS_BLANK, "snapback-blank", device]
    return host.sudo(argv, timeout_s=disks.LONG_S, check=False).returncode == 0


def _check_ext(host: Host, device: str) -> None:
    """Replay the journal and what it leaves to do, then check all, changing nothing."""
    header = _run(host, "dumpe2fs", "-h", device)
    if header.returncode:
        raise _Wrong(_said(header.stderr))
    if "with errors" in header.stdout:
        raise _Wrong("its kernel has met errors on it, before the snapshot was taken")
    replayed = _run(host, "e2fsck", "-p", device)
    if replayed.returncode not in _EXT_CHECKS_WELL:
        raise _Wrong(f"its journal can't be replayed: {_said(replayed.stdout + replayed.stderr)}")
    checked = _run(host, "e2fsck", "-fn", device)
    if checked.returncode:
        raise _Wrong(f"e2fsck: {_said(checked.stdout, checked.stderr)}")


def _check_xfs(host: Host, device: str) -> None:
    """Replay the log, by mounting it, then check all, changing nothing."""
    _mount_once(host, device, "xfs")
    checked = _run(host, "xfs_repair", "-n", device)
    if checked.returncode:
        raise _Wrong(f"xfs_repair: {_said(checked.stderr, checked.stdout)}")


def _check_btrfs(host: Host, device: str) -> None:
    _mount_once(host, device, "btrfs")
    checked = _run(host, "btrfs", "check", "--readonly", device)
    if checked.returncode:
        raise _Wrong(f"btrfs check: {_said(checked.stderr, checked.stdout)}")


_CHECKS: dict[str, Callable[[Host, str], None]] = {
    **dict.fromkeys(EXT, _check_ext),
    "xfs": _check_xfs,
    "btrfs": _check_btrfs,
}


def _mount_once(host: Host, device: str, fs_type: str) -> None:
    try:
        with disks.mounted(host, device, fs_type):
            pass
    except CommandFailed as error:
        _demand_mount(error)
        raise _Wrong(f"its journal can't be replayed: {_said(error.stderr)}") from error


def _demand_mount(error: CommandFailed) -> None:
    """See that it was the mounting of it that failed; anything else tells nothing of the disk.

    :raises CommandFailed: it wasn't, or this kernel doesn't know the file system.
    """
    if error.argv[:1] != ("mount",) or "unknown filesystem type" in error.stderr:
        raise error


def _look_inside(
    host: Host, device: str, fs_type: str, command: Command | None, *, digest: bool
) -> tuple[int, Digest | None]:
    """Answer how many entries a file system has, once the user's command has seen it, too."""
    try:
        with disks.mounted(host, device, fs_type, read_only=True) as folder:
            counted = _run(host, "sh", "-c", _COUNT, "snapback-count", folder)
            if counted.stderr.strip():
                raise _Wrong(f"not all of it can be listed: {_said(counted.stderr)}")
            if command:
                _run_command(host, folder, command)
            whole = digesting.digest_of(host, folder) if digest else None
            return int(counted.stdout), whole
    except digesting.Unreadable as error:
        raise _Wrong(_cannot_be_read(error)) from error
    except CommandFailed as error:
        _demand_mount(error)
        raise _Wrong(f"it can't be mounted: {_said(error.stderr)}") from error


def _cannot_be_read(error: digesting.Unreadable) -> str:
    return f"not all of it can be read: {_said(str(error))}"


def _run_command(host: Host, folder: str, command: Command) -> None:
    told = [f"{name}={value}" for name, value in command.environment.items()]
    line = 'cd -- "$1" && exec sh -c "$2"'
    done = host.sudo(
        ["env", *told, "sh", "-c", line, "snapback-verify", folder, command.line],
        timeout_s=command.timeout_s,
        check=False,
    )
    if done.returncode:
        how = "was killed" if done.returncode < 0 else f"ended with {done.returncode}"
        said = _said(done.stderr, done.stdout)
        raise _Wrong(f"verify_command {how}: {said}")


def _run(host: Host, *argv: str) -> Completed:
    return host.sudo(argv, timeout_s=disks.LONG_S, check=False)


def _said(*texts: str) -> str:
    """Return what the first text that says something complains about, abridged."""
    told = (abridged(complaints(text), LONGEST_SAID) for text in texts)
    return next(filter(None, told), "it said nothing")
