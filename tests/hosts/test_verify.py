"""Snapshots are proved on temporary instances, and single files are got back from them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from ec2_sandbox import Sandbox

from snapback.core.model.verdicts import verdict_of
from tests.hosts.helpers import fab_running, kill_at, wait_until
from tests.sandbox.conftest import instance
from tests.sandbox.replicas import EAST, WEST
from tests.sandbox.test_restore import everything

ROOT = {"device": "/dev/sda1", "size": 4, "partitioned": True}
EXT4 = {"device": "/dev/sdf", "size": 1, "filesystem": "ext4", "mount_point": "/data"}
XFS = {"device": "/dev/sdg", "size": 1, "filesystem": "xfs", "mount_point": "/srv"}
BTRFS = {"device": "/dev/sdh", "size": 1, "filesystem": "btrfs", "mount_point": "/home/b"}
LUKS = {"device": "/dev/sdi", "size": 1}
EMPTY = {"device": "/dev/sdj", "size": 1}
TEMPORARY = {"source_cidr": "203.0.113.7/32", "lease_minutes": 20}
FILL = r"""
set -e
for folder in /data /srv /home/b; do
    [ -d "$folder" ] || continue
    mkdir -p "$folder/a b"; for n in $(seq 300); do echo $n >"$folder/a b/$n"; done
    head -c 4000000 /dev/urandom >"$folder/random"
done
if [ -n "$LUKS" ]; then
    printf k >/run/k
    cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$LUKS" /run/k
fi
sync
echo "not synced" >/data/late
"""


class Fleet:
    """An instance with volumes of some kinds that is backed up."""

    def __init__(self, sandbox: Sandbox, world: Any, fab: Any, ids: dict[str, Any]) -> None:
        self.sandbox, self.world, self.fab = sandbox, world, fab
        self.instance_id, self.volumes = ids["instance_id"], ids["volumes"]

    def back_up(self) -> None:
        assert self.fab("backup_instances_by_tag", "--synchronously").code == 0

    def snapshot(self, device: str, region: str = EAST) -> str:
        return max(
            (s for s in self.world.snapshots(region) if s["VolumeId"] == self.volumes[device]),
            key=lambda s: s["StartTime"],
        )["SnapshotId"]

    def verdict(self, snapshot_id: str, region: str = EAST) -> Any:
        (found,) = [s for s in self.world.snapshots(region) if s["SnapshotId"] == snapshot_id]
        return verdict_of(self.world.tags(found))


@pytest.fixture
def fleet(load, fab, sandbox, world, reachable):
    def make(*volumes: dict[str, Any], more: str = "", **settings: Any) -> Fleet:
        reachable(temporary=TEMPORARY, ssh={"connect_timeout_s": 60}, **settings)
        found = Fleet(sandbox, world, fab, load(instance("web", volumes=[ROOT, *volumes]))["web"])
        luks = f"/dev/nvme{volumes.index(LUKS) + 1}n1" if LUKS in volumes else ""
        code, _, err = sandbox.hosts.run(found.instance_id, f"LUKS={luks}\n{FILL}{more}")
        assert code == 0, err
        found.back_up()
        return found

    return make


def nothing_is_left(world, before: list[str]) -> bool:
    return wait_until(lambda: sorted(everything(world)) == before, "the end of all that was lent")


def test_all_kinds_are_proved_and_the_empty_one_is_found(fleet, fab, world, sandbox):
    web = fleet(EXT4, XFS, BTRFS, LUKS, EMPTY)
    before = sorted(everything(world))
    data = {s["SnapshotId"]: s["Description"] for s in world.snapshots()}
    ended = fab("verify_region", EAST, "--json")
    assert ended.code == 1, ended
    found = {item["device"]: item for item in ended.document["items"]}
    assert {device: item["outcome"] for device, item in found.items()} == {
        "/dev/sda1": "ok",
        "/dev/sdf": "ok",
        "/dev/sdg": "ok",
        "/dev/sdh": "ok",
        "/dev/sdi": "opaque",
        "/dev/sdj": "corrupt",
    }
    assert "partition 1: ext4, " in found["/dev/sda1"]["explanation"]
    assert found["/dev/sdf"]["explanation"] in ("ext4, 302 entries", "ext4, 303 entries")
    assert found["/dev/sdg"]["explanation"].startswith("xfs, 30")
    assert "crypto_LUKS" in found["/dev/sdi"]["explanation"]
    assert "it is empty" in found["/dev/sdj"]["explanation"]
    for item in found.values():
        verdict = web.verdict(item["snapshot"])
        assert verdict.word == {"ok": "good"}.get(item["outcome"], item["outcome"])
        assert verdict.evidence[:20] == item["explanation"][:20]
    assert {s["SnapshotId"]: s["Description"] for s in world.snapshots()} == data
    assert nothing_is_left(world, before)
    again = fab("verify_region", EAST, "--sample=1", "--dry-run")
    oldest = min((web.verdict(i["snapshot"]).at, i["snapshot"]) for i in found.values())
    assert "1 of 6 snapshots" in again.out
    assert oldest[1] in again.out


# Where bytes are overwritten: of ext4 its inode tables, of XFS its first allocation group's.
DAMAGE = {
    "ext4": (EXT4, [(offset << 12, b"\xa5" * 4096) for offset in range(1, 600)]),
    "xfs": (XFS, [(4096 * n, b"\xa5" * 4096) for n in range(1, 40)]),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found_told_and_written_down(fleet, fab, sandbox, kind):
    volume, bytes_at = DAMAGE[kind]
    web = fleet(EXT4, XFS)
    snapshot = web.snapshot(volume["device"])
    for offset, data in bytes_at:
        sandbox.hosts.damage(snapshot, offset, data)
    ended = fab("verify_snapshot", "--snapshot-id", snapshot)
    assert ended.code == 1, ended
    assert f"{snapshot} in {EAST}: corrupt: {kind}: " in ended.err
    verdict = web.verdict(snapshot)
    assert verdict.is_corrupt
    assert verdict.evidence
    refused = fab("restore_instance", "--instance-id", web.instance_id)
    assert refused.code == 2
    assert "was found corrupt" in refused.err


def test_the_users_own_command_decides_and_sees_which_it_is(fleet, fab, world):
    command = 'test -e random && test "$SNAPBACK_DEVICE" = /dev/sdf && ! touch x || exit 3'
    web = fleet(EXT4, XFS, verify={"verify_command": command})
    good, bad = (web.snapshot(volume["device"]) for volume in (EXT4, XFS))
    assert fab("verify_snapshot", "--snapshot-id", good).code == 0
    ended = fab("verify_snapshot", "--snapshot-id", bad)
    assert ended.code == 1
    assert "verify_command ended with 3" in ended.err
    assert web.verdict(good).word == "good"
    assert web.verdict(bad).is_corrupt


# Names that a shell or an unwary program would trip over, and all that is told of an entry.
ODD = r"""
cd /data
printf 'NEEDLE%04096d' 7 >"\$(touch ran) \"it's\" "$(printf 'a\nline')
touch -- -n; mkfifo pipe; mknod device b 7 9; ln -s -- -n link; ln -- -n hard
python3 -c 'import os; os.setxattr("-n", "user.b", b"2"); os.setxattr("-n", "user.a", b"1")'
chown 33:44 -- -n; chmod 4711 -- -n
printf 'x%.0s' $(seq 250) | xargs touch
sync
"""


def test_replicas_are_compared_with_their_sources(fleet, fab, world, sandbox):
    web = fleet(EXT4, more=ODD)
    assert fab("rsync_region", EAST, WEST, "--synchronously").code == 0
    ended = fab("verify_region", WEST, "--digest", "--json")
    assert ended.code == 1
    assert "there is no completed snapshot that was taken there" in ended.out
    ended = fab("verify_region", EAST, "--digest", "--json")
    assert ended.code == 0, ended
    assert ended.out.count("no other digest to compare with yet") == 2
    ended = fab("verify_region", WEST, "--replicas", "--digest", "--json")
    assert ended.code == 0, ended
    for item in ended.document["items"]:
        source = web.snapshot(item["device"])
        assert f"; equal to {source} in {EAST}" in item["explanation"]
        assert item["digest"] == str(web.verdict(source).digest)
    damaged = next(i["snapshot"] for i in ended.document["items"] if i["device"] == "/dev/sdf")
    _overwrite(sandbox, damaged, b"NEEDLE")
    replica = ("verify_snapshot", f"--snapshot-id={damaged}")
    assert fab(*replica).code == 0  # its file system knows nothing of it
    ended = fab(*replica, "--digest")
    assert ended.code == 1
    assert "differs from what it was on 20" in ended.err
    assert web.verdict(damaged, WEST).is_corrupt
    assert f"differs from {web.snapshot('/dev/sdf')} in {EAST}: the content of files" in ended.err


def _overwrite(sandbox: Sandbox, snapshot_id: str, needle: bytes) -> None:
    """Overwrite what is in a file of a snapshot, passing over the holes of its image."""
    with Path(sandbox.hosts.snapshot_image(snapshot_id)).open("rb", buffering=0) as image:
        begin = end = 0
        found = -1
        while found < 0:
            begin = os.lseek(image.fileno(), end, os.SEEK_DATA)
            end = os.lseek(image.fileno(), begin, os.SEEK_HOLE)
            found = os.pread(image.fileno(), end - begin, begin).find(needle)
    sandbox.hosts.damage(snapshot_id, begin + found, b"x" * 9)


def test_a_missing_member_of_a_set_is_found(fleet, fab, world, sandbox):
    web = fleet(EXT4)
    world.ec2().delete_snapshot(SnapshotId=web.snapshot("/dev/sda1"))
    ended = fab("verify_region", EAST, "--json")
    assert ended.code == 1
    words = sorted(item["outcome"] for item in ended.document["items"])
    assert words == ["failed", "ok"]
    assert f"{web.volumes['/dev/sda1']}: no snapshot of /dev/sda1" in ended.out


# Files.


# In a snapshot: links that lead out of it, and back into it, and what nobody wants on his machine.
HOSTILE = r"""
cd "/data/a b"
mkfifo pipe; mknod device b 7 9; mkdir shared; ln -s /etc etc
cp /bin/true true; chmod 6755 true; chmod 2775 shared
ln -s /etc /data/outside; ln -s "/../a b" /data/inside
sync
"""


def test_single_files_are_got_back(fleet, fab, world, tmp_path: Path):
    web = fleet(EXT4, more=HOSTILE)
    before = sorted(everything(world))
    snapshot = web.snapshot("/dev/sdf")
    target = tmp_path / "got back"
    ended = fab(
        "mount_snapshot", f"--snapshot-id={snapshot}", "--copy", "/inside", "--to", str(target)
    )
    assert ended.code == 0, ended
    got = target / "a b"
    assert (got / "17").read_text() == "17\n"
    assert (got / "etc").is_symlink()
    assert not (got / "pipe").exists()
    assert not (got / "device").exists()
    modes = [(got / name).stat().st_mode & 0o7777 for name in ("true", "shared")]
    assert modes == [0o755, 0o775]
    assert ended.out.endswith(
        f"\ncopied /inside (/a b) to {target}, but for 2 devices, fifos or sockets\n"
        "taking it down\ntaken down again\n"
    )
    ended = fab(
        "mount_snapshot", f"--snapshot-id={snapshot}", "--copy=/outside/hostname", f"--to={target}"
    )
    assert ended.code == 1
    assert (
        "/outside/hostname can't be found in the snapshot: /etc: No such file or directory"
        in ended.err
    )
    assert list(target.iterdir()) == [got]
    ended = fab("mount_snapshot", f"--snapshot-id={snapshot}", "--setuid")
    assert (ended.code, "--setuid are for --copy" in ended.err) == (2, True)
    assert nothing_is_left(world, before)


def test_it_is_mounted_until_it_is_no_longer_wanted(fleet, fab, sandbox, world, monkeypatch):
    web = fleet(EXT4)
    before = sorted(everything(world))
    root = web.snapshot("/dev/sda1")
    with fab_running("mount_snapshot", f"--snapshot-id={root}", "--json") as process:
        assert process.stdout is not None
        told = process.stdout.readline()
        assert told, process.stderr.read() if process.stderr else ""
        (item,) = json.loads(told)["items"]
        ((folder, partition),) = item["folders"].items()
        assert (item["outcome"], partition, item["hours"]) == ("mounted", 1, 1)
        look = f"{item['ssh']} 'sudo cat {folder}/etc/passwd; sudo touch {folder}/x'"
        done = subprocess.run(["sh", "-c", look], capture_output=True, text=True, check=False)
        assert "ubuntu:x:1000" in done.stdout
        assert "Read-only file system" in done.stderr
        process.send_signal(signal.SIGINT)
        last = json.loads(process.stdout.readline())
        assert (last["exit_code"], last["items"][0]["outcome"]) == (0, "done")
        assert process.wait(timeout=60) == 0  # Ctrl-C is how it is ended
    assert nothing_is_left(world, before)
    # Killed, it leaves the instance for a while, and nothing to log in with.
    with tempfile.TemporaryDirectory() as short:
        monkeypatch.setenv("TMPDIR", short)
        with fab_running("mount_snapshot", f"--snapshot-id={root}", "--json") as process:
            assert process.stdout is not None
            look = f"{json.loads(process.stdout.readline())['items'][0]['ssh']} true"
            assert subprocess.run(["sh", "-c", look], check=False).returncode == 0
            process.kill()
        assert subprocess.run(["sh", "-c", look], check=False).returncode == 255
        left = [
            path.read_text(errors="replace") for path in Path(short).rglob("*") if path.is_file()
        ]
        assert left
        assert not any("PRIVATE KEY" in text for text in left)
    sandbox.advance(2 * 86_400)
    assert fab("sweep").code == 0
    assert nothing_is_left(world, before)


# A FAT file system of 16 MiB, as an EFI system partition has one; the rest of it is zeros.
FAT = r"""
fat() {
    python3 - "$1" <<'EOF'
import struct, sys
sizes = 512, 4, 1, 2, 512, 0, 0xF8, 32, 32, 64, 0, 32768
boot = struct.pack("<3s8sHBHBHHBHHHII", b"\xeb\x3c\x90", b"MSDOS5.0", *sizes)
boot += struct.pack("<BBBI11s8s", 0x80, 0, 0x29, 1, b"EFI        ", b"FAT16   ")
with open(sys.argv[1], "r+b") as device:
    device.write(boot.ljust(510, b"\0") + b"\x55\xaa" + b"\xf8\xff\xff\xff")
EOF
}
fat /dev/nvme0n1p15
fat /dev/nvme2n1
printf 'label: gpt\nsize=300MiB\nsize=300MiB\n' | sfdisk -q --no-reread /dev/nvme3n1
until [ -b /dev/nvme3n1p2 ]; do sleep 0.1; done
mkswap -q /dev/nvme3n1p1
printf k >/run/k
cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /dev/nvme3n1p2 /run/k
sync
"""


def test_what_can_not_be_mounted_is_named_and_keeps_nothing_else_back(fleet, fab, tmp_path: Path):
    web = fleet(EXT4, {**EMPTY, "device": "/dev/sdg"}, EMPTY, more=FAT)

    def ended(device: str, *more: str) -> Any:
        which = f"--snapshot-id={web.snapshot(device)}"
        return fab("mount_snapshot", which, "--copy=/etc/passwd", f"--to={tmp_path}", *more)

    lacking = "vfat, which the kernel of the temporary instance can't mount"
    assert ended("/dev/sda1").code == 0, "an EFI system partition beside it"
    assert "ubuntu:x:1000" in (tmp_path / "passwd").read_text()
    refused = ended("/dev/sda1", "--partition=15")
    assert refused.code == 2
    assert f"--partition 15: {lacking}: there are file systems on 1\n" in refused.err
    for device, why in (
        ("/dev/sdg", f": {lacking}: "),
        ("/dev/sdj", "partition 1: swap, which holds no files; partition 2: LUKS, which only its"),
    ):
        failed = ended(device)
        assert (failed.code, failed.err.count("\n")) == (1, 1)
        assert (
            "nothing of the snapshot can be mounted here, as ext2, ext3, ext4, xfs, btrfs, vfat"
            in failed.err
        )
        assert why in failed.err
        assert "restore_volume makes a volume of it" in failed.err


# Failing, and killed.


def test_failing_or_killed_it_leaves_nothing_that_sweep_does_not_find(
    fleet, fab, world, sandbox, tmp_path
):
    web = fleet(EXT4)
    before = sorted(everything(world))
    which = f"--snapshot-id={web.snapshot('/dev/sdf')}"
    verify = ("verify_snapshot", which)
    fetch = ("mount_snapshot", which, "--copy=random", f"--to={tmp_path}")
    drill = ("restore_instance", f"--instance-id={web.instance_id}", "--drill")
    for action, command in (
        ("CreateSecurityGroup", verify),
        ("RunInstances", fetch),
        ("CreateVolume", verify),
        ("AttachVolume", fetch),
        ("RegisterImage", drill),
        ("DescribeInstanceStatus", drill),
    ):
        sandbox.fault(action, "error", code="UnauthorizedOperation")
        ended = fab(*command)
        assert (ended.code, action in ended.err) == (1, True), ended
    assert nothing_is_left(world, before)
    for stage, command in (
        ("RunInstances", verify),
        ("CreateVolume", fetch),
        ("AttachVolume", verify),
        ("CreateTags", verify),
        ("TerminateInstances", fetch),
    ):
        kill_at(sandbox, stage, *command)
    sandbox.advance(2 * 86_400)
    assert fab("sweep").code == 0
    assert nothing_is_left(world, before)
    assert fab(*verify).code == 0
