"""What stdout and stderr can't take: the work is done, hooks are told, the exit code tells."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest

from tests.sandbox.conftest import BIN, instance, run_warm
from tests.sandbox.warm_fab import ROOT
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("sandbox")

TELL = 'echo "$SNAPBACK_TASK $SNAPBACK_EXIT_CODE" >>told; echo "$SNAPBACK_ERROR" >>why;'
TELL += 'printf "%s" "$SNAPBACK_PROBLEMS" >>problems'
CHAIN = ("backup_instances_by_tag", "trim_snapshots")
NAME = "zażółć \x9b31m\u202e"
FULL = "/dev/full"


@pytest.fixture
def hooked(configure):
    configure(workers=1, hooks={"on_success": TELL, "on_failure": TELL})


@pytest.fixture
def one_fails(sandbox, load):
    load(instance(NAME), instance("db"))
    sandbox.fault("CreateSnapshots", "error", code="Nope", status=400, message="of it:\nzażółć")


@pytest.fixture
def run(warm_fab):
    """Runs a program with its streams in files of the current folder, or on a full disk."""

    def run_into(out: str, err: str, *argv: str) -> int:
        streams = (Path(stream).absolute() for stream in (out, err))
        return warm_fab.run(list(argv), os.environ, *streams)

    return run_into


def told() -> list[str]:
    return Path("told").read_text().splitlines()


def run_shell(line: str, **environment: str) -> int:
    """Run a line of the shell with the programs at hand; return its exit code."""
    path = f"{BIN}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", line], env={**os.environ, "PATH": path, **environment}, timeout=100,
        check=False,
    ).returncode  # fmt: skip


@pytest.mark.parametrize(
    ("out", "err", "codes"),
    [(FULL, "err", (1, 1)), ("out", FULL, (1, 0)), (FULL, FULL, (1, 1))],
)
def test_on_a_full_disk_the_chain_runs_to_its_end_and_hooks_are_told(
    run, one_fails, hooked, world, out, err, codes
):
    for program in (["snapback"], ["fab", "-r", str(ROOT)]):
        Path("told").unlink(missing_ok=True)
        assert run(out, err, *program, *CHAIN) == max(codes)
        assert len(world.snapshots()) == 1
        assert told() == [f"{task} {code}" for task, code in zip(CHAIN, codes, strict=True)]
        assert "of it:\\nzażółć" in Path("problems").read_text()
        for snapshot in world.snapshots():
            world.ec2().delete_snapshot(SnapshotId=snapshot["SnapshotId"])
        world.sandbox.fault(
            "CreateSnapshots", "error", code="Nope", status=400, message="of it:\nzażółć"
        )
    if out == FULL:
        assert "stdout can't be written (No space left on device)" in Path("why").read_text()


def test_a_report_that_is_lost_is_a_failure_of_what_went_well(run, load, hooked, world):
    load(instance("web"))
    snapback = ("snapback", CHAIN[0])
    assert run(FULL, "err", *snapback) == 1
    lost = "stdout can't be written (No space left on device): output was lost"
    assert Path("err").read_text() == f"backup_instances_by_tag: {lost}\n"
    assert Path("why").read_text() == f"{lost}\n"
    assert run("out", FULL, *snapback) == 0
    assert run(FULL, FULL, *snapback, "--json") == 1
    assert run(FULL, FULL, *snapback, "--quiet") == 0
    assert told() == [f"backup_instances_by_tag {code}" for code in (1, 0, 1, 0)]
    assert len(world.snapshots()) == 4


def test_a_check_without_its_line_is_unknown(run, hooked):
    assert run(FULL, "err", "snapback", "check") == 3
    assert run(FULL, FULL, "snapback", "check", "--odd") == 3
    assert run("out", FULL, "snapback", "check") == 2
    assert told() == ["check 3", "check 2"]


def test_a_list_that_can_not_be_written_is_a_failure(run):
    assert run(FULL, "err", "snapback", "--list") == 1
    why = "stdout can't be written (No space left on device)"
    assert Path("err").read_text() == f"snapback: {why}\n"


def test_closed_streams_are_the_operators_wish(load, hooked, world):
    load(instance("web"))
    held = Path("held.py")
    held.write_text("held = open('held', 'w')\nfrom snapback.tasks import ns\n")
    chain = " ".join(CHAIN)
    assert run_shell(f"snapback {chain} >&-") == 0
    assert run_shell(f"snapback {chain} <&- >&- 2>&-") == 0
    assert run_shell("fab -c held backup-instances-by-tag <&- >&- 2>&-") == 0
    assert run_shell("snapback check 2>&-") == 0
    assert run_shell("snapback check >&-") == 3
    backup, trim = (f"{task} 0" for task in CHAIN)
    assert told() == [backup, trim, backup, trim, backup, "check 0", "check 3"]
    assert len(world.snapshots()) == 3
    assert Path("held").read_text() == ""


def test_a_failure_is_told_with_stderr_closed(one_fails, hooked, world):
    assert run_shell(f"snapback {' '.join(CHAIN)} 2>&-") == 1
    assert told() == [f"{CHAIN[0]} 1", f"{CHAIN[1]} 0"]
    assert len(world.snapshots()) == 1


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"PYTHONIOENCODING": "latin-1"}, "za\\u017có\\u0142\\u0107 \\x9b31m\\u202e"),
        (
            {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
            "za\\u017c\\xf3\\u0142\\u0107 \\x9b31m\\u202e",
        ),
    ],
)
def test_names_that_the_charset_lacks_hide_no_failure(one_fails, hooked, world, environment, name):
    assert run_shell(f"snapback {' '.join(CHAIN)} >out 2>err", **environment) == 1
    (problem,) = Path("err").read_text("latin-1").splitlines()
    assert problem.endswith(f"Nope: of it:\\n{name.split()[0]}")
    assert name in Path("out").read_text("latin-1")
    assert "1 of 2 backed up" in Path("out").read_text("latin-1")
    assert told() == [f"{CHAIN[0]} 1", f"{CHAIN[1]} 0"]
    assert "Nope: of it:\\nza" in Path("problems").read_text()


def test_defects_of_a_report_are_told(warm_fab, hooked, tmp_path, load):
    load(instance("web"))
    (tmp_path / "fabfile.py").write_text(
        "from fabric import task\n"
        "from snapback.core.model import Place\n"
        "from snapback.core.model.outcome import Outcome\n"
        "from snapback.report.report import Column, Report\n"
        "from snapback.tasks.boundary import perform\n"
        "from snapback.tasks import show_config\n"
        "from snapback.words import Word\n"
        "bad = Outcome(subject='a', word=Word.LEFT_BEHIND, explanation='why', place=Place('x'))\n"
        "columns = [Column('what', lambda one: one.facts['missing'])]\n"
        "def undone(*_): raise SystemExit(0)\n"
        "def unshown(*_): return Report(outcomes=[bad], columns=columns)\n"
        "def unwritten(*_): return Report(outcomes=[], columns=[], facts={'a': {1}})\n"
        "@task\n"
        "def first(c): perform(c, 'first', undone)\n"
        "@task\n"
        "def second(c): perform(c, 'second', unshown)\n"
        "@task\n"
        "def third(c): perform(c, 'third', unwritten, as_json=True)\n"
    )
    (tmp_path / "fabric.yaml").write_text((ROOT / "fabric.yaml").read_text())
    chain = ["fab", "-r", str(tmp_path), "first", "second", "third", "show_config"]
    ended = run_warm(warm_fab, tmp_path, chain)
    assert ended.code == 4
    assert "a in x: left behind: why\n" in ended.err
    assert "second: unexpected KeyError: 'missing' (a defect: please report it)" in ended.err
    assert "third: unexpected TypeError" in ended.err
    assert "third: warning: hooks: unexpected TypeError" in ended.err
    assert "Traceback" not in ended.err
    assert told() == ["first 1", "second 4", "show_config 0"]


@pytest.mark.parametrize("ignored", [False, True])
def test_a_terminal_that_is_closed_loses_no_hook(sandbox, load, hooked, world, ignored):
    load(instance("web"), instance("db"))
    sandbox.fault("CreateSnapshots", "hang", seconds=100, count=None)
    pid, terminal = pty.fork()
    if not pid:
        if ignored:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.execv(BIN / "snapback", ["snapback", *CHAIN])
    wait_until(sandbox.calls_hanging, "a call hangs")
    os.close(terminal)
    sandbox.clear_faults()
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == (0 if ignored else 1)
    assert told() == [f"{task} 0" for task in CHAIN] if ignored else [f"{CHAIN[0]} 1"]
