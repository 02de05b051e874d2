"""What the doctor looks at on this machine: files, keys, commands, daemons. Changes nothing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from snapback.config import NONE, Choice, Logging, Settings, Source, TaskHooks
from snapback.core.doctor import checkup
from snapback.core.doctor.checkup import KeyFile, Level, Line
from snapback.core.doctor.local_checkup import (
    HookFacts,
    judge_configuration,
    judge_daemon,
    judge_file,
    judge_hook,
    judge_ping,
    programs_in,
)
from snapback.run.logs.targets import Once, Syslog
from snapback.snapshots.deletion_log import irregular

MOST_OF_A_KEY = 64 * 1024
LONGEST_LOOK_S = 10
COMMANDS = ("on_start", "on_success", "on_failure")


def examine_here(settings: Settings, source: Source) -> Iterator[Line]:
    """Look at the configuration's file, and at what it names on this machine.

    :param source: where the settings came from.

    Source: access(2), sh(1).
    """
    yield judge_configuration(
        str(source),
        path=str(source.path or ""),
        found_here=source.choice is Choice.FOUND_HERE,
        is_meant=source.is_meant,
        doubts=source.doubts,
    )
    yield judge_file(
        "deletion log",
        *_log_of_deletions(settings.deletion_log),
        "make it writable, or set deletion_log: else nothing is ever deleted",
    )
    yield from _logs(settings.logging)
    yield from _hooks(settings)
    keys = _key_files(settings)
    if not keys:
        yield Line(
            check="key file",
            subject="none",
            level=Level.OK,
            text="none is configured: the agent's, or as the ssh_config says, or those in ~/.ssh",
        )
    yield from (checkup.judge_key_file(read_key_file(key)) for key in keys)


def _writable(name: str) -> tuple[str, str]:
    """Answer the path of a file, and what keeps us from writing it, or making it; or ``""``."""
    try:
        path = Path(name).expanduser().absolute()
    except RuntimeError:
        return name, f"{Path(name).parts[0]}, which is nobody's home"
    there = next(one for one in (path, *path.parents) if os.path.exists(one))  # noqa: PTH110
    ok = os.access(there, os.W_OK) and there.is_dir() == (there != path)
    return str(path), "" if ok else str(there)


def _log_of_deletions(name: str) -> tuple[str, str]:
    """Return the path of the deletion log, and what keeps us from writing it; or ``""``."""
    path, hindrance = _writable(name)
    if hindrance:
        return path, hindrance
    if found := irregular(Path(path)):
        return path, f"{path}, which is {found}"
    readable = os.access(path, os.R_OK) or not os.path.exists(path)  # noqa: PTH110
    return path, "" if readable else f"{path}, whose end can't be read"


def _logs(wanted: Logging) -> Iterator[Line]:
    if wanted.file:
        advice = "make it writable, or set logging.file: else no log is kept there"
        yield judge_file("log", *_writable(wanted.file), advice)
    if wanted.syslog:
        yield judge_daemon("syslog", wanted.syslog, _no_daemon(wanted.syslog))
    if wanted.journald:
        yield judge_daemon("journald", wanted.journald, _no_daemon(wanted.journald))


def _no_daemon(where: str) -> str:
    """Answer why what takes the log can't be reached, or ``""``; nothing is sent."""
    try:
        if "/" not in where:
            Syslog(where, Once("", lambda _: None)).close()
            return ""
    except (OSError, ValueError) as error:
        return f"it can't be reached: {getattr(error, 'strerror', None) or error}"
    reason = ""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_UNIX, kind) as asking:
            try:
                asking.connect(where)
            except OSError as error:
                reason = f"it can't be reached: {error.strerror or error}"
            else:
                return ""
    return reason


def _hooks(settings: Settings) -> Iterator[Line]:
    hooks = settings.hooks
    named: list[tuple[str, TaskHooks]] = [("hooks", hooks)]
    named += [(f"hooks.tasks.{task}", hooks.tasks[task]) for task in hooks.tasks]
    lines = [line for name, one in named for line in _of_hooks(name, one)]
    if not lines:
        text = "none: nobody is told where a task fails, or a run never begins"
        yield Line(check="hook", subject="none", level=Level.OK, text=text)
    yield from lines


def _of_hooks(name: str, hooks: TaskHooks) -> Iterator[Line]:
    for kind in COMMANDS:
        command = getattr(hooks, kind)
        if command and command != NONE:
            yield judge_hook(_look_at(f"{name}.{kind}", command))
    if hooks.ping_url and hooks.ping_url != NONE:
        yield judge_ping(f"{name}.ping_url", hooks.ping_url)


def _look_at(name: str, command: str) -> HookFacts:
    """Have sh read a command line without running it, and look for what it calls."""
    try:
        read = subprocess.run(  # noqa: S603 (read, not run)
            ["/bin/sh", "-n", "-c", command],
            capture_output=True,
            text=True,
            timeout=LONGEST_LOOK_S,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return HookFacts(name=name, problem=str(error))
    if read.returncode:
        return HookFacts(name=name, problem=" ".join(read.stderr.split()) or "wrong syntax")
    found, missing = [], []
    for program in programs_in(command):
        where = _where_is(program)
        if where:
            found.append(where)
        else:
            missing.append(_why_not(program))
    return HookFacts(name=name, found=tuple(found), missing=tuple(missing))


def _where_is(program: str) -> str:
    """Answer where sh finds a program, or its own name where sh has it built in; or ``""``."""
    named = os.path.expanduser(program)  # noqa: PTH111
    if found := shutil.which(named):
        return found
    try:
        asked = subprocess.run(  # noqa: S603 (it only looks)
            ["/bin/sh", "-c", 'command -v "$1"', "sh", named],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=LONGEST_LOOK_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ""
    return asked.stdout.strip() if asked.returncode == 0 else ""


def _why_not(program: str) -> str:
    if "/" in program and os.path.exists(os.path.expanduser(program)):  # noqa: PTH110, PTH111
        return f"{program} can't be executed"
    return f"{program} isn't found" + ("" if "/" in program else " in the PATH")


def _key_files(settings: Settings) -> list[str]:
    logins = [settings.ssh, *(settings.regions or {}).values(), *settings.overrides]
    return list(dict.fromkeys(login.key_filename for login in logins if login.key_filename))


def read_key_file(path: str) -> KeyFile:
    """Answer what a private key's file is like."""
    try:
        file = Path(path).expanduser()
    except RuntimeError:
        return KeyFile(path=path, problem="it can't be read: there is no such home")
    try:
        with file.open(encoding="ascii", errors="replace") as stream:
            mode = os.fstat(stream.fileno()).st_mode & 0o777
            return KeyFile(path=str(file), mode=mode, text=stream.read(MOST_OF_A_KEY))
    except OSError as error:
        return KeyFile(path=str(file), problem=f"it can't be read: {error.strerror}")
