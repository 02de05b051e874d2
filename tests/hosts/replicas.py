"""What the tests of replication by rsync share: data, and whether replicas are true."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ec2_sandbox import Sandbox

from tests.hosts.helpers import wait_until
from tests.hosts.trees import tell
from tests.sandbox.conftest import REGIONS, World, instance
from tests.sandbox.replicas import EAST, WEST
from tests.sandbox.test_temporary import things

ROOT = {"device": "/dev/sda1", "size": 2, "tags": {"snapback:exclude": ""}}
DATA = {"device": "/dev/sdf", "size": 1, "filesystem": "ext4", "mount_point": "/data"}
LEG = ("rsync_region", EAST, WEST)
SETTINGS: dict[str, Any] = {"temporary": {"source_cidr": "203.0.113.7/32"}}
ZEROS = bytes(1 << 20)
FILL = """
cd /data
mkdir -p 'a folder' "it's" empty
head -c 300000 /dev/urandom >'a folder/$(touch ran)'
ln 'a folder/$(touch ran)' "it's/-hard"
ln -s '../nowhere' it\\'s/soft
truncate -s 5M sparse
printf x | dd of=sparse bs=1 seek=3000000 conv=notrunc status=none
setfattr -n user.colour -v blue empty
chown 1234:4321 empty
sync
"""


def replicas(world: World, region: str) -> list[dict[str, Any]]:
    """What is in a region that could be taken for a replica: that has a source, and is no error."""
    return [
        snapshot
        for snapshot in world.snapshots(region)
        if "snapback:source" in world.tags(snapshot) and snapshot["State"] != "error"
    ]


def content(sandbox: Sandbox, snapshot_id: str) -> list[str]:
    """All that a snapshot holds: of file systems each entry, of anything else a hash."""
    image = sandbox.hosts.snapshot_image(snapshot_id)
    probe = ["blkid", "-p", "-o", "value", "-s", "TYPE", "-s", "PTTYPE", str(image)]
    kind = subprocess.run(probe, capture_output=True, text=True, check=False).stdout.strip()
    if kind not in ("ext4", "xfs", "btrfs", "gpt"):
        return list(blocks(image))
    options = "ro,nouuid" if kind == "xfs" else "ro"
    partition = 1 if kind == "gpt" else None
    with sandbox.hosts.mounted(snapshot_id, options, partition) as folder:
        return list(tell(str(folder)))


def blocks(image: Path) -> Iterator[str]:
    """What of an image isn't zeros."""
    with image.open("rb") as file:
        for number, block in enumerate(iter(lambda: file.read(len(ZEROS)), b"")):
            if block != ZEROS:
                yield f"{number} {hashlib.sha256(block).hexdigest()}"


def demand_exact(sandbox: Sandbox, world: World, *regions: str) -> int:
    """Demand that every replica in some regions holds what its source does; say how many there are.

    :param regions: none named: all.
    """
    sandbox.complete_all()
    count = 0
    for region in regions or REGIONS:
        for replica in replicas(world, region):
            source = world.tags(replica)["snapback:source"]
            assert content(sandbox, replica["SnapshotId"]) == content(sandbox, source)
            count += 1
    return count


def demand_nothing_left(world: World, before: dict[str, list[str]]) -> None:
    """Demand that there is nothing besides what there was: instances that end have their time."""
    wait_until(lambda: everything(world) == before, f"nothing left but {before}")


def everything(world: World) -> dict[str, list[str]]:
    """Whatever there is that somebody has to pay or to clear away, by region."""
    return {region: sorted(things(world, region)) for region in REGIONS}


@dataclass
class Fleet:
    """A fleet with data, and all there is in the world beside snapshots."""

    sandbox: Sandbox
    world: World
    fab: Any
    ids: dict[str, Any]
    before: dict[str, list[str]]

    def shell(self, script: str, name: str = "web") -> str:
        """Run a shell script on an instance."""
        ids = next(region[name] for region in self.ids.values() if name in region)
        code, said, complaint = self.sandbox.hosts.run(ids["instance_id"], script)
        assert code == 0, complaint
        return str(said)

    def back_up(self) -> None:
        assert self.fab("backup_instances_by_tag", "--synchronously").code == 0

    def demand(self, count: int, *regions: str) -> None:
        """Demand that there are so many replicas, each exact, and nothing temporary."""
        assert demand_exact(self.sandbox, self.world, *regions) == count
        demand_nothing_left(self.world, self.before)


def web(*more: dict[str, Any], name: str = "web", **changed: Any) -> dict[str, Any]:
    return instance(name, volumes=[ROOT, {**DATA, **changed}, *more])
