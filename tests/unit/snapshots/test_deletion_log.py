"""The deletion log: what it takes, what it refuses, and that a deletion is told as it happened."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from snapback.config import Loaded, Settings
from snapback.errors import ApiError, ConfigError, LogFailed, NotBegun, NotWrittenDown
from snapback.run import Run, fanout
from snapback.snapshots.deletion_log import DeletionLog, append, delete, open_log
from snapback.words import Word
from tests.unit.builders import snapshot

ME = "arn:aws:iam::123456789012:user/me"


def nothing() -> None:
    """Do nothing."""


@dataclass
class Ec2:
    """What DeleteSnapshot does, and was called for; something may happen meanwhile."""

    refusal: tuple[str, str] | None = None
    meanwhile: Callable[[], None] = nothing
    deleted: list[str] = field(default_factory=list)
    meta = SimpleNamespace(
        method_to_api_mapping={"delete_snapshot": "DeleteSnapshot"}, region_name="us-east-1"
    )

    def delete_snapshot(self, SnapshotId: str) -> dict[str, Any]:  # noqa: N803
        self.meanwhile()
        if self.refusal:
            code, message = self.refusal
            error = {"Error": {"Code": code, "Message": message}}
            raise ClientError(error, "DeleteSnapshot")
        self.deleted.append(SnapshotId)
        return {}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


@pytest.fixture
def log(path: Path) -> DeletionLog:
    return DeletionLog(path, "run-1", lambda account: ME)


def delete_by(ec2: Ec2, log: DeletionLog, name: str = "snap-1") -> tuple[Word, str]:
    return delete(SimpleNamespace(conn=lambda place: ec2), log, snapshot(name=name), ["old"])


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def breaking(path: Path) -> Callable[[], None]:
    """Something that happens meanwhile, after which the log can't be written."""

    def put_a_folder_there() -> None:
        path.unlink()
        path.mkdir()

    return put_a_folder_there


def test_a_deletion_is_written_down_before_and_after(log, path):
    before: list[list[dict[str, Any]]] = []
    ec2 = Ec2(meanwhile=lambda: before.append(lines(path)))
    assert delete_by(ec2, log) == (Word.DELETED, "")
    ((deleting,),) = before
    first, deleted = lines(path)
    assert first == deleting
    assert (deleting["event"], deleting["reasons"]) == ("deleting", ["old"])
    assert (deleted["event"], deleted["reasons"]) == ("deleted", [])
    assert {deleting["caller"], deleted["caller"]} == {ME}
    assert path.stat().st_mode & 0o777 == 0o600


# A log that fails.


def test_before_a_deletion_that_one_is_not_begun_nor_any_later_one(log, path):
    path.mkdir()
    ec2 = Ec2()
    with pytest.raises(LogFailed, match=r"^not deleted, since the deletion log .* \(it is a fold"):
        delete_by(ec2, log)
    path.rmdir()
    with pytest.raises(NotBegun, match=r"^not begun, since the deletion log .* \(it is a folder"):
        delete_by(ec2, log)
    assert NotBegun.word is Word.NOT_DONE
    assert ec2.deleted == []
    assert not path.exists()


def test_after_a_deletion_it_is_told_as_deleted_and_none_begins(log, path):
    ec2 = Ec2(meanwhile=breaking(path))
    with pytest.raises(NotWrittenDown, match=r"^the deletion log .* can't be written .*; old$"):
        delete_by(ec2, log)
    assert (NotWrittenDown.word, NotWrittenDown.exit_code) == (Word.NOT_WRITTEN_DOWN, 1)
    path.rmdir()
    with pytest.raises(NotBegun):
        delete_by(ec2, log, "snap-2")
    assert ec2.deleted == ["snap-1"]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("UnauthorizedOperation", "not allowed to call ec2:DeleteSnapshot"),
        ("InvalidSnapshot.InUse", "in use: why; and the deletion log"),
        ("InvalidSnapshot.NotFound", "already gone; and the deletion log"),
    ],
)
def test_after_what_was_no_deletion_ec2s_words_are_not_lost(log, path, code, told):
    with pytest.raises(LogFailed, match=told) as failed:
        delete_by(Ec2(refusal=(code, "why"), meanwhile=breaking(path)), log)
    assert failed.value.word is Word.FAILED
    assert "can't be written (it is a folder" in str(failed.value)


def test_what_ec2_refuses_is_written_down_as_failed(log, path):
    with pytest.raises(ApiError, match="why"):
        delete_by(Ec2(refusal=("Nope", "why")), log)
    assert [line["event"] for line in lines(path)] == ["deleting", "failed"]
    assert lines(path)[1]["reasons"] == ["DeleteSnapshot in us-east-1: Nope: why"]


def test_a_defect_is_written_down_as_failed_too(log, path):
    def defect() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        delete_by(Ec2(meanwhile=defect), log)
    assert [line["event"] for line in lines(path)] == ["deleting", "failed"]


def test_who_deletes_is_asked_for_before_and_never_after(path):
    asked: list[str] = []

    def caller_in(account: str) -> str:
        asked.append(account)
        if len(asked) > 1:
            raise ApiError("GetCallerIdentity", "us-east-1", "Nope", "why")
        return ME

    log, ec2 = DeletionLog(path, "run-1", caller_in), Ec2()
    assert delete_by(ec2, log)[0] is Word.DELETED
    with pytest.raises(ApiError, match="GetCallerIdentity"):
        delete_by(ec2, log, "snap-2")
    assert ec2.deleted == ["snap-1"]
    assert len(lines(path)) == 2


def test_of_many_at_a_time_those_under_way_end_and_no_other_begins(log, path):
    together = threading.Barrier(4)
    once = threading.Lock()

    def meanwhile() -> None:
        together.wait(60)
        if once.acquire(blocking=False):
            breaking(path)()
        together.wait(60)

    ec2 = Ec2(meanwhile=meanwhile)
    names = [f"snap-{number}" for number in range(20)]
    results = fanout.each(
        names, lambda name: delete_by(ec2, log, name), workers=4, stop=threading.Event()
    )
    words = [result.error.word if result.error else None for result in results]
    assert words.count(Word.NOT_WRITTEN_DOWN) == 4
    assert words.count(Word.NOT_DONE) == 16
    assert sorted(ec2.deleted) == sorted(
        result.item for result in results if isinstance(result.error, NotWrittenDown)
    )


# What is written.


def test_a_torn_line_spoils_only_itself(log, path):
    path.write_text('{"event": "del')
    append(path, "{}")
    delete_by(Ec2(), log)
    torn, *whole = path.read_text().splitlines()
    assert torn == '{"event": "del'
    assert [json.loads(line).get("event") for line in whole] == [None, "deleting", "deleted"]


def test_a_file_that_was_moved_away_is_begun_again(log, path, tmp_path):
    ec2 = Ec2(meanwhile=lambda: path.rename(tmp_path / "log.1") and None)
    delete_by(ec2, log)
    assert [line["event"] for line in lines(tmp_path / "log.1")] == ["deleting"]
    assert [line["event"] for line in lines(path)] == ["deleted"]


SHORT = """
import resource, sys
from pathlib import Path
from snapback.snapshots.deletion_log import append
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
for number in range(2):
    try:
        append(Path(sys.argv[1]), "x" * 70)
    except OSError as error:
        print(error.strerror)
"""


def test_a_part_of_a_line_is_a_failure(path):
    ended = subprocess.run(
        [sys.executable, "-c", SHORT, str(path)], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "only a part of the line was written: is the disk full?\n"
    assert path.read_text() == "x" * 70 + "\n" + "x" * 29


WRITER = """
import sys
from pathlib import Path
from snapback.snapshots.deletion_log import append
for number in range(500):
    append(Path(sys.argv[1]), f"{sys.argv[2]}-{number}-" + "x" * 500)
"""


def test_runs_at_the_same_time_lose_no_line_and_tear_none(path):
    path.write_text("torn")
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in "abc"]
    assert [writer.wait(90) for writer in writers] == [0, 0, 0]
    torn, *whole = path.read_text().split("\n")
    assert (torn, whole.pop()) == ("torn", "")
    assert sorted(whole) == sorted(
        f"{name}-{number}-" + "x" * 500 for name in "abc" for number in range(500)
    )


# What is opened.


def opened(path: Path | str) -> DeletionLog:
    return open_log(Run(Loaded(settings=Settings(deletion_log=str(path)))))


@pytest.mark.parametrize("kind", ["a FIFO", "a socket", "a folder", "a device"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "x"
    with socket.socket(socket.AF_UNIX) as listening:
        match kind:
            case "a FIFO":
                os.mkfifo(path)
            case "a socket":
                listening.bind(str(path))
            case "a folder":
                path.mkdir()
            case _:
                path.symlink_to("/dev/full")
        with pytest.raises(ConfigError) as refused:
            opened(path)
    assert str(refused.value) == (
        f"deletion_log: {path} can't be written (it is {kind}, not a regular file), and nothing is "
        "deleted that isn't written down: name another file"
    )


def test_a_fifo_with_a_reader_is_refused_too(path):
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(ConfigError, match="it is a FIFO"):
            opened(path)
    finally:
        os.close(reader)


@pytest.mark.parametrize(
    "name", ["~nobody-is-called-so/x", "/dev/null/x", "/proc/x", "a\0b", "x" * 300]
)
def test_what_can_not_be_opened_is_refused(name):
    with pytest.raises(ConfigError, match="and nothing is deleted that isn't written down"):
        opened(name)


def test_a_link_to_a_file_is_fine_and_a_new_file_is_its_owners(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "file")
    opened(link)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    opened(link)


def test_a_run_that_failed_stays_so_until_it_begins_deletions_anew(path):
    run = Run(Loaded(settings=Settings(deletion_log=str(path))))
    run.connections.caller = lambda account="": ME
    ec2 = Ec2(meanwhile=breaking(path))
    with suppress(LogFailed):
        delete_by(ec2, open_log(run))
    path.rmdir()
    ec2.meanwhile = nothing
    with pytest.raises(NotBegun):
        delete_by(ec2, open_log(run.only(None), anew=False))
    assert delete_by(ec2, open_log(run)) == (Word.DELETED, "")


# What the log's targets are told: see also test_logs.


def test_without_a_log_of_ours_it_is_told_as_ever(log, caplog):
    with caplog.at_level(logging.INFO, "snapback"):
        delete_by(Ec2(), log)
    assert [record.levelname for record in caplog.records] == ["INFO", "INFO"]
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith(
        "deleting snap-1: old (vol-aaaaaaaaaaaaaaaaa, taken 2026-11-24T03:00:00"
    )
    assert second == "snap-1: deleted: old"
    caplog.clear()
    with caplog.at_level(logging.ERROR, "snapback"):
        delete_by(Ec2(), log)
    assert caplog.records == []


def test_what_was_not_written_down_is_told_there_as_an_error(log, path, caplog):
    with caplog.at_level(logging.ERROR, "snapback"), suppress(LogFailed):
        delete_by(Ec2(meanwhile=breaking(path)), log)
    (record,) = caplog.records
    assert record.getMessage().startswith("snap-1: deleted, not written down: the deletion log ")
    assert record.getMessage().endswith("; old")
    assert log.told == {"snap-1"}
