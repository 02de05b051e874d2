"""The deletion log through the real fab: a full disk, two runs at a time, and the log's targets."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from snapback import delete_broken_snapshots, trim_snapshots
from snapback.core.model import Place, by_age
from snapback.errors import ItemsFailed, LogFailed
from snapback.replication import update
from snapback.run import use
from snapback.snapshots.catalog import all_snapshots
from snapback.snapshots.deletion_log import open_log
from tests.sandbox.conftest import BIN, instance
from tests.sandbox.histories import NOW, RECORD, daily, deleted
from tests.sandbox.warm_fab import ROOT
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("sandbox")

POLICY = dict.fromkeys(("hourly", "weekly", "monthly", "quarterly", "yearly"), 0) | {"daily": 3}
SMALL_DISK = 12 * 1024
BROKEN = {"volume": "web:/dev/sda1", "age": "3h", "state": "error", "description": RECORD}


@pytest.fixture
def histories(sandbox):
    """Lays out a volume with 21 snapshots in each of some regions; 18 of them are to go."""

    def lay_out(*regions: str, broken: int = 0) -> None:
        bad = [{**BROKEN, "age": f"{hours + 1}h"} for hours in range(broken)]
        fleet = {"instances": [instance("web", 8, history=[daily(20)])], "snapshots": bad}
        sandbox.load_fleet({"now": NOW, "regions": dict.fromkeys(regions, fleet)})
        sandbox.clear_calls()

    return lay_out


@pytest.fixture
def settings(configure):
    """Writes a configuration by which all but three snapshots of a volume go."""
    return lambda **more: configure(retention=POLICY, max_delete=100, **more)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 12 KiB."""
    if os.geteuid() or sys.platform != "linux":
        pytest.skip("only root on Linux can mount a small file system")
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "small", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a file system can't be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def lines(path: Path) -> list[dict[str, str]]:
    """The whole lines of a deletion log; a torn one is left out."""
    text = path.read_text()
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def outcomes(ended) -> dict[str, str]:
    return {item["subject"]: item["outcome"] for item in ended.document["items"]}


def fill(log: Path, room: int) -> None:
    """Begin the log so that so many bytes are left on the small disk."""
    line = json.dumps({"x": ""}) + "\n"
    taken_up = SMALL_DISK - room - len(line)
    log.write_text(line.replace('""', json.dumps("x" * taken_up)))


@pytest.mark.parametrize(
    ("whole_lines", "word"),
    [(15, "deleted, not written down"), (16, "failed")],
    ids=["after a deletion", "before one"],
)
def test_on_a_full_disk_each_snapshot_is_told_as_what_became_of_it(
    sandbox, histories, fab, settings, world, small_disk, tmp_path, whole_lines, word
):
    histories("us-east-1")
    settings(deletion_log=str(tmp_path / "large.jsonl"), workers=1)
    assert fab("trim_snapshots").code == 0
    sizes = [len(line) + 1 for line in (tmp_path / "large.jsonl").read_text().splitlines()]
    sandbox.reset()
    histories("us-east-1")
    log = small_disk / "log.jsonl"
    fill(log, sum(sizes[:whole_lines]) + sizes[whole_lines] // 2)
    settings(deletion_log=str(log), workers=1)
    ended = fab("trim_snapshots", "--json")
    assert ended.code == 1
    assert "Traceback" not in ended.err
    assert "unexpected" not in ended.err
    told = outcomes(ended)
    left = world.snapshot_ids()
    gone = {subject for subject, became in told.items() if became.startswith("deleted")}
    assert gone == set(deleted(sandbox)) == told.keys() - left
    counts = Counter(told.values())
    assert 4 < len(gone) < 18
    assert counts[word] == 1
    assert counts["not done"] == 18 - len(gone) - (word == "failed")
    assert set(counts) == {"deleted", word, "not done"}
    written = Counter((line.get("snapshot"), line.get("event")) for line in lines(log)[1:])
    assert set(written.values()) == {1}
    for snapshot, became in told.items():
        assert ((snapshot, "deleting") in written) == became.startswith("deleted")
        assert ((snapshot, "deleted") in written) == (became == "deleted")
    (why,) = {
        item["explanation"].partition(", since ")[2]
        for item in ended.document["items"]
        if item["outcome"] == "not done"
    }
    assert why.startswith(f"the deletion log {log} can't be written (")

    again = fab("trim_snapshots")
    assert again.code == 1
    assert "0 deleted" in again.out
    assert len(deleted(sandbox)) == len(gone)

    torn = not log.read_text().endswith("\n")
    subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
    more = fab("trim_snapshots", "--json")
    assert more.code == 0
    assert len(more.document["items"]) == 18 - len(gone)
    assert len(lines(log)) == len(log.read_text().splitlines()) - torn
    assert len(lines(log)) == 1 + sum(written.values()) + 2 * (18 - len(gone))


def test_a_log_that_fails_ends_the_deletions_of_all_regions_and_of_old_ones_too(
    sandbox, histories, fab, settings, world, tmp_path
):
    """The log's folder goes away while the broken ones are being deleted."""
    regions = ("us-east-1", "eu-west-1")
    histories(*regions, broken=2)
    log = tmp_path / "state" / "log.jsonl"
    settings(deletion_log=str(log))
    before = {region: world.snapshot_ids(region) for region in regions}
    sandbox.fault("DeleteSnapshot", "hang", seconds=100, count=4)
    process = start("trim_snapshots", "--json")
    wait_until(lambda: sandbox.calls_hanging() == 4, "the broken ones are being deleted")
    log.rename(tmp_path / "log")
    log.mkdir()
    sandbox.clear_faults()
    ended = finish(process)
    assert ended["exit_code"] == 1
    words = Counter(item["outcome"] for item in ended["items"])
    assert words == {"deleted, not written down": 4, "not done": 36}
    after = {region: world.snapshot_ids(region) for region in regions}
    for region in regions:
        assert len(before[region] - after[region]) == 2
    assert {line["event"] for line in lines(tmp_path / "log")} == {"deleting"}


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [BIN / "fab", "-r", ROOT, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> dict:
    out, _ = process.communicate(timeout=90)
    return json.loads(out)


def test_a_refusal_of_ec2_is_not_lost_where_it_can_not_be_written_down(
    sandbox, histories, settings, world, tmp_path
):
    histories("us-east-1")
    log = tmp_path / "state" / "log.jsonl"
    settings(deletion_log=str(log), workers=1)
    sandbox.fault("DeleteSnapshot", "hang", seconds=100, count=1)
    process = start("trim_snapshots", "--json")
    wait_until(sandbox.calls_hanging, "a deletion hangs")
    log.rename(tmp_path / "log")
    log.mkdir()
    pinned = lines(tmp_path / "log")[0]["snapshot"]
    world.ec2().lock_snapshot(SnapshotId=pinned, LockMode="governance", LockDuration=1)
    sandbox.clear_faults()
    (failed,) = (one for one in finish(process)["items"] if one["subject"] == pinned)
    assert failed["outcome"] == "failed"
    assert failed["explanation"].startswith("protected: ")
    assert "and the deletion log" in failed["explanation"]
    assert pinned in world.snapshot_ids()


def test_a_set_that_failed_is_told_so_where_its_deletion_is_not_written_down(
    sandbox, load, settings, world, tmp_path
):
    ids = load(instance("web", 8))
    log = tmp_path / "state" / "log.jsonl"
    settings(deletion_log=str(log))
    sandbox.fail_next_snapshot(volume_id=ids["web"]["volumes"]["/dev/sda1"], message="bad disk")
    sandbox.fault("DeleteSnapshot", "hang", seconds=100, count=1)
    process = start("backup_instances_by_tag", "--synchronously", "--json")
    wait_until(sandbox.calls_hanging, "a deletion hangs")
    log.rename(tmp_path / "log")
    log.mkdir()
    sandbox.clear_faults()
    ended = finish(process)
    assert ended["exit_code"] == 1
    said = ended["items"][0]["explanation"]
    assert "bad disk; and then: snap-" in said
    assert ": deleted, not written down: the deletion log" in said
    assert world.snapshots() == []


def test_update_snap_names_the_new_snapshot_where_the_old_ones_deletion_is_not_written_down(
    sandbox, histories, settings, begin, world, tmp_path
):
    histories("us-east-1")
    log = tmp_path / "state" / "log.jsonl"
    with use(begin(settings(deletion_log=str(log)))) as run:
        old, *_, new = sorted(all_snapshots(run, Place("us-east-1")), key=by_age)
        deletions = open_log(run)
        ask = deletions.caller_in
        deletions.caller_in = lambda account: (log.unlink(), log.mkdir(), ask(account))[2]
        with pytest.raises(LogFailed) as failed:
            update._delete(run, deletions, old, new)
    told = f"{new.snapshot_id} is completed; {old.snapshot_id}: failed: not deleted, since the del"
    assert str(failed.value).startswith(told)
    assert old.snapshot_id in world.snapshot_ids()


@pytest.mark.parametrize("kind", ["FIFO", "device"])
def test_what_is_no_file_is_refused_and_nothing_is_deleted(
    sandbox, histories, fab, settings, tmp_path, kind
):
    histories("us-east-1", broken=1)
    path = tmp_path / "log.jsonl"
    if kind == "FIFO":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/null")
    settings(deletion_log=str(path))
    for task in ("trim_snapshots", "delete_broken_snapshots"):
        ended = fab(task)
        assert ended.code == 2
        (line,) = ended.err.splitlines()
        assert f"deletion_log: {path} can't be written (it is a {kind}, not a regular" in line
    assert deleted(sandbox) == []
    found = fab("doctor", "--tasks", "status", "--json").document["items"]
    (of_log,) = (item for item in found if item["check"] == "deletion log")
    assert of_log["outcome"] == "failed"
    assert of_log["found"].endswith(f"which is a {kind}")


def test_who_deletes_can_not_be_told_and_nothing_is_deleted(sandbox, histories, fab, settings):
    histories("us-east-1")
    settings()
    sandbox.fault(
        "GetCallerIdentity", "error", code="AccessDenied", status=403, count=None, message="no"
    )
    ended = fab("trim_snapshots", "--json")
    assert ended.code == 1
    assert set(outcomes(ended).values()) == {"failed"}
    assert "GetCallerIdentity" in ended.err
    assert deleted(sandbox) == []


# What is counted.


def test_the_second_of_two_runs_counts_what_it_deleted(
    sandbox, histories, fab, settings, world, tmp_path
):
    histories("us-east-1", broken=2)
    settings()
    sandbox.fault("DeleteSnapshot", "hang", seconds=100, count=2, nth=3)
    process = start("trim_snapshots")
    wait_until(lambda: sandbox.calls_hanging() == 2, "two deletions hang")
    wait_until(lambda: len(world.snapshot_ids()) == 5, "the others are done")
    first = fab("trim_snapshots")
    assert first.code == 0
    assert "us-east-1: 2 deleted, 3 of ours kept" in first.out
    sandbox.clear_faults()
    out, _ = process.communicate(timeout=90)
    assert process.returncode == 3
    assert "us-east-1: 18 deleted, 2 already gone, 3 of ours kept" in out
    events = Counter(
        line["event"] for line in lines(tmp_path / ".local/state/snapback/deletions.jsonl")
    )
    assert events == {"deleting": 22, "deleted": 20, "already gone": 2}


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ({"effect": "drop_after"}, "deleted"),
        ({"effect": "error_after", "code": "InternalError", "status": 500}, "deleted"),
        (
            {"effect": "error_after", "code": "RequestLimitExceeded", "status": 503},
            "already gone",
        ),
    ],
)
def test_what_is_gone_when_a_lost_answer_is_asked_for_again_was_deleted(
    sandbox, histories, fab, settings, fault, word
):
    histories("us-east-1")
    settings()
    sandbox.fault("DeleteSnapshot", **fault)
    ended = fab("trim_snapshots", "--json")
    assert ended.code == 0
    counts = Counter(outcomes(ended).values())
    assert counts == Counter({"deleted": 17}) + Counter([word])


def test_a_broken_one_that_was_gone_or_is_in_use_is_not_counted_as_deleted(
    sandbox, histories, fab, settings
):
    histories("us-east-1", broken=3)
    for number, code in enumerate(("InvalidSnapshot.NotFound", "InvalidSnapshot.InUse")):
        sandbox.fault(
            "DeleteSnapshot", "error", code=code, status=400, message="why", nth=number + 1
        )
    settings(workers=1)
    dry = fab("delete_broken_snapshots", "--dry-run", "--json")
    assert [item["deletion"] for item in dry.document["items"]] == ["would do"] * 3
    assert "us-east-1: 3 to be deleted" in fab("delete_broken_snapshots", "--dry-run").out
    ended = fab("delete_broken_snapshots")
    assert ended.code == 3
    assert ended.out.splitlines()[-1] == "us-east-1: 1 deleted, 1 already gone"
    again = fab("delete_broken_snapshots", "--json")
    assert [item["deletion"] for item in again.document["items"]] == ["deleted"] * 2


def test_from_python_it_is_the_same(sandbox, histories, settings, begin, tmp_path):
    """A helper that met a full disk does its work when called once more, in the same program."""
    histories("us-east-1", broken=1)
    log = tmp_path / "state" / "log.jsonl"
    path = settings(deletion_log=str(log), workers=1)
    with use(begin(path)) as run:
        ask = run.connections.caller
        run.connections.caller = lambda account="": (log.unlink(), log.mkdir(), ask(account))[2]
        with pytest.raises(ItemsFailed) as failed:
            delete_broken_snapshots()
        assert [one.word.text for one in failed.value.outcomes] == ["failed"]
        run.connections.caller = ask
        log.rmdir()
        with pytest.raises(ItemsFailed) as found:
            trim_snapshots()
        assert Counter(one.word.text for one in found.value.outcomes) == {
            "broken": 1,
            "deleted": 18,
        }


# Where else it is told.


class Reader(threading.Thread):
    """A daemon that takes datagrams."""

    def __init__(self, listening: socket.socket) -> None:
        super().__init__(daemon=True)
        self._socket = listening
        self._got: list[str] = []
        self.start()

    def run(self) -> None:
        while datagram := self._socket.recv(1 << 20):
            self._got.append(datagram.decode(errors="replace"))

    def all(self) -> list[str]:
        """Return what came, once all of it was read."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self._socket.getsockname())
        self.join(30)
        return self._got


@pytest.mark.parametrize("level", ["error", "info"])
def test_every_target_of_the_log_is_told_of_each_deletion_once(
    sandbox, histories, fab, settings, tmp_path, level
):
    histories("us-east-1")
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal,
    ):
        for name, listening in (("syslog", syslog), ("journal", journal)):
            listening.bind(str(tmp_path / name))
        readers = {"syslog": Reader(syslog), "journal": Reader(journal)}
        settings(
            logging={
                "level": level, "file": str(tmp_path / "log"), "syslog": str(tmp_path / "syslog"),
                "journald": str(tmp_path / "journal"),
            },
            workers=2,
        )  # fmt: skip
        process = start("trim_snapshots", "--json")
        items = finish(process)["items"]
        got = [reader.all() for reader in readers.values()]
    texts = [(tmp_path / "log").read_text().splitlines(), *got]
    assert len(items) == 18
    for lines_of in texts:
        if level == "error":
            assert len(lines_of) == 36
        for item in items:
            about_it = [line for line in lines_of if f"{item['subject']}: " in line]
            deleting, done = about_it
            assert f"deleting {item['subject']}: {item['explanation']}" in deleting
            assert "arn:aws:" in deleting
            assert f"{item['subject']}: deleted: {item['explanation']}" in done
