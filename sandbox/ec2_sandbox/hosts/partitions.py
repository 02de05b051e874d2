"""Reads a disk's partition table, for kernels that do not."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ec2_sandbox.hosts.programs import PATH

SECTOR = 512
EXTENDED = ("5", "f", "85")


@dataclass(frozen=True)
class Partition:
    """Where a partition lies, in bytes."""

    start: int
    size: int


def read_partitions(path: str) -> dict[int, Partition]:
    """Answers the partitions of a disk, or of an image, by their numbers."""
    if not _has_table(path):
        return {}
    ended = subprocess.run(
        ["sfdisk", "--json", path],
        capture_output=True, env={"PATH": PATH, "LC_ALL": "C"}, check=False,
    )  # fmt: skip
    if ended.returncode != 0:
        return {}
    table = json.loads(ended.stdout)["partitiontable"]
    sector = int(table.get("sectorsize", 512))
    found = {}
    for each in table.get("partitions", ()):
        number = int(each["node"].removeprefix(path).lstrip("p"))
        sectors = each["size"]
        if table["label"] == "dos" and each["type"] in EXTENDED:
            sectors = 2  # so much the kernel shows of what holds the logical ones
        found[number] = Partition(each["start"] * sector, sectors * sector)
    return found


def known_partitions(loop: int) -> dict[int, Partition]:
    """Answers the partitions that the kernel knows of a loop device, by their numbers."""
    found = {}
    for entry in Path(f"/sys/block/loop{loop}").glob(f"loop{loop}p*"):
        start, size = (int((entry / each).read_text()) * SECTOR for each in ("start", "size"))
        found[int((entry / "partition").read_text())] = Partition(start, size)
    return found


def _has_table(path: str) -> bool:
    """Says whether a first sector may belong to a table; saves most disks the program."""
    with open(path, "rb") as disk:
        return disk.read(512)[510:] == b"\x55\xaa"
