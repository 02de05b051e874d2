"""A disk's partition table: what sfdisk says of it, and what it takes to have the same; pure.

Source: sfdisk(8), "Dump format".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from snapback.core.disks.devices import BlockDevice

BOOT_CODE = 440
"""So many bytes at a disk's begin are the boot code, before the table of an MBR."""
LARGEST_GAP = 8 << 20
_CONTAINERS = {"5", "f", "85"}
_AT_END_OF_GPT = 33
_GPT_ENTRY = 128
_LINE = re.compile(r"^(?P<node>\S+) : (?P<fields>.*)$")
_NUMBER = re.compile(r"(\d+)\Z")


@dataclass(frozen=True)
class Partition:
    """A partition. Start and size in bytes."""

    number: int
    start: int
    size: int


@dataclass(frozen=True, kw_only=True)
class Table:
    """A partition table.

    :ivar label: its kind, ``gpt`` or ``dos``.
    :ivar script: what sfdisk makes the same one of, on a disk of whatever size.
    :ivar partitions: those with something in them, by number; not the containers of others.
    :ivar gap: the bytes from where to where there may be something before the first partition,
        as GRUB's second part; the boot code comes besides.
    """

    label: str
    script: str
    partitions: tuple[Partition, ...]
    gap: tuple[int, int]
    end: int

    def fits(self, size: int) -> bool:
        """Answer whether a disk of so many bytes has room for it."""
        return size >= self.end


def read_dump(text: str) -> Table:
    """Answer the table that ``sfdisk --dump`` tells.

    :raises ValueError: it can't be read.
    """
    header, partitions, script = {}, [], []
    end = 0
    for line in text.splitlines():
        match = _LINE.match(line)
        if not match:
            key, _, value = line.partition(":")
            header[key.strip()] = value.strip()
            if key not in ("last-lba", "device"):
                script.append(line)
            continue
        number = _NUMBER.search(match["node"])
        if not number:
            raise ValueError(f"sfdisk's answer has no number in {line!r}")
        script.append(f"{number[1]} : {match['fields']}")
        sector = int(header.get("sector-size", "512"))
        part = Partition(
            int(number[1]), *(_field(match["fields"], name) * sector for name in ("start", "size"))
        )
        end = max(end, part.start + part.size)
        if not (header.get("label") == "dos" and _type(match["fields"]) in _CONTAINERS):
            partitions.append(part)
    if header.get("label") not in ("gpt", "dos"):
        raise ValueError(f"sfdisk's answer can't be read: {text[:100]!r}")
    sector = int(header.get("sector-size", "512"))
    is_gpt = header["label"] == "gpt"
    first = min((part.start for part in partitions), default=0)
    entries = int(header.get("table-length", "128")) * _GPT_ENTRY
    begin = 2 * sector + entries if is_gpt else sector
    return Table(
        label=header["label"],
        script="\n".join(script) + "\n",
        partitions=tuple(sorted(partitions, key=lambda part: part.number)),
        gap=(begin, max(begin, first)),
        end=end + (_AT_END_OF_GPT * sector if is_gpt else 0),
    )


def _field(fields: str, name: str) -> int:
    match = re.search(rf"\b{name}=\s*(\d+)", fields)
    if not match:
        raise ValueError(f"sfdisk's answer has no {name} in {fields!r}")
    return int(match[1])


def _type(fields: str) -> str:
    match = re.search(r"\btype=\s*([0-9A-Fa-f-]+)", fields)
    return match[1].lower() if match else ""


def node_of(disk: str, number: int) -> str:
    """Answer the path of a partition's node."""
    return f"{disk}p{number}" if disk[-1].isdigit() else f"{disk}{number}"


def used_by(path: str, blocks: tuple[BlockDevice, ...]) -> str:
    """Answer what uses a device, or something on it, in words; ``""`` if nothing does.

    :raises ValueError: there is no such device.
    """
    by_number = {block.maj_min: block for block in blocks}
    waiting = [block for block in blocks if block.path == path]
    if not waiting:
        raise ValueError(f"there is no {path}")
    while waiting:
        block = waiting.pop()
        if block.mount_points:
            return f"{block.path} is mounted on {block.mount_points[0]}"
        if block.is_swap:
            return f"{block.path} is swapped to"
        if block.mounted_elsewhere:
            return f"{block.path} is mounted in a container"
        if block.type not in ("disk", "part", "loop"):
            return f"{block.path} ({block.type}) is on it"
        waiting += [by_number[number] for number in block.children]
    return ""
