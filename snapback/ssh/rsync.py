"""rsync from one host to another: a hierarchy of files, or a block device; exact, or an error.

Never ``--inplace`` for files: it corrupts hard links and sparse files. ``--modify-window=-1``: else
a file that has changed within a second is taken for the same. ``-XX``: else the attributes that
rsync itself has on files (``--fake-super``) are left out. For devices ``-I``, else some that differ
are taken for the same. ``--compress`` only where there are holes, which rsync reads and sends as
zeros; the two agree on zstd or what else both have. ``--skip-compress=``: else holes in a file with
a name like ``disk.iso`` may cross as they are. ``--stderr=client``: else what the other side says
of an error may be lost, for it comes on ssh's stderr, later than the status that ends ssh.

The options of the receiving end are written down here, as rsync 3.2.7 and 3.5.0 send them to a
server for those of the sending end. A newer one serves older clients, so it knows them; and a newer
client learns from the server what that can do. Neither host is asked: a source that is asked says
what root runs on the destination.

Source: rsync(1).
"""

from __future__ import annotations

import logging
import re
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from snapback.core.replication.progress import Cost, Progress, block_size, read_progress, read_stats
from snapback.core.text import abridged
from snapback.errors import HostError, HostTimeout, NotMoved
from snapback.ssh.host import Host
from snapback.ssh.process import Process
from snapback.ssh.road import NAME, Road
from snapback.ssh.scripts import text_of

log = logging.getLogger(__name__)

Tell = Callable[[Progress], None]


@dataclass(frozen=True)
class Ends:
    """The options of one kind of transfer: of the sending end, and what they ask of the other."""

    send: tuple[str, ...]
    receive: tuple[str, ...]


_PLAIN = ("--no-human-readable", "--outbuf=Line", "--stderr=client", "--no-protect-args")
_STATS = "--info=progress2,stats2"
_TREE = ("-aHAXXS", "--numeric-ids", "--delete", "--delete-excluded", "--modify-window=-1")
_OF_TREE = ("--no-msgs2stderr", "--delete-excluded", "-@-1", "--numeric-ids")
TREE = Ends((*_TREE, *_PLAIN, _STATS), ("-lHogDtpAXXrSe.iLsfxCIvu", *_OF_TREE, "--info=STATS2"))
COMPRESSED = Ends(
    (*_TREE, *_PLAIN, "--compress", "--skip-compress=", _STATS),
    ("-lHogDtpAXXrSze.iLsfxCIvu", *_OF_TREE, "--info=STATS2"),
)
COMPARISON = Ends(
    (*_TREE, *_PLAIN, "-n", "-c", "--out-format=%i %n"),
    ("-nlHogDtpAXXrcSe.iLsfxCIvu", "--log-format=%i", *_OF_TREE),
)


def device_ends(blocks: int) -> Ends:
    """Return the options for a block device that is compared in blocks of some size."""
    device = ("--copy-devices", "--write-devices", "--no-whole-file", "-I")
    write = ("--info=STATS2", "--inplace", "--write-devices")
    return Ends(
        (*device, f"--block-size={blocks}", *_PLAIN, _STATS),
        ("-Ie.LsfxCIvu", "--no-msgs2stderr", f"-B{blocks}", *write),
    )


_BEAT_S = 2.0
_END_S = 60.0
_BROKEN_OFF_S = 15.0
_DIFFERENCES = 5
_STATUS = re.compile(r"STATUS ([0-9]{1,3})")
_MOST_LINES = 100_000
_MEANINGS = {
    10: "the connection to the other side broke",
    11: "files can't be written",
    12: "the connection to the other side broke",
    20: "it was ended",
    22: "there is not enough memory",
    23: "not all could be transferred",
    24: "files vanished in the meantime",
    30: "the other side was silent",
    255: "ssh to the other side failed",
}


def move_files(
    road: Road,
    source: str,
    destination: str,
    exclude: Sequence[str],
    step: str,
    tell: Tell,
    *,
    compress: bool,
) -> Cost:
    """Make a hierarchy like another one.

    :param source: a folder of the source: plain, as all paths here, that is without spaces.
    :param exclude: patterns of what isn't to be there.
    :param compress: what crosses, since much of it is holes.
    :raises NotMoved: it isn't alike.
    :raises HostError: a host, or the way to it, fails.
    """
    began = time.monotonic()
    ends = COMPRESSED if compress else TREE
    lines = _run(road, ends, exclude, f"{source}/", destination, step, tell)
    return replace(read_stats(lines), seconds=time.monotonic() - began)


def compare_files(
    road: Road, source: str, destination: str, exclude: Sequence[str], step: str, tell: Tell
) -> None:
    """Read all files of two hierarchies once more, and demand that nothing differs.

    :raises NotMoved: something does.
    """
    differ = _run(road, COMPARISON, exclude, f"{source}/", destination, step, tell)
    if differ:
        first = "; ".join(differ[:_DIFFERENCES])
        raise road.destination.error(
            f"the comparison found differences, {len(differ)} in all ({first})",
            "replicate once more; if that is the same, see what the kernels say of the disks",
            NotMoved,
        )


def move_blocks(
    road: Road, source: str, destination: str, size: int, step: str, tell: Tell
) -> Cost:
    """Make the begin of a block device equal to another one; what is so already isn't sent.

    :param size: of the source's, in bytes; the destination's may be larger.
    :raises NotMoved: it isn't equal, by the hashes of both.
    """
    began = time.monotonic()
    ends = device_ends(block_size(size))
    with _hashing(road.source, source, size) as hashing:
        lines = _run(road, ends, (), source, destination, step, tell)
        road.destination.sudo(["blockdev", "--flushbufs", destination], timeout_s=3600)
        with _hashing(road.destination, destination, size) as other:
            came = _hash_of(road.destination, other, f"{step}, its hash", tell)
        meant = _hash_of(road.source, hashing, f"{step}, its hash", tell)
    if came != meant:
        raise road.destination.error(
            f"{destination} differs from the source by its hash ({came[:16]} for {meant[:16]})",
            "replicate once more; if that is the same, see what the kernels say of the disks",
            NotMoved,
        )
    return Cost(size, read_stats(lines).bytes_crossed, time.monotonic() - began)


_HASHED = re.compile(r"([0-9a-f]{128}) +-")
_HASH = 'head -c "$1" -- "$2" | b2sum'


@contextmanager
def _hashing(host: Host, device: str, size: int) -> Iterator[Process]:
    """Compute the hash of the begin of a device, while other things are done."""
    with _started(host, ["sh", "-c", _HASH, "snapback-hash", str(size), device]) as process:
        yield process


def _hash_of(host: Host, process: Process, step: str, tell: Tell) -> str:
    """Answer the hash when it is there.

    :raises NotMoved: the device can't be read.
    """
    lines, status = _follow(host, process, step, tell)
    found = _HASHED.fullmatch(lines[0]) if lines else None
    if status or not found or process.stderr:
        raise host.error(
            f"the hash of a device can't be told ({abridged(process.stderr) or status})",
            "see what its kernel says of the disk",
            NotMoved,
        )
    return found[1]


def _run(
    road: Road,
    ends: Ends,
    exclude: Sequence[str],
    source: str,
    destination: str,
    step: str,
    tell: Tell,
) -> list[str]:
    """Run rsync on the source; return what it printed besides its progress."""
    send = ["rsync", *ends.send, *(f"--exclude={one}" for one in exclude)]
    with (
        road.lane(_receive_command(destination, ends.receive)) as ssh,
        _started(road.source, [*send, "-e", shlex.join(ssh), source, f"{NAME}:/to"]) as process,
    ):
        lines, status = _follow(road.source, process, step, tell)
        stderr = process.stderr
    if status:
        meaning = _MEANINGS.get(status, "it failed")
        failure = road.source.error(
            f"rsync to {road.destination.name} ended with {status}: {meaning} ({abridged(stderr)})",
            "mend that and do it again",
            NotMoved,
        )
        failure.no_room = "No space left on device" in stderr
        raise failure
    return lines


def _receive_command(destination: str, options: Sequence[str]) -> list[str]:
    """Return the command of the receiving end, for root on the destination."""
    script = text_of("rsync_receive.sh")
    # Not `private`: what the destination unmounts in the meantime is to be unmounted here as well.
    unshare = ["unshare", "--mount", "--propagation", "slave", "--pid", "--fork", "--kill-child"]
    return [*unshare, "--", "sh", "-c", script, "snapback-receive", destination, *options]


@contextmanager
def _started(host: Host, argv: Sequence[str]) -> Iterator[Process]:
    """Run a program as root for as long as the context lasts; it ends with it."""
    script = text_of("rsync_run.sh")
    process = host.start(["sh", "-c", script, "snapback-rsync", *argv], as_root=True)
    try:
        yield process
        process.close_stdin()
        process.wait(_END_S)
    except BaseException:
        with suppress(HostError):
            process.close_stdin()
            process.wait(_BROKEN_OFF_S)
        raise
    finally:
        with suppress(HostError):
            process.close()


def _follow(host: Host, process: Process, step: str, tell: Tell) -> tuple[list[str], int]:
    """Report a program's progress to its end; return what else it printed, and its status.

    :raises NotMoved: it prints far more than rsync does.
    """
    lines: list[str] = []
    last = Progress(step=step)
    while True:
        tell(last)
        try:
            line = process.read_line(_BEAT_S)
        except HostTimeout:
            continue
        ended = _STATUS.fullmatch(line) if line is not None else None
        if line is None or ended:
            process.output(_END_S)  # until stderr is whole; says so if the connection is lost
            return lines, int(ended[1]) if ended else -1
        log.debug("%s: %s", step, line)
        if state := read_progress(line, step):
            last = state
        elif line:
            lines.append(line)
        if len(lines) > _MOST_LINES:
            raise host.error(
                f"more than {_MOST_LINES} lines are printed there",
                "see what the program prints by hand",
                NotMoved,
            )
