"""How long does `fab --list` take with snapback's fabfile, and with one of a single bare task?

Both run by turns. Where a machine is busy with other things too, the processor's time says more
than the wall's; each is compared by its median.

    .venv/bin/python benchmarks/startup.py [--runs 40]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from measuring import BIN, HERE, Aims, Ended, environ_without_aws, run, show_head, show_row

AIM = 1.1
BARE = '''\
from invoke import task


@task
def hello(c):
    """Say hello."""
'''


def listing(fabfile: Path, folder: Path) -> Ended:
    """Run `fab --list` in a folder."""
    command = [str(BIN / "fab"), "--search-root", str(fabfile), "--list"]
    ended = run([command], environ_without_aws(folder), folder)
    if ended.code:
        raise RuntimeError(ended.said)
    return ended


def main() -> int:
    """Print the table; answer 1 if the aim is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=40)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        folder, bare = Path(name), Path(name) / "bare"
        bare.mkdir()
        (bare / "fabfile.py").write_text(BARE)
        found: dict[Path, list[Ended]] = {bare: [], HERE.parent: []}
        for number in range(runs + 1):
            for fabfile, ended in found.items():
                once = listing(fabfile, folder)
                if number:  # the first one compiles
                    ended.append(once)
    walls = [statistics.median(one.seconds for one in ended) for ended in found.values()]
    cpus = [statistics.median(one.cpu_s for one in ended) for ended in found.values()]
    print(f"The median of {runs} runs by turns.\n")
    show_head("`fab --list`", "wall ms", "processor ms")
    for name, wall, cpu in zip(("one bare task", "snapback"), walls, cpus, strict=True):
        show_row(name, f"{1000 * wall:.0f}", f"{1000 * cpu:.0f}")
    ratio = min(walls[1] / walls[0], cpus[1] / cpus[0])
    aims = Aims()
    aims.check("`fab --list` to that of one bare task, wall or processor time", ratio, AIM)
    return aims.show()


if __name__ == "__main__":
    sys.exit(main())
