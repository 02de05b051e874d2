"""Which block devices a host has, and what uses them: from what ssh/layout.sh prints."""

from __future__ import annotations

import json
import re
import subprocess
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from snapback.core.disks.devices import BlockDevice, read_devices
from tests.unit.core.disks.lsblk.make import HOSTS, answer
from tests.unit.core.disks.lsblk.said import mountinfo, printed, said


def test_what_is_mounted_in_a_container_only() -> None:
    found = read_devices(said(printed("raw"), mounted=["0:20", "259:32"]))
    assert [one.kname for one in found if one.mounted_elsewhere] == ["nvme1n1"]
    found = read_devices(said(printed("amazon-linux-2023"), mounted=["259:32", "259:1"]))
    assert not any(one.mounted_elsewhere for one in found)


def _octal(match: re.Match[str]) -> str:
    return f"\\{ord(match[0]):03o}"


def test_what_another_mount_covers() -> None:
    text = printed("names")
    (device,) = (one for one in read_devices(said(text)) if one.mount_points)
    escaped = [re.sub(r"[ \t\n\\]", _octal, path) for path in device.mount_points]
    seen = [(device.maj_min, path, "ext4", "/dev/x") for path in escaped]

    def mounted(*mounts: tuple[str, str, str, str]) -> BlockDevice:
        answer = said(text, mounted=[device.maj_min], mounts=mountinfo(*seen, *mounts))
        (same,) = (one for one in read_devices(answer) if one.kname == device.kname)
        return same

    assert mounted() == device
    covers = [("0:7", path, "tmpfs", "x") for path in escaped]
    assert mounted(covers[0]).mount_points == device.mount_points[1:]
    assert mounted(*covers).mounted_elsewhere


def test_what_covers_a_btrfs() -> None:
    text = printed("btrfs")
    pool = [one for one in read_devices(said(text)) if "/pool/a" in one.mount_points]
    ours = ("0:33", "/pool/a", "btrfs", "/dev/nvme2n1")
    assert set(pool) < set(read_devices(said(text, mounts=mountinfo(ours))))
    for kind, source in (("btrfs", "/dev/nvme0n1p3"), ("tmpfs", "/dev/nvme2n1")):
        mounts = mountinfo(ours, ("0:34", "/pool/a", kind, source))
        covered = read_devices(said(text, mounts=mounts))
        assert not any("/pool/a" in one.mount_points for one in covered)


def test_other_versions_of_lsblk() -> None:
    text = printed("lvm")
    assert read_devices(said(text.replace("null\n", "\n"))) == read_devices(said(text))
    old = json.loads(text, object_hook=_old)
    assert read_devices(said(json.dumps(old))) == read_devices(said(text))


def _old(said: dict[str, Any]) -> dict[str, Any]:
    if "mountpoints" in said:
        said["mountpoint"] = said.pop("mountpoints")[0]
        said["ro"] = "1" if said["ro"] else "0"
    if said.get("maj:min", "").startswith("253:"):
        said["maj:min"] = f" {said['maj:min']}  "
    return said


def test_what_has_devices_open_for_writing() -> None:
    writers = ["103 20 qemu-system (process 7)", "103 20 qemu-system (process 7)", "fd 0 $(x) a"]
    found = {one.kname: one.writers for one in read_devices(said(printed("lvm"), writers=writers))}
    assert found["nvme1n1"] == ("qemu-system (process 7)",)
    assert found["dm-0"] == ("$(x) a",)
    assert not found["nvme2n1"]
    found = {o.kname: o.writers for o in read_devices(said(printed("lvm"), writers=["unknown"]))}
    assert all(found.values())


@pytest.mark.parametrize(
    "text",
    [
        *("", "lsblk: not found", "{}", "[]", '{"blockdevices": [3]}', '{"blockdevices": [{}]}'),
        '{"blockdevices": []}',
        said('{"blockdevices": []}').replace("[end]", ""),
        said('{"blockdevices": []}', writers=["7 zz what"]),
        said('{"blockdevices": []}').replace("[loops]", "[loops]\n{"),
    ],
)
def test_what_is_no_answer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="lsblk's answer can't be read"):
        read_devices(text)


def test_the_command_works_here_and_has_an_answer_that_can_be_read() -> None:
    script = (files("snapback.ssh") / "layout.sh").read_text()
    done = subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True)
    assert done.stderr == ""
    read_devices(done.stdout)
    mounted = Path("/proc/self/mountinfo").read_text().split()[2]
    assert mounted in done.stdout.splitlines()


@pytest.mark.parametrize("host", sorted(HOSTS))
def test_the_answers_are_what_lsblk_prints(host: str) -> None:
    version = subprocess.run(["lsblk", "--version"], check=True, capture_output=True, text=True)
    if "2.38.1" not in version.stdout:
        pytest.skip(f"the answers are of util-linux 2.38.1, and this is {version.stdout.strip()}")
    assert answer(HOSTS[host]()) == printed(host)


def test_an_answer_that_would_take_hours_is_refused() -> None:
    """As large as an answer can be that is held: what is made of it may take seconds."""
    head = '{"kname": "x%d", "maj:min": "%d", "type": "loop", "fstype": "btrfs", "uuid": "%s"}'

    def listed(count: int, uuid: str) -> str:
        devices = ",".join(head % (n, n, uuid or n) for n in range(count))
        return f'{{"blockdevices": [{devices}]}}'

    with pytest.raises(ValueError, match="more than 4096 block devices"):
        read_devices(said(listed(50_000, "")))
    with pytest.raises(ValueError, match="too many devices have a file system in common"):
        read_devices(said(listed(4000, "same")))
    mounts = mountinfo(*((str(n), f"/m{n}", "ext4", "x") for n in range(100_000)))
    loops = {str(n): (f"/m/{n}/{'a/' * 500}", "none") for n in range(3000)}
    began = time.monotonic()
    found = read_devices(said(listed(3000, ""), mounts=mounts, loops=loops))
    assert len(found) == 3000
    assert time.monotonic() - began < 60
