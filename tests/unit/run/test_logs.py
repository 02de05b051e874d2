"""The log: where it goes, what every line says, and that it never says a secret."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from snapback.config import Logging
from snapback.core.log_context import about, of_item
from snapback.core.model import Place
from snapback.core.secrets import HIDDEN
from snapback.run import fanout, logs
from snapback.run.logs.lines import JsonLines, TextLines
from tests.unit.builders import instance, snapshot, volume

ours = logging.getLogger("snapback.test")
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE\n-----END OPENSSH PRIVATE KEY-----"
RUN = {"task": "trim_snapshots", "run": "run-1"}


@contextmanager
def kept(*warnings: list[str], tell: list[str] | None = None, **settings: object) -> Iterator[None]:
    told: list[str] = []
    with (
        about(**RUN),
        logs.kept(
            Logging(**settings),
            warn=warnings[0].append if warnings else told.append,
            tell=None if tell is None else tell.append,
        ),
    ):
        yield
    assert told == []


def test_nothing_is_kept_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with kept():
        ours.error("lost")
    assert list(tmp_path.iterdir()) == []


def test_every_line_says_when_how_grave_in_which_run_and_about_what(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "log"
    with kept(file=str(path)):
        ours.info("begun")
        with about(region="us-east-1", resource="i-0123456789abcdef0"):
            ours.warning("one\ntwo\x1b[2J")
        ours.info("snap-0123456789abcdef0 in eu-west-1: gone")
        with about(account="dev", region="us-east-1"):
            ours.error("no")
    times, lines = zip(*(line.split(" ", 1) for line in path.read_text().splitlines()), strict=True)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", at) for at in times)
    assert list(lines) == [
        "INFO run-1 trim_snapshots - - begun",
        "WARNING run-1 trim_snapshots us-east-1 i-0123456789abcdef0 one\\ntwo\\x1b[2J",
        (
            "INFO run-1 trim_snapshots eu-west-1 snap-0123456789abcdef0 snap-0123456789abcdef0 in "
            "eu-west-1: gone"
        ),
        "ERROR run-1 trim_snapshots dev:us-east-1 - no",
    ]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_json_lines_are_for_programs_also_with_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with kept(file=str(path), format="json"), about(region="us-east-1", resource="snap-1"):
        ours.info("a\nb €")
        try:
            raise ValueError(KEY)
        except ValueError:
            ours.exception("unexpected")
    first, second = map(json.loads, path.read_text().splitlines())
    assert first.pop("at")
    assert first == {
        "level": "info", "run": "run-1", "task": "trim_snapshots", "account": "",
        "region": "us-east-1", "resource": "snap-1", "message": "a\nb €", "from": "snapback.test",
    }  # fmt: skip
    assert second["level"] == "error"
    assert second["traceback"].endswith(f"ValueError: {HIDDEN}")


def test_each_line_of_a_traceback_says_it_too_and_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with kept(file=str(path)):
        try:
            raise ValueError(KEY)
        except ValueError:
            ours.exception("unexpected %s", KEY)
    lines = path.read_text().splitlines()
    assert len(lines) > 3
    assert all(" ERROR run-1 trim_snapshots - - " in line for line in lines)
    assert lines[-1].endswith(f" - - | ValueError: {HIDDEN}")
    assert "b3BlbnNzaC1rZXktdjE" not in path.read_text()


@pytest.mark.parametrize(
    ("level", "kept_lines"),
    [("debug", "diwe"), ("info", "iwe"), ("warning", "we"), ("error", "e")],
)
def test_what_is_less_grave_is_left_out(tmp_path: Path, level: str, kept_lines: str) -> None:
    path = tmp_path / "log"
    with kept(file=str(path), level=level):
        for number, text in zip((10, 20, 30, 40), "diwe", strict=True):
            ours.log(number, text)
    assert "".join(line[-1] for line in path.read_text().splitlines()) == kept_lines


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_what_must_be_told_is_told_once_to_every_target_at_every_level(
    tmp_path: Path, daemon: socket.socket, level: str
) -> None:
    path, seen = tmp_path / "log", list[str]()
    where = daemon.getsockname()
    with kept(file=str(path), syslog=where, journald=where, level=level, tell=seen):
        ours.info("deleting", extra={"always": True})
        ours.info("deleted", extra={"always": True, "shown": True})
    assert [line.split()[-1] for line in path.read_text().splitlines()] == ["deleting", "deleted"]
    got = [daemon.recv(1 << 20) for _ in range(4)]
    for word in (b"deleting", b"deleted"):
        assert sum(one.endswith(b"info: " + word) for one in got) == 1
        assert sum(one.startswith(b"MESSAGE\n") and b"\0" + word + b"\n" in one for one in got) == 1
    daemon.settimeout(0)
    with pytest.raises(BlockingIOError):
        daemon.recv(1)
    assert [line.split()[-1] for line in seen] == ["deleting"]


def test_of_other_libraries_only_warnings_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "log"
    theirs = [logging.getLogger(name) for name in ("botocore.endpoint", "paramiko.transport")]
    before = [logger.level for logger in theirs]
    try:
        with kept(file=str(path), level="debug"):
            for logger in theirs:
                logger.setLevel(logging.DEBUG)
                logger.info("UserData=%s", "x" * 99)
                logger.warning("slow")
    finally:
        for logger, level in zip(theirs, before, strict=True):
            logger.setLevel(level)
    assert [line.split()[-1] for line in path.read_text().splitlines()] == ["slow", "slow"]


def test_afterwards_all_is_as_it_was(tmp_path: Path) -> None:
    loggers = [logging.getLogger(name) for name in ("snapback", "botocore", "paramiko")]
    before = [(logger.level, [*logger.handlers]) for logger in loggers]
    with kept(file=str(tmp_path / "log")):
        pass
    assert [(logger.level, [*logger.handlers]) for logger in loggers] == before


# What a line is about.


@pytest.mark.parametrize(
    ("item", "resource"),
    [
        (Place("us-east-1"), ""),
        (instance(), "i-0123456789abcdef0"),
        (volume("a"), "vol-aaaaaaaaaaaaaaaaa"),
        (snapshot(name="snap-1"), "snap-1"),
        (SimpleNamespace(snapshot=snapshot(name="snap-1")), "snap-1"),
        (SimpleNamespace(instance=instance(), volumes=()), "i-0123456789abcdef0"),
        (SimpleNamespace(source=snapshot(name="snap-1"), destination=Place("x")), "snap-1"),
    ],
)
def test_items_say_where_and_what_they_are(item: object, resource: str) -> None:
    assert of_item(item) == {"account": "", "region": "us-east-1", "resource": resource}
    assert of_item("something else") == {}


def test_the_threads_of_a_fan_out_know_the_run_and_their_item(tmp_path: Path) -> None:
    path = tmp_path / "log"
    items = [snapshot(name=f"snap-{number}") for number in range(20)]
    never = threading.Event()
    with kept(file=str(path), format="json"):
        for run in (fanout.each, lambda some, *a, **k: fanout.stream([some], *a, **k)):
            run(items, lambda item: ours.info("%s", item.snapshot_id), workers=4, stop=never)
        other = threading.Thread(target=ours.info, args=("from a thread of its own",))
        other.start()
        other.join()
    *lines, last = map(json.loads, path.read_text().splitlines())
    assert len(lines) == 40
    assert all(line["resource"] == line["message"] for line in lines)
    assert all(line["region"] == "us-east-1" for line in lines)
    assert {line["run"] for line in (*lines, last)} == {"run-1"}


@pytest.mark.parametrize("lines", [TextLines(), JsonLines()])
def test_half_a_surrogate_is_an_escape(lines: logging.Formatter) -> None:
    record = logging.makeLogRecord({"msg": "web-\ud800"})  # pytest can't hand on what is logged
    assert r"web-\ud800" in lines.format(record).encode().decode()


def test_names_hide_nothing_and_what_a_line_is_about_tells_no_secret(
    tmp_path: Path, daemon: socket.socket
) -> None:
    path, where = tmp_path / "log", daemon.getsockname()
    with (
        kept(file=str(path), format="json", journald=where, syslog=where),
        about(resource="password=hunter2\nERROR"),
    ):
        ours.info('password="x')
    (line,) = map(json.loads, path.read_text().splitlines())
    assert (line["message"], line["resource"]) == ("password=(hidden)", "password=(hidden)\nERROR")
    got = [daemon.recv(1 << 20) for _ in range(2)]
    assert (
        b"<14>snapback: run-1 trim_snapshots - password=(hidden)\\nERROR info: password=(hidden)"
        in got
    )
    (of_journal,) = (fields(one) for one in got if not one.startswith(b"<"))
    assert of_journal["SNAPBACK_RESOURCE"] == line["resource"]


# Files that fill, move, and can't be written.


def test_the_file_is_begun_anew_when_it_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MIB", 1000)
    path = tmp_path / "log"
    with kept(file=str(path), rotate_mib=1, rotate_keep=2):
        for number in range(100):
            ours.info("number %d", number)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["log", "log.1", "log.2"]
    assert all(file.stat().st_size <= 1000 for file in files)
    kept_lines = [line for file in reversed(files) for line in file.read_text().splitlines()]
    assert [int(line.split()[-1]) for line in kept_lines] == [*range(100 - len(kept_lines), 100)]


WRITER = """
import logging, sys
from snapback.run import logs
from snapback.config import Logging
logs.MIB = 5000
with logs.kept(Logging(file=sys.argv[1], rotate_mib=1, rotate_keep=1000), warn=print):
    for number in range(300):
        logging.getLogger("snapback").info("%s-%d", sys.argv[2], number)
"""


def test_runs_at_the_same_time_lose_no_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name], text=True,
                         stdout=subprocess.PIPE)
        for name in "ab"
    ]  # fmt: skip
    assert [writer.communicate(timeout=90)[0] for writer in writers] == ["", ""]
    assert len(list(tmp_path.iterdir())) > 3
    lines = [line for file in tmp_path.iterdir() for line in file.read_text().splitlines()]
    words = sorted(line.split()[-1] for line in lines)
    assert words == sorted(f"{name}-{number}" for name in "ab" for number in range(300))


def test_a_file_that_was_moved_away_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with kept(file=str(path)):
        ours.info("first")
        path.rename(tmp_path / "log.old")
        ours.info("second")
    assert path.read_text().endswith("second\n")
    assert (tmp_path / "log.old").read_text().endswith("first\n")


def test_what_can_not_be_opened_is_one_warning(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    warnings: list[str] = []
    with kept(
        warnings,
        file=str(tmp_path / "file" / "log"),
        syslog=str(tmp_path / "no socket"),
        journald=str(tmp_path / "no socket"),
    ):
        ours.error("lost")
        ours.error("lost")
    of_file, of_journal, of_syslog = sorted(warnings)
    assert of_file.startswith("logging.file can't be written (")
    assert of_syslog.startswith("logging.syslog can't be written (")
    assert of_journal.startswith("logging.journald can't be written (")
    assert all(warning.endswith("this run goes on without it") for warning in warnings)


def test_what_can_not_be_written_any_more_is_one_warning(tmp_path: Path) -> None:
    warnings: list[str] = []
    with kept(warnings, file="/dev/full"):
        ours.error("lost")
        ours.error("lost")
    (warning,) = warnings
    assert warning.startswith("logging.file can't be written (No space left on device)")


@pytest.mark.parametrize("where", ["nothing", "host:port", "/dev/null"])
def test_what_is_no_syslog_is_a_warning(where: str) -> None:
    warnings: list[str] = []
    with kept(warnings, syslog=where):
        ours.error("lost")
    (warning,) = warnings
    assert warning.startswith("logging.syslog can't be written (")


# Daemons: real sockets.


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.settimeout(30)
        yield listening


def test_the_syslog_daemon_gets_a_line_each(daemon: socket.socket) -> None:
    with kept(syslog=daemon.getsockname(), level="debug"), about(resource="i-1"):
        ours.info("one\ntwo")
        ours.error("%s", "x" * 100_000)
        try:
            raise ValueError(KEY)
        except ValueError:
            ours.exception("unexpected")
    assert daemon.recv(1 << 20) == b"<14>snapback: run-1 trim_snapshots - i-1 info: one\\ntwo"
    assert daemon.recv(1 << 20).startswith(b"<11>snapback: run-1 trim_snapshots - i-1 error: xxx")
    last = daemon.recv(1 << 20)
    assert last.startswith(b"<11>snapback: run-1 trim_snapshots - i-1 error: unexpected\\nTrace")
    assert last.endswith(b"ValueError: (hidden)")


def test_a_syslog_server_gets_them_by_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(30)
        with kept(syslog=f"127.0.0.1:{listening.getsockname()[1]}"):
            ours.warning("hm")
        assert listening.recv(9999) == b"<12>snapback: run-1 trim_snapshots - - warning: hm"


def test_the_journal_gets_fields(daemon: socket.socket) -> None:
    with kept(journald=daemon.getsockname()), about(region="us-east-1", resource="i-1"):
        ours.warning("one\ntwo € \x1b[2J")
    assert fields(daemon.recv(1 << 20)) == {
        "MESSAGE": "one\\ntwo € \\x1b[2J", "PRIORITY": "4", "SYSLOG_IDENTIFIER": "snapback",
        "SNAPBACK_RUN": "run-1", "SNAPBACK_TASK": "trim_snapshots", "SNAPBACK_ACCOUNT": "",
        "SNAPBACK_REGION": "us-east-1", "SNAPBACK_RESOURCE": "i-1",
        "SNAPBACK_FROM": "snapback.test",
    }  # fmt: skip


def fields(datagram: bytes) -> dict[str, str]:
    """Read the journal's native protocol."""
    found = {}
    while datagram:
        name, _, rest = datagram.partition(b"\n")
        size = int.from_bytes(rest[:8], "little")
        found[name.decode()] = rest[8 : 8 + size].decode()
        assert rest[8 + size : 9 + size] == b"\n"
        datagram = rest[9 + size :]
    return found


def test_a_daemon_that_ends_is_one_warning(daemon: socket.socket) -> None:
    warnings: list[str] = []
    with kept(warnings, journald=daemon.getsockname()):
        daemon.close()
        ours.error("lost")
        ours.error("lost")
    assert len(warnings) == 1


# The person who watches.


def test_the_person_who_watches_sees_what_the_report_does_not_say(tmp_path: Path) -> None:
    told: list[str] = []
    with kept(tell=told), about(region="us-east-1", resource="i-1"):
        ours.info("one\ntwo")
        ours.info("in the report", extra={"shown": True})
        ours.debug("detail")
    assert [line[9:] for line in told] == ["us-east-1 i-1: one\\ntwo"]
    told.clear()
    with kept(tell=told, level="debug", file=str(tmp_path / "log")):
        ours.debug("detail")
    assert [line[8:] for line in told] == [": detail"]
    told.clear()
    with kept(tell=told, level="error", file=str(tmp_path / "log")):
        ours.info("all the same")
    assert [line[8:] for line in told] == [": all the same"]


def test_importing_snapback_prints_no_log() -> None:
    program = "import logging, snapback; logging.getLogger('snapback.x').error('no')"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env={**os.environ},
    )  # fmt: skip
    assert ended.stderr == ""
