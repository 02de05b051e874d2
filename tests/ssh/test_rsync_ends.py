"""The options of the receiving end, as the rsync of this machine asks for them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from snapback.ssh.rsync import COMPARISON, TREE, Ends, device_ends

KINDS = {"tree": TREE, "comparison": COMPARISON, "device": device_ends(8192)}


@pytest.mark.skipif(not shutil.which("rsync"), reason="there is no rsync")
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_run_is_what_the_sending_end_asks_for(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSYNC_PROTECT_ARGS", "1")  # a receiver with -s reads options from the wire
    ends: Ends = KINDS[kind]
    remote_shell = tmp_path / "say"
    remote_shell.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >{tmp_path}/said\n")
    remote_shell.chmod(0o755)
    argv = ["rsync", *ends.send, "--exclude=/x", "-e", str(remote_shell), "/etc/", "there:/to"]
    subprocess.run(argv, capture_output=True, check=False)
    said = (tmp_path / "said").read_text().splitlines()
    assert said == ["there", "rsync", "--server", *ends.receive, ".", "/to"]
