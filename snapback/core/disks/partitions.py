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
_ID = r"(?:0x)?[0-9A-Fa-f-]{1,36}"
_DIGITS = r"[0-9]{1,18}"
_HEADERS = {
    "label": "gpt|dos",
    "label-id": _ID,
    "unit": "sectors",
    "first-lba": _DIGITS,
    "table-length": _DIGITS,
    "grain": _DIGITS,
    "sector-size": _DIGITS,
}
_LEFT_OUT = frozenset({"device", "last-lba"})
_LINE = re.compile(r"\S*(?<![0-9])([0-9]{1,3}) : (.*)")
_FIELD = re.compile(
    rf"""(start|size)=\ *({_DIGITS})
    |(type|uuid)=\ *({_ID})
    |(name)=("(?:[^"\\]|\\.)*")
    |(attrs)=("[A-Za-z0-9:,\ ]*")
    |(bootable)()""",
    re.VERBOSE,
)


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
    """Return the table that ``sfdisk --dump`` prints.

    :raises ValueError: it can't be read, or has something in it that sfdisk doesn't print.
    """
    header: dict[str, str] = {}
    script: list[str] = []
    numbered: list[tuple[int, dict[str, str]]] = []
    for line in filter(None, text.split("\n")):
        if match := _LINE.fullmatch(line):
            numbered.append((int(match[1]), _fields(match[2])))
            script.append(f"{match[1]} : {match[2]}")
            continue
        key, _, value = line.partition(": ")
        if key in _LEFT_OUT:
            continue
        if key not in _HEADERS or not re.fullmatch(_HEADERS[key], value):
            raise ValueError(f"sfdisk's answer can't be read at {line[:100]!r}")
        header[key] = value
        script.append(line)
    if "label" not in header:
        raise ValueError(f"sfdisk's answer can't be read: {text[:100]!r}")
    sector = int(header.get("sector-size", "512"))
    is_gpt = header["label"] == "gpt"
    all_of_them = [
        (Partition(number, *(_bytes(fields, name, sector) for name in ("start", "size"))), fields)
        for number, fields in numbered
    ]
    partitions = [
        part
        for part, fields in all_of_them
        if is_gpt or fields.get("type", "").lower() not in _CONTAINERS
    ]
    end = max((part.start + part.size for part, _ in all_of_them), default=0)
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


def _fields(text: str) -> dict[str, str]:
    """Return the fields of a partition by name.

    :raises ValueError: there is something that is none.
    """
    found: dict[str, str] = {}
    position = 0
    while match := _FIELD.match(text, position):
        name, value = (each for each in match.groups() if each is not None)
        found[name] = value
        position = match.end()
        if position == len(text):
            return found
        comma = re.compile(", *").match(text, position)
        if not comma:
            break
        position = comma.end()
    raise ValueError(f"sfdisk's answer can't be read at {text[position : position + 100]!r}")


def _bytes(fields: dict[str, str], name: str, sector: int) -> int:
    if name not in fields:
        raise ValueError(f"sfdisk's answer has no {name} in {fields!r}")
    return int(fields[name]) * sector


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
        if block.writers:
            return f"{block.path} is open for writing: {block.writers[0]}"
        waiting += [by_number[number] for number in block.children]
    return ""
