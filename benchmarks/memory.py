"""How much memory does a backup need, and does it grow with the fleet?

`snapback backup_instances_by_tag` runs for fleets of some sizes, against a sandbox without latency
and without buckets: what counts is the peak of its memory.

    .venv/bin/python benchmarks/memory.py [--instances 2000 20000]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from ec2_sandbox import Sandbox, launch
from measuring import REGIONS, Ended, environ_of, fleet, run, snapback, what_was_made, write_config

AIM_MIB = 300


def measure(sandbox: Sandbox, instances: int, folder: Path) -> tuple[Ended, int]:
    """Back up a fleet; answer how it went, and how many instances are without a full set."""
    sandbox.reset()
    layout = sandbox.load_fleet(fleet(instances))
    environ = environ_of(sandbox, folder) | write_config(folder)
    ended = run([snapback("backup_instances_by_tag")], environ, folder)
    return ended, what_was_made(sandbox, layout).lacking


def main() -> int:
    """Print the table; answer 1 if the aim is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--instances", nargs="+", type=int, default=[2000, 20_000])
    options = parser.parse_args()
    print(f"3 volumes an instance, {len(REGIONS)} regions; aim: below {AIM_MIB} MiB", flush=True)
    print("instances  peak MiB  seconds  exit  without a full set")
    missed = False
    with (
        tempfile.TemporaryDirectory() as folder,
        launch(regions=list(REGIONS), snapshot_seconds=3600) as sandbox,
    ):
        for instances in options.instances:
            ended, lacking = measure(sandbox, instances, Path(folder))
            missed = missed or bool(ended.code or lacking) or ended.peak_mib >= AIM_MIB
            print(
                f"{instances:9}  {ended.peak_mib:8.0f}  {ended.seconds:7.0f}  {ended.code:4}  "
                f"{lacking:18}",
                flush=True,
            )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
