"""Instances that boot are restored, from snapshots and replicas, and hold what they held."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from ec2_sandbox import Sandbox

from tests.hosts.helpers import kill_at, wait_until
from tests.sandbox.conftest import World, instance
from tests.sandbox.replicas import EAST, WEST
from tests.sandbox.test_restore import everything, gone, images, into, say_in_tags

ROOT = {"device": "/dev/sda1", "size": 4}
GPT = {**ROOT, "partitioned": True}
EXT4 = {"device": "/dev/sdf", "size": 1, "filesystem": "ext4", "mount_point": "/data"}
XFS = {"device": "/dev/sdg", "size": 1, "filesystem": "xfs", "mount_point": "/srv/my data"}
LUKS = {"device": "/dev/sdh", "size": 1}
KINDS = {"Nitro": ("m5.large", "nvme3n1"), "Xen": ("t2.small", "xvdh")}

# Written before the snapshot; what is told of it must be the same on whatever was restored.
WRITE = r"""
set -e
for folder in /var/tmp /data "/srv/my data"; do
    head -c 3000000 /dev/urandom >"$folder/random"
    printf 'a name\n' >"$folder/it's \$(a) \"name\""
    ln -s random "$folder/link"; chmod 640 "$folder/random"; chown 33:33 "$folder/random"
done
printf secret >/run/key
cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /dev/DISK /run/key
head -c 5000000 /dev/urandom | dd of=/dev/DISK bs=1M seek=32 conv=notrunc,fsync status=none
sync
"""
TELL = r"""
set -e
for folder in /var/tmp /data "/srv/my data"; do
    cd "$folder"
    find . -not -type d -not -name 'probe' -printf '%P %y %m %U:%G %l\n' | sort
    sha256sum random "it's \$(a) \"name\""
done
head -c 67108864 /dev/DISK | sha256sum
printf secret | cryptsetup open --test-passphrase --key-file=- /dev/DISK
"""


@dataclass
class Web:
    """An instance with several volumes that is backed up, and what it holds."""

    sandbox: Sandbox
    instance_id: str
    volumes: dict[str, str]
    disk: str
    holds: str = ""

    def tell(self, instance_id: str) -> str:
        code, out, err = self.sandbox.hosts.run(instance_id, TELL.replace("DISK", self.disk))
        assert code == 0, err
        return out


@pytest.fixture(params=KINDS)
def web(request, load, fab, sandbox: Sandbox, reachable, world) -> Web:
    """One of each kind, backed up: with the root on a GPT, data on ext4 and XFS, and LUKS."""
    kind, disk = KINDS[request.param]
    reachable(replication={"engine": "copy"}, **into(world))
    ids = load(instance("web", type=kind, volumes=[GPT, EXT4, XFS, LUKS]))["web"]
    made = Web(sandbox, ids["instance_id"], ids["volumes"], disk)
    code, _, err = sandbox.hosts.run(made.instance_id, WRITE.replace("DISK", disk))
    assert code == 0, err
    made.holds = made.tell(made.instance_id)
    assert fab("backup_instances_by_tag", "--synchronously").code == 0
    sandbox.hosts.run(made.instance_id, "echo later >/data/random; sync")
    return made


def test_what_is_restored_boots_and_holds_what_was_written(web: Web, fab, sandbox, world):
    assert fab("rsync_region", EAST, WEST, "--synchronously").code == 0
    for region in (EAST, WEST):
        if region == WEST:
            assert sandbox.hosts.run(web.instance_id, "cat /data/random")[1] == "later\n"
            world.ec2().terminate_instances(InstanceIds=[web.instance_id])
            gone(sandbox)
        ended = fab("restore_instance", f"--instance-id={web.instance_id}",
                    f"--region-name={region}", "--json")  # fmt: skip
        assert ended.code == 0, ended
        made = ended.document["items"][0]["made"]
        assert web.tell(made) == web.holds
        root = sandbox.hosts.run(made, "findmnt -n -o SOURCE /")[1].strip()
        assert root in ("/dev/nvme0n1p1", "/dev/xvda1")
        assert images(world, region) == []
        ended = fab("restore_volume", f"--volume-id={web.volumes['/dev/sdf']}",
                    f"--region-name={region}", f"--attach={made}", "--device=/dev/sdp",
                    "--json")  # fmt: skip
        assert ended.code == 0, ended
        serial = ended.document["items"][0]["made"].replace("-", "")
        link = f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{serial}"
        device = "/dev/xvdp" if root == "/dev/xvda1" else link
        code, out, err = sandbox.hosts.run(
            made, f"mount -o ro,noload {device} /mnt && sha256sum </mnt/random && umount /mnt"
        )
        assert code == 0, err
        assert out.split()[0] in web.holds


# Drills.

# Who may log in to what is restored is on the disk, from the first boot on.
BOOTED = "until [ -e /var/lib/cloud/instance/boot-finished ]; do sleep 0.1; done; sync"


@pytest.fixture
def small(load, fab, reachable, sandbox) -> Callable[..., str]:
    """Makes an instance with one volume that is backed up once it has booted; answers its id."""

    def make(**options: Any) -> str:
        reachable(**options)
        ids = load(instance("web", volumes=[{**ROOT, "delete_on_termination": False}]))["web"]
        code, _, err = sandbox.hosts.run(ids["instance_id"], BOOTED)
        assert code == 0, err
        assert fab("backup_instances_by_tag", "--synchronously").code == 0
        return ids["instance_id"]

    return make


def test_a_drill_tells_the_recovery_time_takes_no_rights_and_leaves_nothing(
    small, fab, world, sandbox, tmp_path
):
    told = tmp_path / "summary"
    one = small(
        restore={"check_command": "test -d /var/tmp && id -u | grep -qx 0"},
        hooks={"tasks": {"restore_instance": {"on_success": f'echo "$SNAPBACK_SUMMARY" >{told}'}}},
    )
    admin = "arn:aws:iam::123456789012:instance-profile/admin"
    say_in_tags(world, instance_profile=admin)
    before = sorted(everything(world))
    ended = fab("restore_instance", f"--instance-id={one}", "--drill", "--json")
    assert ended.code == 0, ended
    (item,) = ended.document["items"]
    times = item["drill"]
    assert 0 < times["running_s"] <= times["status_checks_ok_s"] <= times["check_command_ok_s"]
    assert item["explanation"].startswith("taken down again; running after")
    assert told.read_text() == "1 of 1 drilled: restored, checked, taken down again\n"
    assert item["made"] is None
    assert item["left_out"] == {"instance_profile": admin, "key_name": "sandbox"}
    (launch,) = [call for call in sandbox.calls() if call.action == "RunInstances"]
    assert not [name for name in launch.parameters if name.startswith(("Iam", "KeyName"))]
    wait_until(lambda: sorted(everything(world)) == before, "the end of all that was made")


def test_a_drill_that_fails_says_why_and_leaves_nothing(small, fab, world, sandbox):
    one = small()
    before = sorted(everything(world))
    drill = ("restore_instance", f"--instance-id={one}", "--drill")
    ended = fab(*drill, "--check-command", "echo no database >&2; exit 3")
    assert ended.code == 1
    assert "ended with 3" in ended.err
    assert "no database" in ended.err
    assert "0 of 1 drilled well, 1 failed" in ended.out
    (snapshot,) = world.snapshots()
    sandbox.hosts.damage(snapshot["SnapshotId"], 0, bytes(1 << 20))
    ended = fab(*drill)
    assert ended.code == 1
    assert "instance impaired; its console ends with:" in ended.err
    wait_until(lambda: sorted(everything(world)) == before, "the end of all that was made")


# Killed.

STAGES = (
    ("DescribeImages",),
    ("RunInstances",),
    ("DescribeInstances",),
    ("ModifyInstanceAttribute",),
    ("DescribeInstanceStatus", "--drill"),
    ("TerminateInstances", "--drill"),
    ("DeleteTags",),
)


def test_killed_at_any_stage_it_leaves_nothing_that_sweep_does_not_find(
    small, fab, world: World, sandbox
):
    one = small()
    before = sorted(everything(world))
    restore = ("restore_instance", f"--instance-id={one}")
    (snapshot,) = world.snapshot_ids()
    kill_at(sandbox, "DescribeVolumes", "restore_volume", f"--snapshot-id={snapshot}")
    for stage, *options in STAGES:
        give_back_claims(world)
        already = set(everything(world))
        kill_at(sandbox, stage, *restore, *options)
    sandbox.advance(2 * 86_400)
    ended = fab("sweep", "--json")
    assert ended.code == 0, ended
    wait_until(lambda: _is_whole(set(everything(world)) - set(before), already), "nothing left")
    assert json.loads(fab(*restore, "--json").out)["exit_code"] == 0


def give_back_claims(world: World) -> None:
    """Delete the claim of a run that was killed: others would wait for its end."""
    ec2 = world.ec2()
    for claim in ec2.describe_key_pairs(
        Filters=[{"Name": "tag:snapback:purpose", "Values": ["claim"]}]
    )["KeyPairs"]:
        ec2.delete_key_pair(KeyPairId=claim["KeyPairId"])


def _is_whole(left: set[str], already: set[str]) -> bool:
    """Whether what is left is nothing, or the last instance, which was finished: all it lacked was
    that it be said."""
    kinds = sorted(thing.partition("-")[0] for thing in left)
    return kinds in (["i", "vol"], []) and not left & already
