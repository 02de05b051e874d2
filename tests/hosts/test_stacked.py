"""File systems in files of other ones: what a consistent snapshot of the lowest one holds."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ec2_sandbox import Sandbox

from tests.hosts.helpers import moment_of, writing
from tests.hosts.test_consistent import UNREPLAYED, data_volume
from tests.sandbox.conftest import instance

FOLDERS = ("/data", "/pool", "/pool/a b/deep")
STACK = r"""
set -e
pool=$1 deep=$2
truncate -s 900M "/data/pool \$(x).img"
mkfs."$pool" -q "/data/pool \$(x).img"
mkdir /pool; mount -o loop "/data/pool \$(x).img" /pool
mkdir -p "/pool/a b/deep"
truncate -s 400M /pool/deep.img
mkfs."$deep" -q /pool/deep.img
mount -o loop /pool/deep.img "/pool/a b/deep"
"""
KINDS = [("ext4", "ext4", "xfs"), ("btrfs", "xfs", "ext4"), ("xfs", "btrfs", "ext4")]


@contextmanager
def opened(folder: Path, file: str, kind: str, below: Path) -> Iterator[Path]:
    """Mount the file system in a file, without replaying its journal."""
    below.mkdir()
    words = ["mount", "-o", f"loop,{UNREPLAYED[kind]}", str(folder / file), str(below)]
    subprocess.run(words, check=True, capture_output=True)
    try:
        yield below
    finally:
        subprocess.run(["umount", str(below)], check=True)


def records(folder: Path) -> list[int]:
    file = folder / "records"
    lines = file.read_bytes().split(b"\n")[:-1] if file.exists() else []
    return [int(line) for line in lines]


@pytest.mark.parametrize("kinds", KINDS, ids="-".join)
def test_every_acknowledged_record_is_there_however_deep(
    sandbox: Sandbox, load, fab, world, reachable, tmp_path, kinds
):
    reachable()
    ids = load(instance("web", volumes=[{"device": "/dev/sda1", "size": 4}, data_volume(kinds[0])]))
    web: Any = ids["web"]
    words = ["sh", "-c", STACK, "stack", *kinds[1:]]
    code, _, err = sandbox.hosts.run(web["instance_id"], words)
    assert code == 0, err
    with writing(sandbox, web["instance_id"], *(f"{one}/records" for one in FOLDERS)) as writer:
        foreseen = fab("backup_instances_by_tag", "--consistent", "--dry-run")
        assert f"freeze {FOLDERS[2]}, {FOLDERS[1]}, {FOLDERS[0]}, /" in foreseen.out
        ended = fab("backup_instances_by_tag", "--consistent", "--json")
        assert ended.code == 0, ended
        acknowledged = writer.acknowledged(moment_of(sandbox, "CreateSnapshots"))
        assert writer.acknowledged() >= acknowledged > 0
    (data,) = (s for s in world.snapshots() if s["VolumeId"] == web["volumes"]["/dev/sdf"])
    assert world.tags(data)["snapback:consistency"] == "filesystem"
    with (
        sandbox.hosts.mounted(data["SnapshotId"], UNREPLAYED[kinds[0]]) as lowest,
        opened(Path(lowest), "pool $(x).img", kinds[1], tmp_path / "pool") as pool,
        opened(pool, "deep.img", kinds[2], tmp_path / "deep") as deep,
    ):
        for folder in (Path(lowest), pool, deep):
            assert records(folder)[:acknowledged] == list(range(1, acknowledged + 1))
