"""However a sandbox with real hosts ends, nothing is left, even with file systems frozen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from host_helpers import needs_hosts, ssh, wait_for

from ec2_sandbox import LaunchedSandbox, Sandbox, launch
from ec2_sandbox.hosts import inner_loops
from ec2_sandbox.hosts.sweep import loops_of

pytestmark = needs_hosts
DATA = {"device": "/dev/sdf", "filesystem": "ext4", "mount_point": "/srv"}
PLAIN = {"name": "plain", "volumes": [DATA]}
FLEET = {"regions": {"eu-west-1": {"instances": [PLAIN]}}}
BOTH = {
    "regions": {
        "eu-west-1": {
            "instances": [PLAIN, {"name": "systemd", "init": "systemd", "volumes": [DATA]}]
        }
    }
}


def about(sandbox: Sandbox) -> dict[str, Any]:
    found: dict[str, Any] = sandbox._ask("hosts")
    found["loops"] = int(Path(found["folder"], inner_loops.RECORD).read_text())
    return found


def left(hosts: dict[str, Any]) -> list[str]:
    """Answers what there still is of a sandbox's hosts."""
    folder = Path(hosts["folder"])
    found = [*loops_of(folder)]
    inner = range(hosts["loops"] + 1, hosts["loops"] + inner_loops.BLOCK)  # the first may be taken
    found += [each.name for each in Path("/sys/block").glob("loop*") if int(each.name[4:]) in inner]
    found += [
        str(each) for each in (folder, Path("/sys/class/net", hosts["card"])) if each.exists()
    ]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            texts = [(process / name).read_text() for name in ("cmdline", "mountinfo")]
        except OSError:
            continue
        if any(folder.name in text for text in texts):
            found.append(f"{process.name} {texts[0]}")
    for parent, names, _ in os.walk("/sys/fs/cgroup"):  # which passes over what vanishes meanwhile
        found += [f"{parent}/{name}" for name in names if name == folder.name]
    return found


def freeze_all(sandbox: LaunchedSandbox) -> None:
    """Freezes the disks of all instances, and what is in files on them, with writers stuck."""
    for host in sandbox.layout["eu-west-1"].values():
        script = """
            truncate -s 64M /srv/file; mkfs.ext4 -q /srv/file; mkdir /pool
            mount $(losetup -f --show /srv/file) /pool
            truncate -s 32M /pool/file; mkfs.ext4 -q /pool/file; mkdir /inner
            mount -o loop /pool/file /inner
            for disk in /inner /pool /srv /; do
                fsfreeze -f $disk; (echo >$disk/stuck) >/dev/null 2>&1 &
            done"""
        assert sandbox.hosts.run(host["instance_id"], f"set -e; {script}") == (0, "", "")
        assert sandbox.hosts.run(host["instance_id"], "fsfreeze -f /srv")[0] != 0


def keeper_of(folder: str) -> int:
    found = subprocess.run(["pgrep", "-f", f"hosts.sweep {folder}"], capture_output=True, text=True)
    return int(found.stdout)


def test_it_is_killed() -> None:
    sandbox = launch(BOTH, hosts=True)
    hosts = about(sandbox)
    freeze_all(sandbox)
    sandbox.process.kill()
    sandbox.close()
    wait_for(lambda: left(hosts) == [])


def test_its_keeper_is_killed_with_it_and_the_next_start_sweeps() -> None:
    sandbox = launch(FLEET, hosts=True)
    hosts = about(sandbox)
    freeze_all(sandbox)
    os.kill(keeper_of(hosts["folder"]), signal.SIGKILL)
    sandbox.process.kill()
    sandbox.close()
    assert left(hosts)
    with launch(hosts=True):
        wait_for(lambda: left(hosts) == [])


def test_it_is_interrupted_in_its_terminal() -> None:
    command = [sys.executable, "-m", "ec2_sandbox", "--hosts"]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, process_group=0)
    assert process.stdout is not None
    url = process.stdout.readline().strip().partition("=")[2]
    sandbox = Sandbox(url)
    hosts = about(sandbox)
    host = sandbox.load_fleet(FLEET)["eu-west-1"]["plain"]
    last = next(line for line in process.stdout if line.startswith("#"))
    assert last == f"# log in to hosts as ubuntu with the key {host['key_file']}\n"
    assert ssh(host, "id -un") == (0, "ubuntu\n")
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    assert left(hosts) == []


def test_two_at_once_have_nothing_in_common_and_end_with_their_contexts() -> None:
    with launch(FLEET, hosts=True) as one:
        with launch(FLEET, hosts=True) as other:
            hosts = [each.layout["eu-west-1"]["plain"] for each in (one, other)]
            assert hosts[0]["address"] != hosts[1]["address"]
            for number, host in enumerate(hosts):
                assert ssh(host, f"echo {number} >~/mine")[0] == 0
            others = about(other)
            freeze_all(other)
            assert len(left(others)) >= 5
        assert left(others) == []
        assert ssh(hosts[0], "cat mine") == (0, "0\n")
