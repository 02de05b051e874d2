"""How much memory does a backup need, and does it grow with the fleet?

`snapback backup_instances_by_tag` runs for fleets of some sizes, against a sandbox without latency
and without buckets: what counts is the peak of its memory. Once it also waits for completion.

    .venv/bin/python benchmarks/memory.py [--instances 4000 20000]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from ec2_sandbox import Sandbox, launch
from measuring import (
    REGIONS,
    Aims,
    Ended,
    environ_of,
    fleet,
    run,
    show_head,
    show_row,
    snapback,
    what_was_made,
    write_config,
)

AIM_MIB = 300
WAIT, WAITED_FOR = "--synchronously", 8000


def measure(sandbox: Sandbox, instances: int, how: list[str], folder: Path) -> tuple[Ended, int]:
    """Back up a fleet; answer how it went, and how many instances are without a full set."""
    sandbox.reset()
    sandbox.configure(snapshot_seconds=20 if how else 3600)
    layout = sandbox.load_fleet(fleet(instances))
    environ = environ_of(sandbox, folder) | write_config(folder)
    ended = run([snapback("backup_instances_by_tag", *how)], environ, folder)
    return ended, what_was_made(sandbox, layout).lacking


def main() -> int:
    """Print the table; answer 1 if the aim is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--instances", nargs="+", type=int, default=[4000, 20_000])
    options = parser.parse_args()
    print(f"Three volumes an instance, {len(REGIONS)} regions, no latency, no buckets.\n")
    show_head("instances", "peak MiB", "wall s", "exit code", "without a full set")
    aims = Aims()
    with (
        tempfile.TemporaryDirectory() as folder,
        launch(regions=list(REGIONS), snapshot_seconds=3600) as sandbox,
    ):
        for instances, how in [(n, []) for n in options.instances] + [(WAITED_FOR, [WAIT])]:
            ended, lacking = measure(sandbox, instances, how, Path(folder))
            what = " ".join([f"{instances:,}", *how])
            seconds = f"{ended.seconds:.0f}"
            show_row(what, f"{ended.peak_mib:.0f}", seconds, ended.code, lacking)
            aims.check(f"{what}: peak MiB", ended.peak_mib, AIM_MIB)
            aims.check(f"{what}: instances lost, and the exit code", lacking + ended.code, 0)
    return aims.show()


if __name__ == "__main__":
    sys.exit(main())
