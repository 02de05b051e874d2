"""Walk all of a mounted file system: for what rsync can't carry of it, or for a digest of it.

This runs on a host, by the Python that cloud-init has brought there: it must do with Python 3.7,
and with what comes with it. Names are bytes here, and never become text. No device and no pipe is
opened, and no link is followed.

``python3 -c SCRIPT survey FOLDER`` prints ``MARKS ENTRIES LONGEST APPARENT HOLES DIGEST``: the
marks of all files and folders together, in hexadecimal; how many have any; the length of the
longest path; the size of all files; how much of that is holes; a digest of the marks.
``python3 -c SCRIPT digest FOLDER|DEVICE`` prints two digests: of attributes, and of content.
Exit status 3: something there can't be read.

*Marks* are the inode flags that somebody has set, as ``lsattr`` shows them, in the lower 32 bits;
those of XFS without such a flag in the upper 32; and above them whether there is a project id.

What ``digest`` tells is kept in tags for years: another digest needs another name there.

Source: ioctl_fs(2), include/uapi/linux/fs.h.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

UNREADABLE = 3
_DAMAGED = (errno.EIO, errno.EUCLEAN, errno.EBADMSG)
_UNSUPPORTED = (errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL)
_BLOCK = 1 << 20
_MOST = 10**18 - 1
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_GETFLAGS, _FLAGS = 0x80086601, struct.Struct("=I4x")
_FSGETXATTR, _FSXATTR = 0x801C581F, struct.Struct("=5I8x")
# What a file system sets by itself: how a file is laid out, and that it has attributes.
_OWN_FLAGS = 0x10000000 | 0x400000 | 0x80000 | 0x40000 | 0x1000  # inline, EOF, extents, huge, index
_OWN_XFLAGS = 0x80000000 | 0x2  # has attributes, preallocated
# Some flags are told by both calls, or by either: that depends on the kernel and the file system.
_SAME = (
    *((0x8, 0x10), (0x10, 0x20), (0x20, 0x8), (0x40, 0x80), (0x80, 0x40)),
    *((0x200, 0x20000000), (0x8000, 0x2000000)),
)
_EXTSIZE, _COWEXTSIZE = 0x800 | 0x1000, 0x10000
_PROJECT = 1 << 64
# What is in a digest: what each kernel tells alike. A later one may tell of more flags.
_LASTING = _PROJECT | 0x17D01 << 32 | 0x6293CCFF


def new() -> Any:
    """Return what takes up what is to be in a digest."""
    return hashlib.blake2b(digest_size=16)


def take_up(total: Any, *fields: bytes) -> None:
    """Add some fields, so that it can't be told otherwise where one ends and the next begins."""
    for one in fields:
        total.update(b"%d:" % len(one))
        total.update(one)


def entries(top: bytes, *, is_live: bool) -> Iterator[tuple[bytes, bytes, int, os.stat_result]]:
    """Yield each entry, always in the same order: its path, its name, its folder, its status.

    The path begins behind the top, which is ``b"."`` itself. However deep it goes, two folders are
    open at a time; there is no limit to the length of a path.

    :param is_live: what vanishes meanwhile is passed over.
    :raises OSError: something can't be read, or is moved meanwhile.
    """
    folder, path = os.open(top, _OPEN | os.O_DIRECTORY), b""
    above: list[tuple[list[bytes], bytes, tuple[int, int]]] = []
    try:
        yield b".", b".", folder, os.fstat(folder)
        names = _names(folder)
        while names or above:
            if not names:
                names, path, was = above.pop()
                folder = _change(folder, b"..")
                if _identity(folder) != was:
                    raise OSError(errno.ESTALE, "it is moved meanwhile", path)
                continue
            name = names.pop()
            inside = path + b"/" + name
            try:
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                yield inside, name, folder, status
                if stat.S_ISDIR(status.st_mode):
                    here = _identity(folder)
                    folder = _change(folder, name)
                    above.append((names, path, here))
                    names, path = _names(folder), inside
            except OSError as error:
                if not (is_live and error.errno == errno.ENOENT):
                    error.filename = inside
                    raise
    finally:
        os.close(folder)


def _change(folder: int, name: bytes) -> int:
    """Open a folder from another one, and close that."""
    found = os.open(name, _OPEN | os.O_DIRECTORY, dir_fd=folder)
    os.close(folder)
    return found


def _names(folder: int) -> list[bytes]:
    return sorted(map(os.fsencode, os.listdir(folder)), reverse=True)


def _identity(folder: int) -> tuple[int, int]:
    status = os.fstat(folder)
    return status.st_dev, status.st_ino


def marks_of(descriptor: int) -> tuple[int, bytes]:
    """Return the marks of a file or a folder, and what of them is in a digest."""
    (flags,) = _ask(descriptor, _GETFLAGS, _FLAGS)
    xflags, extsize, _, project, cowextsize = _ask(descriptor, _FSGETXATTR, _FSXATTR)
    flags, xflags = flags & ~_OWN_FLAGS, xflags & ~_OWN_XFLAGS
    if not (flags or xflags or project):
        return 0, b""
    for xflag, flag in _SAME:
        if xflags & xflag:
            xflags, flags = xflags & ~xflag, flags | flag
    marks = flags | xflags << 32 | (_PROJECT if project else 0)
    hints = extsize if xflags & _EXTSIZE else 0, cowextsize if xflags & _COWEXTSIZE else 0
    lasting = marks & _LASTING
    return marks, b"%x %d %d %d" % (lasting, project, *hints) if lasting else b""


def _ask(descriptor: int, request: int, form: struct.Struct) -> tuple[int, ...]:
    """Return what the kernel tells of an open file; zeros where it doesn't know that."""
    try:
        return form.unpack(fcntl.ioctl(descriptor, request, bytes(form.size)))
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        return form.unpack(bytes(form.size))


def survey(folder: bytes) -> str:
    """Return what rsync can't carry of a file system, in one line."""
    marks = count = longest = apparent = holes = 0
    digest = new()
    linked: set[tuple[int, int]] = set()
    for path, name, parent, status in entries(folder, is_live=True):
        longest = max(longest, len(path))
        if not can_be_opened(status):
            continue
        one = status.st_dev, status.st_ino
        if stat.S_ISREG(status.st_mode) and one not in linked:
            apparent += status.st_size
            holes += max(0, status.st_size - 512 * status.st_blocks)
            if status.st_nlink > 1:
                linked.add(one)
        try:
            with opened(name, parent) as descriptor:
                found, lasting = marks_of(descriptor)
        except FileNotFoundError:  # it has vanished meanwhile
            continue
        if found:
            marks, count = marks | found, count + 1
            take_up(digest, path, lasting)
    sizes = min(apparent, _MOST), min(holes, _MOST)
    return "{:x} {} {} {} {} {}".format(marks, count, longest, *sizes, digest.hexdigest())


def can_be_opened(status: os.stat_result) -> bool:
    """Return whether an entry is a file or a folder: to open anything else may do something."""
    return stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)


@contextmanager
def opened(name: bytes, parent: int | None = None) -> Iterator[int]:
    """Open something for as long as the context lasts."""
    descriptor = os.open(name, _OPEN, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def of_folder(folder: bytes) -> tuple[str, str]:
    """Return the digests of all below a folder, and of the folder itself."""
    attributes, content = new(), new()
    for path, name, parent, status in entries(folder, is_live=False):
        lasting, inside = of_opened(name, parent, status) if can_be_opened(status) else (b"", b"")
        take_up(attributes, path, *attributes_of(status, name, parent), lasting)
        if stat.S_ISREG(status.st_mode):
            take_up(content, path, inside)
    return attributes.hexdigest(), content.hexdigest()


def of_opened(name: bytes, parent: int, status: os.stat_result) -> tuple[bytes, bytes]:
    """Return the marks of a file or a folder, and the digest of what is in a file.

    Of a file that is encrypted, whose key isn't here, only that is told.
    """
    try:
        with opened(name, parent) as descriptor:
            _, lasting = marks_of(descriptor)
            return lasting, of_bytes(descriptor) if stat.S_ISREG(status.st_mode) else b""
    except OSError as error:
        if error.errno == errno.ENOKEY:
            return b"", b"encrypted"
        raise


def attributes_of(status: os.stat_result, name: bytes, parent: int) -> list[bytes]:
    """Return what is told of an entry but for its path, its marks and its content."""
    is_device = stat.S_ISBLK(status.st_mode) or stat.S_ISCHR(status.st_mode)
    device = status.st_rdev if is_device else 0
    numbers = (status.st_mode, status.st_uid, status.st_gid, device)
    link = os.readlink(name, dir_fd=parent) if stat.S_ISLNK(status.st_mode) else b""
    told = " ".join(map(str, numbers)).encode()
    return [told, link, *extended(b"/proc/self/fd/%d/%s" % (parent, name))]


def extended(path: bytes) -> list[bytes]:
    """Return the extended attributes of an entry, ACLs and capabilities among them."""
    try:
        names = sorted(os.listxattr(path, follow_symlinks=False))
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return []
        raise
    told = []
    for name in names:
        told += [os.fsencode(name), os.getxattr(path, name, follow_symlinks=False)]
    return told


def of_bytes(descriptor: int) -> bytes:
    """Return the digest of all that can be read from somewhere: what isn't zeros, and where it is.

    Holes aren't read: a file may be larger than what it is on by far.
    """
    total, place = new(), 0
    while True:
        place = _next_data(descriptor, place)
        block = _block_at(descriptor, place)
        if block != bytes(len(block)):
            take_up(total, b"%d" % place, block)
        place += len(block)
        if len(block) < _BLOCK:
            take_up(total, b"%d" % place)
            return bytes(total.digest())


def _next_data(descriptor: int, place: int) -> int:
    """Return the place of the next block that isn't all hole; of the last one, if there is none."""
    try:
        return max(place, os.lseek(descriptor, place, os.SEEK_DATA) // _BLOCK * _BLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return max(place, os.lseek(descriptor, 0, os.SEEK_END) // _BLOCK * _BLOCK)
        if error.errno not in _UNSUPPORTED:
            raise
        return place


def _block_at(descriptor: int, place: int) -> bytes:
    """Return a whole block, or what there is up to the end."""
    block = b""
    while len(block) < _BLOCK:
        more = os.pread(descriptor, _BLOCK - len(block), place + len(block))
        if not more:
            break
        block += more
    return block


def main(task: str, what: bytes) -> int:
    """Print the survey of a mounted file system; or the digests of one, or of a block device."""
    try:
        if task == "survey":
            said = survey(what)
        elif stat.S_ISDIR(os.lstat(what).st_mode):
            said = " ".join(of_folder(what))
        else:
            with opened(what) as descriptor:
                said = " ".join((new().hexdigest(), of_bytes(descriptor).hex()))
    except OSError as error:
        where = error.filename or what
        sys.stderr.write(f"{error.strerror}: {where!r}\n")
        return UNREADABLE if error.errno in _DAMAGED else 1
    sys.stdout.write(f"{said}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], os.fsencode(sys.argv[2])))
