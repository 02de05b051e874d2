"""The GUID partition table: whether the first of its two copies is whole; pure.

Source: UEFI specification, "GUID Partition Table (GPT) Disk Layout".
"""

from __future__ import annotations

import struct
import zlib

SECTOR = 512
LENGTH = 34 * SECTOR
"""So many bytes at a disk's begin, and at its end, are for the tables."""
AT = 446
"""Where the entries of an MBR begin."""

_MAGIC = b"EFI PART"
_ENTRIES = 32 * SECTOR


def first_is_whole(begin: bytes) -> bool:
    """Return whether a disk begins with a protective MBR and a whole table.

    :param begin: its first bytes, :data:`LENGTH` of them.
    """
    protects = begin[510:512] == b"\x55\xaa" and 0xEE in begin[AT + 4 : 510 : 16]
    return protects and _is_whole(begin[SECTOR : 2 * SECTOR], begin[2 * SECTOR :])


def one_is_whole(begin: bytes, end: bytes) -> bool:
    """Return whether a whole table is at a disk's begin, or at its end.

    :param end: its last bytes, :data:`LENGTH` of them.
    """
    return _is_whole(begin[SECTOR : 2 * SECTOR], begin[2 * SECTOR :]) or _is_whole(
        end[-SECTOR:], end[-SECTOR - _ENTRIES : -SECTOR]
    )


def _is_whole(header: bytes, entries: bytes) -> bool:
    if len(header) < SECTOR or header[:8] != _MAGIC:
        return False
    length, checksum = struct.unpack_from("<II", header, 12)
    count, size, checksum_of_entries = struct.unpack_from("<III", header, 80)
    if not 92 <= length <= SECTOR or not 0 < count * size <= len(entries):
        return False
    sums = (
        zlib.crc32(header[:16] + bytes(4) + header[20:length]),
        zlib.crc32(entries[: count * size]),
    )
    return sums == (checksum, checksum_of_entries)


def protective_entry(size: int) -> bytes:
    """Return what a protective MBR has from :data:`AT` on, for a disk of so many bytes."""
    sectors = min(size // SECTOR - 1, 0xFFFFFFFF)
    entry = struct.pack("<4B4BII", 0, 0, 2, 0, 0xEE, 0xFF, 0xFF, 0xFF, 1, sectors)
    return entry + bytes(48) + b"\x55\xaa"
