"""Print what may be a superblock on a block device: a line for each, ``PLACE HEX``.

This runs on a host, by the Python that cloud-init has brought there: it must do with Python 3.7,
and with what comes with it.

``python3 -c SCRIPT DEVICE SCANNED PLACE...``: each of the places is looked at, and each block of
the first so many bytes. Exit status 3: something there can't be read.
"""

from __future__ import annotations

import os
import sys

UNREADABLE = 3
_LENGTH = 4096
_CHUNK = 1 << 20
_MOST = 64


def may_be_one(data: bytes) -> bool:
    """Return whether there is a magic number where ext, XFS or btrfs has it."""
    return data[56:58] == b"\x53\xef" or data[:4] == b"XFSB" or data[64:72] == b"_BHRfS_M"


def look(device: str, scanned: int, places: list[int]) -> None:
    """Print what may be one, at most so many."""
    left = _MOST
    descriptor = os.open(device, os.O_RDONLY)
    try:
        found = set()
        for place in places:
            if may_be_one(os.pread(descriptor, _LENGTH, place)):
                found.add(place)
        for begin in range(0, scanned, _CHUNK):
            chunk = os.pread(descriptor, _CHUNK, begin)
            if not chunk:
                break
            if b"XFSB" in chunk:
                found.update(
                    begin + at
                    for at in range(0, len(chunk), _LENGTH)
                    if chunk.startswith(b"XFSB", at)
                )
        for place in sorted(found):
            if left:
                print(place, os.pread(descriptor, _LENGTH, place).hex())  # noqa: T201
                left -= 1
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    try:
        look(sys.argv[1], int(sys.argv[2]), [int(one) for one in sys.argv[3:]])
    except OSError as error:
        sys.stderr.write(str(error))
        sys.exit(UNREADABLE)
