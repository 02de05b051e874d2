"""How long do writers wait while a consistent backup freezes them?

A writer on a real host (root on Linux needed) writes to each file system in turn, a record every
millisecond, and notes each gap. Each backup's longest gap is its stall. Beside it stands the
latency of one CreateSnapshots call, as the sandbox is set to have it: what it takes at least.

    .venv/bin/python benchmarks/freeze_stall.py [--runs 20] [--latency-ms 80]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ec2_sandbox import Sandbox, launch
from ec2_sandbox.hosts.needs import why_not
from measuring import Aims, show_head, show_row

from snapback import config
from snapback.backup import back_up_by_tag
from snapback.run import Run
from snapback.words import Word

AIM_S = 0.15
WRITER = r"""
use Time::HiRes qw(time sleep);
my @files = map { open(my $f, '>>', "$_/records") or die; $f } @ARGV;
unlink '/run/gaps';
open(my $gaps, '>>', '/run/gaps') or die;
$gaps->autoflush(1);
my $last = time;
for (;;) {
    syswrite($_, "record\n") for @files;
    my $now = time;
    printf $gaps "%.4f\n", $now - $last if $now - $last > 0.01;
    $last = $now;
    sleep 0.001;
}
"""
#: so many data volumes, and so many file systems, each in a file on the one before
CASES = {
    "/ alone": (0, 0),
    "one volume and /": (1, 0),
    "two volumes and /": (2, 0),
    "four volumes and /": (4, 0),
    "two stacked loops, four volumes and /": (4, 2),
}
#: makes a file system in a file, and mounts it: FILE FOLDER
STACK = """
set -e
truncate -s 256M "$1"; mkfs.ext4 -q "$1"
mkdir -p "$2"; mount -o loop "$1" "$2"
"""


def volumes(count: int) -> list[dict[str, Any]]:
    """Describe a root and so many data volumes of a fleet's instance."""
    data = [
        {
            "device": f"/dev/sd{letter}",
            "size": 1,
            "filesystem": "ext4",
            "mount_point": f"/srv/{letter}",
        }
        for letter in "fghi"[:count]
    ]
    return [{"device": "/dev/sda1", "size": 4}, *data]


def stack(sandbox: Sandbox, instance_id: str, below: str) -> str:
    """Make a file system in a file on another one, and mount it; answer where."""
    folder = f"/stacked{below}"
    command = ["sh", "-c", STACK, "sh", f"{below}/file", folder]
    code, _, said = sandbox.hosts.run(instance_id, command)
    assert code == 0, said
    return folder


@contextmanager
def writing(sandbox: Sandbox, instance_id: str, folders: list[str]) -> Iterator[None]:
    """Write in the meantime."""
    command = sandbox.hosts.command(instance_id, ["perl", "-e", WRITER, *folders])
    with subprocess.Popen(command):
        try:
            yield
        finally:
            sandbox.hosts.run(instance_id, "pkill -KILL -x perl")


def stall(sandbox: Sandbox, run: Run, instance_id: str, folders: list[str]) -> float:
    """Back up once; answer the longest gap of the writer, in seconds."""
    with writing(sandbox, instance_id, folders):
        (outcome,) = back_up_by_tag(run, "us-east-1", None, None, consistent=True)
        assert outcome.word is Word.DONE, outcome
        _, gaps, _ = sandbox.hosts.run(instance_id, "sleep 0.2; cat /run/gaps")
    return max(map(float, gaps.split()), default=0.0)


def measure(runs: int, latency_ms: int) -> Iterator[tuple[str, list[float]]]:
    """Answer the stalls of each case."""
    settings = {"seconds_between_snapshots": 0, "snapshot_seconds": 0.1}
    with tempfile.TemporaryDirectory() as home, launch(hosts=True, **settings) as sandbox:
        os.environ.update(sandbox.environ, HOME=home)
        login = {
            "username": "ubuntu",
            "key_filename": sandbox.hosts.key_file,
            "host_keys": "console",
        }
        for case, (count, stacked) in CASES.items():
            sandbox.reset()
            fleet = {
                "name": "host",
                "tags": {"Earmarking": "production"},
                "volumes": volumes(count),
            }
            host = sandbox.load_fleet({"regions": {"us-east-1": {"instances": [fleet]}}})
            instance_id = host["us-east-1"]["host"]["instance_id"]
            folders = [volume["mount_point"] for volume in volumes(count)[1:]] or ["/var/tmp"]
            for _ in range(stacked):
                folders += [stack(sandbox, instance_id, folders[-1])]
            sandbox.hosts.settle()
            sandbox.configure(latency_ms=latency_ms)
            ssh = {**login, "remembered_keys": f"{home}/keys-{count}-{stacked}"}
            settings_of_run = config.Settings.model_validate({"ssh": ssh})
            run = Patient(config.Loaded(settings=settings_of_run))
            yield case, [stall(sandbox, run, instance_id, folders) for _ in range(runs)]
            run.connections.close()


class Patient(Run):
    """A run that does not wait the 15 s between snapshots, which the sandbox doesn't ask for."""

    def pause(self, seconds: float) -> None:
        """Go on at once."""


def main() -> int:
    """Print the table; answer 1 if the aim is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--latency-ms", type=int, default=80)
    options = parser.parse_args()
    if reason := why_not():
        print(f"Can't be run here: {reason}")
        return 2
    latency_s = options.latency_ms / 1000
    print(f"{options.runs} backups each; one call takes {latency_s:.3f} s.\n")
    show_head("writers wait", "median s", "worst s", "over the call s")
    aims = Aims()
    for case, stalls in measure(options.runs, options.latency_ms):
        median, worst = statistics.median(stalls), max(stalls)
        show_row(case, f"{median:.3f}", f"{worst:.3f}", f"{median - latency_s:.3f}")
        aims.check(f"writers wait, {case}: median s over the call", median - latency_s, AIM_S)
    return aims.show()


if __name__ == "__main__":
    sys.exit(main())
