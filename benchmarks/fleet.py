"""How fast is a fleet backed up, and is anything lost or doubled?

One sandbox with a latency and EC2's buckets stands in for EC2. The programs that back the same
fleet up are snapback; Cloud Custodian, in one process and in one a region; and the floor: an ideal
script (ideal.py), and the arithmetic of EC2's bucket for CreateSnapshots. Where the times of
snapback and the script are compared they run by turns, and the medians are.

    .venv/bin/python benchmarks/fleet.py [--sizes 200 1000] [--latency-ms 80] [--runs 3]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import custodian
from ec2_sandbox import Sandbox, launch
from measuring import (
    HERE,
    REGIONS,
    Aims,
    Ended,
    Made,
    environ_of,
    fleet,
    run,
    show_head,
    show_row,
    snapback,
    what_was_made,
    write_config,
)

CAPACITY, REFILL = 100, 5  # EC2's bucket for CreateSnapshots
FAULTS = 10
OURS, IDEAL = "snapback", "the ideal script"
CUSTODIAN, CUSTODIANS = "Cloud Custodian", "Cloud Custodian, a process a region"
COLUMNS = (
    "program",
    "wall s",
    "processor s",
    "snapshot phase s",
    "CreateSnapshots an instance",
    "instances without a full set",
    "with two sets",
    "peak MiB",
    "exit code",
)


@dataclass(frozen=True)
class Measured:
    """One run of a program.

    :ivar phase_s: from the first CreateSnapshots to the answer to the last.
    """

    program: str
    ended: Ended
    made: Made
    phase_s: float
    calls_each: float


@dataclass(frozen=True)
class Bench:
    """What all runs share."""

    sandbox: Sandbox
    folder: Path
    latency_ms: int
    runs: int
    with_custodian: bool

    def commands(self, program: str, throttled: bool) -> list[list[str]]:
        """Answer the commands that a program is."""
        if program == OURS:
            return [snapback("backup_instances_by_tag")]
        if program == IDEAL:
            bucket = ["--bucket", str(CAPACITY - 1), str(REFILL)] if throttled else []
            return [[sys.executable, str(HERE / "ideal.py"), *REGIONS, *bucket]]
        return custodian.commands(self.folder, REGIONS, program == CUSTODIANS)

    def measure(
        self,
        program: str,
        size: int,
        throttled: bool = False,
        trouble: Callable[[Sandbox], None] = lambda _: None,
    ) -> Measured:
        """Run a program on a fresh fleet."""
        sandbox = self.sandbox
        sandbox.reset()
        layout = sandbox.load_fleet(fleet(size))
        sandbox.configure(latency_ms=self.latency_ms, throttle=throttled)
        trouble(sandbox)
        environ = environ_of(sandbox, self.folder) | write_config(self.folder)
        ended = run(self.commands(program, throttled), environ, self.folder)
        calls = sandbox.calls("CreateSnapshots")
        began = min(call.time.timestamp() for call in calls)
        phase_s = max(call.time.timestamp() + call.seconds for call in calls) - began
        made = what_was_made(sandbox, layout)
        return Measured(program, ended, made, phase_s, len(calls) / size)

    def by_turns(self, size: int, throttled: bool, programs: Sequence[str]) -> Iterator[Measured]:
        """Answer the median run of each of some programs, which run by turns."""
        runs: dict[str, list[Measured]] = {program: [] for program in programs}
        for _ in range(self.runs):
            for program in programs:
                runs[program].append(self.measure(program, size, throttled))
        for found in runs.values():
            yield sorted(found, key=lambda one: one.ended.seconds)[len(found) // 2]

    def others(
        self,
        size: int,
        throttled: bool = False,
        trouble: Callable[[Sandbox], None] = lambda _: None,
    ) -> Iterator[Measured]:
        """Answer a run of Cloud Custodian each way."""
        for program in (CUSTODIAN, CUSTODIANS) if self.with_custodian else ():
            yield self.measure(program, size, throttled, trouble)


def lose_answers(sandbox: Sandbox) -> None:
    """Have CreateSnapshots done without an answer, ten times."""
    for number in range(FAULTS):
        sandbox.fault("CreateSnapshots", "drop_after", nth=5 + 15 * number)


def fail(sandbox: Sandbox) -> None:
    """Have CreateSnapshots answered by HTTP 500 ten times; every other one is done all the same."""
    for number in range(FAULTS):
        effect = "error_after" if number % 2 else "error"
        sandbox.fault(
            "CreateSnapshots", effect, nth=5 + 15 * number, code="InternalError", status=500
        )


def refuse(sandbox: Sandbox) -> None:
    """Have one region refuse."""
    sandbox.fault(
        "DescribeInstances",
        "error",
        region=REGIONS[1],
        count=None,
        code="UnauthorizedOperation",
        status=403,
        message="You are not authorized to perform this operation.",
    )


def show(title: str, found: Sequence[Measured]) -> None:
    """Print a table."""
    print(f"\n### {title}\n")
    show_head(*COLUMNS)
    for one in found:
        ended, made = one.ended, one.made
        show_row(
            one.program,
            f"{ended.seconds:.1f}",
            f"{ended.cpu_s:.1f}",
            f"{one.phase_s:.1f}",
            f"{one.calls_each:.2f}",
            made.lacking,
            made.doubled,
            f"{ended.peak_mib:.0f}",
            ended.code,
        )


def in_order(bench: Bench, size: int, aims: Aims) -> None:
    """Measure where nothing goes wrong, without EC2's buckets and with them."""
    found = [*bench.by_turns(size, False, (OURS, IDEAL)), *bench.others(size)]
    show(f"{size} instances, no throttling", found)
    ours, ideal = found[0], found[1]
    ratio = ours.ended.seconds / ideal.ended.seconds
    aims.check(f"{size}, not throttled: wall time to the ideal script's", ratio, 1.10)
    check_whole(f"{size}, not throttled", ours, aims)

    floor_s = max(0.0, (-(-size // len(REGIONS)) - CAPACITY) / REFILL)
    found = [
        bench.measure(OURS, size, throttled=True),
        bench.measure(IDEAL, size, throttled=True),
        *bench.others(size, throttled=True),
    ]
    show(f"{size} instances, EC2's buckets (floor {floor_s:.0f} s)", found)
    ours = found[0]
    check_whole(f"{size}, throttled", ours, aims)
    aims.check(f"{size}, throttled: CreateSnapshots an instance", ours.calls_each, 1.10)
    if floor_s:
        aims.check(f"{size}, throttled: snapshot phase to the floor", ours.phase_s / floor_s, 1.05)
    for other in found[2:]:
        ratio = ours.ended.seconds / other.ended.seconds
        aims.check(f"{size}, throttled: wall time to that of {other.program}", ratio, 1)


def in_trouble(bench: Bench, size: int, aims: Aims) -> None:
    """Measure where EC2 fails now and then."""
    for title, trouble in (("answers lost", lose_answers), ("errors, HTTP 500", fail)):
        ours = bench.measure(OURS, size, trouble=trouble)
        show(f"{size} instances, {FAULTS} {title}", [ours, *bench.others(size, trouble=trouble)])
        check_whole(f"{size}, {FAULTS} {title}", ours, aims)
    ours = bench.measure(OURS, size, trouble=refuse)
    show(
        f"{size} instances, one of four regions refuses",
        [ours, *bench.others(size, trouble=refuse)],
    )
    lost = ours.made.lacking - len(range(1, size, len(REGIONS))) + (ours.ended.code == 0)
    aims.check(f"{size}, a region refuses: instances lost elsewhere, or exit code 0", lost, 0)


def check_whole(what: str, ours: Measured, aims: Aims) -> None:
    """See that nothing was lost and nothing doubled, and that the exit code says so."""
    wrong = ours.made.lacking + ours.made.doubled + ours.ended.code
    aims.check(f"{what}: instances lost, and doubled, and the exit code", wrong, 0)


def main() -> int:
    """Print the tables and the aims; answer 1 if one is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", type=int, default=[200, 1000])
    parser.add_argument("--latency-ms", type=int, default=80)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--without-custodian", action="store_true")
    options = parser.parse_args()
    with_custodian = not options.without_custodian
    if with_custodian and (reason := custodian.install()):
        print(f"Without Cloud Custodian: {reason}\n", flush=True)
        with_custodian = False
    print(
        f"Three volumes an instance, {len(REGIONS)} regions, {options.latency_ms} ms a call, "
        f"Cloud Custodian {custodian.VERSION}."
    )
    aims = Aims()
    with (
        tempfile.TemporaryDirectory() as folder,
        launch(regions=list(REGIONS), snapshot_seconds=3600) as sandbox,
    ):
        bench = Bench(sandbox, Path(folder), options.latency_ms, options.runs, with_custodian)
        for size in options.sizes:
            in_order(bench, size, aims)
        in_trouble(bench, options.sizes[0], aims)
    return aims.show()


if __name__ == "__main__":
    sys.exit(main())
