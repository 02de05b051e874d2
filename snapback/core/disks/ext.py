"""ext2, ext3 and ext4: what dumpe2fs says of one, and the mke2fs that makes another like it.

Source: dumpe2fs(8), mke2fs(8), tune2fs(8), ext4(5).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from snapback.core.disks.answers import NO_UUID, number, uuid, word
from snapback.core.disks.filesystems import Shape

READ = ("dumpe2fs", "-h")
"""What is run for :func:`read_ext`, with the device at its end."""

_MOMENTARY = frozenset({"needs_recovery", "orphan_present"})
_OPAQUE = {
    "encrypt": "its files may be encrypted by fscrypt",
    "verity": "its files may be under fs-verity",
    "casefold": "its names may differ in case only by rules of its own",
    "quota": "it has quotas",
    "project": "its files may belong to projects",
    "journal_dev": "it is a journal",
    "shared_blocks": "its files share blocks",
}
_MOUNT_OPTIONS = (
    "bsdgroups",
    "user_xattr",
    "acl",
    "uid16",
    "nobarrier",
    "block_validity",
    "discard",
    "nodelalloc",
)
_JOURNAL_DATA = frozenset({"journal_data", "journal_data_ordered", "journal_data_writeback"})
_ERRORS = {"Continue": "continue", "Remount read-only": "remount-ro", "Panic": "panic"}
_UNITS = {"": 1, "k": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def read_ext(text: str, fs_type: str, label: str) -> Shape:
    """Answer what ``dumpe2fs -h`` says.

    :raises ValueError: it can't be read.
    """
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    said = {key.strip(): value.strip() for key, _, value in pairs}
    try:
        block = number(said["Block size"], least=1)
        given = set(said["Filesystem features"].split()) - _MOMENTARY - {"(none)"}
        features = {word(one) for one in given}
        has_uuid = said["Filesystem UUID"] not in NO_UUID
        return Shape(
            fs_type=fs_type,
            uuid=said["Filesystem UUID"],
            label=label,
            size=number(said["Block count"]) * block,
            features=frozenset(
                {*features, f"block size={block}", f"inode size={number(said['Inode size'])}"}
            ),
            make=_make(said, fs_type, label, features) if has_uuid else (),
            make_size=(str(number(said["Block count"])),),
            tune=(_tune(said),),
            opaque=_why_opaque(said, features) if has_uuid else "it has no UUID",
        )
    except (KeyError, ValueError) as error:
        raise ValueError(f"dumpe2fs' answer can't be read ({error}): {text[:100]!r}") from error


def _why_opaque(said: Mapping[str, str], features: set[str]) -> str:
    if "dynamic" not in said["Filesystem revision #"]:
        return "it is of revision 0"
    if "Journal device" in said or "Journal UUID" in said:
        return "its journal is on another device"
    return next((_OPAQUE[one] for one in sorted(features) if one in _OPAQUE), "")


def _make(said: Mapping[str, str], fs_type: str, label: str, features: set[str]) -> tuple[str, ...]:
    extended = ["nodiscard", "lazy_itable_init=1", "lazy_journal_init=1"]
    for name, option in (("RAID stride", "stride"), ("RAID stripe width", "stripe_width")):
        if name in said:
            extended.append(f"{option}={number(said[name])}")
    if "Directory Hash Seed" in said:
        extended.append(f"hash_seed={uuid(said['Directory Hash Seed'])}")
    by_cluster = "Cluster size" in said
    numbers = {
        "-b": "Block size",
        "-I": "Inode size",
        "-N": "Inode count",
        **({"-C": "Cluster size"} if by_cluster else {"-g": "Blocks per group"}),
        **({"-G": "Flex block group size"} if "Flex block group size" in said else {}),
    }
    options = [each for o, name in numbers.items() for each in (o, str(number(said[name])))]
    if "has_journal" in features and (megabytes := _journal_megabytes(said)):
        options += ["-J", f"size={megabytes}"]
    return (
        *("mke2fs", "-q", "-F", "-t", fs_type, "-O", ",".join(["none", *sorted(features)])),
        *options,
        *("-m", "0", "-U", uuid(said["Filesystem UUID"]), "-L", label, "-E", ",".join(extended)),
    )


def _journal_megabytes(said: Mapping[str, str]) -> int:
    """Answer the size of the journal, 0 where it isn't in whole megabytes."""
    text = said.get("Total journal size") or said.get("Journal size", "")
    match = re.fullmatch(r"([0-9]{1,18})([kMG]?)", text)
    size = int(match[1]) * _UNITS[match[2]] if match else 0
    return size >> 20 if size % (1 << 20) == 0 else 0


def _tune(said: Mapping[str, str]) -> tuple[str, ...]:
    given = said.get("Default mount options", "").split()
    mount_options = [one if one in given else f"^{one}" for one in _MOUNT_OPTIONS]
    mount_options += [one for one in given if one in _JOURNAL_DATA]
    mounts = said["Maximum mount count"]
    return (
        *("tune2fs", "-r", str(number(said["Reserved block count"]))),
        *("-u", _first_number(said["Reserved blocks uid"])),
        *("-g", _first_number(said["Reserved blocks gid"])),
        *("-c", mounts if mounts == "-1" else str(number(mounts))),
        *("-i", f"{_first_number(said['Check interval'])}s"),
        *("-e", _ERRORS.get(said["Errors behavior"], "continue")),
        *("-o", ",".join(mount_options)),
    )


def _first_number(text: str) -> str:
    return str(number(text.partition(" ")[0]))
