"""btrfs: what its tools say of one, and the mkfs.btrfs that makes another like it.

Source: btrfs-inspect-internal(8), btrfs-filesystem(8), btrfs-subvolume(8), mkfs.btrfs(8).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from snapback.core.disks.answers import number, uuid, word
from snapback.core.disks.filesystems import Shape

READ = ("btrfs", "inspect-internal", "dump-super")
"""What is run for :func:`read_btrfs`, with the device at its end."""
READ_PROFILES = ("btrfs", "filesystem", "df")
"""What is run besides, with the mount point at its end."""
READ_SUBVOLUMES = ("btrfs", "subvolume", "list")
"""The same."""
READ_FEATURES = ("sh", "-c", "mkfs.btrfs -O list-all 2>&1; echo; mkfs.btrfs -R list-all 2>&1")
"""What is run where one is to be made: mkfs' own features."""

_NAMES = {
    "MIXED_GROUPS": "mixed-bg",
    "EXTENDED_IREF": "extref",
    "SKINNY_METADATA": "skinny-metadata",
    "NO_HOLES": "no-holes",
    "FREE_SPACE_TREE": "free-space-tree",
    "BLOCK_GROUP_TREE": "block-group-tree",
}
_BY_DEFAULT = ("extref", "skinny-metadata", "no-holes", "free-space-tree", "block-group-tree")
_MOMENTARY = frozenset({"FREE_SPACE_TREE_VALID", "BIG_METADATA"})
_OPAQUE = {
    "COMPRESS_LZO": "its files may be compressed",
    "COMPRESS_ZSTD": "its files may be compressed",
    "DEFAULT_SUBVOL": "it has subvolumes",
    "METADATA_UUID": "its UUID was changed",
    "EXTENT_TREE_V2": "it is of an experimental kind",
    "RAID_STRIPE_TREE": "it is of an experimental kind",
    "SIMPLE_QUOTA": "it has quotas",
    "VERITY": "its files may be under fs-verity",
    "ZONED": "it is zoned",
}
_PROFILE = re.compile(r"^(Data|Metadata|System|Data\+Metadata), ([A-Za-z0-9]+):", re.MULTILINE)


def read_btrfs(dump: str, profiles: str, subvolumes: str, label: str) -> Shape:
    """Answer what the three commands say.

    :raises ValueError: it can't be read.
    """
    said = dict(_values(dump))
    try:
        flags = (_flags(dump, "compat_ro") | _flags(dump, "incompat")) - _MOMENTARY
        kinds = {(kind, profile.lower()) for kind, profile in _PROFILE.findall(profiles)}
        size = number(said["dev_item.total_bytes"])
        checksum = word(said["csum_type"].partition("(")[2].strip(")"))
        return Shape(
            fs_type="btrfs",
            uuid=uuid(said["fsid"]),
            label=label,
            size=size,
            features=frozenset(
                {
                    *flags,
                    f"nodesize={number(said['nodesize'])}",
                    f"sectorsize={number(said['sectorsize'])}",
                    f"checksum={checksum}",
                    *(f"{kind}: {profile}" for kind, profile in kinds),
                }
            ),
            make=_make(said, label, size, checksum, dict(kinds)),
            opaque=_why_opaque(said, flags, subvolumes, kinds),
        )
    except (KeyError, ValueError) as error:
        raise ValueError(f"btrfs' answer can't be read ({error}): {dump[:100]!r}") from error


def _values(dump: str) -> Iterator[tuple[str, str]]:
    for line in dump.splitlines():
        key, _, value = line.partition("\t")
        if key and value:
            yield key.strip(), value.strip().removesuffix(" [match]")


def _flags(dump: str, which: str) -> set[str]:
    match = re.search(rf"^{which}_flags\s+0x[0-9a-f]+\s*\n\s*\(([^)]*)\)", dump, re.MULTILINE)
    return set(match[1].replace("|", " ").split()) if match else set()


def _why_opaque(
    said: Mapping[str, str], flags: set[str], subvolumes: str, kinds: set[tuple[str, str]]
) -> str:
    if said["num_devices"] != "1":
        return "it is on several devices"
    if subvolumes.strip():
        return "it has subvolumes"
    if len(kinds) != len(dict(kinds)):
        return "it has several profiles"
    return next((_OPAQUE[flag] for flag in sorted(flags) if flag in _OPAQUE), "")


def _make(
    said: Mapping[str, str], label: str, size: int, checksum: str, kinds: Mapping[str, str]
) -> tuple[str, ...]:
    mixed = kinds.get("Data+Metadata")
    return (
        *("mkfs.btrfs", "-q", "-f", "-K", "-U", uuid(said["fsid"]), "-L", label, "-b", str(size)),
        *("-n", str(number(said["nodesize"])), "-s", str(number(said["sectorsize"]))),
        *("--csum", checksum),
        *("-d", mixed or kinds["Data"], "-m", mixed or kinds["Metadata"]),
    )


def feature_options(features: Collection[str], list_all: str) -> tuple[str, ...]:
    """Answer the options of a mkfs.btrfs that give a file system just those features.

    :param list_all: what :data:`READ_FEATURES` answers: in the order of the two options.
    """
    wanted = {_NAMES[flag] for flag in features if flag in _NAMES}
    options: list[str] = []
    done: set[str] = set()
    for option, part in zip(("-O", "-R"), list_all.split("\n\n", 1), strict=False):
        known = set(re.findall(r"^([a-z0-9-]+) +-", part, re.MULTILINE)) - done
        said = [one for one in sorted(wanted) if one in known]
        said += [f"^{one}" for one in _BY_DEFAULT if one in known and one not in wanted]
        options += [option, ",".join(said)] if said else []
        done |= known
    return tuple(options)
