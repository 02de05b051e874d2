"""Run every benchmark there is, one after the other, and say of each aim whether it is met.

One that fails doesn't keep the others from running; one that can't be run here (it answers 2) is
named as skipped. With --write all that is printed is also put into a file, as the documentation
includes it. Answers 1 if one misses an aim, or fails.

    make bench
    make bench BENCH="--write docs/reference/measured.md"
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from measuring import AIMS, HERE

PARTS = {
    "startup.py": "The start",
    "fleet.py": "A fleet",
    "trim.py": "Trimming",
    "memory.py": "Memory",
    "freeze_stall.py": "Writers wait for a consistent backup",
    "replication.py": "Moving data",
}
TITLE = """# What was measured

Written by `make bench BENCH="--write docs/reference/measured.md"`. What it means is told in
[Performance](performance.md).
"""
SKIPPED, TOO_LONG = 2, 124
LONGEST_S = 15 * 60
WORDS = {0: "all aims met", 1: "an aim **missed**, or it failed", SKIPPED: "skipped"}


@dataclass(frozen=True)
class Part:
    """What came of a script.

    :ivar lines: what it printed.
    """

    name: str
    code: int
    seconds: float
    lines: Sequence[str]

    @property
    def aims(self) -> Iterator[str]:
        """The rows of its table of aims."""
        if AIMS in self.lines:
            yield from self.lines[self.lines.index(AIMS) + 4 :]

    @property
    def tables(self) -> Sequence[str]:
        """What it printed before its aims."""
        return self.lines[: self.lines.index(AIMS)] if AIMS in self.lines else self.lines


def run(name: str, more: Sequence[str]) -> Part:
    """Run a script; what it prints is shown at once."""
    print(f"\n## {PARTS[name]}\n", flush=True)
    began, lines = time.monotonic(), []
    command = [sys.executable, str(HERE / name), *more]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0
    ) as script:
        signal.alarm(LONGEST_S)
        try:
            for line in script.stdout or ():
                print(line, end="", flush=True)
                lines.append(line.rstrip())
            code = script.wait()
        except TimeoutError:
            lines.append(f"It was stopped after {LONGEST_S} s.")
            print(lines[-1], flush=True)
            code = TOO_LONG
        finally:
            signal.alarm(0)
            end(script)
    return Part(name, code, time.monotonic() - began, lines)


def end(script: subprocess.Popen[str]) -> None:
    """Have a script, and what it started, end: tidily where it does so in a minute."""
    if script.poll() is None:
        os.killpg(script.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            script.wait(60)
    with suppress(ProcessLookupError):
        os.killpg(script.pid, signal.SIGKILL)


def on_alarm(*_: object) -> None:
    """Stop a script that takes too long."""
    raise TimeoutError


def where() -> str:
    """Say on what it was measured."""
    commit = subprocess.run(
        ["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    ).stdout.strip()
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} at {commit or 'no commit'}: "
        f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}. "
        f"The load was {os.getloadavg()[0]:.1f} at the beginning."
    )


def summary(parts: Sequence[Part]) -> Iterator[str]:
    """Answer the lines that say what came of all."""
    yield from ("## The aims", "", "| aim | at most | measured | |", "|---|---:|---:|---|")
    for part in parts:
        yield from part.aims
    yield from ("", "| script | s | |", "|---|---:|---|")
    for part in parts:
        yield f"| `{part.name}` | {part.seconds:.0f} | {WORDS.get(part.code, 'failed')} |"
    yield f"| all | {sum(part.seconds for part in parts):.0f} | |"


def main() -> int:
    """Run them; print what came of each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--write", type=Path, help="a file to write it into too, as Markdown")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="small, to see that all of it works")
    options = parser.parse_args()
    signal.signal(signal.SIGALRM, on_alarm)
    said = where()
    print(said, flush=True)
    parts = [run(name, QUICK[name] if options.quick else ()) for name in options.only]
    ends = list(summary(parts))
    print("\n" + "\n".join(ends), flush=True)
    if options.write:
        body = [line for part in parts for line in (f"## {PARTS[part.name]}", "", *part.tables)]
        options.write.write_text("\n".join([TITLE, said, "", *ends, "", *body]).rstrip() + "\n")
    return int(any(part.code not in (0, SKIPPED) for part in parts))


QUICK = {
    "startup.py": ("--runs", "3"),
    "fleet.py": ("--sizes", "40", "--runs", "1"),
    "trim.py": ("--snapshots", "4000", "--volumes", "100", "--deletions", "800"),
    "memory.py": ("--instances", "200"),
    "freeze_stall.py": ("--runs", "2"),
    "replication.py": ("--runs", "1", "--mib", "50"),
}


if __name__ == "__main__":
    sys.exit(main())
