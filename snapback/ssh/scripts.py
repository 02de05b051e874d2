"""The scripts that run on hosts: their texts lie beside this module."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

from snapback.ssh.host import Completed, Host

PYTHON: Mapping[str, str] = {"python3": "python3"}
"""The program that runs those in Python, and Debian's package that has it."""


def text_of(name: str) -> str:
    """Return the text of a script, by the name of its file."""
    return (files("snapback.ssh") / name).read_text(encoding="utf-8")


def run_python(host: Host, name: str, *arguments: str, timeout_s: float) -> Completed:
    """Run a script in Python on a host, as root; return how it ended, however that was."""
    argv = ["python3", "-I", "-c", text_of(name), *arguments]
    return host.sudo(argv, timeout_s=timeout_s, check=False)
