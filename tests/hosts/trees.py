"""Fills a folder with all that is hard to copy, and tells all of a hierarchy, entry by entry.

Runs inside of hosts too, by a Python of the system, so it needs nothing but that; and it isn't
rsync, whose work it judges.

    python3 trees.py fill FOLDER
    python3 trees.py change FOLDER
    python3 trees.py many FOLDER COUNT
    python3 trees.py tell FOLDER
"""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import struct
import sys
from collections.abc import Iterator

NAMES = (
    b"plain",
    b"a b  c",
    b"new\nline",
    b"\r\t\x01\x7f",
    b"'single'",
    b'"double"',
    b"$(touch bad)",
    b"`touch bad`",
    b"-rf",
    b"--delete",
    b"*",
    b"?[a]",
    b"back\\slash",
    b"\\#012",
    b"#hash",
    b"~",
    b"semi;colon&pipe|",
    b"\xff\xfe not utf-8",
    "ünïcode ☃".encode(),
    b" leading and trailing ",
    b".hidden",
    b"x" * 255,
    b"host:path",
    b"%s%n",
    b"-e sh",
)
BEFORE_1970_NS = -(10**9) * 86400 * 365 + 123456789
NANOSECONDS = 1_700_000_000 * 10**9 + 1


def fill(folder: str) -> None:
    """Make the entries."""
    top = os.fsencode(folder)
    os.umask(0)
    for number, name in enumerate(NAMES):
        _write(os.path.join(top, name), b"%d" % number * (number * 997))
    _write_names(os.path.join(top, b"deep"))
    _links(top)
    _sparse(top)
    _special(top)
    _attributes(top)
    _owners(top)
    _times(top)


def _write(path: bytes, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def _write_names(folder: bytes) -> None:
    for depth in range(12):
        folder = os.path.join(folder, b"d" * (depth + 1))
    os.makedirs(folder)
    for name in NAMES:
        os.mkdir(os.path.join(folder, name))
        _write(os.path.join(folder, name, name), name)


def _links(top: bytes) -> None:
    _write(os.path.join(top, b"hard"), b"hard" * 5000)
    os.mkdir(os.path.join(top, b"links"))
    for number in range(5):
        os.link(os.path.join(top, b"hard"), os.path.join(top, b"links", b"hard %d" % number))
    for name, target in (
        (b"dangling", b"no/where"),
        (b"absolute", b"/etc/passwd"),
        (b"long", b"t" * 1000),
        (b"nasty", b"new\nline $(x)"),
        (b"to a folder", b"."),
    ):
        os.symlink(target, os.path.join(top, b"links", name))
    os.link(
        os.path.join(top, b"links", b"dangling"),
        os.path.join(top, b"links", b"dangling too"),
        follow_symlinks=False,
    )


def _sparse(top: bytes) -> None:
    with open(os.path.join(top, b"sparse"), "wb") as file:
        file.truncate(48 << 20)
        for place in (0, 5_000_000, 200 << 20, (48 << 20) - 1):
            file.seek(place)
            file.write(b"data")
        file.truncate(48 << 20)
    with open(os.path.join(top, b"only a hole"), "wb") as file:
        file.truncate(10 << 20)
    _write(os.path.join(top, b"zeros"), bytes(1 << 20))
    _write(os.path.join(top, b"empty"), b"")


def _special(top: bytes) -> None:
    folder = os.path.join(top, b"special")
    os.mkdir(folder)
    for name, kind, number in (
        (b"character", stat.S_IFCHR | 0o640, os.makedev(1, 3)),
        (b"block", stat.S_IFBLK | 0o660, os.makedev(259, 300)),
        (b"whiteout", stat.S_IFCHR, 0),
        (b"fifo", stat.S_IFIFO | 0o600, 0),
    ):
        os.mknod(os.path.join(folder, name), kind, number)
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(folder)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket")
    finally:
        os.fchdir(here)
        os.close(here)


def _acl(*entries: tuple[int, int, int]) -> bytes:
    """An access control list: tag, permissions, id. Source: acl(5), linux/posix_acl_xattr.h."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def _attributes(top: bytes) -> None:
    nobody = 0xFFFFFFFF
    acl = _acl(
        (1, 6, nobody), (2, 4, 1234), (4, 4, nobody), (8, 6, 4321), (16, 6, nobody), (32, 0, nobody)
    )
    folder, file = os.path.join(top, b"with attributes"), os.path.join(top, b"with attributes too")
    os.mkdir(folder)
    _write(file, b"x" * 100)
    for path in (folder, file):
        os.setxattr(path, "user.a b", b"\x00\xff binary")
        os.setxattr(path, "user.long", b"v" * 2000)
        os.setxattr(path, "user.empty", b"")
        os.setxattr(path, "trusted.overlay.opaque", b"y")
        os.setxattr(path, "user.rsync.%stat", b"100644 0,0 0:0")
        os.setxattr(path, "system.posix_acl_access", acl)
    os.setxattr(folder, "system.posix_acl_default", acl)
    ping = os.path.join(top, b"ping")
    _write(ping, b"#!")
    os.chmod(ping, 0o4755)
    os.setxattr(ping, "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0))


def _owners(top: bytes) -> None:
    folder = os.path.join(top, b"owners")
    os.mkdir(folder)
    for number, mode in enumerate((0, 0o111, 0o444, 0o1777, 0o2755, 0o4711, 0o6777, 0o7777)):
        for kind in (b"file", b"folder"):
            path = os.path.join(folder, b"%s %o" % (kind, mode))
            if kind == b"file":
                _write(path, b"%d" % number)
            else:
                os.mkdir(path)
            os.chown(path, 100_000 + number, 4_000_000_000 + number)
            os.chmod(path, mode)


def _times(top: bytes) -> None:
    folder = os.path.join(top, b"times")
    os.mkdir(folder)
    for name, moment in (
        (b"before 1970", BEFORE_1970_NS),
        (b"epoch", 0),
        (b"nanosecond", NANOSECONDS),
        (b"2100", 4102444800 * 10**9 + 999_999_999),
    ):
        path = os.path.join(folder, name)
        _write(path, b"same size")
        os.utime(path, ns=(moment, moment))
        os.symlink(b"times", path + b" link")
        os.utime(path + b" link", ns=(moment, moment), follow_symlinks=False)
    os.utime(folder, ns=(BEFORE_1970_NS, BEFORE_1970_NS))


def change(folder: str) -> None:
    """Change what is hard to notice, and swap kinds."""
    top = os.fsencode(folder)
    same = os.path.join(top, b"times", b"nanosecond")
    _write(same, b"SAME SIZE")
    os.utime(same, ns=(NANOSECONDS + 1, NANOSECONDS + 1))
    os.unlink(os.path.join(top, b"links", b"hard 3"))
    _write(os.path.join(top, b"links", b"hard 3"), b"HARD" * 5000)  # no longer one with the others
    os.unlink(os.path.join(top, b"plain"))
    os.mkdir(os.path.join(top, b"plain"))
    _write(os.path.join(top, b"plain", b"file"), b"in a folder now")
    os.unlink(os.path.join(top, b"special", b"fifo"))
    os.symlink(b"socket", os.path.join(top, b"special", b"fifo"))
    os.unlink(os.path.join(top, b"new\nline"))
    os.rename(os.path.join(top, b"a b  c"), os.path.join(top, b"renamed"))
    with open(os.path.join(top, b"sparse"), "r+b") as file:
        file.seek(5_000_000)
        file.write(bytes(4))
        file.seek(30 << 20)
        file.write(b"more")
    with open(os.path.join(top, b"zeros"), "r+b") as file:
        file.seek(1000)
        file.write(b"not zero")
    os.setxattr(os.path.join(top, b"with attributes too"), "user.a b", b"changed")
    os.removexattr(os.path.join(top, b"with attributes too"), "user.long")
    os.chmod(os.path.join(top, b"owners", b"file 444"), 0o400)


def many(folder: str, count: int) -> None:
    """Make so many small files, a hundred in a folder."""
    for number in range(count):
        if number % 100 == 0:
            below = os.path.join(folder, f"{number // 10_000:03}", f"{number // 100:05}")
            os.makedirs(below)
        descriptor = os.open(os.path.join(below, f"{number:07}"), os.O_CREAT | os.O_WRONLY)
        os.write(descriptor, b"%d" % number)
        os.close(descriptor)


def tell(folder: str) -> Iterator[str]:
    """Tell all of a hierarchy, a line each entry; access and change times apart."""
    first: dict[tuple[int, int], bytes] = {}
    top = os.fsencode(folder)
    waiting = [b""]
    while waiting:
        path = waiting.pop()
        full = os.path.join(top, path)
        entry = os.lstat(full)
        told: list[object] = [path, oct(entry.st_mode), entry.st_uid, entry.st_gid]
        told += [entry.st_mtime_ns, entry.st_rdev]
        told += sorted((name, os.getxattr(full, name, follow_symlinks=False)) for name in _of(full))
        if stat.S_ISDIR(entry.st_mode):
            waiting += [os.path.join(path, name) for name in sorted(os.listdir(full), reverse=True)]
        else:
            told += [entry.st_size, entry.st_nlink]
            told.append(first.setdefault((entry.st_dev, entry.st_ino), path))
        if stat.S_ISLNK(entry.st_mode):
            told.append(os.readlink(full))
        if stat.S_ISREG(entry.st_mode):
            with open(full, "rb") as file:
                told.append(hashlib.file_digest(file, "blake2b").hexdigest())
        yield repr(told)


def _of(path: bytes) -> list[str]:
    return os.listxattr(path, follow_symlinks=False)


if __name__ == "__main__":
    what, where, *more = sys.argv[1:]
    if what == "fill":
        fill(where)
    elif what == "change":
        change(where)
    elif what == "many":
        many(where, int(more[0]))
    else:
        sys.stdout.writelines(f"{line}\n" for line in tell(where))
