"""XFS: what xfs_info says of one, and the mkfs.xfs that makes another like it.

Source: xfs_info(8), mkfs.xfs(8), xfs_db(8).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from snapback.core.disks.answers import NO_UUID, number, uuid
from snapback.core.disks.filesystems import Shape

READ = ("xfs_info",)
"""What is run for :func:`read_xfs`, with the mount point at its end."""
READ_QUOTAS = ("xfs_db", "-r", "-c", "sb 0", "-c", "p qflags")
"""What is run besides, with the device at its end."""

_SECTION = re.compile(r"^(meta-data|data|naming|log|realtime)\s*=(.*)")
_PAIR = re.compile(r"([a-z0-9-]+)=\s*([0-9]{1,18})\b")
_SIZES = {"agcount", "blocks", "agsize", "rtextents", "rgcount", "rgsize"}
_OF_METADATA = ("crc", "finobt", "rmapbt", "reflink", "bigtime", "inobtcount", "metadir")
_OF_INODES = ("sparse", "nrext64", "exchange")


def read_xfs(text: str, quotas: str, fs_uuid: str, label: str) -> Shape:
    """Answer what ``xfs_info`` of a mount point, and ``xfs_db`` of the quotas, say.

    :raises ValueError: it can't be read.
    """
    said, words = _read(text)
    try:
        block = number(said["data bsize"], least=1)
        has_uuid = fs_uuid not in NO_UUID
        return Shape(
            fs_type="xfs",
            uuid=fs_uuid,
            label=label,
            size=int(said["data blocks"]) * block,
            features=frozenset(
                {
                    f"{key.removeprefix('data ')}={value}"
                    for key, value in said.items()
                    if key.split()[-1] not in _SIZES
                }
            ),
            make=_make(said, uuid(fs_uuid), label) if has_uuid else (),
            opaque=_why_opaque(words, quotas) if has_uuid else "it has no UUID",
        )
    except (KeyError, ValueError) as error:
        raise ValueError(f"xfs_info's answer can't be read ({error}): {text[:100]!r}") from error


def _read(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Answer all numbers by section and name, and what each section begins with."""
    said: dict[str, str] = {}
    words: dict[str, str] = {}
    section = ""
    for line in text.splitlines():
        match = _SECTION.match(line)
        if match:
            section = match[1]
            words[section] = match[2].strip()
        rest = match[2] if match else line.strip().removeprefix("=")
        if section == "naming" and (version := re.match(r"version\s+(\d+)", rest)):
            said["naming version"] = version[1]
        for key, value in _PAIR.findall(rest):
            name = key if section == "meta-data" else f"{section} {key}"
            said[name] = value
    return said, words


def _why_opaque(words: Mapping[str, str], quotas: str) -> str:
    if not words["log"].startswith("internal"):
        return "its log is on another device"
    if not words["realtime"].startswith("none"):
        return "it has a realtime section"
    match = re.search(r"qflags = (0x)?([0-9a-f]{1,16})\b", quotas)
    if not match:
        raise ValueError(f"of quotas, xfs_db says {quotas[:100]!r}")
    return "it has quotas" if int(match[2], 16) else ""


def _make(said: Mapping[str, str], fs_uuid: str, label: str) -> tuple[str, ...]:
    block = int(said["data bsize"])
    v5 = said["crc"] == "1"
    metadata = [f"{one}={said[one]}" for one in _OF_METADATA if one in said]
    inodes = [f"size={said['isize']}", f"maxpct={said['data imaxpct']}"]
    inodes += [f"{one}={said[one]}" for one in _OF_INODES if one in said]
    naming = [f"size={said['naming bsize']}"]
    naming += ["version=ci"] if said.get("naming ascii-ci") == "1" else []
    naming += [f"parent={said['naming parent']}"] if "naming parent" in said else []
    log = [f"size={int(said['log blocks']) * block}", f"version={said['log version']}"]
    log += [f"lazy-count={said['log lazy-count']}"]
    if int(said.get("log sunit", 0)):
        log.append(f"sunit={int(said['log sunit']) * block // 512}")
    if not v5:
        metadata = ["crc=0", *(one for one in metadata if one.startswith("finobt"))]
        inodes += [f"attr={said['attr']}", f"projid32bit={said['projid32bit']}"]
        inodes = [one for one in inodes if not one.startswith(_OF_INODES)]
        naming += [f"ftype={said['naming ftype']}"]
    return (
        *("mkfs.xfs", "-q", "-f", "-K", "-b", f"size={block}", "-s", f"size={said['sectsz']}"),
        *("-m", ",".join([*metadata, f"uuid={fs_uuid}"]), "-i", ",".join(inodes)),
        *("-d", ",".join(_of_data(said, block)), "-n", ",".join(naming), "-l", ",".join(log)),
        *(("-L", label) if label else ()),
    )


def _of_data(said: Mapping[str, str], block: int) -> list[str]:
    size = f"size={int(said['data blocks']) * block}"
    groups = f"agsize={int(said['agsize']) * block}"
    if not int(said["data sunit"]):
        return [size, groups, "noalign"]
    unit, width = (int(said[f"data {one}"]) * block // 512 for one in ("sunit", "swidth"))
    return [size, groups, f"sunit={unit}", f"swidth={width}"]
