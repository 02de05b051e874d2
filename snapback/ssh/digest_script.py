"""Tell two digests of all that a file system or a block device holds: attributes, and content.

This runs on a host, by the Python that cloud-init has brought there: it must do with Python 3.7,
and with what comes with it. Names are bytes here, and never become text.

``python3 -c SCRIPT FOLDER|DEVICE``; exit status 3: something there can't be read.

What this tells is kept in tags for years: another digest needs another name there.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
import sys
from collections.abc import Iterator
from typing import Any

UNREADABLE = 3
_DAMAGED = (errno.EIO, errno.EUCLEAN, errno.EBADMSG)
_BLOCK = 1 << 20


def new() -> Any:
    """Answer what takes up what is to be in a digest."""
    return hashlib.blake2b(digest_size=16)


def take_up(total: Any, *fields: bytes) -> None:
    """Add some fields, so that it can't be told otherwise where one ends and the next begins."""
    for one in fields:
        total.update(b"%d:" % len(one))
        total.update(one)


def of_folder(folder: bytes) -> tuple[str, str]:
    """Answer the digests of all below a folder, and of the folder itself."""
    attributes, content = new(), new()
    for path, name, parent in entries(folder):
        try:
            said = os.stat(name, dir_fd=parent, follow_symlinks=False)
            take_up(attributes, path, *attributes_of(said, name, parent))
            if stat.S_ISREG(said.st_mode):
                take_up(content, path, of_file(name, parent))
        except OSError as error:
            error.filename = path
            raise
    return attributes.hexdigest(), content.hexdigest()


def attributes_of(said: os.stat_result, name: bytes, parent: int) -> list[bytes]:
    """Answer all that is told of an entry but for its path and its content."""
    is_device = stat.S_ISBLK(said.st_mode) or stat.S_ISCHR(said.st_mode)
    numbers = (said.st_mode, said.st_uid, said.st_gid, said.st_rdev if is_device else 0)
    link = os.readlink(name, dir_fd=parent) if stat.S_ISLNK(said.st_mode) else b""
    told = " ".join(map(str, numbers)).encode()
    return [told, link, *extended(b"/proc/self/fd/%d/%s" % (parent, name))]


def entries(folder: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Answer each entry in an order that is always the same: its path, its name, its folder."""
    for path, folders, files, parent in os.fwalk(folder, onerror=fail):
        folders.sort()
        inside = path[len(folder) :]
        if not inside:
            yield b".", b".", parent
        for name in sorted([*folders, *files]):
            yield inside + b"/" + name, name, parent


def fail(error: OSError) -> None:
    """Let no folder be passed over."""
    raise error


def extended(path: bytes) -> list[bytes]:
    """Answer the extended attributes of an entry, ACLs and capabilities among them."""
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


def of_file(name: bytes, parent: int | None = None) -> bytes:
    """Answer the digest of a file; of one that is encrypted, whose key isn't here, that it is."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=parent)
    except OSError as error:
        if error.errno == errno.ENOKEY:
            return b"encrypted"
        raise
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        return of_bytes(file)


def of_bytes(file: io.RawIOBase) -> bytes:
    """Answer the digest of all that can be read from somewhere."""
    total, block = new(), memoryview(bytearray(_BLOCK))
    for length in iter(lambda: file.readinto(block) or 0, 0):
        total.update(block[:length])
    return bytes(total.digest())


def main(what: bytes) -> int:
    """Tell the digests of a mounted file system, or of a block device."""
    try:
        if stat.S_ISDIR(os.lstat(what).st_mode):
            attributes, content = of_folder(what)
        else:
            attributes, content = new().hexdigest(), of_file(what).hex()
    except OSError as error:
        sys.stderr.write(f"{os.strerror(error.errno or 0)}: {error.filename or what!r}\n")
        return UNREADABLE if error.errno in _DAMAGED else 1
    sys.stdout.write(f"{attributes} {content}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(os.fsencode(sys.argv[1])))
