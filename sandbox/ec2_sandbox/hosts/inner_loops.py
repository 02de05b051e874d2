"""Loop devices that instances make themselves, of numbers that nobody else on the machine gets.

The kernel makes a loop device when its node is opened first. So only those exist that an instance
has used; one that is made before is anybody's, by the machine's ``losetup -f``.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import threading
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path

from ec2_sandbox.hosts.loops import CONTROL, FIRST_INNER, open_node

#: how many an instance has, and how many a sandbox
EACH, BLOCK = 8, 4096
RECORD = "loops"
_ADD, _REMOVE, _CLEAR, _STATUS = 0x4C80, 0x4C81, 0x4C01, 0x4C05


class InnerLoops:
    """The numbers of a sandbox's instances.

    The first of the block stands for the block: the kernel makes it for one sandbox only.
    """

    def __init__(self, folder: Path) -> None:
        self._first = _claim()
        (folder / RECORD).write_text(f"{self._first}\n")
        self._taken: set[int] = set()
        self._lock = threading.Lock()

    def take(self) -> Sequence[int]:
        """Answers the numbers for an instance; none where there are no more."""
        with self._lock:
            for first in range(self._first + EACH, self._first + BLOCK, EACH):
                numbers = range(first, first + EACH)
                if first not in self._taken and all(map(_remove, numbers)):
                    self._taken.add(first)
                    return numbers
        return ()

    def give_back(self, numbers: Sequence[int]) -> None:
        """Frees the devices of an instance that has ended, as soon as its mounts are gone."""
        for number in numbers:
            _remove(number)
        with self._lock:
            self._taken.difference_update(numbers[:1])


def _claim() -> int:
    for first in range(FIRST_INNER, 1 << 20, BLOCK):
        try:
            return _control(_ADD, first)
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise
    raise OSError(errno.EBUSY, "all numbers of loop devices are taken")


def remove_all(folder: Path) -> bool:
    """Removes the devices of a sandbox that has ended; says whether none is left."""
    first = _first(folder)
    left = [number for number in _existing(folder) if number != first and not _remove(number)]
    return not left and (first is None or _remove(first))  # the first last: the others are its own


def bound(folder: Path) -> Iterator[int]:
    """Yields the numbers of a sandbox's instances that have a file behind them."""
    for number in _existing(folder):
        if backing_file(number) is not None and not _is_the_machines(number):
            yield number


def _existing(folder: Path) -> list[int]:
    first = _first(folder)
    if first is None:
        return []
    numbers = (int(entry.name[4:]) for entry in Path("/sys/block").glob("loop*"))
    return [number for number in numbers if first <= number < first + BLOCK]


def _first(folder: Path) -> int | None:
    try:
        return int((folder / RECORD).read_text())
    except (FileNotFoundError, ValueError):
        return None


def backing_file(number: int) -> str | None:
    """Answers the path of the file behind a loop device, as whoever asks sees it."""
    try:
        return Path(f"/sys/block/loop{number}/loop/backing_file").read_text().removesuffix("\n")
    except OSError:
        return None


def have_behind(numbers: Iterable[int], devices: Container[tuple[int, int]]) -> bool:
    """Says whether one of some block devices is behind one of some loop devices."""
    for number in numbers:
        if backing_file(number) is not None:
            _, _, device = _status(number)
            if (os.major(device), os.minor(device)) in devices:
                return True
    return False


def _remove(number: int) -> bool:
    """Unbinds and removes a device; says whether it is gone, or isn't an instance's."""
    if backing_file(number) is not None:
        if _is_the_machines(number):
            return True
        descriptor = open_node(number, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _CLEAR)  # at the last close, if it is in use
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
        finally:
            os.close(descriptor)
    try:
        _control(_REMOVE, number)
    except OSError as error:
        return error.errno != errno.EBUSY
    return True


def _is_the_machines(number: int) -> bool:
    """Says whether somebody outside got this number, while it was free, for a file out here."""
    try:
        there = os.stat(backing_file(number) or "")
        return (there.st_dev, there.st_ino) == _status(number)[:2]
    except OSError:
        return False


def _status(number: int) -> tuple[int, int, int]:
    """Answers device and inode of the file behind a loop device, and the device that it is."""
    descriptor = open_node(number, os.O_RDONLY)
    try:
        info = fcntl.ioctl(descriptor, _STATUS, bytes(232))
    finally:
        os.close(descriptor)
    device, inode, rdevice = struct.unpack_from("=QQQ", info)
    return device, inode, rdevice


def _control(command: int, number: int) -> int:
    control = os.open(CONTROL, os.O_RDWR)
    try:
        return fcntl.ioctl(control, command, number)
    finally:
        os.close(control)
