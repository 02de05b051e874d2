"""Leaves nothing behind: ends all that belongs to a sandbox's folder, then the folder.

The keeper, ``python -m ec2_sandbox.hosts.sweep FOLDER``, is a process that does so when the
sandbox ends, however that ends: it waits for the end of its standard input. What a crash of both
left is swept by the next sandbox that starts.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ec2_sandbox.hosts import inner_loops, linux

PREFIX = "ec2-sandbox-hosts-"
LOCK = "lock"
SECONDS = 15.0
_STEP = 0.02


def make_folder() -> tuple[Path, int]:
    """Makes a sandbox's folder, sweeping first what crashed ones left.

    :return: the folder, and the descriptor that keeps its lock while it is open anywhere
    """
    parent = Path(os.environ.get("TMPDIR") or "/var/tmp")  # noqa: S108
    common = os.open(parent / f"{PREFIX}lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(common, fcntl.LOCK_EX)
        for left in parent.glob(f"{PREFIX}*/"):
            descriptor = _lock(left)
            if descriptor is not None:
                clear(left)
                os.close(descriptor)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        descriptor = _lock(folder)
        assert descriptor is not None  # noqa: S101 - the folder is new
    finally:
        os.close(common)
    return folder, descriptor


def _lock(folder: Path) -> int | None:
    """Takes a folder's lock; None if somebody has it."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def start_keeper(folder: Path, lock: int) -> subprocess.Popen[bytes]:
    """Starts the process that clears the folder when the one that calls this has ended."""
    return subprocess.Popen(
        [sys.executable, "-m", "ec2_sandbox.hosts.sweep", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=[lock],
        start_new_session=True,
    )


def clear(folder: Path) -> None:
    """Ends the instances of a folder, thaws and frees its disks, and deletes it."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        runners = list(_runners(folder))
        for runner in runners:
            kill(runner)
        if not runners and not list(loops_of(folder)) and inner_loops.remove_all(folder):
            break
        if not runners:
            _thaw_forgotten(folder)
            inner_loops.remove_all(folder)
        time.sleep(_STEP)
    _remove_cgroups(folder)
    shutil.rmtree(folder, ignore_errors=True)


def kill(runner: int) -> None:
    """Thaws what an instance has mounted, and ends it at once, without it having any say.

    :param runner: the pid of the ``unshare`` that its first process is a child of
    """
    init = child_of(runner)
    if init is not None:
        thaw_all(init)
    with contextlib.suppress(ProcessLookupError):
        os.kill(runner, signal.SIGKILL)


def child_of(runner: int) -> int | None:
    """Answers the pid of an instance's first process."""
    try:
        children = Path(f"/proc/{runner}/task/{runner}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(children[0]) if children else None


def thaw_all(init: int) -> None:
    """Thaws every file system on a disk that a process sees mounted."""
    try:
        mounts = Path(f"/proc/{init}/mountinfo").read_text().splitlines()
    except OSError:
        return
    for mount in mounts:
        fields = mount.split()
        source = fields[fields.index("-") + 2]
        if source.startswith("/dev/"):
            point = fields[4].encode().decode("unicode_escape")
            with contextlib.suppress(OSError):
                linux.thaw(f"/proc/{init}/root{point}")


def _runners(folder: Path) -> Iterator[int]:
    """Yields the ``unshare`` processes of a folder's instances."""
    mark = f"{folder}/".encode()
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
            ours = words[0].endswith(b"unshare") and any(word.startswith(mark) for word in words)
            if ours and state != "Z":
                yield int(process.name)


def loops_of(folder: Path) -> Iterator[str]:
    """Yields the loop devices whose files are, or were, in a folder, or on such a device."""
    for entry in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            if f"{folder.name}/" in entry.read_text():
                yield f"/dev/{entry.parts[3]}"
    yield from (f"/dev/loop{number}" for number in inner_loops.bound(folder))


def _thaw_forgotten(folder: Path) -> None:
    """Frees disks that are frozen and mounted nowhere: mounting them again lets one thaw them."""
    for device in loops_of(folder):
        point = tempfile.mkdtemp(dir=folder)
        mount = ["mount", "-o", "ro,norecovery", device, point]
        if subprocess.run(mount, capture_output=True, check=False).returncode == 0:
            with contextlib.suppress(OSError):
                linux.thaw(point)
            subprocess.run(["umount", point], capture_output=True, check=False)


def control_groups(folder: Path) -> Path:
    """Answers where the control groups of a sandbox's systemd instances are, or would be."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(point, folder.name)
    return Path("/sys/fs/cgroup", folder.name)


def _remove_cgroups(folder: Path) -> None:
    for path, _, _ in os.walk(control_groups(folder), topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(path)


def main() -> int:
    """Waits until the sandbox has ended, and clears its folder."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while sys.stdin.buffer.read(1):
        pass
    clear(Path(sys.argv[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
