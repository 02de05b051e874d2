"""Loop devices: a file as a block device, gone as soon as nobody has it open."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import struct
from pathlib import Path

CONTROL = Path("/dev/loop-control")
MAJOR = 7
#: from here on the numbers are those of instances (see :mod:`.inner_loops`)
FIRST_INNER = 10_000
_ADD = 0x4C80
_GET_FREE = 0x4C82
_CONFIGURE = 0x4C0A
_AUTOCLEAR, _DIRECT_IO, _READ_ONLY = 4, 16, 1
_TRIES = 200


class Loop:
    """A file behind a loop device. It stays while this object, or anyone else, has it open."""

    def __init__(self, number: int, descriptor: int) -> None:
        self.number = number
        self.descriptor = descriptor

    @property
    def device(self) -> tuple[int, int]:
        """Its numbers, major and minor."""
        return (MAJOR, self.number)

    @property
    def path(self) -> str:
        """Its node in the machine's own /dev."""
        return f"/dev/loop{self.number}"

    def is_held(self) -> bool:
        """Says whether it is mounted, swapped to, or held by anything exclusively."""
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_EXCL))
        except OSError as error:
            if error.errno == errno.EBUSY:
                return True
            raise
        return False

    def close(self) -> None:
        """Lets go of it: the kernel frees it when the last mount is gone, too."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def open_loop(file: Path, *, read_only: bool = False, direct: bool = True) -> Loop:
    """Puts a file behind a free loop device. Several threads and processes may do so at once.

    :raises OSError: no loop device is to be had
    """
    control = os.open(CONTROL, os.O_RDWR)
    backing = os.open(file, os.O_RDONLY if read_only else os.O_RDWR)
    try:
        for _ in range(_TRIES):
            number = fcntl.ioctl(control, _GET_FREE)
            if number >= FIRST_INNER:
                number = fcntl.ioctl(control, _ADD, -1)
            descriptor = open_node(number)
            flags = _AUTOCLEAR | (_DIRECT_IO if direct else 0) | (_READ_ONLY if read_only else 0)
            try:
                fcntl.ioctl(descriptor, _CONFIGURE, _configuration(backing, flags, file.name))
            except OSError as error:
                os.close(descriptor)
                if error.errno != errno.EBUSY:
                    raise
            else:
                return Loop(number, descriptor)
        raise OSError(errno.EBUSY, "all loop devices are taken")
    finally:
        os.close(backing)
        os.close(control)


def open_node(number: int, flags: int = os.O_RDWR) -> int:
    """Opens a loop device by its number, making its node where nobody else does."""
    path = f"/dev/loop{number}"
    with contextlib.suppress(FileExistsError):
        if not os.path.exists(path):
            os.mknod(path, stat.S_IFBLK | 0o660, os.makedev(MAJOR, number))
    return os.open(path, flags)


def _configuration(backing: int, flags: int, name: str) -> bytes:
    """Packs the kernel's ``struct loop_config``.

    :param name: by this mkfs.btrfs tells devices apart: two with the same are one to it
    """
    said = os.fsencode(name)[-63:]
    info = struct.pack("=QQQQQIIII64s64s32sQQ", 0, 0, 0, 0, 0, 0, 0, 0, flags, said, b"", b"", 0, 0)
    return struct.pack("=II", backing, 512) + info + bytes(64)
