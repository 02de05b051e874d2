"""Examining a disk of a temporary instance: its file systems are checked, mounted and counted.

The disk is a volume made of the snapshot: journals are replayed on it, and nothing of it ever gets
back to the snapshot.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

from snapback.core.disks import answers, gpt
from snapback.core.disks.filesystems import PACKAGES, Found
from snapback.core.disks.partitions import node_of
from snapback.core.disks.superblocks import Btrfs
from snapback.core.model.digest import Digest
from snapback.core.verify.examination import Part
from snapback.errors import CommandFailed
from snapback.ssh import checking, digesting, disks, superblocks, tools
from snapback.ssh.checking import FileSystem, Untold, Wrong, said
from snapback.ssh.host import Completed, Host
from snapback.ssh.scripts import PYTHON

# What is counted, but for the file system's own: its top and, of ext, lost+found.
_COUNT = 'find "$1" -xdev -mindepth 1 ! -path "$1/lost+found" -printf x | wc -c'
_IS_BLANK = 'cmp -s -n "$(blockdev --getsize64 "$1")" -- "$1" /dev/zero'
_TABLE_DAMAGED = "its protective MBR or first table is damaged: it may not boot; a copy was read"
_IN_FOLDER = 'cd -- "$1" && exec sh -c "$2"'
_IN_EMPTY = """
folder=$(mktemp -d) && cd -- "$folder" || exit
sh -c "$1"
status=$?
cd / && rm -rf --one-file-system -- "$folder"
exit "$status"
"""

Members = Mapping[str, Mapping[int, str]]
"""Devices of btrfs: by the file system's id, and the device's number in it, its node."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command of the user's, by which a file system proves itself.

    :ivar line: run by sh as root, in the mounted file system; or, where nothing known is on a disk
        or partition, in an empty folder.
    :ivar environment: what it is told: name -> value.
    """

    line: str
    environment: dict[str, str]
    timeout_s: float


class TakesOthers(Exception):
    """A file system is on other disks as well."""


@dataclass(frozen=True)
class Bench:
    """What examinations on one host, at the same time, have in common."""

    _locks: dict[str, threading.Lock] = field(default_factory=dict)

    def turn(self, uuid: str) -> threading.Lock:
        """Return the lock of all file systems of a UUID."""
        return self._locks.setdefault(uuid, threading.Lock())


@dataclass(frozen=True, kw_only=True)
class Examination:
    """How disks are examined.

    :ivar digest: also read all of them, for a digest.
    :ivar others: returns the devices of a btrfs that are on other disks, given those that are on
        this one; raises :class:`Untold` where one is missing. ``None``: nobody knows them.
    :ivar own_time: a context for a command of the operator's, which has a time limit of its own.
    :ivar known: what was found of a btrfs on several disks, by its id: it is examined once.
    """

    host: Host
    command: Command | None = None
    digest: bool = False
    bench: Bench = field(default_factory=Bench)
    others: Callable[[Btrfs, Mapping[int, str]], Sequence[str]] | None = None
    own_time: Callable[[], AbstractContextManager[None]] = nullcontext
    known: dict[str, Part] = field(default_factory=dict)

    def examine(self, device: str) -> list[Part]:
        """Return what is on a disk, and what is wrong with it.

        :param device: the whole disk, of a temporary volume; nothing may use it.
        :raises TakesOthers: a btrfs is on other disks as well, and nobody knows them.
        :raises HostError: it could not be examined, which tells nothing of the disk.
        """
        needed = {**tools.BASE, **PYTHON, "cmp": "diffutils", "find": "findutils"}
        tools.demand(self.host, needed, may_install=True)
        found = disks.probe(self.host, device)
        notes = []
        if found.is_unknown or found.table == "gpt":
            try:
                if _mend_table(self.host, device, found.size):
                    notes = [Part(fs_type="gpt", untold=_TABLE_DAMAGED)]
                    found = replace(found, table="gpt")
            except CommandFailed as error:
                return [Part(fs_type=found.table, problem=said(error.stderr))]
        if not found.has_table:
            return self._parts([(0, device, found)])
        tools.demand(self.host, tools.TABLE, may_install=True)
        try:
            table = disks.read_table(self.host, device)
        except CommandFailed as error:
            return [Part(fs_type=found.table, problem=said(error.stderr))]
        inside = []
        for one in table.partitions:
            node = node_of(device, one.number)
            try:
                inside.append((one.number, node, disks.probe(self.host, node)))
            except CommandFailed as error:
                notes.append(
                    Part(number=one.number, problem=f"can't be read: {said(error.stderr)}")
                )
        return notes + self._parts(inside)

    def _parts(self, found: Sequence[tuple[int, str, Found]]) -> list[Part]:
        members = members_of(self.host, found)
        if self.others is None and any(one.devices > 1 for _, one in members):
            raise TakesOthers
        own = _by_id(members)
        return [self._part(node, number, one, own) for number, node, one in found]

    def _part(self, device: str, number: int, found: Found, own: Members) -> Part:
        what = found.fs_type or found.table
        try:
            if found.is_contradictory:
                said_of_it = f"{found.fs_type or 'several formats'} and {found.table or 'others'}"
                raise Untold(f"its signatures contradict each other: {said_of_it}")
            if not found.has_file_system:
                return self._part_without(device, number, found)
            tools.demand(self.host, PACKAGES[what], may_install=True)
            if what != "btrfs":
                return self._part_with(FileSystem(self.host, device, what), number)
            return self._part_of_btrfs(device, number, own)
        except digesting.Unreadable as error:
            problem = f"not all of it can be read: {said(str(error))}"
            return Part(number=number, fs_type=what, problem=problem)
        except Wrong as wrong:
            return Part(number=number, fs_type=what, problem=str(wrong))
        except Untold as untold:
            return Part(number=number, fs_type=what or "several formats", untold=str(untold))

    def _part_of_btrfs(self, device: str, number: int, own: Members) -> Part:
        first = superblocks.btrfs_of(self.host, device)
        if first is None:
            raise Wrong("its superblock can't be understood")
        if first.devices == 1:
            with self.bench.turn(first.fsid):
                return self._part_with(FileSystem(self.host, device, "btrfs"), number)
        if first.fsid not in self.known:
            others = self.others(first, own[first.fsid]) if self.others else ()
            file_system = FileSystem(self.host, device, "btrfs", others)
            try:
                self.known[first.fsid] = self._part_with(file_system, number)
            except Wrong as wrong:
                self.known[first.fsid] = Part(fs_type="btrfs", problem=str(wrong))
            except Untold as untold:
                self.known[first.fsid] = Part(fs_type="btrfs", untold=str(untold))
        return replace(self.known[first.fsid], number=number)

    def _part_with(self, file_system: FileSystem, number: int) -> Part:
        make = file_system.check()
        try:
            with file_system.mounted(read_only=True) as folder:
                entries, whole = self._look_inside(folder, file_system.device)
        except CommandFailed as error:
            refused = checking.why_not_mounted(error)
            raise file_system.refused_by_kernel(refused, make) from error
        return Part(number=number, fs_type=file_system.fs_type, entries=entries, digest=whole)

    def _look_inside(self, folder: str, device: str) -> tuple[int, Digest | None]:
        """Return how many entries a file system has, once the user's command has seen it, too."""
        counted = checking.run(self.host, "sh", "-c", _COUNT, "snapback-count", folder)
        if counted.stderr.strip():
            raise Wrong(f"not all of it can be listed: {said(counted.stderr)}")
        try:
            entries = answers.number(counted.stdout.strip())
        except ValueError as error:
            raise self.host.error(
                f"its entries can't be counted: {error}", "see what find and wc say there"
            ) from error
        if self.command:
            done = self._run_command(self.command, device, _IN_FOLDER, folder)
            if done.returncode:
                raise Wrong(_ended(done))
        whole = digesting.digest_of(self.host, folder) if self.digest else None
        return entries, whole

    def _part_without(self, device: str, number: int, found: Found) -> Part:
        """Return a part without a file system that could be looked into."""
        whole = digesting.digest_of(self.host, device) if self.digest else None
        part = Part(number=number, fs_type=found.fs_type or found.table, digest=whole)
        if not found.is_unknown:
            return part
        if _is_blank(self.host, device):
            return replace(part, is_blank=True)
        if lost := superblocks.lost(self.host, device, found.size):
            return replace(part, problem=lost)
        if not self.command:
            return part
        done = self._run_command(self.command, device, _IN_EMPTY)
        if done.returncode:
            return replace(part, untold=_ended(done))
        return replace(part, is_proved=True)

    def _run_command(self, command: Command, device: str, how: str, *where: str) -> Completed:
        environment = {**command.environment, "SNAPBACK_BLOCK_DEVICE": device}
        told = [f"{name}={value}" for name, value in environment.items()]
        argv = ["env", *told, "sh", "-c", how, "snapback-verify", *where, command.line]
        with self.own_time():
            return self.host.sudo(
                argv, timeout_s=command.timeout_s, check=False, most_held=checking.MOST_SAID
            )


def members_of(host: Host, found: Sequence[tuple[int, str, Found]]) -> list[tuple[str, Btrfs]]:
    """Return the devices of btrfs among the parts of a disk, each with its node."""
    return [
        (node, member)
        for _, node, one in found
        if one.has_file_system and one.fs_type == "btrfs"
        if (member := superblocks.btrfs_of(host, node))
    ]


def members_on(host: Host, device: str) -> Members:
    """Return the devices of btrfs that are on a disk.

    :raises HostError: that can't be read.
    """
    found = disks.probe(host, device)
    inside = [(0, device, found)]
    if found.has_table:
        nodes = [node_of(device, part.number) for part in disks.read_table(host, device).partitions]
        inside = [(0, node, disks.probe(host, node)) for node in nodes]
    return _by_id(members_of(host, inside))


def _by_id(members: Sequence[tuple[str, Btrfs]]) -> Members:
    by_id: dict[str, dict[int, str]] = defaultdict(dict)
    for node, member in members:
        by_id[member.fsid][member.device] = node
    return by_id


def _mend_table(host: Host, device: str, size: int) -> bool:
    """Write a disk's first GUID partition table anew, by the copy at its end, where it is gone.

    :returns: whether it was gone.
    :raises CommandFailed: it can't be written.
    """
    if size < 2 * gpt.LENGTH:
        return False
    begin = disks.read_bytes(host, device, 0, gpt.LENGTH)
    if gpt.first_is_whole(begin):
        return False
    if not gpt.one_is_whole(begin, disks.read_bytes(host, device, size - gpt.LENGTH, gpt.LENGTH)):
        return False
    tools.demand(host, tools.TABLE, may_install=True)
    disks.write_bytes(host, device, gpt.AT, gpt.protective_entry(size))
    disks.write_table(host, device, disks.read_table(host, device))
    return True


def _is_blank(host: Host, device: str) -> bool:
    argv = ["sh", "-c", _IS_BLANK, "snapback-blank", device]
    return host.sudo(argv, timeout_s=disks.LONG_S, check=False).returncode == 0


def _ended(done: Completed) -> str:
    how = "was killed" if done.returncode < 0 else f"ended with {done.returncode}"
    return f"verify_command {how}: {said(done.stderr, done.stdout)}"
