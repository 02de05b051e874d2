"""Cloud Custodian as `fleet.py` compares with it: in a virtual environment of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from measuring import CACHE

VERSION = "0.9.53"
_HOME = CACHE / f"custodian-{VERSION}"
_POLICY = """\
policies:
  - name: backup
    resource: aws.ec2
    filters:
      - "tag:Earmarking": production
    actions:
      - type: snapshot
        copy-tags: [Earmarking, Name, Stage]
"""


def install() -> str | None:
    """Install it, once; answer why it can't be, if so."""
    if (_HOME / "installed").exists():
        return None
    pip = [str(_HOME / "bin/python"), "-m", "pip", "install", "-qq", f"c7n=={VERSION}"]
    try:
        for command in ([sys.executable, "-m", "venv", str(_HOME)], pip):
            subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        return f"Cloud Custodian {VERSION} can't be installed: {said.strip().splitlines()[-1]}"
    (_HOME / "installed").touch()
    return None


def commands(folder: Path, regions: Sequence[str], a_process_each: bool) -> list[list[str]]:
    """Answer the commands that back up regions, in one process or one each."""
    policy = folder / "custodian.yml"
    policy.write_text(_POLICY)
    parts = [[region] for region in regions] if a_process_each else [list(regions)]
    return [
        [
            str(_HOME / "bin/custodian"),
            "run",
            "--cache-period",
            "0",
            "--output-dir",
            str(folder / f"custodian-{part[0]}"),
            *(word for region in part for word in ("--region", region)),
            str(policy),
        ]
        for part in parts
    ]
