"""Run every benchmark there is, one after the other; answer 1 if one misses an aim.

One that can't be run here (it answers 2) is named as skipped.

    make bench
"""

from __future__ import annotations

import subprocess
import sys
import time

from measuring import HERE

ORDER = ("startup.py", "fleet.py", "trim.py", "memory.py", "freeze_stall.py", "replication.py")
SKIPPED = 2


def main() -> int:
    """Run them; print what came of each."""
    outcomes = []
    for script in (HERE / name for name in ORDER):
        if not script.exists():
            continue
        print(f"\n## {script.name}\n", flush=True)
        began = time.monotonic()
        code = subprocess.run([sys.executable, str(script)]).returncode
        word = {0: "all aims met", SKIPPED: "SKIPPED"}.get(code, "an aim MISSED, or it failed")
        outcomes.append((script.name, word, time.monotonic() - began, code))
    print("\n## In short\n")
    for name, word, seconds, _ in outcomes:
        print(f"{name:16}  {seconds:5.0f} s  {word}")
    return int(any(code not in (0, SKIPPED) for *_, code in outcomes))


if __name__ == "__main__":
    sys.exit(main())
