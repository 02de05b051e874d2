"""Sandboxes as processes: how they start, what they say, how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ec2_sandbox import Sandbox, SandboxError, launch

RUN = [sys.executable, "-m", "ec2_sandbox"]


def gone(pid: int, seconds: float = 10) -> bool:
    """Waits until a process is gone, or is but a zombie that nobody reaped."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True
        if stat.rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(sign: int, tmp_path: Path) -> None:
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(
        "enabled_regions: [eu-west-1]\nregions: {eu-west-1: {instances: [{name: a}]}}\n"
    )
    command = [*RUN, "--fleet", str(fleet), "--speed", "0"]
    elsewhere = {**os.environ, "AWS_PROFILE": "nonsense", "AWS_DEFAULT_REGION": "us-west-2"}
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=elsewhere)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        if line.startswith("unset"):
            break
    exports = dict(line.removeprefix("export ").split("=", 1) for line in lines[:-1])
    assert exports["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert exports["AWS_EC2_METADATA_DISABLED"] == "true"
    assert "AWS_PROFILE" in lines[-1] and "AWS_SESSION_TOKEN" in lines[-1]
    sandbox = Sandbox(exports["AWS_ENDPOINT_URL"])
    assert sandbox.now() == sandbox.now()
    process.send_signal(sign)
    output, errors = process.communicate(timeout=10)
    assert (process.returncode, output, errors) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--regions", "xx-west-9"], "xx-west-9"),
        (["--fleet", "/nonexistent.yaml"], "/nonexistent.yaml"),
        (["--port", "99999"], "99999"),
        (["--now", "yesterday"], "now"),
        (["--buckets", "{"], "--buckets"),
        (["--denied", "{bad"], "--denied"),
        (["--denied", "[]"], "denied: write"),
        (["--snapshot-seconds", "-1"], "snapshot_seconds"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], says: str) -> None:
    ended = subprocess.run([*RUN, *arguments], capture_output=True, text=True, timeout=20)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1 and says in ended.stderr


def test_a_bad_fleet_file_is_one_line(tmp_path: Path) -> None:
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text("regions: {us-east-1: {instances: [{nam: a}]}}\n")
    ended = subprocess.run(
        [*RUN, "--fleet", str(fleet)], capture_output=True, text=True, timeout=20
    )
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert "regions.us-east-1.instances[0].nam" in ended.stderr


def test_it_ends_with_its_context() -> None:
    with launch() as sandbox:
        pid = sandbox.process.pid
        assert sandbox.environ["AWS_ENDPOINT_URL"] == sandbox.url
    assert sandbox.process.returncode == 0
    assert gone(pid)


def test_it_ends_when_its_parent_is_killed() -> None:
    script = (
        "import time; from ec2_sandbox import launch; s = launch();"
        "print(s.process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait(10)
    parent.stdout.close()
    assert gone(child)


@pytest.mark.parametrize(
    ("settings", "says"), [({"nonsense": 1}, "nonsense"), ({"regions": ["xx-west-9"]}, "xx-west-9")]
)
def test_a_bad_launch_is_told(settings: dict[str, object], says: str) -> None:
    with pytest.raises(SandboxError, match=says):
        launch(**settings)


def test_a_launch_with_a_fleet() -> None:
    fleet = {"regions": {"us-east-1": {"instances": [{"name": "a"}]}}}
    with launch(fleet=fleet) as sandbox:
        assert set(sandbox.layout["us-east-1"]) == {"a"}
    with pytest.raises(SandboxError, match="nonsense"):
        launch(fleet={"nonsense": 1})
