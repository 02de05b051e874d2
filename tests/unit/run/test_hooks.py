"""Hooks: what they are told, and that nothing they do matters to the task."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from snapback.config import Hooks, TaskHooks
from snapback.core import secrets
from snapback.run import hooks
from snapback.run.hooks import Bell, Ended, with_suffix
from tests.monitor import Monitor

NASTY = 'it\'s "$(touch caught)" `touch caught`;\n-rf * \\ %s €'
ON_ONE_LINE = NASTY.replace("\n", "\\n")
WELL = Ended(exit_code=0, summary=["2 backed up"], document=lambda: {"task": "x"})
BADLY = Ended(
    exit_code=3, error="no", problems=[NASTY, "second"], document=lambda: {"items": [NASTY]}
)


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    hooks._told_of_failure.clear()
    monkeypatch.setattr(secrets, "_known", ())
    for name in [*os.environ]:
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    yield
    hooks._told_of_failure.clear()
    assert not Path("caught").exists()


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    with Monitor() as listening:
        yield listening


def bell(warnings: list[str], timeout_s: float = 30, **hooks: Any) -> Bell:
    return Bell(
        hooks=TaskHooks(**hooks),
        timeout_s=timeout_s,
        task="trim_snapshots",
        run_id="run-1",
        warn=warnings.append,
        pause_s=0.05,
    )


def facts(text: str) -> dict[str, str]:
    """Answer what ``env -0`` printed."""
    pairs = (piece.partition("=") for piece in text.split("\0") if piece)
    return {name: value for name, _, value in pairs}


def test_commands_get_the_facts_as_they_are() -> None:
    warnings: list[str] = []
    ring = bell(
        warnings,
        on_start="env -0 >start",
        on_success="env -0 >success",
        on_failure="env -0 >failure; cat >document",
    )
    ring.started()
    start = facts(Path("start").read_text())
    assert (start["SNAPBACK_EVENT"], start["SNAPBACK_TASK"]) == ("start", "trim_snapshots")
    assert start["SNAPBACK_RUN"] == "run-1"
    assert "SNAPBACK_EXIT_CODE" not in start
    ring.ended(BADLY)
    failure = facts(Path("failure").read_text())
    assert failure["SNAPBACK_EVENT"] == "failure"
    assert failure["SNAPBACK_EXIT_CODE"] == "3"
    assert failure["SNAPBACK_ERROR"] == "no"
    assert failure["SNAPBACK_PROBLEMS"].splitlines() == [ON_ONE_LINE, "second"]
    assert json.loads(Path("document").read_text()) == {"items": [NASTY]}
    assert not Path("success").exists()
    ring.ended(WELL)
    success = facts(Path("success").read_text())
    assert (success["SNAPBACK_EVENT"], success["SNAPBACK_EXIT_CODE"]) == ("success", "0")
    assert success["SNAPBACK_SUMMARY"] == "2 backed up"
    assert warnings == []


def test_what_no_environment_holds_is_escaped_or_cut_and_counted() -> None:
    """Linux takes 128 KiB for a variable; where the stack is small, for all of them."""
    huge = "€" * 2_000_000
    many = [huge, *(f"i-{number:017x}: failed: {'€' * 60}" for number in range(5000))]
    warnings: list[str] = []
    ended = Ended(exit_code=1, error=f"a\0b\ud800\n{huge}", problems=many, summary=many)
    command = "ulimit -s 512; exec env -0 >failure"
    bell(warnings, on_failure=command).ended(ended)
    told = facts(Path("failure").read_text())
    (error,) = told["SNAPBACK_ERROR"].splitlines()
    assert error.startswith(r"a\x00b\ud800\n€")
    assert error.endswith("€…")
    for name in ("SNAPBACK_PROBLEMS", "SNAPBACK_SUMMARY"):
        assert 23_000 < len(told[name].encode()) < hooks.LONGEST_FACT
        first, *lines, last = told[name].splitlines()
        assert first.endswith("€…")
        assert lines == many[1 : 1 + len(lines)]
        assert last == f"… and {len(many) - 1 - len(lines)} more"
    assert warnings == []


HOSTILE = ["it's password: 'x", 'password="x', "\ud800\0\x1b[2J", "it's web", "$(touch caught)"]


def test_no_name_takes_others_out_of_what_is_told(monitor: Monitor) -> None:
    warnings: list[str] = []
    ended = Ended(
        exit_code=1,
        error="one\ntwo",
        problems=[f"{name}: failed" for name in HOSTILE],
        summary=["0 of 5"],
        document=lambda: {"items": [{"name": name, "size": 1} for name in HOSTILE]},
    )
    command = 'cat >document; printf %s "$SNAPBACK_PROBLEMS" >problems'
    bell(warnings, on_failure=command, ping_url=f"{monitor.url}/x").ended(ended)
    hidden = ["it's password: (hidden)", "password=(hidden)"]
    names = [*hidden, r"\ud800\x00\x1b[2J", *HOSTILE[3:]]
    problems = [f"{name}: failed" for name in names]
    problems[:2] = ["it's password: (hidden) failed", "password=(hidden) failed"]
    document = json.loads(Path("document").read_text())
    assert document["items"] == [{"name": name, "size": 1} for name in [*hidden, *HOSTILE[2:]]]
    assert Path("problems").read_text().splitlines() == problems
    assert monitor.told == [("/x/fail", "\n".join(["0 of 5", r"one\ntwo", *problems]))]
    assert warnings == []


TELLING = r"""
import tempfile
from snapback.config import TaskHooks
from snapback.run.hooks import Bell, Ended
tempfile.tempdir = "/no/such/folder"
command = 'cat >document; printf %s "$SNAPBACK_PROBLEMS" >problems'
bell = Bell(hooks=TaskHooks(on_failure=command), timeout_s=30, task="x", run_id="x", warn=print)
names = ["za\u017c\u00f3\u0142\u0107", "web"]
bell.ended(Ended(exit_code=1, problems=names, document=lambda: {"items": names}))
"""


def test_neither_a_poor_charset_nor_a_full_disk_keeps_a_hook_from_being_told() -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ended = subprocess.run(
        [sys.executable, "-c", TELLING], env={**os.environ, **ascii_only},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ended.stdout + ended.stderr == ""
    assert Path("problems").read_text().splitlines() == [r"za\u017c\xf3\u0142\u0107", "web"]
    assert json.loads(Path("document").read_text()) == {"items": ["zażółć", "web"]}


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("echo out; echo 'no such\nlist' >&2; exit 7", "it ended with 7: out no such list"),
        ("exit 1", "it ended with 1: it said nothing"),
        ("kill -9 $$", "it was killed by signal 9"),
        ("/no/such/program", "it ended with 127"),
        ("true \0", "it can't be run: embedded null byte"),
    ],
)
def test_a_command_that_fails_is_a_warning(command: str, says: str) -> None:
    warnings: list[str] = []
    bell(warnings, on_success=command).ended(WELL)
    (warning,) = warnings
    assert warning.startswith(f"hooks.on_success: {says}")


def test_a_secret_that_a_command_says_is_hidden_before_its_words_are_cut() -> None:
    secrets.keep("wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY12")
    warnings: list[str] = []
    command = f"printf %s wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY12{'.' * 295}; exit 1"
    bell(warnings, on_success=command).ended(WELL)
    (warning,) = warnings
    assert warning.endswith(f"dden){'.' * 295}")


def test_the_configuration_is_named_as_it_is() -> None:
    path = "/etc/password=x/\udcff"
    ring = replace(bell([], on_start='printf %s "$SNAPBACK_CONFIG" >told'), configuration=path)
    ring.started()
    assert Path("told").read_bytes() == os.fsencode(path)


def test_a_command_that_takes_too_long_is_ended_with_its_children() -> None:
    warnings: list[str] = []
    command = "trap '' TERM; sleep 3600 & echo $! >child; wait; sleep 3600"
    bell(warnings, timeout_s=1.5, on_start=command).started()
    assert warnings == ["hooks.on_start: it took longer than 1.5 s, and was ended"]
    child = int(Path("child").read_text())
    until = time.monotonic() + 30
    while is_running(child) and time.monotonic() < until:
        time.sleep(0.02)
    assert not is_running(child)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_a_command_leaves_in_the_background_is_not_waited_for() -> None:
    warnings: list[str] = []
    began = time.monotonic()
    bell(warnings, on_start="sleep 100 & echo $! >child").started()
    assert time.monotonic() - began < 60
    os.kill(int(Path("child").read_text()), 9)
    assert warnings == []


def test_pings_are_those_of_healthchecks(monitor: Monitor) -> None:
    warnings: list[str] = []
    ring = bell(warnings, ping_url=f"{monitor.url}/uuid")
    ring.started()
    ring.ended(WELL)
    ring.started()
    ring.ended(BADLY)
    assert monitor.told == [
        ("/uuid/start", ""),
        ("/uuid", "2 backed up"),
        ("/uuid/start", ""),
        ("/uuid/fail", f"no\n{ON_ONE_LINE}\nsecond"),
    ]
    assert warnings == []


def test_a_body_begins_with_the_summary_and_is_cut_at_a_line(monitor: Monitor) -> None:
    problems = [f"{number:04}: {'€' * 100}" for number in range(1000)]
    ended = Ended(exit_code=1, error="no", problems=problems, summary=["0 of 1000"])
    bell([], ping_url=f"{monitor.url}/x").ended(ended)
    ((_, body),) = monitor.told
    assert 9_500 < len(body.encode()) <= 10_000
    summary, error, *lines, last = body.splitlines()
    assert [summary, error] == ["0 of 1000", "no"]
    assert lines == problems[: len(lines)]
    assert last == f"… and {1000 - len(lines)} more"


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://h/a", "https://h/a/fail"),
        ("https://h/a/", "https://h/a/fail"),
        ("https://h/a?create=1", "https://h/a/fail?create=1"),
        ("https://h", "https://h/fail"),
        ("https://h/a#b", "https://h/a/fail"),
    ],
)
def test_the_suffix_goes_behind_the_path(url: str, asked: str) -> None:
    assert with_suffix(url, "/fail") == asked


def test_a_task_that_goes_well_takes_no_failure_back_that_another_told(monitor: Monitor) -> None:
    url = f"{monitor.url}/shared"
    bell([], ping_url=url).ended(BADLY)
    ring = bell([], ping_url=url)
    ring.started()
    ring.ended(WELL)
    bell([], ping_url=f"{monitor.url}/own").ended(WELL)
    assert monitor.paths == ["/shared/fail", "/shared/start", "/own"]


def test_a_server_that_stumbles_is_asked_again(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor.answers = [503, 429]
    warnings: list[str] = []
    bell(warnings, ping_url=f"{monitor.url}/x").ended(WELL)
    assert monitor.paths == ["/x"] * 3
    assert warnings == []


def test_pings_that_fail_are_warnings_that_tell_no_address(monitor: Monitor) -> None:
    warnings: list[str] = []
    token = "VaNqkIGAkDbhcRLQvxQGYQ"
    monitor.answers = [404]
    bell(warnings, ping_url=f"{monitor.url}/{token}").ended(WELL)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}/{token}"
        bell(warnings, ping_url=closed).ended(WELL)
    bell(warnings, ping_url=f"http://no.such.host.invalid/{token}").ended(WELL)
    bell(warnings, ping_url=f"http://127.0.0.1:99999/{token}").ended(WELL)
    bell(warnings, ping_url=f"http://127.0.0.1:80/{token}\x01").ended(WELL)
    not_found, refused, unknown, no_port, no_url = warnings
    assert not_found == "hooks.ping_url: HTTP 404 from 127.0.0.1"
    assert "Connection refused" in refused
    assert "no.such.host.invalid can't be asked" in unknown
    for warning in (no_port, no_url, *warnings):
        assert warning.startswith("hooks.ping_url: ")
        assert token not in warning


def test_a_server_that_never_answers_is_waited_for_so_long(monitor: Monitor) -> None:
    monitor.silent.set()
    warnings: list[str] = []
    bell(warnings, timeout_s=0.3, ping_url=f"{monitor.url}/x").ended(WELL)
    assert warnings == ["hooks.ping_url: no answer in time from 127.0.0.1"]


# Which hooks are in force.


def test_nothing_is_told_by_default() -> None:
    assert Hooks().of("backup_instance") == TaskHooks()


def test_what_differs_for_a_task_goes_first_and_none_is_nothing() -> None:
    hooks = Hooks(
        on_start="a",
        on_failure="b",
        ping_url="https://h/{task}",
        tasks={"status": {"on_start": "none", "on_failure": "c"}, "check": {"ping_url": "none"}},
    )
    assert hooks.of("status") == TaskHooks(on_failure="c", ping_url="https://h/status")
    assert hooks.of("check") == TaskHooks(on_start="a", on_failure="b")
    assert hooks.of("trim_snapshots").ping_url == "https://h/trim_snapshots"


def test_a_look_does_not_ping_for_tasks_that_do_something() -> None:
    shared = Hooks(ping_url="https://h/x", tasks={"check": {"ping_url": "https://h/y"}})
    assert shared.of("status", only_looks=True).ping_url is None
    assert shared.of("check", only_looks=True).ping_url == "https://h/y"
    assert shared.of("trim_snapshots").ping_url == "https://h/x"
    own = Hooks(ping_url="https://h/{task}")
    assert own.of("status", only_looks=True).ping_url == "https://h/status"


@pytest.mark.parametrize(
    "url", ["hc-ping.com/x", "ftp://h/x", "https://", "https:///x", "https://h x", ""]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="ping_url"):
        Hooks(ping_url=url)
