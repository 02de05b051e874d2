"""Print where a path beneath a folder really leads to, as if that folder were ``/``.

Symbolic links are followed like the kernel does for ``openat2`` with ``RESOLVE_IN_ROOT``: an
absolute one leads on from the folder, and ``..`` doesn't get above it. Nothing may change below the
folder meanwhile.

This runs on a host, by the Python that cloud-init has brought there: it must do with Python 3.7,
and with what comes with it. Names are bytes here, and never become text.

``python3 -c SCRIPT FOLDER PATH``; stdout: the type as ``ls -l`` shows it (``-``, ``d``, ``p``...),
and the path from the folder on, ``/etc/hostname``, without any link in it; exit status 1: there is
none.

Source: openat2(2), path_resolution(7).
"""

from __future__ import annotations

import errno
import os
import stat
import sys

MOST_LINKS = 40  # the kernel's


def resolve(folder: bytes, path: bytes) -> bytes:
    """Return where a path leads to, from the folder on; the folder itself is ``b""``.

    :raises OSError: there is no such path beneath the folder.
    """
    found, links = b"", 0
    left = path.split(b"/")[::-1]
    while left:
        name = left.pop()
        here = found + b"/" + name
        # It also fails for a name, "", "." or ".." behind something that is no folder.
        mode = os.lstat(folder + here).st_mode
        if name == b"..":
            found = found.rpartition(b"/")[0]
        elif stat.S_ISLNK(mode):
            links += 1
            if links > MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), folder + here)
            target = os.readlink(folder + here)  # noqa: PTH115
            if target.startswith(b"/"):
                found = b""
            left += target.split(b"/")[::-1]
        elif name not in (b"", b"."):
            found = here
    return found


def main(folder: bytes, path: bytes) -> int:
    """Print the type of what a path leads to, and where that is."""
    try:
        found = resolve(folder, path)
        kind = stat.filemode(os.lstat(folder + found).st_mode)[:1].encode()
    except OSError as error:
        where = os.fsencode(error.filename)[len(folder) :]
        sys.stderr.buffer.write(where + b": " + os.strerror(error.errno or 0).encode())
        return 1
    sys.stdout.buffer.write(kind + found)
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(os.fsencode, sys.argv[1:])))
