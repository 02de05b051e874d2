"""Disks as an instance sees them: EC2's names, nodes in /dev, /sys and udev's data base.

All is written from outside, below the root of the instance's first process.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ec2_sandbox.hosts import inner_loops, linux
from ec2_sandbox.hosts.loops import MAJOR, Loop
from ec2_sandbox.hosts.partitions import SECTOR, Partition, known_partitions, read_partitions
from ec2_sandbox.hosts.programs import run

#: the disk's model, and the numbers of the group of its node
MODEL = "Amazon Elastic Block Store"
DISK_GROUP = 6
_QUEUE = {
    "rotational": 0, "logical_block_size": 512, "physical_block_size": 512, "minimum_io_size": 512,
    "optimal_io_size": 0, "discard_max_bytes": 0, "discard_granularity": 0, "scheduler": "[none]",
    "nr_requests": 128, "read_ahead_kb": 128, "zoned": "none", "hw_sector_size": 512,
}  # fmt: skip
_XEN = re.compile(
    r"(t1|t2|m1|m2|m3|m4|c1|c3|c4|r3|r4|i2|i3|d2|g2|g3|p2|p3|x1|x1e|h1|hs1|cc2|cr1)\."
)
#: where the kernel has loop devices and their partitions
_KERNEL = "/sys/devices/virtual/block"
#: the names of udev's data that lsblk shows, by what blkid calls them
_UDEV = {
    "TYPE": "ID_FS_TYPE", "UUID": "ID_FS_UUID", "LABEL": "ID_FS_LABEL", "USAGE": "ID_FS_USAGE",
    "VERSION": "ID_FS_VERSION", "PTTYPE": "ID_PART_TABLE_TYPE", "PTUUID": "ID_PART_TABLE_UUID",
    "PART_ENTRY_UUID": "ID_PART_ENTRY_UUID", "PART_ENTRY_TYPE": "ID_PART_ENTRY_TYPE",
    "PART_ENTRY_NAME": "ID_PART_ENTRY_NAME", "PART_ENTRY_SCHEME": "ID_PART_ENTRY_SCHEME",
}  # fmt: skip


def is_nitro(instance_type: str, virtualization_type: str) -> bool:
    """Says whether an instance's disks are NVMe devices."""
    return virtualization_type == "hvm" and not _XEN.match(instance_type)


def xen_name(device: str, virtualization_type: str) -> str:
    """Answers the kernel's name on Xen: /dev/sdf is xvdf. An HVM root /dev/sda1 is disk xvda."""
    name = device.removeprefix("/dev/")
    name = f"xvd{name[2:]}" if name.startswith(("sd", "hd")) else name
    if virtualization_type == "hvm" and name.startswith("xvda"):
        return "xvda"
    return name


@dataclass
class Disk:
    """A volume that an instance has."""

    volume_id: str
    device: str
    name: str
    loop: Loop

    @property
    def is_nvme(self) -> bool:
        """Whether it is an NVMe device."""
        return self.name.startswith("nvme")

    @property
    def serial(self) -> str:
        """What an NVMe device says its serial number is: the volume's id without its dash."""
        return self.volume_id.replace("-", "") if self.is_nvme else ""

    def part_name(self, number: int) -> str:
        """Answers the name of a partition's node."""
        return f"{self.name}p{number}" if self.name[-1].isdigit() else f"{self.name}{number}"

    @property
    def partitions(self) -> dict[int, Partition]:
        """The partitions that the kernel knows, by their numbers."""
        return known_partitions(self.loop.number)

    def refresh(self) -> None:
        """Makes the kernel's partitions those of the table; one in use stays as it is."""
        wanted, known = read_partitions(self.loop.path), self.partitions
        for number in [each for each in known if wanted.get(each) != known[each]]:
            with contextlib.suppress(OSError):
                linux.delete_partition(self.loop.descriptor, number)
        for number, new in wanted.items():
            if known.get(number) != new:
                with contextlib.suppress(OSError):
                    linux.add_partition(self.loop.descriptor, number, new.start, new.size)

    def close(self) -> None:
        """Lets go of the partitions and the loop device."""
        for number in self.partitions:
            with contextlib.suppress(OSError):
                linux.delete_partition(self.loop.descriptor, number)
        self.loop.close()

    def in_use(self, loops: Iterable[int]) -> bool:
        """Says whether it is mounted, behind a loop device, or open for writing.

        :param loops: the numbers of the loop devices that may have it behind them
        """
        devices = {self.loop.device, *map(self.part_device, self.partitions)}
        return (
            self.loop.is_held()
            or inner_loops.have_behind(loops, devices)
            or linux.is_written_to(devices)
        )

    def part_device(self, number: int) -> tuple[int, int]:
        """Answers a partition's numbers, major and minor."""
        base = f"/sys/class/block/loop{self.loop.number}/loop{self.loop.number}p{number}/dev"
        major, _, minor = Path(base).read_text().strip().partition(":")
        return int(major), int(minor)


def publish(root: Path, disk: Disk) -> None:
    """Makes a disk and its partitions known in an instance, and unknown what it no longer has.

    What is right already stays as it is: somebody may be about to mount it.
    """
    size = os.lseek(disk.loop.descriptor, 0, os.SEEK_END)
    partitions = disk.partitions
    _forget(root, disk.name, {disk.part_name(number) for number in partitions})
    block = root / "sys/block" / disk.name
    values = {
        **{f"queue/{name}": value for name, value in _QUEUE.items()},
        **({"device/serial": disk.serial, "device/model": MODEL} if disk.is_nvme else {}),
    }
    loop = f"loop{disk.loop.number}"
    _show(root, block, disk.loop.device, size, values, loop)
    _udev(root, disk.serial, disk.name, disk.loop.device, disk.loop.path, "")
    for number, part in sorted(partitions.items()):
        name, device = disk.part_name(number), disk.part_device(number)
        values = {"partition": number, "start": part.start // SECTOR}
        _show(root, block / name, device, part.size, values, f"{loop}/{loop}p{number}")
        path = f"{disk.loop.path}p{number}"
        _udev(root, disk.serial, name, device, path, f"-part{number}")


def publish_loops(root: Path, numbers: Iterable[int]) -> None:
    """Gives an instance the nodes of loop devices; what is in /sys is the kernel's own."""
    for number in numbers:
        name = f"loop{number}"
        node = root / "dev" / name
        linux.make_block_node(node, (MAJOR, number))
        os.chown(node, 0, DISK_GROUP)
        for link in (f"block/{name}", f"class/block/{name}", f"dev/block/{MAJOR}:{number}"):
            _link(root / "sys" / link, f"{_KERNEL}/{name}")


def publish_content(root: Path, number: int) -> None:
    """Writes udev's data of what is on a loop device of an instance, or deletes it."""
    name, device = f"loop{number}", (MAJOR, number)
    if inner_loops.backing_file(number) is not None:
        _udev(root, "", name, device, f"/dev/{name}", "")
    else:
        _relink(root, name, {})
        (root / "run/udev/data" / f"b{MAJOR}:{number}").unlink(missing_ok=True)


def withdraw(root: Path, disk: Disk) -> None:
    """Makes an instance forget a disk."""
    _forget(root, disk.name, set())
    _forget_one(root, root / "sys/block" / disk.name)


def _forget(root: Path, disk: str, kept: set[str]) -> None:
    """Forgets the partitions of a disk that are not to be kept."""
    for entry in (root / "sys/block" / disk).glob(f"{disk}*"):
        if entry.name not in kept:
            _forget_one(root, entry)


def _forget_one(root: Path, entry: Path) -> None:
    number = (entry / "dev").read_text().strip()
    (root / "sys/dev/block" / number).unlink(missing_ok=True)
    (root / "sys/class/block" / entry.name).unlink(missing_ok=True)
    (root / "run/udev/data" / f"b{number}").unlink(missing_ok=True)
    (root / "dev" / entry.name).unlink(missing_ok=True)
    _relink(root, entry.name, {})
    shutil.rmtree(entry)


def _show(
    root: Path,
    entry: Path,
    device: tuple[int, int],
    size: int,
    values: Mapping[str, object],
    kernels: str,
) -> None:
    """Makes the node of a disk or partition, and its folder in /sys.

    :param kernels: its folder in the kernel's own /sys/devices/virtual/block
    """
    number = f"{device[0]}:{device[1]}"
    node = root / "dev" / entry.name
    if not node.exists() or node.stat().st_rdev != os.makedev(*device):
        linux.make_block_node(node, device)
        os.chown(node, 0, DISK_GROUP)
    kind = "disk" if entry.parent.name == "block" else "partition"
    own = {
        "dev": number, "size": size // SECTOR, "ro": 0, "removable": 0, "alignment_offset": 0,
        "uevent": f"MAJOR={device[0]}\nMINOR={device[1]}\nDEVNAME={entry.name}\nDEVTYPE={kind}",
    }  # fmt: skip
    for name, value in {**own, **values}.items():
        (entry / name).parent.mkdir(parents=True, exist_ok=True)
        (entry / name).write_text(f"{value}\n")
    for folder in ("holders", "slaves"):
        (entry / folder).mkdir(exist_ok=True)
    _link(entry / "stat", f"{_KERNEL}/{kernels}/stat")
    below = f"../../{entry.relative_to(root / 'sys')}"
    _link(root / "sys/dev/block" / number, below)
    _link(root / "sys/class/block" / entry.name, below)
    _link(entry / "subsystem", "/sys/class/block")


def _udev(
    root: Path, serial: str, name: str, device: tuple[int, int], path: str, suffix: str
) -> None:
    """Writes udev's data of a block device, and the links in /dev/disk that follow of it."""
    found = probe(path)
    values = {_UDEV[key]: value for key, value in found.items() if key in _UDEV}
    links = {
        "by-uuid": found.get("UUID"),
        "by-label": _encoded(found["LABEL"]) if found.get("LABEL") else None,
        "by-partuuid": found.get("PART_ENTRY_UUID"),
    }
    if serial:
        whole = f"{MODEL.replace(' ', '_')}_{serial}"
        values |= {"ID_SERIAL": whole, "ID_SERIAL_SHORT": serial, "ID_MODEL": MODEL}
        links["by-id"] = f"nvme-{whole}{suffix}"
    made = {f"{folder}/{link}": f"../../{name}" for folder, link in links.items() if link}
    _relink(root, name, made)
    if "ID_FS_LABEL" in values:
        values["ID_FS_LABEL_ENC"] = _encoded(values["ID_FS_LABEL"])
    if "ID_FS_UUID" in values:
        values["ID_FS_UUID_ENC"] = values["ID_FS_UUID"]
    lines = [f"S:disk/{link}\n" for link in made]
    lines += [f"E:{key}={value}\n" for key, value in values.items()]
    data = root / "run/udev/data" / f"b{device[0]}:{device[1]}"
    data.parent.mkdir(parents=True, exist_ok=True)
    new = data.with_suffix(".new")
    new.write_text(f"I:1\n{''.join(lines)}G:systemd\n")
    new.rename(data)


def _relink(root: Path, name: str, wanted: Mapping[str, str]) -> None:
    """Makes the links to a node in /dev/disk those wanted; one that another node has, it keeps."""
    folder = root / "dev/disk"
    for link in folder.glob("by-*/*"):
        target = os.readlink(link)
        if target.rpartition("/")[2] == name and str(link.relative_to(folder)) not in wanted:
            link.unlink()
    for link_name, target in wanted.items():
        (folder / link_name).parent.mkdir(parents=True, exist_ok=True)
        _link(folder / link_name, target)


def _link(link: Path, target: str) -> None:
    with contextlib.suppress(FileExistsError):
        link.symlink_to(target)


def probe(path: str) -> dict[str, str]:
    """Answers what is on a block device, by blkid's names."""
    text = run(["sh", "-c", 'blkid -p -o export "$1" || [ $? -eq 2 ]', "sh", path])
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key: value.replace("\\ ", " ") for key, _, value in pairs}


def _encoded(label: str) -> str:
    """Writes a label as udev does: what could do harm in a path as hex."""
    return "".join(
        char
        if char.isalnum() or char in "#+-.:=@_"
        else "".join(f"\\x{b:02x}" for b in char.encode())
        for char in label
    )
