"""Disks of a host: what is on them, mounting, making file systems and partition tables.

Source: blkid(8), lsblk(8), mount(8), sfdisk(8), partx(8).
"""

from __future__ import annotations

import base64
import binascii
import logging
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from snapback.core.disks import answers, btrfs, ext, xfs
from snapback.core.disks.filesystems import (
    EXT,
    Found,
    Shape,
    grow_command,
    grow_unmounted,
    label_command,
    mount_options,
    read_blkid,
)
from snapback.core.disks.partitions import BOOT_CODE, Table, node_of, read_dump, used_by
from snapback.errors import CommandFailed, NotMoved
from snapback.ssh.hold import held
from snapback.ssh.host import Host
from snapback.ssh.layout import block_devices

log = logging.getLogger(__name__)

LONG_S = 3600.0
_MOUNT = """
folder=$1
shift
mkdir -m 700 -- "$folder" || exit
"$@" "$folder" || { status=$?; rmdir -- "$folder"; exit "$status"; }
"""
_UNMOUNT = """
for second in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do
    mountpoint -q -- "$1" || break
    why=$(umount -- "$1" 2>&1) && break
    sleep 1
done
if mountpoint -q -- "$1"; then echo "$why" >&2; exit 1; fi
rmdir -- "$1"
"""


def probe(host: Host, device: str) -> Found:
    """Return what is on a block device.

    :raises CommandFailed: there is no such device, or it can't be read.
    :raises HostError: its size can't be read.
    """
    asked = host.sudo(["blockdev", "--getsize64", device]).stdout
    try:
        size = answers.number(asked.removesuffix("\n"))
    except ValueError as error:
        raise host.error(
            f"the size of {device}: {error}", "see what blockdev says there"
        ) from error
    argv = ["blkid", "-p", "-o", "export", "--", device]
    said = host.sudo(argv, check=False)
    if said.returncode not in (0, 2, 8):
        raise host.command_failed(argv, said.returncode, said.stderr)
    return read_blkid(said.stdout, said.returncode, size)


def demand_unused(host: Host, device: str) -> None:
    """See to it that nothing on a host uses a device.

    :raises HostError: something does.
    """
    try:
        use = used_by(device, block_devices(host))
    except ValueError as error:
        raise host.error(str(error), "see what lsblk says there") from error
    if use:
        raise host.error(use, f"nothing may use {device} while it is moved")


@contextmanager
def mounted(
    host: Host, device: str, fs_type: str, others: Sequence[str] = (), *, read_only: bool = False
) -> Iterator[str]:
    """Mount a file system on a folder of its own; at the end it is unmounted, and so on the disk.

    :param others: further devices of it, where it is a btrfs.
    :raises CommandFailed: it can't be mounted, or not unmounted.
    """
    options = mount_options(fs_type, others, read_only=read_only)
    argv = ["mount", "-t", fs_type, "-o", options, "--", device]
    with _mounted(host, argv) as folder:
        yield folder


@contextmanager
def bound(host: Host, mount_point: str) -> Iterator[str]:
    """Have the file system of a mount point on a plain path as well, and nothing of any other.

    :raises HostError: it isn't a mount point, or can't be bound.
    """
    if host.sudo(["mountpoint", "-q", "--", mount_point], check=False).returncode:
        raise host.error(f"{mount_point} is not a mount point", "name one that is")
    with _mounted(host, ["mount", "--bind", "--", mount_point]) as folder:
        yield folder


@contextmanager
def _mounted(host: Host, argv: Sequence[str]) -> Iterator[str]:
    """Mount something for a while: should this program be killed, it is unmounted all the same."""
    folder = f"/run/snapback-{secrets.token_hex(8)}"
    names = [*argv, folder], ["umount", "--", folder]
    with held(host, _MOUNT, _UNMOUNT, [folder, *argv], names=names):
        yield folder


def flush(host: Host, device: str) -> None:
    """Have all that was written to a device on the device, and nothing of it in memory."""
    host.sudo(["blockdev", "--flushbufs", device], timeout_s=LONG_S)


def label_of(host: Host, device: str) -> str:
    """Return the label of a file system, ``""`` where it has none.

    :raises HostError: it can't be read.
    """
    argv = ["blkid", "-p", "-s", "LABEL", "-o", "value", "--", device]
    said = host.sudo(argv, check=False).stdout.removesuffix("\n")
    try:
        return answers.label(said)
    except ValueError as error:
        raise host.error(f"{device}: {error}", "see what blkid says there") from error


def shape(host: Host, device: str, found: Found, folder: str) -> Shape:
    """Return how a file system was made, and whether another one can be made like it.

    :param folder: where it is mounted.
    :raises NotMoved: that can't be understood.
    """
    label = label_of(host, device)
    try:
        if found.fs_type in EXT:
            return ext.read_ext(_said(host, *ext.READ, device), found.fs_type, label)
        if found.fs_type == "xfs":
            quotas = _said(host, *xfs.READ_QUOTAS, device)
            return xfs.read_xfs(_said(host, *xfs.READ, folder), quotas, found.uuid, label)
        return btrfs.read_btrfs(
            _said(host, *btrfs.READ, device),
            _said(host, *btrfs.READ_PROFILES, folder),
            _said(host, *btrfs.READ_SUBVOLUMES, folder),
            label,
        )
    except ValueError as error:
        raise host.error(
            str(error), "report it, with what the command says there", NotMoved
        ) from error


def _said(host: Host, *argv: str) -> str:
    return host.sudo(argv, timeout_s=LONG_S).stdout


def make(host: Host, device: str, wanted: Shape) -> None:
    """Make a file system as another one is; what was on the device is gone.

    :raises CommandFailed: this host's programs can't make such a one.
    """
    host.sudo(["wipefs", "-q", "-a", "--", device])
    argv = list(wanted.make)
    if wanted.fs_type == "btrfs":
        argv += btrfs.feature_options(wanted.features, _said(host, *btrfs.READ_FEATURES))
    host.sudo([*argv, device, *wanted.make_size], timeout_s=LONG_S)


def tune(host: Host, device: str, wanted: Shape) -> None:
    """Give an unmounted file system another's label, and what else can be changed at any time."""
    if label_of(host, device) != wanted.label:
        host.sudo(label_command(wanted, device))
    for argv in wanted.tune:
        host.sudo([*argv, device])


def grow(host: Host, device: str, wanted: Shape, now: Shape) -> None:
    """Make an unmounted file system as large as another one, if that is larger.

    :raises CommandFailed: that can't be done.
    """
    if wanted.size <= now.size:
        return
    try:
        with mounted(host, device, wanted.fs_type) as folder:
            host.sudo(grow_command(wanted, device, folder), timeout_s=LONG_S)
    except CommandFailed as error:
        commands = grow_unmounted(wanted, device)
        if not commands:
            raise
        log.info("%s: %s is grown while it is unmounted: %s", host.name, device, error)
        for argv in commands:
            host.sudo(argv, timeout_s=LONG_S)


def read_table(host: Host, device: str) -> Table:
    """Answer a disk's partition table.

    :raises NotMoved: it can't be understood.
    """
    try:
        return read_dump(host.sudo(["sfdisk", "--dump", "--", device]).stdout)
    except ValueError as error:
        raise host.error(str(error), "see what sfdisk says there", NotMoved) from error


def write_table(host: Host, device: str, table: Table) -> None:
    """Divide a disk as another one is; what is in a partition that stays, stays.

    :raises HostError: that can't be done, or the partitions don't show.
    """
    options = ("--quiet", "--no-reread", "--no-tell-kernel", "--wipe", "always")
    host.sudo(
        ["sfdisk", *options, "--wipe-partitions", "never", "--", device],
        stdin=table.script.encode("utf-8", "surrogateescape"),
        timeout_s=LONG_S,
    )
    for part in table.partitions:
        _await_node(host, device, node_of(device, part.number), part.size)


_AWAIT = """
left=150
until [ "$(blockdev --getsize64 "$2" 2>&1)" = "$3" ]; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || exit 1
    [ "$left" != 135 ] || partx --update "$1"
    sleep 0.2
done
"""


def _await_node(host: Host, disk: str, node: str, size: int) -> None:
    """Wait for a partition to show: udev sees to that, and after 3 s partx."""
    argv = ["sh", "-c", _AWAIT, "snapback-await", disk, node, str(size)]
    if host.sudo(argv, timeout_s=LONG_S, check=False).returncode:
        raise host.error(
            f"the partition {node} of {size} bytes doesn't show",
            "see what its kernel says of the disk",
        )


def copy_begin(source: Host, src: str, destination: Host, dst: str, table: Table) -> None:
    """Copy the boot code, and what lies before the first partition; both over this program."""
    _copy_bytes(source, src, destination, dst, 0, BOOT_CODE)
    begin, end = table.gap
    _copy_bytes(source, src, destination, dst, begin, end - begin)


_READ = (
    'dd if="$1" bs=64K skip="$2" count="$3" iflag=skip_bytes,count_bytes status=none | base64 -w 0'
)
_WRITE = 'base64 -d | dd of="$1" bs=64K seek="$2" oflag=seek_bytes conv=notrunc,fsync status=none'


def read_bytes(host: Host, device: str, begin: int, count: int) -> bytes:
    """Return so many bytes of a device.

    :raises HostError: they can't be read.
    """
    argv = ["sh", "-c", _READ, "snapback-read", device, str(begin), str(count)]
    said = host.sudo(argv, timeout_s=LONG_S).stdout
    if not _is_base64(said, count):
        raise host.error(f"{device} can't be read", "see what its kernel says of it")
    return base64.b64decode(said)


def write_bytes(host: Host, device: str, begin: int, data: bytes) -> None:
    """Write bytes to a device, and wait until they are on it.

    :raises CommandFailed: they can't be written.
    """
    write = ["sh", "-c", _WRITE, "snapback-write", device, str(begin)]
    host.sudo(write, stdin=base64.b64encode(data), timeout_s=LONG_S)
    flush(host, device)


def _copy_bytes(
    source: Host, src: str, destination: Host, dst: str, begin: int, count: int
) -> None:
    if not count:
        return
    read = ["sh", "-c", _READ, "snapback-read"]
    meant = source.sudo([*read, src, str(begin), str(count)], timeout_s=LONG_S).stdout
    if not _is_base64(meant, count):
        raise source.error(f"{src} can't be read", "see what it is", NotMoved)
    came = destination.sudo([*read, dst, str(begin), str(count)], timeout_s=LONG_S).stdout
    if came == meant:
        return
    write = ["sh", "-c", _WRITE, "snapback-write", dst, str(begin)]
    destination.sudo(write, stdin=meant.encode(), timeout_s=LONG_S)
    flush(destination, dst)
    if destination.sudo([*read, dst, str(begin), str(count)], timeout_s=LONG_S).stdout != meant:
        raise destination.error(
            f"{dst} doesn't keep what is written before its first partition",
            "see what its kernel says of the disk",
            NotMoved,
        )


def _is_base64(text: str, count: int) -> bool:
    """Return whether a text is so many bytes in base64, and nothing else."""
    try:
        return len(base64.b64decode(text, validate=True)) == count
    except (binascii.Error, ValueError):
        return False
