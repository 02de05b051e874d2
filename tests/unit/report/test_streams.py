"""The standard streams: each test runs a program of its own, with real ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BEGIN = """
import os, sys
from pathlib import Path
from snapback.report.streams import make_safe, take_losses
make_safe()
make_safe()
"""
LOSSES = """
print("a line")
Path("losses").write_text(repr([tuple(loss) for loss in take_losses()]))
print("another")
"""
FULL = "No space left on device"
CLOSED = "Bad file descriptor"


def run(folder: Path, script: str, redirected: str = "", **environment: str) -> tuple[int, bytes]:
    """Run Python in a folder; return its exit code, and what it wrote to both streams."""
    program = sys.executable, BEGIN + script
    ended = subprocess.run(
        ["bash", "-c", f'"$0" -c "$1" {redirected}; exit ${{PIPESTATUS[0]}}', *program],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False, cwd=folder,
        env={**os.environ, **environment},
    )  # fmt: skip
    return ended.returncode, ended.stdout


@pytest.mark.parametrize(
    ("redirected", "losses"),
    [
        ("", []),
        (">/dev/full", [("stdout", FULL, True)]),
        (">&-", [("stdout", CLOSED, False)]),
        ("<&- >&- 2>&-", [("stdout", CLOSED, False)]),
        ("1</dev/null", [("stdout", CLOSED, True)]),
        ("2>/dev/full", []),
    ],
)
def test_what_is_lost_is_remembered_and_stops_nothing(
    tmp_path: Path, redirected: str, losses: list[tuple[str, str, bool]]
) -> None:
    code, out = run(tmp_path, LOSSES, redirected)
    assert (code, out) == (0, b"" if losses else b"a line\nanother\n")
    assert (tmp_path / "losses").read_text() == repr(losses)


def test_a_reader_that_has_gone_wanted_nothing(tmp_path: Path) -> None:
    gone = "ours, theirs = os.pipe(); os.close(ours); os.dup2(theirs, 1)\n"
    assert run(tmp_path, gone + LOSSES) == (0, b"")
    assert (tmp_path / "losses").read_text() == repr([("stdout", "Broken pipe", False)])


def test_a_file_that_has_a_missing_streams_number_gets_nothing(tmp_path: Path) -> None:
    held = 'import os; held = os.open("held", os.O_WRONLY | os.O_CREAT)\n'  # before make_safe
    script = f"{held}{BEGIN}print('out'); print('err', file=sys.stderr); take_losses()"
    code = "exec(compile(open('script').read(), 'script', 'exec'))"
    (tmp_path / "script").write_text(script + "; Path('number').write_text(str(held))")
    ended = subprocess.run(
        ["sh", "-c", '"$0" -c "$1" >&- 2>&-', sys.executable, code], cwd=tmp_path, check=False
    )
    assert ended.returncode == 0
    assert (tmp_path / "number").read_text() == "1"
    assert (tmp_path / "held").read_text() == ""


def test_children_have_all_streams(tmp_path: Path) -> None:
    script = "import subprocess; subprocess.run('ls /proc/self/fd >fds', shell=True, check=True)"
    assert run(tmp_path, script, "<&- >&- 2>&-")[0] == 0
    assert {"0", "1", "2"} <= set((tmp_path / "fds").read_text().split())


@pytest.mark.parametrize(
    ("charset", "written"),
    [("latin-1", rb"za\u017c" + b"\xf3"), ("ascii", rb"za\u017c\xf3"), ("utf-8", "zażó".encode())],
)
def test_characters_that_a_charset_lacks_are_escapes(
    tmp_path: Path, charset: str, written: bytes
) -> None:
    script = "print('zażó\\ud800'); print('zażó\\ud800', file=sys.stderr)"
    code, out = run(tmp_path, script, PYTHONIOENCODING=charset)
    assert (code, out.splitlines()) == (0, [written + rb"\ud800"] * 2)


def test_a_stream_that_would_block_is_waited_for(tmp_path: Path) -> None:
    script = "os.set_blocking(1, False); print('x' * 1_000_000); print(take_losses())"
    code, out = run(tmp_path, script, "| (sleep 0.3; cat)")
    assert (code, out) == (0, b"x" * 1_000_000 + b"\n[]\n")


def test_a_signals_handler_may_say_something_while_something_is_said(tmp_path: Path) -> None:
    script = """
import fcntl, signal, termios, threading, time
ours, theirs = os.pipe()
os.dup2(theirs, 2)
signal.signal(signal.SIGUSR1, lambda *_: print("handled", file=sys.stderr))

def read():
    while int.from_bytes(fcntl.ioctl(ours, termios.FIONREAD, bytes(4)), "little") < 65536:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGUSR1)  # the main thread waits for us to read
    said = b""
    while said.count(b"\\n") < 2:
        said += os.read(ours, 65536)
    print(said.count(b"x"), said.count(b"handled"))

reader = threading.Thread(target=read)
reader.start()
print("x" * 1_000_000, file=sys.stderr)
reader.join()
"""
    assert run(tmp_path, script) == (0, b"1000000 1\n")
