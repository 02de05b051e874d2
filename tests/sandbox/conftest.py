"""One embedded EC2 for all tests of a worker, empty at the start of each; and the real programs."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from ec2_sandbox import Sandbox, launch

from snapback import config
from snapback.run import Run, use
from tests.sandbox import histories
from tests.sandbox.warm_fab import WarmFab, share_what_botocore_reads

BIN = Path(sys.executable).parent
REGIONS = ("ap-southeast-1", "eu-west-1", "us-east-1")
share_what_botocore_reads()


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Sandbox]:
    settings = {"snapshot_seconds": 0.3, "seconds_between_snapshots": 0}
    with launch(regions=list(REGIONS), **settings) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(
    running_sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sandbox]:
    """An empty EC2 with three regions, and an environment in which nothing else is reachable.

    The defaults are in force, on purpose: what deletes is refused without a configuration.
    """
    running_sandbox.reset()
    for name in list(os.environ):
        if name.startswith(("AWS_", "SNAPBACK_")):
            monkeypatch.delenv(name)
    for name, value in running_sandbox.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SNAPBACK_CONFIG", "none")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield running_sandbox
    running_sandbox.reset()


def instance(
    name: str, *sizes: int, tags: dict[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    """Describe an earmarked instance with volumes of some sizes for a fleet."""
    volumes = more.pop("volumes", None) or [
        {"device": "/dev/sda1" if number == 0 else f"/dev/sd{'fghijkl'[number - 1]}", "size": size}
        for number, size in enumerate(sizes or (8,))
    ]
    return {
        "name": name,
        "tags": {"Earmarking": "production"} if tags is None else tags,
        "volumes": volumes,
        **more,
    }


@dataclass
class Ended:
    """How a program ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        (line,) = self.out.splitlines()
        found: dict[str, Any] = json.loads(line)
        return found

    def item(self, subject: str) -> dict[str, Any]:
        """The JSON item of one subject."""
        (found,) = [item for item in self.document["items"] if item["subject"] == subject]
        return found


@pytest.fixture(scope="session")
def warm_fab() -> Iterator[WarmFab]:
    warm = WarmFab()
    yield warm
    warm.close()


@pytest.fixture
def fab(
    sandbox: Sandbox, warm_fab: WarmFab, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Ended]:
    """Runs the real ``fab`` with the project's own fabfile."""

    def run(*arguments: str, **environment: str) -> Ended:
        return run_fab(warm_fab, tmp_path_factory.mktemp("fab"), *arguments, **environment)

    return run


@pytest.fixture
def snapback(
    sandbox: Sandbox, warm_fab: WarmFab, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Ended]:
    """Runs the real command ``snapback``."""

    def run(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> Ended:
        argv = ["snapback", *map(str, arguments)]
        return run_warm(warm_fab, tmp_path_factory.mktemp("snapback"), argv, cwd, **environment)

    return run


def run_fab(warm: WarmFab, folder: Path, *arguments: str, **environment: str) -> Ended:
    """Run ``fab``; what it says is written into a folder."""
    return run_warm(warm, folder, ["fab", "-r", str(warm.root), *arguments], **environment)


def run_warm(
    warm: WarmFab, folder: Path, argv: list[str], cwd: Path | None = None, **environment: str
) -> Ended:
    """Run a program; what it says is written into a folder."""
    out, err = folder / "out", folder / "err"
    code = warm.run(argv, {**os.environ, **environment}, out, err, cwd)
    return Ended(code, out.read_text(), err.read_text())


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes the configuration that the programs will find."""

    def write(**settings: Any) -> Path:
        path = tmp_path / "snapback.yaml"
        path.write_text(yaml.safe_dump(settings))
        monkeypatch.setenv("SNAPBACK_CONFIG", str(path))
        return path

    return write


class Stepping(threading.Event):
    """A wish to stop that nobody has; to wait for it steps the sandbox's clock instead."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__()
        self._sandbox = sandbox
        self._stepped_s = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        self.sleep(timeout or 0)
        return False

    def sleep(self, seconds: float) -> None:
        if seconds:
            self._stepped_s += seconds
            self._sandbox.advance(seconds)

    def clock(self) -> float:
        return time.monotonic() + self._stepped_s


@pytest.fixture
def begin(sandbox: Sandbox) -> Callable[..., Run]:
    """Begins a run for the helpers that are called from Python; waiting takes it no time."""

    def new(path: Path | None = None) -> Run:
        stop = Stepping(sandbox)
        source = config.named_file(path) if path else config.find(named=config.DEFAULTS)
        return Run(config.load(source), stop=stop, sleep=stop.sleep, clock=stop.clock)

    return new


@pytest.fixture
def run(begin: Callable[..., Run]) -> Iterator[Run]:
    """The current run, with the default settings."""
    with use(begin()) as found:
        yield found


@cache
def _bystander(url: str, region: str) -> Any:
    return boto3.client(
        "ec2",
        region_name=region,
        endpoint_url=url,
        aws_access_key_id="bystander",
        aws_secret_access_key="bystander",
    )


@dataclass
class World:
    """EC2 as a bystander sees it, through boto3 itself."""

    sandbox: Sandbox

    def ec2(self, region: str = "us-east-1") -> Any:
        return _bystander(self.sandbox.url, region)

    def snapshots(self, region: str = "us-east-1") -> list[dict[str, Any]]:
        pages = self.ec2(region).get_paginator("describe_snapshots").paginate(OwnerIds=["self"])
        return [snapshot for page in pages for snapshot in page["Snapshots"]]

    def snapshot_ids(self, region: str = "us-east-1") -> set[str]:
        return {snapshot["SnapshotId"] for snapshot in self.snapshots(region)}

    def tags(self, snapshot: dict[str, Any]) -> dict[str, str]:
        return {tag["Key"]: tag["Value"] for tag in snapshot.get("Tags", ())}


@pytest.fixture
def world(sandbox: Sandbox) -> World:
    return World(sandbox)


@pytest.fixture
def load(sandbox: Sandbox) -> Callable[..., dict[str, Any]]:
    """Lays out instances in us-east-1, or whole regions; answers name -> ids."""

    def lay_out(*instances: dict[str, Any], **regions: Any) -> dict[str, Any]:
        if instances:
            regions["us-east-1"] = {"instances": list(instances)}
        placed = sandbox.load_fleet({"regions": regions})
        sandbox.clear_calls()
        return placed["us-east-1"] if instances else placed

    return lay_out


@pytest.fixture
def fleet(sandbox: Sandbox) -> Callable[..., dict[str, Any]]:
    """Lays out one region at a known time."""

    def lay_out(*instances: dict[str, Any], snapshots: Any = (), **more: Any) -> dict[str, Any]:
        region = {"instances": list(instances), "snapshots": list(snapshots)}
        placed = sandbox.load_fleet(
            {"now": histories.NOW, "regions": {"us-east-1": region}, **more}
        )
        sandbox.clear_calls()
        return placed["us-east-1"]  # type: ignore[no-any-return]

    return lay_out


CHANGING = ("Create", "Delete", "Copy", "Modify", "Run", "Terminate", "Lock", "Register")


def changing_calls(sandbox: Sandbox) -> list[str]:
    """The actions called that change something."""
    return [call.action for call in sandbox.calls() if call.action.startswith(CHANGING)]
