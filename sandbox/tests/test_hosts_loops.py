"""Loop devices inside an instance are as on any host; a disk that somebody writes to stays."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from host_helpers import client, needs_hosts, ssh, wait_for

from ec2_sandbox import LaunchedSandbox, launch

pytestmark = needs_hosts
WEB = {
    "name": "web",
    "volumes": [
        {"device": "/dev/sdf", "filesystem": "ext4", "mount_point": "/data"},
        {"device": "/dev/sdg"},
    ],
}
FLEET = {"regions": {"us-east-1": {"instances": [WEB, {"name": "other"}]}}}
STACK = r"""
set -e
truncate -s 200M /data/pool.img; mkfs.ext4 -q -U 11111111-2222-3333-4444-555555555555 /data/pool.img
mkdir -p /pool /inner; mount -o loop /data/pool.img /pool
truncate -s 120M '/pool/a $(b)'; mkfs.btrfs -q '/pool/a $(b)'
mount "$(losetup -P -f --show '/pool/a $(b)')" /inner
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[LaunchedSandbox]:
    with launch(FLEET, hosts=True) as launched:
        yield launched


@pytest.fixture
def ec2(sandbox: LaunchedSandbox) -> Any:
    return client(sandbox)


@pytest.fixture
def web(sandbox: LaunchedSandbox) -> dict[str, Any]:
    found: dict[str, Any] = sandbox.layout["us-east-1"]["web"]
    return found


def inside(sandbox: LaunchedSandbox, command: str, name: str = "web") -> str:
    """Runs a shell's script in an instance; answers what it printed."""
    instance_id = sandbox.layout["us-east-1"][name]["instance_id"]
    code, out, err = sandbox.hosts.run(instance_id, command)
    assert code == 0, err
    return out


def test_they_are_as_on_any_host(sandbox: LaunchedSandbox, ec2: Any, web: dict[str, Any]) -> None:
    inside(sandbox, STACK)
    raw = inside(sandbox, "losetup -r -f --show /dev/nvme2n1").strip()
    sandbox.hosts.settle()
    columns = "NAME,KNAME,PATH,MAJ:MIN,RO,SERIAL,TYPE,FSTYPE,UUID,SIZE,MOUNTPOINTS"
    code, said = ssh(web, f"lsblk --json -b -o {columns}")
    assert code == 0, said
    disks = json.loads(said)["blockdevices"]
    loops = [disk for disk in disks if disk["type"] == "loop"]
    assert [disk["name"] for disk in disks if disk not in loops] == [
        "nvme0n1",
        "nvme1n1",
        "nvme2n1",
    ]
    assert [(each["fstype"], each["mountpoints"]) for each in loops] == [
        ("ext4", ["/pool"]), ("btrfs", ["/inner"]), (None, [None])
    ]  # fmt: skip
    pool, inner, _ = loops
    assert (pool["uuid"], pool["size"]) == ("11111111-2222-3333-4444-555555555555", 200 << 20)
    assert inside(sandbox, f"readlink -f /dev/disk/by-uuid/{pool['uuid']}") == f"{pool['path']}\n"

    files = inside(sandbox, "losetup --list --json -O NAME,MAJ:MIN,BACK-FILE,BACK-MAJ:MIN,RO")
    found = {each["name"]: each for each in json.loads(files)["loopdevices"]}
    assert {name: (each["back-file"], each["ro"]) for name, each in found.items()} == {
        pool["path"]: ("/data/pool.img", False),
        inner["path"]: ("/pool/a $(b)", False),
        raw: ("/dev/nvme2n1", True),
    }
    below = {name: each["back-maj:min"].replace(" ", "") for name, each in found.items()}
    assert below[pool["path"]] == disks[1]["maj:min"]
    assert below[inner["path"]] == pool["maj:min"]
    assert inside(sandbox, "losetup -a; lsblk -n -o TYPE", "other") == "disk\n"

    free = subprocess.run(["losetup", "-f"], capture_output=True, text=True).stdout
    assert free.strip() not in found
    volume_id = web["volumes"]["/dev/sdg"]
    ec2.detach_volume(VolumeId=volume_id)
    assert state_of(ec2, volume_id) == "busy"
    inside(sandbox, f"losetup -d {raw}; umount /inner; losetup -d {inner['path']}; umount /pool")
    assert inside(sandbox, "losetup -a") == ""
    wait_for(lambda: state_of(ec2, volume_id) == "available")


def state_of(ec2: Any, volume_id: str) -> str:
    """Answers the state of a volume's attachment, or of the volume."""
    volume = ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]
    return str((volume["Attachments"] or [volume])[0]["State"])


def test_a_disk_open_for_writing_is_busy(sandbox: LaunchedSandbox, ec2: Any) -> None:
    web = sandbox.layout["us-east-1"]["web"]
    made = ec2.create_volume(Size=1, AvailabilityZone=zone(ec2, web["instance_id"]))
    volume_id = made["VolumeId"]
    ec2.attach_volume(VolumeId=volume_id, InstanceId=web["instance_id"], Device="/dev/sdh")
    node = f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{volume_id.replace('-', '')}"
    script = f"exec 3<>{node}; exec >/dev/null 2>&1; sleep 1000 & echo $! >/run/writer"
    inside(sandbox, script)
    held = inside(sandbox, "cd /proc/$(cat /run/writer); readlink fd/3; grep flags fdinfo/3")
    assert held.split()[0] == inside(sandbox, f"readlink -f {node}").strip()
    assert int(held.split()[2], 8) & os.O_ACCMODE == os.O_RDWR
    ec2.detach_volume(VolumeId=volume_id)
    assert state_of(ec2, volume_id) == "busy"
    inside(sandbox, "kill $(cat /run/writer)")
    wait_for(lambda: state_of(ec2, volume_id) == "available")


def zone(ec2: Any, instance_id: str) -> str:
    found = ec2.describe_instances(InstanceIds=[instance_id])
    return str(found["Reservations"][0]["Instances"][0]["Placement"]["AvailabilityZone"])


def test_they_end_with_the_instance(
    sandbox: LaunchedSandbox, ec2: Any, web: dict[str, Any]
) -> None:
    inside(sandbox, STACK)
    names = inside(sandbox, "losetup -n -O NAME").split()
    assert len(names) == 2
    ec2.terminate_instances(InstanceIds=[web["instance_id"]])
    wait_for(lambda: not any(is_bound(name) for name in names))


def is_bound(node: str) -> bool:
    return Path("/sys/block", Path(node).name, "loop/backing_file").exists()
