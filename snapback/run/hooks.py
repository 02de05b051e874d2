"""Hooks around a task: commands and pings, when it begins and when it has ended.

They tell; they never change what happened. One that fails is a warning. A monitor that hears
nothing at all, since the run never began, tells by itself: that is what a ping is for.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, InvalidURL
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit, urlunsplit
from urllib.request import Request, urlopen

from snapback import config
from snapback.config import TaskHooks
from snapback.core.secrets import keep_address, redact, redact_json
from snapback.core.text import abridged, printable

log = logging.getLogger(__name__)

VARIABLE = "SNAPBACK_EVENT"
MOST_TRIES = 3
LONGEST_TRY_S = 10.0
LONGEST_FACT = 32_000  # bytes; Linux takes 128 KiB for one variable, and at least as much for all
LONGEST_BODY = 10_000  # bytes
LONGEST_COUNT = 40  # bytes of the line that counts those left out
LONGEST_READ = 1 << 16  # bytes of what a command said that are read, from its end
GRACE_S = 2.0
HEADERS = {"User-Agent": "snapback", "Content-Type": "text/plain; charset=utf-8"}

_told_of_failure: set[str] = set()


def runs_in_a_hook() -> bool:
    """Tell whether this process was started by a hook; then it has none of its own."""
    return VARIABLE in os.environ


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a task has ended.

    :ivar error: why the task as a whole failed; or empty.
    :ivar problems: a line for each item that did not go well.
    :ivar document: makes what ``--json`` prints, where it is wanted: the command's stdin.
    """

    exit_code: int
    error: str = ""
    problems: Sequence[str] = ()
    summary: Sequence[str] = ()
    document: Callable[[], Mapping[str, Any]] = dict


@dataclass(frozen=True, kw_only=True)
class Bell:
    """Tells of one task.

    :ivar hooks: those in force for it.
    :ivar timeout_s: what each command, and each ping, may take.
    :ivar warn: told, in a line, of a hook that failed.
    :ivar pause_s: how long to wait before a ping is tried again.
    :ivar configuration: for the commands' ``SNAPBACK_CONFIG``: the file that was named for this
        run, so that a snapback of theirs uses the same; ``None``: as it is.
    """

    hooks: TaskHooks
    timeout_s: float
    task: str
    run_id: str
    warn: Callable[[str], None]
    pause_s: float = 1.0
    configuration: str | None = None

    def started(self) -> None:
        """Tell that the task begins."""
        self._ping("/start", ())
        self._run("on_start", self.hooks.on_start, "start", {})

    def ended(self, ended: Ended) -> None:
        """Tell that the task has ended; well is what ended with 0."""
        well = ended.exit_code == 0
        error = (ended.error,) if ended.error else ()
        texts = (*ended.summary, *error, *ended.problems)
        self._ping("" if well else "/fail", texts, failed=not well)
        facts = {
            "SNAPBACK_EXIT_CODE": str(ended.exit_code),
            "SNAPBACK_ERROR": _fact(error),
            "SNAPBACK_PROBLEMS": _fact(ended.problems),
            "SNAPBACK_SUMMARY": _fact(ended.summary),
        }
        if well:
            self._run("on_success", self.hooks.on_success, "success", facts, ended.document)
        else:
            self._run("on_failure", self.hooks.on_failure, "failure", facts, ended.document)

    def _run(
        self,
        name: str,
        command: str | None,
        event: str,
        facts: Mapping[str, str],
        document: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        """Run a command with the facts in its environment, where a name can't do any harm."""
        if not command:
            return
        common = {VARIABLE: event, "SNAPBACK_TASK": self.task, "SNAPBACK_RUN": self.run_id}
        if self.configuration:
            common[config.VARIABLE] = self.configuration
        stdin = json.dumps(redact_json(document())).encode() + b"\n" if document else b""
        environment = {**os.environ, **common, **facts}
        try:
            problem = run_command(command, environment, stdin, self.timeout_s)
        except (OSError, ValueError) as error:
            problem = f"it can't be run: {getattr(error, 'strerror', None) or error}"
        self._note(f"hooks.{name}", problem)

    def _ping(self, suffix: str, texts: Sequence[str], *, failed: bool = False) -> None:
        """Ask for the URL, unless that would tell that all is well of what has failed.

        Where the tasks of a chain share a URL, one that goes well doesn't take back what the
        monitor was told of one before.
        """
        url = self.hooks.ping_url
        if not url:
            return
        if failed:
            _told_of_failure.add(url)
        elif not suffix and url in _told_of_failure:
            log.info("no ping: a task before has failed, and shares its ping_url")
            return
        keep_address(url)
        body = lines_within(texts, LONGEST_BODY)
        problem = ping(with_suffix(url, suffix), body, self.timeout_s, self.pause_s)
        self._note("hooks.ping_url", problem)

    def _note(self, name: str, problem: str) -> None:
        if problem:
            text = redact(f"{name}: {problem}")
            log.warning("%s", text, extra={"shown": True})
            self.warn(text)
        else:
            log.debug("%s: done", name)


def run_command(
    command: str, environment: Mapping[str, str], stdin: bytes, timeout_s: float
) -> str:
    """Run a command line by sh; answer what went wrong, or nothing.

    It gets a session of its own, so that Ctrl-C doesn't reach it, and is ended with its children
    when the time is over. What it leaves running in the background is left alone.

    :raises OSError: it can't be run.
    :raises ValueError: neither; it has a NUL, say.
    """
    with _scratch_file() as given, _scratch_file() as said:
        given.write(stdin)
        given.seek(0)
        process = subprocess.Popen(  # noqa: S603 (the operator's own command)
            ["/bin/sh", "-c", command],
            stdin=given,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            _end(process)
            return f"it took longer than {timeout_s:g} s, and was ended"
        except BaseException:
            _end(process)
            raise
        if status == 0:
            return ""
        said.seek(max(0, said.seek(0, os.SEEK_END) - LONGEST_READ))
        told = abridged(said.read().decode(errors="replace"))
    how = f"was killed by signal {-status}" if status < 0 else f"ended with {status}"
    return f"it {how}: {told or 'it said nothing'}"


def _scratch_file() -> IO[bytes]:
    """Return a file without a name: in memory where that can be had, since a disk may be full."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("snapback-hook"), "w+b")
    return tempfile.TemporaryFile()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command and its children: asked first, then killed."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)


def with_suffix(url: str, suffix: str) -> str:
    """Answer a URL with something behind its path."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + suffix, fragment=""))


def ping(url: str, body: bytes, timeout_s: float, pause_s: float) -> str:
    """Ask for a URL, some times if need be; answer what went wrong, or nothing.

    A thread of its own does it, since neither names nor slow answers keep to a time limit.

    :param body: sent along, as healthchecks.io takes it.
    """
    problems = [_no_answer(url)]

    def ask() -> None:
        problems.append(_ask_for(url, body, time.monotonic() + timeout_s, pause_s))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(timeout_s)
    return problems[-1]


def _ask_for(url: str, body: bytes, until: float, pause_s: float) -> str:
    problem = ""
    for number in range(MOST_TRIES):
        left_s = until - time.monotonic()
        if number and left_s <= pause_s:
            break
        if number:
            time.sleep(pause_s)
        try:
            request = Request(url, data=body, headers=HEADERS, method="POST")  # noqa: S310 (see PingUrl)
            with urlopen(request, timeout=max(0.1, min(left_s, LONGEST_TRY_S))):  # noqa: S310
                return ""
        except HTTPError as error:
            error.close()
            problem = f"HTTP {error.code} from {_host(url)}"
            if error.code < 500 and error.code != 429:
                break
        except (ValueError, InvalidURL) as error:
            return f"{_host(url)} can't be asked: {error}"
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            said = f"{_host(url)} can't be asked: {getattr(reason, 'strerror', None) or reason}"
            problem = _no_answer(url) if isinstance(reason, TimeoutError) else said
    return problem


def _no_answer(url: str) -> str:
    return f"no answer in time from {_host(url)}"


def _host(url: str) -> str:
    """Answer the part of a URL that is no secret."""
    return urlsplit(url).hostname or "it"


def _fact(texts: Sequence[str]) -> str:
    """Return lines for a variable: what this machine's charset lacks is escaped."""
    return os.fsdecode(lines_within(texts, LONGEST_FACT, sys.getfilesystemencoding()))


def lines_within(texts: Sequence[str], most: int, charset: str = "utf-8") -> bytes:
    """Return texts without secrets, a line each, as far as there is room.

    A long line is cut, so that it takes no other's room. The last line counts those left out.

    :param most: bytes.
    :param charset: what it lacks is escaped.
    """

    def encoded(text: str) -> bytes:
        return text.encode(charset, "backslashreplace")

    lines: list[bytes] = []
    left = most - LONGEST_COUNT
    for number, text in enumerate(texts):
        line = encoded(printable(redact(text)[:most]))
        if len(line) > most // 4:
            line = line[: most // 4].decode(charset, "ignore").encode(charset) + encoded("…")
        left -= len(line) + 1
        if left < 0:
            lines.append(encoded(f"… and {len(texts) - number} more"))
            break
        lines.append(line)
    return b"\n".join(lines)
