"""Runs the machine's programs; what one of them says when it fails is the error."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from ec2_sandbox.errors import SandboxError

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SECONDS = 60.0


def run(arguments: Sequence[str], *, stdin: str = "", seconds: float = SECONDS) -> str:
    """Runs a program to its end; answers what it wrote.

    :raises SandboxError: it failed, or took too long; with the last line that it wrote
    """
    try:
        ended = subprocess.run(
            arguments,
            input=stdin.encode(),
            capture_output=True,
            timeout=seconds,
            env={**os.environ, "PATH": PATH, "LC_ALL": "C"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SandboxError(f"{arguments[0]} has not ended within {seconds:g} s") from None
    if ended.returncode != 0:
        said = ended.stderr.decode(errors="replace").strip().splitlines()
        raise SandboxError(f"{' '.join(arguments)}: {said[-1] if said else ended.returncode}")
    return ended.stdout.decode(errors="replace")
