"""Instances with bodies: they boot, have disks by EC2's names, and let the right keys in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from host_helpers import client, needs_hosts, ssh, state, wait_for

from ec2_sandbox import LaunchedSandbox, launch

pytestmark = needs_hosts
FLEET = {
    "regions": {
        "us-east-1": {
            "instances": [
                {
                    "name": "web",
                    "zone": "us-east-1a",
                    "volumes": [
                        {"device": "/dev/sda1"},
                        {
                            "device": "/dev/sdf",
                            "size": 20,
                            "filesystem": "xfs",
                            "label": "data",
                            "mount_point": "/srv/my data",
                        },
                    ],
                },
                {"name": "old", "type": "t2.micro", "volumes": [{"device": "/dev/sdf"}]},
            ]
        }
    }
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[LaunchedSandbox]:
    with launch(FLEET, hosts=True, seconds_between_snapshots=0) as launched:
        yield launched


@pytest.fixture
def ec2(sandbox: LaunchedSandbox) -> Any:
    return client(sandbox)


@pytest.fixture
def web(sandbox: LaunchedSandbox) -> dict[str, Any]:
    found: dict[str, Any] = sandbox.layout["us-east-1"]["web"]
    return found


def lsblk(host: dict[str, Any], *, sudo: bool = False) -> dict[str, dict[str, Any]]:
    columns = "NAME,SERIAL,FSTYPE,UUID,LABEL,MOUNTPOINTS,MAJ:MIN,SIZE,TYPE"
    code, text = ssh(host, f"{'sudo ' if sudo else ''}lsblk -b --json -o {columns}")
    assert code == 0, text
    return {each["name"]: each for each in json.loads(text)["blockdevices"]}


def test_what_the_api_says_is_where_the_host_is(ec2: Any, web: dict[str, Any]) -> None:
    found = ec2.describe_instances(InstanceIds=[web["instance_id"]])
    instance = found["Reservations"][0]["Instances"][0]
    assert instance["State"]["Name"] == "running"
    assert instance["PrivateIpAddress"] == instance["PublicIpAddress"] == web["address"]
    assert instance["PublicDnsName"] == instance["PrivateDnsName"] == ""
    assert ssh(web, "id -un; sudo -n id -un; hostname") == (
        0,
        f"ubuntu\nroot\nip-{web['address'].replace('.', '-')}\n",
    )


@pytest.mark.parametrize("sudo", [False, True])
def test_lsblk_knows_nitro_disks(web: dict[str, Any], sudo: bool) -> None:
    disks = lsblk(web, sudo=sudo)
    root, data = disks["nvme0n1"], disks["nvme1n1"]
    assert root["serial"] == web["volumes"]["/dev/sda1"].replace("-", "")
    assert data["serial"] == web["volumes"]["/dev/sdf"].replace("-", "")
    assert (root["fstype"], root["mountpoints"]) == ("ext4", ["/"])
    assert (data["fstype"], data["label"]) == ("xfs", "data")
    assert (data["mountpoints"], data["size"]) == (["/srv/my data"], 20 << 30)
    assert ssh(web, f"findmnt -n -o SOURCE,FSTYPE /dev/disk/by-uuid/{data['uuid']}") == (
        0,
        "/dev/nvme1n1 xfs\n",
    )
    link = f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{data['serial']}"
    assert ssh(web, f"readlink -f {link}") == (0, "/dev/nvme1n1\n")


def test_lsblk_knows_xen_disks(sandbox: LaunchedSandbox) -> None:
    disks = lsblk(sandbox.layout["us-east-1"]["old"])
    assert set(disks) == {"xvda", "xvdf"}
    assert disks["xvda"]["mountpoints"] == ["/"]
    assert disks["xvdf"]["serial"] is None


def test_a_snapshot_is_the_volume_at_that_instant(
    sandbox: LaunchedSandbox, ec2: Any, web: dict[str, Any]
) -> None:
    volume = web["volumes"]["/dev/sdf"]
    assert sandbox.hosts.run(web["instance_id"], "echo one >'/srv/my data/f'; sync")[0] == 0
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    assert sandbox.hosts.run(web["instance_id"], "echo two >'/srv/my data/f'; sync")[0] == 0
    with sandbox.hosts.mounted(snapshot, "ro,nouuid") as folder:
        assert (folder / "f").read_text() == "one\n"

    sandbox.complete_all()
    copy = ec2.create_volume(SnapshotId=snapshot, AvailabilityZone="us-east-1a")["VolumeId"]
    ec2.attach_volume(VolumeId=copy, InstanceId=web["instance_id"], Device="/dev/sdg")
    assert ssh(web, "sudo mount -o nouuid /dev/nvme2n1 /mnt && cat /mnt/f") == (0, "one\n")

    def attachments() -> list[Any]:
        return list(ec2.describe_volumes(VolumeIds=[copy])["Volumes"][0]["Attachments"])

    assert ec2.detach_volume(VolumeId=copy)["State"] == "detaching"
    assert attachments()[0]["State"] == "busy"
    assert ssh(web, "sudo umount /mnt")[0] == 0
    assert attachments() == []
    assert "nvme2n1" not in lsblk(web)
    ec2.delete_volume(VolumeId=copy)


def test_stop_start_and_reboot(ec2: Any, web: dict[str, Any]) -> None:
    ids = [web["instance_id"]]
    assert ssh(web, "echo kept >~/kept")[0] == 0
    keys = ssh(web, "cat /etc/ssh/ssh_host_ed25519_key.pub")
    ec2.stop_instances(InstanceIds=ids)
    wait_for(lambda: state(ec2, ids[0]) == "stopped")
    ec2.start_instances(InstanceIds=ids)
    wait_for(lambda: state(ec2, ids[0]) == "running")
    assert ssh(web, "cat kept") == (0, "kept\n")
    boot = ssh(web, "stat -c %i /proc/1/ns/pid")
    ec2.reboot_instances(InstanceIds=ids)
    wait_for(lambda: ssh(web, "stat -c %i /proc/1/ns/pid") not in (boot, (255, boot[1])))
    wait_for(
        lambda: ssh(web, "cat kept; findmnt -n -o FSTYPE '/srv/my data'") == (0, "kept\nxfs\n")
    )
    assert ssh(web, "cat /etc/ssh/ssh_host_ed25519_key.pub") == keys
