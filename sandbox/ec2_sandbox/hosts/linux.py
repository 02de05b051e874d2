"""The kernel's calls that Python has no name for: clone a file, thaw, partitions, namespaces."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import glob
import os
import stat
import struct
from collections.abc import Container
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
_FICLONE = 0x40049409
_FITHAW = 0xC0045878
_BLKPG = 0x1269
_BLKPG_ADD, _BLKPG_DEL = 1, 2
_libc = ctypes.CDLL(None, use_errno=True)


IN_CLOSE_WRITE = 0x0008
IN_IGNORED = 0x8000
_IN_CLOEXEC = 0o2000000


def _checked(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer


def inotify() -> int:
    """Answers the descriptor of a new inotify instance."""
    return _checked(_libc.inotify_init1(_IN_CLOEXEC))


def inotify_add(descriptor: int, path: Path, mask: int) -> int:
    """Watches a file or folder; answers the watch's number."""
    return _checked(_libc.inotify_add_watch(descriptor, os.fsencode(path), mask))


def unshare(flags: int) -> None:
    """Gives the calling thread, or a process with one thread only, namespaces of its own."""
    _checked(_libc.unshare(flags))


def clone(source: Path, target: Path) -> None:
    """Makes a file that shares all blocks with another: its content at this instant."""
    with source.open("rb") as old, target.open("xb") as new:
        fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())


def thaw(folder: str | Path) -> bool:
    """Thaws the file system of a folder; says whether it was frozen."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(descriptor, _FITHAW, 0)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTTY):
            return False
        raise
    finally:
        os.close(descriptor)
    return True


def is_written_to(devices: Container[tuple[int, int]]) -> bool:
    """Says whether a process other than this one has one of some block devices open for writing."""
    for path in glob.iglob("/proc/[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            found = os.stat(path)
            if (
                stat.S_ISBLK(found.st_mode)
                and (os.major(found.st_rdev), os.minor(found.st_rdev)) in devices
                and not path.startswith(f"/proc/{os.getpid()}/")
            ):
                about = Path(path.replace("/fd/", "/fdinfo/")).read_text()
                flags = int(about.partition("flags:")[2].split()[0], 8)
                if flags & os.O_ACCMODE != os.O_RDONLY:
                    return True
    return False


def add_partition(disk: int, number: int, start: int, size: int) -> None:
    """Tells the kernel of a partition of an open disk; start and size in bytes."""
    _blkpg(disk, _BLKPG_ADD, number, start, size)


def delete_partition(disk: int, number: int) -> None:
    """Makes the kernel forget a partition.

    :raises OSError: ``EBUSY`` if it is in use
    """
    _blkpg(disk, _BLKPG_DEL, number, 0, 0)


def _blkpg(disk: int, operation: int, number: int, start: int, size: int) -> None:
    partition = struct.pack("=qqi64s64s4x", start, size, number, b"", b"")
    data = ctypes.create_string_buffer(partition)
    argument = struct.pack("iiiP", operation, 0, len(partition), ctypes.addressof(data))
    fcntl.ioctl(disk, _BLKPG, argument)


def make_block_node(path: Path, number: tuple[int, int], mode: int = 0o660) -> None:
    """Makes a block device's node, in place of whatever had its name."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    os.mknod(path, stat.S_IFBLK | mode, os.makedev(*number))
