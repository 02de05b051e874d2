"""What becomes of instances with bodies: user data, shutting down, losing power and network."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from helpers import UBUNTU
from host_helpers import client, needs_hosts, ssh, state, wait_for

from ec2_sandbox import LaunchedSandbox, launch

pytestmark = needs_hosts
FLEET = {
    "regions": {
        "us-east-1": {
            "instances": [
                {
                    "name": "systemd",
                    "init": "systemd",
                    "volumes": [
                        {"device": "/dev/sda1", "partitioned": True},
                        {"device": "/dev/sdf", "filesystem": "btrfs", "mount_point": "/srv"},
                        {"device": "/dev/sdg"},
                    ],
                },
                {
                    "name": "syslog",
                    "syslog": True,
                    "volumes": [
                        {"device": "/dev/sdf", "filesystem": "ext4", "mount_point": "/srv"}
                    ],
                },
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
def systemd(sandbox: LaunchedSandbox) -> dict[str, Any]:
    found: dict[str, Any] = sandbox.layout["us-east-1"]["systemd"]
    return found


@pytest.fixture
def syslog(sandbox: LaunchedSandbox) -> dict[str, Any]:
    found: dict[str, Any] = sandbox.layout["us-east-1"]["syslog"]
    return found


def run_instance(ec2: Any, **wanted: Any) -> dict[str, Any]:
    """Launches an instance, and waits until it runs; answers it as a layout would."""
    given = {"ImageId": UBUNTU, "InstanceType": "m5.large", "KeyName": "sandbox", **wanted}
    made = ec2.run_instances(MinCount=1, MaxCount=1, **given)["Instances"][0]
    assert made["State"]["Name"] == "pending"
    wait_for(lambda: state(ec2, made["InstanceId"]) == "running")
    return {"instance_id": made["InstanceId"], "address": made["PrivateIpAddress"]}


def new_key(path: Path) -> tuple[str, str]:
    """Makes a key pair; answers the private key and the public one."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path.read_text(), Path(f"{path}.pub").read_text().strip()


def test_user_data_key_pairs_and_the_console(ec2: Any, tmp_path: Path) -> None:
    host_key, host_public = new_key(tmp_path / "host")
    _, extra_public = new_key(tmp_path / "extra")
    pair = ec2.create_key_pair(KeyName="own", KeyType="ed25519")
    (tmp_path / "own").write_text(pair["KeyMaterial"])
    (tmp_path / "own").chmod(0o600)
    indented = host_key.replace("\n", "\n    ")
    config = f"""#cloud-config
ssh_keys:
  ed25519_private: |
    {indented}
  ed25519_public: {host_public}
ssh_authorized_keys:
  - {extra_public}
write_files:
  - path: /etc/with a space/it's
    content: aGVsbG8=
    encoding: b64
    permissions: '0640'
    owner: ubuntu:ubuntu
runcmd:
  - [touch, "/root/$(a) b"]
  - echo $((1 + 1)) >/root/sum
"""
    host = run_instance(ec2, KeyName="own", UserData=config)
    for key in ("own", "extra"):
        answer = ssh(host, "cat '/etc/with a space/it'\\''s'", key=str(tmp_path / key))
        assert answer == (0, "hello")
    own = str(tmp_path / "own")
    assert ssh(host, "stat -c '%a %U' /etc/with*/it*", key=own) == (0, "640 ubuntu\n")
    wait_for(lambda: ssh(host, "sudo cat /root/sum", key=own) == (0, "2\n"))
    assert ssh(host, "sudo ls /root", key=own) == (0, "$(a) b\nsum\n")

    def console() -> list[str]:
        found = ec2.get_console_output(InstanceId=host["instance_id"])["Output"]
        return list(found.splitlines())

    wait_for(lambda: "-----END SSH HOST KEY KEYS-----" in console())
    lines = console()
    start, end = (lines.index(f"-----{x} SSH HOST KEY KEYS-----") for x in ("BEGIN", "END"))
    assert [line.split()[:2] for line in lines[start + 1 : end]] == [host_public.split()[:2]]
    known = tmp_path / "known_hosts"
    known.write_text(f"{host['address']} {host_public}\n")
    strict = ["-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known}"]
    command = ["ssh", "-F", "none", "-i", own, *strict, f"ubuntu@{host['address']}", "true"]
    assert subprocess.run(command, stdin=subprocess.DEVNULL, timeout=20).returncode == 0
    ec2.terminate_instances(InstanceIds=[host["instance_id"]])


@pytest.mark.parametrize(("behavior", "end"), [("terminate", "terminated"), ("stop", "stopped")])
def test_shutting_down_from_inside(
    sandbox: LaunchedSandbox, ec2: Any, behavior: str, end: str
) -> None:
    kept = {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1, "DeleteOnTermination": False}}
    other = {"terminate": "stop", "stop": "terminate"}[behavior]
    host = run_instance(ec2, InstanceInitiatedShutdownBehavior=other, BlockDeviceMappings=[kept])
    ec2.modify_instance_attribute(
        InstanceId=host["instance_id"], InstanceInitiatedShutdownBehavior={"Value": behavior}
    )
    blocks = ec2.describe_instances(InstanceIds=[host["instance_id"]])["Reservations"][0]
    volumes = {
        each["DeviceName"]: each["Ebs"]["VolumeId"]
        for each in blocks["Instances"][0]["BlockDeviceMappings"]
    }
    sandbox.hosts.run(host["instance_id"], "shutdown -h now")
    wait_for(lambda: state(ec2, host["instance_id"]) == end)
    found = ec2.describe_instances(InstanceIds=[host["instance_id"]])["Reservations"][0]
    reason = found["Instances"][0]["StateReason"]["Code"]
    assert reason == "Client.InstanceInitiatedShutdown"
    left = {each["VolumeId"]: each["State"] for each in ec2.describe_volumes()["Volumes"]}
    if end == "stopped":
        assert left[volumes["/dev/sda1"]] == left[volumes["/dev/sdf"]] == "in-use"
        ec2.terminate_instances(InstanceIds=[host["instance_id"]])
        wait_for(lambda: state(ec2, host["instance_id"]) == "terminated")
    else:
        assert left.get(volumes["/dev/sda1"]) is None
        assert left[volumes["/dev/sdf"]] == "available"
        again = run_instance(ec2)
        assert IPv4Address(again["address"]) <= IPv4Address(host["address"]), "are given again"
        ec2.terminate_instances(InstanceIds=[again["instance_id"]])


def test_losing_power_loses_what_was_not_synced(
    sandbox: LaunchedSandbox, ec2: Any, syslog: dict[str, Any]
) -> None:
    instance_id = syslog["instance_id"]
    run = sandbox.hosts.run
    assert run(instance_id, "echo 1 >/srv/synced; sync; echo 2 >/srv/lost")[0] == 0
    sandbox.hosts.power_off(instance_id)
    wait_for(lambda: state(ec2, instance_id) == "stopped")
    ec2.start_instances(InstanceIds=[instance_id])
    wait_for(lambda: state(ec2, instance_id) == "running")
    assert run(instance_id, "cat /srv/synced /srv/lost")[1] == "1\n"


def test_a_cut_network_is_silent(sandbox: LaunchedSandbox, syslog: dict[str, Any]) -> None:
    sandbox.hosts.cut_network(syslog["instance_id"])
    started = time.monotonic()
    code, text = ssh(syslog, "true", seconds=2)
    assert code == 255 and time.monotonic() - started > 1.5, text
    sandbox.hosts.mend_network(syslog["instance_id"])
    wait_for(lambda: ssh(syslog, "true", seconds=2)[0] == 0)


def test_a_classic_syslogd_writes_to_the_root(syslog: dict[str, Any]) -> None:
    assert (
        ssh(syslog, "logger -t here there; sudo cat /var/log/syslog")[1].count("here: there") == 1
    )


def test_systemd_is_whole(systemd: dict[str, Any]) -> None:
    assert ssh(systemd, "systemctl is-system-running --wait") == (0, "running\n")
    assert ssh(systemd, "sudo systemd-run -q --wait --pipe id -u") == (0, "0\n")
    assert ssh(systemd, "findmnt -n -o SOURCE,FSTYPE /srv") == (0, "/dev/nvme1n1 btrfs\n")
    assert ssh(systemd, "sudo sysctl -q -w kernel.panic=1")[0] != 0, "that would be the machine's"


def test_systemd_boots_again_and_stops(ec2: Any, systemd: dict[str, Any]) -> None:
    question = "stat -c %i /proc/1/ns/pid"
    boot = ssh(systemd, question)[1]
    assert ssh(systemd, "sudo reboot")[0] in (0, 255)
    wait_for(lambda: (answer := ssh(systemd, question))[0] == 0 and answer[1] != boot)
    assert state(ec2, systemd["instance_id"]) == "running"


def test_partitions_appear_when_they_are_written(systemd: dict[str, Any]) -> None:
    dump = "sudo sfdisk --dump /dev/nvme0n1 | sed '/^last-lba/d'"
    write = "sudo sfdisk -q --no-reread --wipe always /dev/nvme2n1"
    assert ssh(systemd, f"{dump} | {write}")[0] == 0
    names = "lsblk -n -l -o NAME /dev/nvme2n1 | sort"
    parts = "nvme2n1\nnvme2n1p1\nnvme2n1p14\nnvme2n1p15\n"
    wait_for(lambda: ssh(systemd, names) == (0, parts))
    make = "sudo mkfs.ext4 -q -L new /dev/nvme2n1p1 && sudo mount /dev/nvme2n1p1 /mnt"
    assert ssh(systemd, make) == (0, "")
    wait_for(lambda: ssh(systemd, "readlink -f /dev/disk/by-label/new") == (0, "/dev/nvme2n1p1\n"))
    assert ssh(systemd, "lsblk -n -o FSTYPE,MOUNTPOINTS /dev/nvme2n1p1") == (0, "ext4   /mnt\n")


def test_a_root_of_partitions_boots_from_its_snapshot(
    sandbox: LaunchedSandbox, ec2: Any, systemd: dict[str, Any]
) -> None:
    assert ssh(systemd, "findmnt -n -o SOURCE /") == (0, "/dev/nvme0n1p1\n")
    assert ssh(systemd, "echo it is me >~/me; sync")[0] == 0
    snapshot = ec2.create_snapshot(VolumeId=systemd["volumes"]["/dev/sda1"])["SnapshotId"]
    with sandbox.hosts.mounted(snapshot, "ro,norecovery", partition=1) as folder:
        assert (folder / "home/ubuntu/me").read_text() == "it is me\n"
    sandbox.complete_all()
    root = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}
    image = ec2.register_image(
        Name="restored",
        VirtualizationType="hvm",
        RootDeviceName="/dev/sda1",
        BlockDeviceMappings=[root],
    )
    host = run_instance(ec2, ImageId=image["ImageId"], InstanceType="t2.micro")
    run = sandbox.hosts.run
    assert run(host["instance_id"], "cat /home/ubuntu/me; findmnt -n -o SOURCE /") == (
        0,
        "it is me\n/dev/xvda1\n",
        "",
    )
    keys = "cat /etc/ssh/ssh_host_ed25519_key.pub"
    assert run(host["instance_id"], keys) != run(systemd["instance_id"], keys)
    ec2.terminate_instances(InstanceIds=[host["instance_id"]])


def test_shutting_down_in_so_many_minutes(sandbox: LaunchedSandbox, ec2: Any) -> None:
    host = run_instance(ec2)

    def inside(command: str) -> str:
        code, said, complaint = sandbox.hosts.run(host["instance_id"], command)
        assert code == 0, complaint
        return said

    scheduled = "cat /run/systemd/shutdown/scheduled"
    inside("shutdown -P +60")
    (first,) = [line for line in inside(scheduled).splitlines() if line.startswith("USEC=")]
    assert 3590 < int(first[5:]) / 1e6 - time.time() < 3610
    inside("echo 0.05 >/run/cloud/minute; shutdown -P +20; shutdown -P +60")
    time.sleep(1.5)
    assert state(ec2, host["instance_id"]) == "running", "the later time holds"
    inside("shutdown -c")
    assert sandbox.hosts.run(host["instance_id"], scheduled)[0] != 0
    inside("shutdown -P +10")
    wait_for(lambda: state(ec2, host["instance_id"]) in ("stopped", "terminated"))
    ec2.terminate_instances(InstanceIds=[host["instance_id"]])


def test_one_whose_root_is_no_system_is_impaired(sandbox: LaunchedSandbox, ec2: Any) -> None:
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    sandbox.complete_all()
    image = ec2.register_image(
        Name="empty", RootDeviceName="/dev/sda1", VirtualizationType="hvm", Architecture="x86_64",
        EnaSupport=True,
        BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}],
    )["ImageId"]  # fmt: skip
    made = ec2.run_instances(ImageId=image, InstanceType="m5.large", MinCount=1, MaxCount=1)
    instance_id = made["Instances"][0]["InstanceId"]

    def health() -> str:
        found = ec2.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"]
        return str(found[0]["InstanceStatus"]["Status"]) if found else "none"

    wait_for(lambda: health() == "impaired")
    ec2.terminate_instances(InstanceIds=[instance_id])
