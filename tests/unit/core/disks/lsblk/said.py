"""What ssh/layout.sh prints on a host, put together from the parts of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

FOLDER = Path(__file__).parent


def printed(host: str) -> str:
    """Return what lsblk prints on one of the hosts of ``make.py``."""
    return (FOLDER / f"{host}.json").read_text(encoding="utf-8", errors="surrogateescape")


def mountinfo(*mounts: tuple[str, str, str, str], options: str = "rw") -> str:
    """Return lines of mountinfo: each with number, mount point, kind and source."""
    lines = (
        f"{n} 1 {number} / {point} rw shared:{n} - {kind} {source} {options}\n"
        for n, (number, point, kind, source) in enumerate(mounts)
    )
    return "".join(lines)


def said(
    lsblk: str,
    *,
    mounted: Iterable[str] = (),
    mounts: str = "",
    loops: Mapping[str, tuple[str, str]] | None = None,
    writers: Iterable[str] = (),
) -> str:
    """Return the whole answer.

    :param loops: a loop device's number -> its file, and the number of the device that it is on.
    """
    told = [
        {"name": "x", "maj:min": f"  {number}  ", "back-file": file, "back-maj:min": f" {on} "}
        for number, (file, on) in (loops or {}).items()
    ]
    sections = (
        *("[mounted]", *mounted),
        *("[mounts]", mounts),
        *("[loops]", json.dumps({"loopdevices": told}, indent=3) if told else ""),
        *("[writers]", *writers, "[end]"),
    )
    return "\n".join([lsblk, *sections, ""])
