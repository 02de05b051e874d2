"""Starts a sandbox as a child process that ends with its parent, however that ends."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from os import PathLike
from typing import IO, Any

from ec2_sandbox.client import Sandbox, _plain
from ec2_sandbox.errors import SandboxError

STOP_SECONDS = 30.0


class LaunchedSandbox(Sandbox):
    """The handle on a sandbox that this process started."""

    def __init__(self, url: str, process: subprocess.Popen[bytes]) -> None:
        super().__init__(url)
        self.process = process

    def close(self) -> None:
        """Ends the sandbox: closes the pipe that it lives by, and waits for it."""
        _end(self.process)


def launch(
    fleet: str | PathLike[str] | Mapping[str, Any] | None = None,
    *,
    hosts: bool = False,
    **settings: Any,
) -> LaunchedSandbox:
    """Starts a sandbox; use it as a context manager, or call ``close()``.

    :param fleet: a fleet to lay out: a YAML file's path, or what it would say as a dict
    :param hosts: with real hosts, as :mod:`ec2_sandbox.hosts` says; needs root on Linux
    :param settings: see :class:`ec2_sandbox.settings.Settings`
    :raises SandboxError: a bad setting, a bad fleet, or it did not start
    """
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed below, whatever happens
    process = subprocess.Popen(  # noqa: S603 - the sandbox itself
        [sys.executable, "-m", "ec2_sandbox", "--child", *(["--hosts"] if hosts else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        if process.stdin is None or process.stdout is None:
            raise SandboxError("the sandbox has no pipes")
        process.stdin.write(json.dumps(settings, default=_plain).encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline().decode().strip()
        if not line.startswith("http://"):
            raise SandboxError(_last_line(errors) or "the sandbox did not start")
        sandbox = LaunchedSandbox(line, process)
        if fleet is not None:
            sandbox.layout = sandbox.load_fleet(fleet)
    except BaseException as error:
        _end(process)
        if isinstance(error, BrokenPipeError):
            raise SandboxError(_last_line(errors) or "the sandbox did not start") from None
        raise
    finally:
        errors.close()
    return sandbox


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None and not pipe.closed:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_line(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("ec2_sandbox: ") if lines else ""
