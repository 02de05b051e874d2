"""What a file system is like, from what its tools answer, and what makes another one like it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from snapback.core.disks.btrfs import feature_options, read_btrfs
from snapback.core.disks.ext import read_ext
from snapback.core.disks.filesystems import (
    AUTOMATIC,
    Found,
    differences,
    grow_command,
    grow_unmounted,
    label_command,
    mount_options,
    read_blkid,
)
from snapback.core.disks.xfs import read_xfs

UUID = "11111111-1111-4111-8111-111111111111"


def answer(name: str) -> str:
    return Path(__file__).with_name("answers").joinpath(name).read_text(encoding="utf-8")


def ext(name: str):
    return read_ext(answer(name), name.partition(".")[0][:4], "a b")


def xfs(name: str = "xfs.txt", quotas: str = "qflags = 0"):
    return read_xfs(answer(name), quotas, UUID, "root")


def btrfs(dump: str = "", profiles: str = "", subvolumes: str = ""):
    return read_btrfs(
        dump or answer("btrfs.txt"), profiles or answer("btrfs-profiles.txt"), subvolumes, "a b"
    )


def option(command: tuple[str, ...], name: str) -> str:
    return command[command.index(name) + 1]


@pytest.mark.parametrize(
    ("text", "returncode", "found"),
    [
        ("", 2, Found(size=9)),
        ("TYPE=ext4\nUUID=u\nLABEL=a\\ b\n", 0, Found(size=9, fs_type="ext4", uuid="u")),
        ("PTTYPE=gpt\nPTUUID=x\n", 0, Found(size=9, table="gpt")),
        ("", 8, Found(size=9, is_ambivalent=True)),
        ("TYPE=LVM2_member\nUUID=a-b\n", 0, Found(size=9, fs_type="LVM2_member", uuid="a-b")),
    ],
)
def test_what_lies_on_a_device(text: str, returncode: int, found: Found):
    assert read_blkid(text, returncode, 9) == found
    assert found.has_file_system == (found.fs_type == "ext4")
    assert found.has_table == (found.table == "gpt")


def test_a_file_system_with_a_partition_table_beside_it_is_neither():
    both = Found(size=9, fs_type="ext4", table="dos")
    assert not both.has_file_system
    assert not both.has_table


def test_ext4():
    shape = ext("ext4.txt")
    assert (shape.size, shape.uuid, shape.opaque) == (2 << 30, UUID, "")
    assert {"extent", "64bit", "metadata_csum", "block size=4096", "inode size=256"} < (
        shape.features
    )
    features = option(shape.make, "-O").split(",")
    assert features[0] == "none"
    assert set(features[1:]) < shape.features
    assert option(shape.make, "-L") == "a b"
    assert option(shape.make, "-U") == UUID
    assert "hash_seed=22222222-2222-4222-8222-222222222222" in option(shape.make, "-E").split(",")
    assert shape.make_size == (str((2 << 30) // 4096),)


def test_an_ext3_that_was_tuned():
    shape = ext("ext3.txt")
    assert "needs_recovery" not in shape.features
    assert shape.opaque == ""
    assert [option(shape.make, name) for name in ("-t", "-b", "-I", "-J")] == [
        *("ext3", "1024", "128", "size=8"),
    ]
    (tune,) = shape.tune
    assert [option(tune, name) for name in ("-r", "-u", "-g", "-c", "-i", "-e")] == [
        *("18350", "100", "0", "30", "15552000s", "remount-ro"),
    ]
    assert {"^acl", "user_xattr", "journal_data"} < set(option(tune, "-o").split(","))


def test_an_ext4_that_rsync_cannot_move():
    shape = ext("ext4-encrypt.txt")
    assert shape.opaque == "its files may be encrypted by fscrypt"
    assert option(shape.make, "-C") == "65536"
    assert "-g" not in shape.make
    assert {"stride=16", "stripe_width=32"} < set(option(shape.make, "-E").split(","))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("1 (dynamic)", "0 (original)", "it is of revision 0"),
        ("Journal inode:", "Journal UUID:", "its journal is on another device"),
        ("extent 64bit", "extent quota 64bit", "it has quotas"),
        ("extent 64bit", "extent project 64bit", "its files may belong to projects"),
    ],
)
def test_why_an_ext4_is_opaque(old: str, new: str, why: str):
    text = answer("ext4.txt")
    assert old in text
    assert read_ext(text.replace(old, new), "ext4", "").opaque == why


def test_a_label_cannot_pretend_to_be_something_else():
    text = answer("ext4.txt").replace("a b", "x\nBlock size: 1", 1)
    assert read_ext(text, "ext4", "x").size == 2 << 30


def test_xfs_with_stripes():
    shape = xfs()
    assert (shape.size, shape.opaque) == (262016 * 4096, "")
    assert {"isize=1024", "rmapbt=1", "bsize=4096", "sunit=16", "swidth=32"} < shape.features
    assert not any(one.startswith(("agcount", "blocks", "agsize")) for one in shape.features)
    assert option(shape.make, "-d") == (
        f"size={262016 * 4096},agsize={32752 * 4096},sunit=128,swidth=256"
    )
    assert option(shape.make, "-l") == f"size={16384 * 4096},version=2,lazy-count=1,sunit=128"
    assert option(shape.make, "-m").split(",") == [
        *("crc=1", "finobt=1", "rmapbt=1", "reflink=1", "bigtime=1", "inobtcount=1"),
        f"uuid={UUID}",
    ]
    assert option(shape.make, "-L") == "root"


def test_xfs_of_the_old_format():
    make = xfs("xfs-v4.txt").make
    assert option(make, "-m") == f"crc=0,finobt=0,uuid={UUID}"
    assert option(make, "-i") == "size=256,maxpct=25,attr=2,projid32bit=1"
    assert option(make, "-n") == "size=4096,ftype=0"
    assert option(make, "-d").endswith(",noalign")


def test_why_an_xfs_is_opaque():
    assert xfs(quotas="qflags = 0x1f").opaque == "it has quotas"
    text = answer("xfs.txt")
    outside = text.replace("=internal log", "=/dev/sdb    ")
    assert read_xfs(outside, "qflags = 0", UUID, "").opaque == "its log is on another device"
    realtime = text.replace("realtime =none ", "realtime =external")
    assert read_xfs(realtime, "qflags = 0", UUID, "").opaque == "it has a realtime section"


def test_btrfs():
    shape = btrfs()
    assert (shape.size, shape.uuid, shape.opaque) == (1 << 30, UUID, "")
    assert {
        *("EXTENDED_IREF", "FREE_SPACE_TREE", "checksum=xxhash64", "nodesize=16384"),
        *("Data: single", "Metadata: dup", "System: dup"),
    } < shape.features
    assert "NO_HOLES" not in shape.features
    assert "FREE_SPACE_TREE_VALID" not in shape.features
    assert [option(shape.make, name) for name in ("-L", "-b", "--csum", "-d", "-m")] == [
        *("a b", str(1 << 30), "xxhash64", "single", "dup"),
    ]


def test_the_features_that_mkfs_btrfs_is_told():
    known = answer("btrfs-features-6.2.txt")
    assert feature_options(btrfs().features, known) == (
        *("-O", "extref,skinny-metadata,^no-holes", "-R", "free-space-tree"),
    )
    newer = known.replace("\nzoned ", "\nblock-group-tree    - all\nfree-space-tree - tree\nzoned ")
    assert feature_options({"NO_HOLES"}, newer) == (
        "-O",
        "no-holes,^extref,^skinny-metadata,^free-space-tree,^block-group-tree",
    )


def test_why_a_btrfs_is_opaque():
    dump, profiles = answer("btrfs.txt"), answer("btrfs-profiles.txt")
    assert btrfs(subvolumes=answer("btrfs-subvolumes.txt")).opaque == "it has subvolumes"
    assert btrfs(dump.replace("num_devices\t\t1", "num_devices\t\t2")).opaque == (
        "it is on several devices"
    )
    assert btrfs(dump.replace("EXTENDED_IREF", "COMPRESS_ZSTD")).opaque == (
        "its files may be compressed"
    )
    assert btrfs(profiles=profiles + "Data, RAID1: total=1\n").opaque == "it has several profiles"


@pytest.mark.parametrize("read", [lambda: read_ext("", "ext4", ""), lambda: xfs(quotas="")])
def test_an_answer_that_cannot_be_read(read):
    with pytest.raises(ValueError, match=r"can't be read|xfs_db says"):
        read()
    with pytest.raises(ValueError, match="can't be read"):
        btrfs("nothing")


def test_differences():
    shape = ext("ext4.txt")
    older = replace(shape, features=shape.features - {"64bit", "large_file"} | {"uninit_bg"})
    assert differences(shape, shape) == ""
    assert differences(shape, older) == "it lacks 64bit, large_file; it has uninit_bg"
    assert differences(shape, older, AUTOMATIC) == "it lacks 64bit; it has uninit_bg"
    assert "another file system" in differences(shape, replace(shape, uuid="other"))


def test_commands_that_change_one():
    assert grow_command(ext("ext3.txt"), "/dev/x", "/m") == ["resize2fs", "/dev/x", "262144"]
    assert grow_command(xfs(), "/dev/x", "/m") == ["xfs_growfs", "-D", "262016", "/m"]
    assert grow_command(btrfs(), "/dev/x", "/m")[-2:] == [str(1 << 30), "/m"]
    assert [one[0] for one in grow_unmounted(ext("ext4.txt"), "/dev/x")] == ["e2fsck", "resize2fs"]
    assert grow_unmounted(xfs(), "/dev/x") == []
    assert label_command(replace(xfs(), label=""), "/dev/x") == ["xfs_admin", "-L", "--", "/dev/x"]
    assert label_command(ext("ext4.txt"), "/dev/x") == ["e2label", "/dev/x", "a b"]


def test_mount_options():
    """Nothing of a replica is run or obeyed; its journal is replayed; a copy has the same UUID."""
    for fs_type in ("ext2", "ext3", "ext4", "xfs", "btrfs"):
        for read_only in (True, False):
            options = mount_options(fs_type, read_only=read_only).split(",")
            assert options[0] == ("ro" if read_only else "rw")
            assert {"nodev", "nosuid", "noexec"} < set(options)
            assert ("nouuid" in options) == (fs_type == "xfs")
            assert not {"norecovery", "noload", "nologreplay"} & set(options)
