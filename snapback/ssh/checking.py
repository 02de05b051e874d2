"""Checking a file system of a disk that nothing uses: by its checker, and by the kernel.

Corrupt is what the checker says, and what can't be read. That this kernel can't mount a file system
says nothing of it: its version or its block size may be another's, or its log on another device.

Source: e2fsck(8), dumpe2fs(8), xfs_repair(8), btrfs-check(8), btrfs-device(8).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from snapback.core.disks.checks import complaints
from snapback.core.disks.filesystems import EXT
from snapback.core.text import abridged
from snapback.errors import CommandFailed
from snapback.ssh import disks, superblocks
from snapback.ssh.host import Completed, Host

LONGEST_SAID = 160
MOST_SAID = 64 << 20
"""Bytes that a checker may say: of a file system that is damaged all over, some say millions of
lines."""
_TRIES = 5
_CHECKERS = {**dict.fromkeys(EXT, "e2fsck"), "xfs": "xfs_repair", "btrfs": "btrfs check"}
_EXT_UNCORRECTED = 4
_DAMAGED = re.compile(r"Structure needs cleaning|Bad message|Input/output error")
_DIRTY_LOG = "valuable metadata changes in a log"
_TOO_NEW = re.compile(r"unsupported (?:(?:filesystem|optional|option) )?feature")
_NO_NEWS = re.compile(
    r"^mount: \S+: |\s*dmesg\(1\) may have more information after failed mount system call\.",
    re.MULTILINE,
)
"""What mount says beside its reason."""


class Wrong(Exception):
    """Something is wrong with a file system: says what."""


class Untold(Exception):
    """Nobody here can tell whether something is wrong with a file system: says why."""


@dataclass(frozen=True)
class FileSystem:
    """A file system to check.

    :ivar device: a block device that it is on.
    :ivar others: the further ones, where it is a btrfs over several.
    """

    host: Host
    device: str
    fs_type: str
    others: Sequence[str] = ()

    def check(self) -> str:
        """Replay its journal, then check all of it, changing nothing.

        :returns: of which make it is, in words, as far as a kernel may not know that.
        :raises Wrong: the checker says that something is wrong.
        :raises Untold: this can't be told here.
        :raises HostError: that failed for a reason that tells nothing of it.
        """
        if self.fs_type in EXT:
            return self._check_ext()
        return self._check_xfs() if self.fs_type == "xfs" else self._check_btrfs()

    @contextmanager
    def mounted(self, *, read_only: bool) -> Iterator[str]:
        """Mount it for a while.

        :raises CommandFailed: it can't be mounted, or not unmounted.
        """
        with ExitStack() as stack:
            yield self._enter(stack, read_only=read_only)
        self._forget()

    def _enter(self, stack: ExitStack, *, read_only: bool) -> str:
        # A kernel knows the devices of a btrfs by their UUIDs, which the snapshots of a volume have
        # in common, and udev shows it each at any time. It takes none for another, but refuses one
        # of older data than the one it knows.
        for left in reversed(range(_TRIES)):
            self._forget()
            try:
                return stack.enter_context(
                    disks.mounted(
                        self.host, self.device, self.fs_type, self.others, read_only=read_only
                    )
                )
            except CommandFailed as error:
                if not left or self.fs_type != "btrfs" or "File exists" not in error.stderr:
                    raise
        raise AssertionError  # the last attempt returns or raises

    def _forget(self) -> None:
        """Make the kernel forget all devices of btrfs that aren't mounted."""
        if self.fs_type == "btrfs":
            self.host.sudo(["btrfs", "device", "scan", "--forget"], check=False)

    def _check_ext(self) -> str:
        header = run(self.host, "dumpe2fs", "-h", self.device)
        if header.returncode:
            raise self._ended_badly("dumpe2fs", header)
        if "with errors" in header.stdout:
            raise Wrong("its kernel has met errors on it, before the snapshot was taken")
        features = re.search(r"^Filesystem features: +(.*)", header.stdout, re.MULTILINE)
        has_journal = features and "has_journal" in features[1].split()
        if has_journal and "\nJournal inode:" not in header.stdout:
            raise Untold("its journal is on another device, which isn't looked for")
        replayed = run(self.host, "e2fsck", "-p", self.device)
        if replayed.returncode & _EXT_UNCORRECTED:
            what = said(replayed.stdout + replayed.stderr)
            raise Wrong(f"e2fsck can't replay its journal: {what}")
        checked = run(self.host, "e2fsck", "-fn", self.device)
        if checked.returncode & _EXT_UNCORRECTED:
            raise Wrong(f"e2fsck: {said(checked.stdout, checked.stderr)}")
        if checked.returncode:
            raise Untold(f"e2fsck can't check it: {said(checked.stderr, checked.stdout)}")
        block = re.search(r"^Block size: +(\d{1,9})$", header.stdout, re.MULTILINE)
        return f"its blocks have {block[1]} bytes" if block else ""

    def _check_xfs(self) -> str:
        first = superblocks.xfs_of(self.host, self.device)
        if first and not first.has_own_log:
            raise Untold("its log is on another device, which isn't looked for")
        make = (
            f"it is of version {first.version}, its blocks have {first.block} bytes"
            if first
            else ""
        )
        refused = self._mount_once()
        checked = run(self.host, "xfs_repair", "-n", self.device)
        if not checked.returncode:
            if refused:
                raise self.refused_by_kernel(refused, make)
            return make
        # What xfs_repair finds beside a log that isn't replayed means nothing, unless the kernel
        # has stumbled over it too.
        is_dirty = _DIRTY_LOG in checked.stderr + checked.stdout
        if refused and is_dirty and not _DAMAGED.search(refused):
            raise Untold(f"its log can't be replayed by this kernel ({make}): {refused}")
        raise self._ended_badly("xfs_repair", checked)

    def _check_btrfs(self) -> str:
        refused = self._mount_once()
        checked = run(self.host, "btrfs", "check", "--readonly", self.device)
        if checked.returncode:
            raise self._ended_badly("btrfs check", checked)
        if refused:
            raise self.refused_by_kernel(refused, "")
        return ""

    def _mount_once(self) -> str:
        """Replay its log, by mounting it; return why that can't be done, or ``""``."""
        try:
            with self.mounted(read_only=False):
                return ""
        except CommandFailed as error:
            return why_not_mounted(error)

    def refused_by_kernel(self, why: str, make: str) -> Untold:
        """Return that its checker finds nothing wrong, and that it can't be mounted here.

        :param make: as :meth:`check` returns it.
        """
        of_which = f" ({make})" if make else ""
        return Untold(
            f"{_CHECKERS[self.fs_type]} finds nothing wrong, but this kernel can't mount it"
            f"{of_which}: {why}"
        )

    def _ended_badly(self, checker: str, done: Completed) -> Wrong | Untold:
        """Return what it means that a checker ended badly."""
        what = said(done.stderr, done.stdout)
        if _TOO_NEW.search(done.stderr + done.stdout):
            return Untold(f"this {checker} doesn't know all of it: {what}")
        return Wrong(f"{checker}: {what}")


def why_not_mounted(error: CommandFailed) -> str:
    """Return what mount said of a file system.

    :raises CommandFailed: it wasn't mount that failed, which tells nothing of the file system.
    """
    if error.argv[:1] != ("mount",):
        raise error
    return said(error.stderr)


def run(host: Host, *argv: str) -> Completed:
    """Run a command that may take long, and may end badly."""
    return host.sudo(argv, timeout_s=disks.LONG_S, check=False, most_held=MOST_SAID)


def said(*texts: str) -> str:
    """Return what the first text that says something complains about, abridged."""
    told = (abridged(complaints(_NO_NEWS.sub("", text)), LONGEST_SAID) for text in texts)
    return next(filter(None, told), "it said nothing")
