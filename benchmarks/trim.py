"""What does it cost to plan a large trimming, and how fast is one carried out?

Planned are 100,000 snapshots of 2,000 volumes at one place, as they are after their answers were
parsed; what counts is the processor's time, and the memory above the snapshots themselves. Deleted
are 2,000 over four regions, by `snapback trim_snapshots` against a sandbox with EC2's buckets.

    .venv/bin/python benchmarks/trim.py [--snapshots 100000] [--volumes 2000] [--deletions 2000]
"""

from __future__ import annotations

import argparse
import gc
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ec2_sandbox import launch
from measuring import REGIONS, Aims, Ended, client, environ_of, run, snapback, write_config

from snapback.core.model import Place, Snapshot
from snapback.core.trim.brake import Brake
from snapback.core.trim.policy import Policy
from snapback.core.trim.retention import Protection
from snapback.core.trim.trim_plan import TrimPlan, plan_trim
from snapback.ec2.snapshots import read
from snapback.tasks.boundary import NEW_OBJECTS

AIM_CPU_S, AIM_MIB = 1.0, 200
CAPACITY, REFILL = 100, 5  # EC2's bucket for DeleteSnapshot
AIM_OF_FLOOR = 1.05
NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
HERE = Place("us-east-1")
TOO_MANY = 50  # snapshots of each volume


def said(volume: int, number: int) -> dict[str, Any]:
    """Answer a snapshot as DescribeSnapshots does; of sets of two volumes, a set each six hours."""
    at = NOW - timedelta(hours=6 * number)
    volume_id, set_id = f"vol-{volume:017x}", f"set-{volume // 2:012x}{number:05x}"
    first = volume - volume % 2
    devices = f'{{"/dev/sda1":"vol-{first:017x}","/dev/sdf":"vol-{first + 1:017x}"}}'
    tags = {
        "Name": f"web-{volume // 2}",
        "Earmarking": "production",
        "snapback:set": set_id,
        "snapback:devices": devices,
        "snapback:run": f"run-{at:%Y%m%dT%H%M%S}-abcdef",
        "snapback:consistency": "crash",
    }
    return {
        "SnapshotId": f"snap-{volume:08x}{number:09x}",
        "VolumeId": volume_id,
        "StartTime": at,
        "State": "completed",
        "Progress": "100%",
        "VolumeSize": 8,
        "Description": f'{{"Region":"us-east-1","Instance":"i-{volume // 2:017x}",'
        f'"Type":"m5.large","Arch":"x86_64","Root_dev_name":"/dev/sda1",'
        f'"Time":"{at:%Y-%m-%dT%H:%M:%S}"}}',
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }


def all_read(volumes: int, snapshots: int) -> Iterator[Snapshot]:
    """Answer the snapshots, read as snapback reads DescribeSnapshots."""
    for number in range(snapshots // volumes):
        for volume in range(volumes):
            yield read(HERE, said(volume, number))


def peak_mib() -> float:
    """Answer the peak of this process's memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_planning(volumes: int, snapshots: int) -> tuple[TrimPlan, float, float]:
    """Answer a plan, the processor's seconds it took, and the MiB above the snapshots."""
    given = list(all_read(volumes, snapshots))
    gc.collect()
    gc.set_threshold(NEW_OBJECTS)  # as tasks do
    before_mib, began = peak_mib(), time.process_time()
    plan = plan_trim(HERE, given, lambda _: Policy(), NOW, Protection(), Brake(percent=100))
    return plan, time.process_time() - began, peak_mib() - before_mib


def deletable(deletions: int) -> dict[str, Any]:
    """Describe volumes each of which has fifty snapshots too many, evenly over the regions."""
    description = '{"Volume":"$volume_id","Region":"$region","Time":"$time"}'
    one = {
        "name": "web",
        "count": deletions // TOO_MANY // len(REGIONS),
        "tags": {"Earmarking": "production"},
        "volumes": [{"device": "/dev/sda1", "size": 8}],
        "history": [
            {
                "every": "1m",
                "from": f"40d {TOO_MANY}m",
                "until": "40d",
                "description": description,
            },
            {"every": "1d", "from": "1h", "description": description},
        ],
    }
    return {"regions": {region: {"instances": [one]} for region in REGIONS}}


@dataclass(frozen=True)
class Deleted:
    """How a trimming was carried out.

    :ivar phase_s: from the first DeleteSnapshot to the answer to the last.
    :ivar left: snapshots that should have been deleted; fewer than none: too many were.
    """

    ended: Ended
    phase_s: float
    calls_each: float
    left: int


def measure_deleting(deletions: int) -> Deleted:
    """Trim what there is too much."""
    with (
        tempfile.TemporaryDirectory() as name,
        launch(regions=list(REGIONS), latency_ms=80, throttle=True, now=NOW) as sandbox,
    ):
        folder = Path(name)
        sandbox.load_fleet(deletable(deletions))
        environ = environ_of(sandbox, folder) | write_config(folder)
        ended = run([snapback("trim_snapshots", "--max-delete", "100")], environ, folder)
        calls = sandbox.calls("DeleteSnapshot")
        began = min(call.time.timestamp() for call in calls)
        phase_s = max(call.time.timestamp() + call.seconds for call in calls) - began
        sandbox.configure(throttle=False, latency_ms=0)
        left = sum(
            len(client(sandbox, region).describe_snapshots(OwnerIds=["self"])["Snapshots"])
            for region in REGIONS
        )
        kept = 2 * deletions // TOO_MANY  # the newest, and one of the month
        return Deleted(ended, phase_s, len(calls) / deletions, left - kept)


def main() -> int:
    """Print the tables; answer 1 if an aim is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--snapshots", type=int, default=100_000)
    parser.add_argument("--volumes", type=int, default=2000)
    parser.add_argument("--deletions", type=int, default=2000)
    options = parser.parse_args()
    plan, cpu_s, mib = measure_planning(options.volumes, options.snapshots)
    print(
        f"Of {options.snapshots:,} snapshots of {options.volumes:,} volumes "
        f"{len(plan.deletions):,} would go. To plan that took {cpu_s:.2f} s of the processor, and "
        f"{mib:.0f} MiB above the snapshots themselves.",
        flush=True,
    )
    aims = Aims()
    what = f"planning for {options.snapshots:,} snapshots"
    aims.check(f"{what}: processor s", cpu_s, AIM_CPU_S)
    aims.check(f"{what}: MiB above them", mib, AIM_MIB)
    floor_s = (options.deletions / len(REGIONS) - CAPACITY) / REFILL
    found = measure_deleting(options.deletions)
    print(
        f"\nDeleting {options.deletions:,} over {len(REGIONS)} regions took {found.phase_s:.1f} s "
        f"(floor: {floor_s:.0f} s), {found.calls_each:.2f} calls each and "
        f"{found.ended.peak_mib:.0f} MiB."
    )
    what = f"deleting {options.deletions:,}"
    aims.check(f"{what}: time to the floor", found.phase_s / floor_s, AIM_OF_FLOOR)
    wrong = abs(found.left) + found.ended.code
    aims.check(f"{what}: left, or too many gone, and the exit code", wrong, 0)
    return aims.show()


if __name__ == "__main__":
    sys.exit(main())
