"""What the benchmarks share: fleets, programs that are measured, and what EC2 has at the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from ec2_sandbox import UNSET, Sandbox

HERE = Path(__file__).parent
CACHE = HERE / ".cache"
BIN = Path(sys.executable).parent
REGIONS = ("ap-southeast-1", "eu-west-1", "us-east-1", "us-west-2")
MIB = 1024 * 1024


AIMS = "### Aims"


def show_row(*cells: object) -> None:
    """Print a row of a table, at once."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def show_head(*columns: str) -> None:
    """Print the head of a table; all but its first column are numbers."""
    show_row(*columns)
    print(f"|---|{'---:|' * (len(columns) - 1)}", flush=True)


class Aims:
    """What is to be reached, and whether it was."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self.missed = False

    def check(self, what: str, found: float, most: float) -> None:
        """Take note of a number that is to be at most so large."""
        met = found <= most
        self.missed = self.missed or not met
        verdict = "met" if met else "**missed**"
        self._lines.append(f"| {what} | {most:.4g} | {found:.3g} | {verdict} |")

    def show(self) -> int:
        """Print all; answer the script's exit code."""
        print(f"\n{AIMS}\n\n| aim | at most | measured | |\n|---|---:|---:|---|")
        print("\n".join(self._lines), flush=True)
        return int(self.missed)


def fleet(instances: int, regions: Sequence[str] = REGIONS) -> dict[str, Any]:
    """Describe a fleet of instances with three volumes each, spread evenly over the regions."""
    volumes = [
        {"device": device, "size": 8, "tags": {"Team": "ops", "Cost": "1234"}}
        for device in ("/dev/sda1", "/dev/sdf", "/dev/sdg")
    ]
    one = {"name": "web", "tags": {"Earmarking": "production", "Stage": "live"}, "volumes": volumes}
    return {
        "regions": {
            region: {"instances": [{**one, "count": len(range(at, instances, len(regions)))}]}
            for at, region in enumerate(regions)
        }
    }


def environ_without_aws(home: Path) -> dict[str, str]:
    """Answer an environment in which no AWS account can be reached."""
    away = (*UNSET, "PYTHONDONTWRITEBYTECODE")  # or all modules are compiled each time
    clean = {k: v for k, v in os.environ.items() if k not in away and not k.startswith("SNAPBACK")}
    return {**clean, "HOME": str(home), "COLUMNS": "120"}


def environ_of(sandbox: Sandbox, home: Path) -> dict[str, str]:
    """Answer an environment in which nothing but the sandbox can be reached."""
    return environ_without_aws(home) | sandbox.environ


def write_config(folder: Path) -> dict[str, str]:
    """Configure the regions, and nothing else; answer what names the file in the environment."""
    path = folder / "snapback.yaml"
    path.write_text("regions:\n" + "".join(f"  {region}: {{}}\n" for region in REGIONS))
    return {"SNAPBACK_CONFIG": str(path)}


def snapback(*arguments: str) -> list[str]:
    """Answer the command that runs a task."""
    return [str(BIN / "snapback"), *arguments]


@dataclass(frozen=True)
class Ended:
    """How some programs ended that ran side by side.

    :ivar code: the worst exit code.
    :ivar seconds: from the start of the first to the end of the last.
    :ivar cpu_s: of all.
    :ivar peak_mib: of all at their peaks, added.
    :ivar said: the last of what they printed.
    """

    code: int
    seconds: float
    cpu_s: float
    peak_mib: float
    said: str


# Linux counts to a program's peak that of the process that started it, so a small one does.
_START = """
import json, os, sys
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(pid, 0)
code = os.waitstatus_to_exitcode(status)
with open(sys.argv[1], "w") as file:
    json.dump([abs(code), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024], file)
"""


def run(commands: Iterable[Sequence[str]], environ: Mapping[str, str], folder: Path) -> Ended:
    """Run programs side by side to their ends."""
    log = folder / "printed.txt"
    began = time.perf_counter()
    with log.open("w+b") as printed:
        children = [
            subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    "-c",
                    _START,
                    str(folder / f"{number}.json"),
                    *command,
                ],
                env=environ,
                cwd=folder,
                stdout=printed,
                stderr=printed,
            )
            for number, command in enumerate(commands)
        ]
        for child in children:
            child.wait()
    seconds = time.perf_counter() - began
    used = [json.loads((folder / f"{n}.json").read_text()) for n, _ in enumerate(children)]
    codes, cpu_s, peak_mib = zip(*used, strict=True)
    said = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
    return Ended(max(codes), seconds, sum(cpu_s), sum(peak_mib), said)


def client(sandbox: Sandbox, region: str) -> Any:
    """Answer a bystander's client."""
    return boto3.client(
        "ec2",
        region_name=region,
        endpoint_url=sandbox.url,
        aws_access_key_id="bystander",
        aws_secret_access_key="bystander",
    )


@dataclass(frozen=True)
class Made:
    """What EC2 has at the end.

    :ivar lacking: the instances of which a volume has no snapshot.
    :ivar doubled: those of which a volume has two.
    """

    lacking: int
    doubled: int


def what_was_made(sandbox: Sandbox, layout: Mapping[str, Any]) -> Made:
    """Look at each volume's snapshots."""
    sandbox.configure(latency_ms=0, throttle=False)
    sandbox.clear_faults()
    lacking = doubled = 0
    for region, instances in layout.items():
        pages = client(sandbox, region).get_paginator("describe_snapshots").paginate(
            OwnerIds=["self"], PaginationConfig={"PageSize": 1000}
        )  # fmt: skip
        of = Counter(snapshot["VolumeId"] for page in pages for snapshot in page["Snapshots"])
        for instance in instances.values():
            counts = [of[volume_id] for volume_id in instance["volumes"].values()]
            lacking += min(counts) < 1
            doubled += max(counts) > 1
    return Made(lacking, doubled)
