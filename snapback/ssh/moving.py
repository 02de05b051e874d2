"""Make a disk of one host equal to a disk of another host.

A file system is moved file by file, by rsync, into one that is made alike; what can't be moved so
exactly (encrypted, LVM, unknown, see :mod:`snapback.core.disks.filesystems`; files with what rsync
can't carry, see :mod:`snapback.core.disks.survey`) is moved block by block, and checked by its
hash. A partitioned disk is divided alike, and each partition moved by its
kind. In either case only what differs from what the destination has already crosses the wire.

The source's journals are replayed on the source's disk: it has to be a temporary one.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace

from snapback.core.disks.filesystems import AUTOMATIC, PACKAGES, Found, Shape, differences
from snapback.core.disks.partitions import LARGEST_GAP, node_of
from snapback.core.disks.survey import Survey
from snapback.core.replication.progress import Cost
from snapback.errors import CommandFailed, NotMoved
from snapback.ssh import disks, rsync, tools
from snapback.ssh.host import Host
from snapback.ssh.road import Road
from snapback.ssh.rsync import Tell
from snapback.ssh.scripts import PYTHON
from snapback.ssh.walking import survey_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class End:
    """One end of a transfer.

    :ivar host: open; root, or with sudo that asks for no password.
    :ivar block_device: the whole disk there, ``"/dev/nvme1n1"``.
    :ivar may_install: install by apt what is missing there: on a temporary instance.
    """

    host: Host
    block_device: str
    may_install: bool = True


@dataclass(frozen=True, kw_only=True)
class Terms:
    """On what terms something is moved.

    :ivar encr: take the disk as one whole that nobody can look into.
    :ivar compare: read both sides once more at the end, and demand that they are equal. What is
        moved block by block always is.
    :ivar exclude: rsync's patterns of files that are not to be moved.
    """

    encr: bool = False
    compare: bool = False
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What was done.

    :ivar how: in words: ``"gpt: 1 ext4 by rsync; 14 by blocks (nothing known on it)"``.
    :ivar bytes_read: the size of what was moved: of all files, or devices.
    :ivar bytes_crossed: what of it went over the wire, both ways.
    :ivar seconds: how long all of it took.
    :ivar data_seconds: how long of that the data took.
    :ivar lost: what isn't equal, in words, or ``""``.
    """

    how: str
    bytes_read: int
    bytes_crossed: int
    seconds: float
    data_seconds: float = 0.0
    lost: str = ""


def move_volume(source: End, destination: End, road: Road, terms: Terms, progress: Tell) -> Moved:
    """Make the destination's disk equal to the source's.

    Afterwards nothing of either disk is mounted or open, and all is on the disk.

    :param source: a temporary disk: its journals are replayed. Nothing may use it.
    :param destination: a disk at least as large, blank or as the source was earlier. Nothing may
        use it. What is on it is overwritten.
    :param progress: told every few seconds how it goes; what it raises ends the transfer.
    :raises NotMoved: the data didn't arrive whole and equal.
    :raises HostError: a host isn't fit for it, or fails.
    """
    began = time.monotonic()
    for end in (source, destination):
        tools.demand(end.host, tools.BASE, may_install=end.may_install)
        tools.demand_rsync(end.host)
        disks.demand_unused(end.host, end.block_device)
    move = _Move(source, destination, road, terms, progress)
    how = move.disk(source.block_device, destination.block_device)
    disks.flush(destination.host, destination.block_device)
    return move.moved(how, began)


def move_tree(
    source: Host,
    src_mnt: str,
    destination: Host,
    dst_mnt: str,
    road: Road,
    terms: Terms,
    progress: Tell,
) -> Moved:
    """Make the file system mounted somewhere like another mounted one, file by file.

    What else is mounted inside of it is left out. What rsync can't carry is told.

    :raises NotMoved: it isn't alike: also if files changed or vanished in the meantime.
    :raises HostError: a host isn't fit for it, or fails.
    """
    began = time.monotonic()
    for host in (source, destination):
        tools.demand(host, {**tools.BASE, **PYTHON}, may_install=False)
        tools.demand_rsync(host)
    with disks.bound(source, src_mnt) as src, disks.bound(destination, dst_mnt) as dst:
        inside = survey_of(source, src)
        how = "by rsync"
        ends = road, src, dst, terms.exclude
        cost = rsync.move_files(*ends, how, progress, compress=inside.has_holes)
        destination.sudo(["sync", "-f", "--", dst], timeout_s=disks.LONG_S)
        if terms.compare:
            rsync.compare_files(*ends, "comparison", progress)
        lost = inside.lost_in(survey_of(destination, dst))
    return replace(_moved(how, [cost], began), lost=lost)


def _moved(how: str, costs: list[Cost], began: float) -> Moved:
    return Moved(
        how=how,
        bytes_read=sum(cost.bytes_total for cost in costs),
        bytes_crossed=sum(cost.bytes_crossed for cost in costs),
        seconds=time.monotonic() - began,
        data_seconds=sum(cost.seconds for cost in costs),
    )


class _Opaque(Exception):
    """It can't be moved file by file: says why."""


class _Move:
    """One disk on its way."""

    def __init__(self, source: End, destination: End, road: Road, terms: Terms, tell: Tell) -> None:
        self._ends = (source, destination)
        self._source = source.host
        self._destination = destination.host
        self._road = road
        self._terms = terms
        self._tell = tell
        self._costs: list[Cost] = []

    def moved(self, how: str, began: float) -> Moved:
        """Answer what was done."""
        return _moved(how, self._costs, began)

    def disk(self, src: str, dst: str) -> str:
        """Move a whole disk; answer how."""
        found, there = self._look(src, dst)
        if self._terms.encr:
            return self._by_blocks(src, dst, found, "", "as was asked")
        if found.has_table:
            return self._partitions(src, dst, found, there)
        return self._content(src, dst, found, there, "")

    def _look(self, src: str, dst: str) -> tuple[Found, Found]:
        """Answer what is on a device and on the one it is to be moved to.

        :raises HostError: that is too small.
        """
        found = disks.probe(self._source, src)
        there = disks.probe(self._destination, dst)
        if there.size < found.size:
            raise self._destination.error(
                f"{dst} has {there.size} bytes, and the source's {src} {found.size}",
                "the destination must be at least as large",
            )
        return found, there

    def _partitions(self, src: str, dst: str, found: Found, there: Found) -> str:
        """Divide a disk like the source's, and move each partition; answer how."""
        for end in self._ends:
            tools.demand(end.host, tools.TABLE, may_install=end.may_install)
        table = disks.read_table(self._source, src)
        if table.gap[1] - table.gap[0] > LARGEST_GAP:
            why = "much room before the first partition"
            return self._by_blocks(src, dst, found, "", why)
        if not table.fits(there.size):
            raise self._destination.error(
                f"{dst} has {there.size} bytes, and the source's partitions need {table.end}",
                "the destination must be at least as large",
            )
        disks.write_table(self._destination, dst, table)
        disks.copy_begin(self._source, src, self._destination, dst, table)
        said = []
        for part in table.partitions:
            nodes = node_of(src, part.number), node_of(dst, part.number)
            step = f"partition {part.number}"
            said.append(f"{part.number} {self._content(*nodes, *self._look(*nodes), step)}")
        return "; ".join([table.label, *said])

    def _content(self, src: str, dst: str, found: Found, there: Found, step: str) -> str:
        """Move what is on a disk or a partition; answer how."""
        if found.is_ambivalent:
            return self._by_blocks(src, dst, found, step, "several signatures on it")
        if not found.has_file_system:
            what = found.fs_type or found.table or "nothing known"
            return self._by_blocks(src, dst, found, step, f"{what} on it")
        try:
            return self._by_files(src, dst, found, there, step)
        except _Opaque as error:
            why = str(error)
        except CommandFailed as error:
            if error.argv[0] != "mount":
                raise
            why = f"can't be mounted: {error.stderr}"
        log.info("%s: %s is moved block by block: %s", self._source.name, src, why)
        return self._by_blocks(src, dst, found, step, why)

    def _by_blocks(self, src: str, dst: str, found: Found, step: str, why: str) -> str:
        step = f"{step}, by blocks".removeprefix(", ")
        cost = rsync.move_blocks(self._road, src, dst, found.size, step, self._tell)
        self._costs.append(cost)
        disks.flush(self._destination, dst)
        return f"by blocks ({why})"

    def _by_files(self, src: str, dst: str, found: Found, there: Found, step: str) -> str:
        """Move a file system file by file.

        :raises _Opaque: that can't be done exactly.
        """
        fs_type = found.fs_type
        for end in self._ends:
            tools.demand(end.host, PACKAGES[fs_type], may_install=end.may_install)
        step = f"{step}, {fs_type} by rsync".removeprefix(", ")
        with disks.mounted(self._source, src, fs_type, read_only=True) as src_mnt:
            wanted = disks.shape(self._source, src, found, src_mnt)
            if wanted.opaque:
                raise _Opaque(wanted.opaque)
            inside = survey_of(self._source, src_mnt)
            if why := inside.not_by_files(found.size):
                raise _Opaque(why)
            is_kept = self._keep(dst, there, wanted) or self._make(dst, wanted)
            self._files(src_mnt, dst, found, step, compress=inside.has_holes)
            if self._terms.compare:
                self._compare(src_mnt, dst, inside, fs_type, f"{step}, comparison")
        disks.flush(self._destination, dst)
        return f"{fs_type} by rsync" + ("" if is_kept else " (made anew)")

    def _compare(self, src_mnt: str, dst: str, inside: Survey, fs_type: str, step: str) -> None:
        """Demand that the files that came are those of the source, and so their marks.

        :raises NotMoved: something differs.
        """
        with disks.mounted(self._destination, dst, fs_type, read_only=True) as dst_mnt:
            ends = self._road, src_mnt, dst_mnt, self._terms.exclude
            rsync.compare_files(*ends, step, self._tell)
            if lost := inside.lost_in(survey_of(self._destination, dst_mnt)):
                raise self._destination.error(
                    f"the comparison found a difference: {lost}", "replicate once more", NotMoved
                )

    def _keep(self, dst: str, there: Found, wanted: Shape) -> bool:
        """Return whether the file system that is there will do; it has the right size then."""
        if (there.fs_type, there.uuid) != (wanted.fs_type, wanted.uuid) or there.is_ambivalent:
            return False
        try:
            now = self._shape_there(dst, there)
            if now.size < wanted.size:
                disks.grow(self._destination, dst, wanted, now)
                now = self._shape_there(dst, there)
            why_not = now.opaque or differences(wanted, now, AUTOMATIC)
            if not why_not and now.size != wanted.size:
                why_not = f"it has {now.size} bytes instead of {wanted.size}"
            if not why_not:
                # It came by blocks once, with what rsync would leave as it is.
                why_not = self._survey_there(dst, there).not_by_files(there.size)
            if not why_not:
                disks.tune(self._destination, dst, wanted)
                return True
        except (CommandFailed, NotMoved) as error:
            why_not = str(error)
        log.info("%s: %s is made anew: %s", self._destination.name, dst, why_not)
        return False

    def _make(self, dst: str, wanted: Shape) -> bool:
        """Make a file system like the source's; answer that nothing is kept.

        :raises _Opaque: that can't be done there.
        """
        try:
            disks.make(self._destination, dst, wanted)
            disks.tune(self._destination, dst, wanted)
            made = self._shape_there(dst, disks.probe(self._destination, dst))
        except CommandFailed as error:
            raise _Opaque(f"another one like it can't be made: {error.stderr}") from error
        if why_not := differences(wanted, made):
            raise _Opaque(f"another one like it can't be made: {why_not}")
        return False

    def _shape_there(self, dst: str, there: Found) -> Shape:
        with disks.mounted(self._destination, dst, there.fs_type) as dst_mnt:
            return disks.shape(self._destination, dst, there, dst_mnt)

    def _survey_there(self, dst: str, there: Found) -> Survey:
        with disks.mounted(self._destination, dst, there.fs_type, read_only=True) as dst_mnt:
            return survey_of(self._destination, dst_mnt)

    def _files(self, src_mnt: str, dst: str, found: Found, step: str, *, compress: bool) -> None:
        """Run rsync between two file systems that are alike.

        :raises _Opaque: there is no room for what has changed beside what it was.
        """
        try:
            with disks.mounted(self._destination, dst, found.fs_type) as dst_mnt:
                ends = self._road, src_mnt, dst_mnt, self._terms.exclude
                cost = rsync.move_files(*ends, step, self._tell, compress=compress)
        except NotMoved as error:
            if not error.no_room:
                raise
            raise _Opaque("no room for its files beside what they were") from error
        self._costs.append(cost)
