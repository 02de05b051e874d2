"""Commands on a host: what they are given, what they say, how they end."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from snapback.errors import CommandFailed, HostError, HostTimeout, HostUnreachable
from snapback.ssh.hold import held
from tests.ssh.conftest import Sshd

HOSTILE = [
    "",
    " ",
    "a b",
    "'",
    '"',
    "\\",
    "\\\\'\\",
    "!",
    "!!",
    "$HOME $(id) `id`",
    "a\nb\n\n",
    "\n",
    "-n",
    "--",
    "*",
    "~",
    "#x",
    "%d%s\\n",
    "\t\r\x01\x7f",
    "ü€😀",
    "caf\udce9",
    "{a,b}",
    "^x^y",
    "a;b|c&d>e<f",
    "x" * 5000,
]
SHELLS = ["sh", "bash", "fish", "bsd-csh", "tcsh"]


@pytest.mark.parametrize("shell", SHELLS)
def test_arguments_arrive_as_they_are_whatever_the_login_shell(sshd: Sshd, shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell} on this machine")
    sshd.login_shell(shell)
    with sshd.open() as host:
        said = host.run(["printf", "%s\\0", *HOSTILE]).stdout
        assert said.split("\0")[:-1] == HOSTILE


@pytest.mark.parametrize(
    "rc",
    [
        "echo noise; echo noise >&2; printf 'no newline'; printf 'nor here' >&2",
        "set -x; echo noise",
        "trap 'echo last words' EXIT; PATH=/usr/bin:/bin",
        "export LC_ALL=de_DE.UTF-8; alias printf=false",
    ],
)
def test_what_start_up_files_print_is_not_taken_for_the_commands(
    sshd: Sshd, tmp_path: Path, rc: str
) -> None:
    (tmp_path / "rc").write_text(f"{rc}\n")
    sshd.login_shell("env", f"BASH_ENV={tmp_path}/rc", "bash")
    with sshd.open() as host:
        done = host.run(["sh", "-c", "printf out; printf err >&2; exit 3"], check=False)
        assert (done.returncode, done.stdout, done.stderr) == (3, "out", "err")
        process = host.start(["printf", "a\\nb\\nc"])
        assert [process.read_line(30) for _ in range(3)] == ["a", "b", None]
        assert process.wait(30) == 0
        assert process.stderr == ""


def test_a_login_banner_is_not_taken_for_the_commands_output(sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / "banner").write_text("Welcome!\n" * 50)
    sshd.configure(f"Banner {tmp_path}/banner", "PrintMotd yes")
    with sshd.open() as host:
        assert host.run(["echo", "x"]).stdout == "x\n"


def test_a_login_shell_that_runs_no_commands_is_told(sshd: Sshd) -> None:
    sshd.configure("ForceCommand echo Please login as the user ubuntu; exit 42")
    with sshd.open() as host:
        for attempt in (
            lambda: host.run(["true"]),
            lambda: host.start(["true"]).read_line(30),
            lambda: host.start(["true"]).wait(30),
        ):
            with pytest.raises(HostError, match=r"ended without running true .*user ubuntu"):
                attempt()


def test_a_command_that_fails_tells_how(sshd: Sshd) -> None:
    with sshd.open() as host:
        with pytest.raises(CommandFailed) as raised:
            host.run(["sh", "-c", "echo useful >&2; echo words >&2; exit 7"])
        assert raised.value.returncode == 7
        assert raised.value.stderr == "useful words"
        assert str(raised.value).startswith(
            "i-0123456789abcdef0 (web-1) at 127.0.0.1 in eu-west-1: sh -c 'echo useful"
        )
        with pytest.raises(CommandFailed, match=r"no-such-program ended with 127: .*not found"):
            host.run(["no-such-program"])
        with pytest.raises(CommandFailed, match=r"kill -KILL \$\$' was killed"):
            host.run(["sh", "-c", "kill -KILL $$"])


def test_a_command_that_takes_too_long_is_given_up(sshd: Sshd) -> None:
    with sshd.open() as host:
        with pytest.raises(HostTimeout, match=r"sleep is still running after 0\.3 s"):
            host.run(["sleep", "5"], timeout_s=0.3)
        process = host.start(["sh", "-c", "read line"])
        with pytest.raises(HostTimeout, match=r"sh printed nothing in 0\.2 s"):
            process.read_line(0.2)
        with pytest.raises(HostTimeout, match=r"sh is still running after 0\.2 s"):
            process.wait(0.2)
        process.close_stdin()
        assert process.wait(30) == 1
        assert host.run(["echo", "still there"]).stdout == "still there\n"


def test_what_a_command_leaves_running_does_not_hold_us_up(sshd: Sshd) -> None:
    with sshd.open() as host:
        process = host.start(["sh", "-c", "sleep 60 & echo $!"])
        left = int(process.read_line(30) or 0)
        assert process.wait(30) == 0
        with pytest.raises(HostTimeout, match=r"the output of sh is still open after 0\.3 s"):
            process.output(0.3)
        os.kill(left, signal.SIGKILL)
        assert process.output(30) == (0, "", "")


def test_much_input_and_much_output_at_the_same_time(sshd: Sshd) -> None:
    data = os.urandom(1 << 20).hex().encode() * 4
    with sshd.open() as host:
        done = host.run(["sh", "-c", "tee /dev/stderr"], stdin=data)
        assert done.stdout.encode() == data
        assert done.stderr.encode() == data


def test_a_process_is_talked_to_line_by_line(sshd: Sshd) -> None:
    with sshd.open() as host:
        process = host.start(["sh", "-c", "while read line; do echo got $line; done; echo end >&2"])
        for word in ("one", "two"):
            process.send(f"{word}\n".encode())
            assert process.read_line(30) == f"got {word}"
        process.close_stdin()
        assert process.read_line(30) is None
        assert process.wait(30) == 0
        assert process.stderr == "end\n"
        with pytest.raises(HostError):
            process.send(b"too late")


def test_what_is_said_on_stderr_before_a_line_is_waited_for(sshd: Sshd) -> None:
    late = "echo ENDED; sleep 0.3; echo why >&2; echo ENDED >&2; echo more >&2; cat"
    with sshd.open() as host:
        process = host.start(["sh", "-c", late])
        assert process.read_line(30) == "ENDED"
        assert process.stderr_before("ENDED", 30) == "why\n"
        assert process.stderr_before("never", 0.1).startswith("why\nENDED\n")
        process.close_stdin()
        process.wait(30)


def test_the_connection_breaks(sshd: Sshd) -> None:
    with sshd.open() as host:
        process = host.start(["cat"])
        process.send(b"a\n")
        assert process.read_line(30) == "a"
        sshd.kill()
        assert process.read_line(30) is None
        assert process.wait(30) == -1
        with pytest.raises(HostUnreachable, match="the connection broke"):
            process.send(b"b\n")
        with pytest.raises(HostUnreachable, match="the connection broke to the start of true"):
            host.run(["true"])


def test_the_connection_breaks_while_a_command_runs(sshd: Sshd) -> None:
    with sshd.open() as host, pytest.raises(HostUnreachable, match="while sh was running"):
        host.run(["sh", "-c", "kill -9 $PPID; sleep 5"], check=False)


def test_no_further_session(sshd: Sshd) -> None:
    sshd.configure("MaxSessions 1")
    with sshd.open() as host:
        process = host.start(["cat"])
        with pytest.raises(HostError, match=r"no further session .*raise MaxSessions"):
            host.run(["true"])
        process.close_stdin()
        assert process.wait(30) == 0
        process.close()
        for _ in range(15):  # sshd frees a session a moment after its end
            assert host.run(["echo", "x"]).stdout == "x\n"


def test_root_needs_no_sudo(sshd: Sshd, tmp_path: Path) -> None:
    if os.getuid():
        pytest.skip("not root")
    sshd.login_shell("env", "PATH=/usr/bin:/bin", "sh")
    with sshd.open() as host:
        assert host.sudo(["sh", "-c", "id -u; echo ${SUDO_USER-none}"]).stdout == "0\nnone\n"
        assert "/usr/sbin" in host.run(["sh", "-c", "echo $PATH"]).stdout


def test_sudo_that_asks_for_a_password_is_told(sshd: Sshd) -> None:
    if os.getuid() or not shutil.which("sudo"):
        pytest.skip("not root, or there is no sudo")
    sshd.login_shell("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh")
    with sshd.open() as host:
        assert host.run(["id", "-u"]).stdout == "65534\n"
        begun = time.monotonic()
        with pytest.raises(HostError, match=r"can't become root \(.*password.*NOPASSWD"):
            host.sudo(["true"])
        process = host.start(["cat"], as_root=True)
        with pytest.raises(HostError, match="NOPASSWD"):
            process.read_line(30)
        assert time.monotonic() - begun < 60


def test_what_is_done_for_a_while_is_undone_also_where_the_connection_dies(
    sshd: Sshd, tmp_path: Path
) -> None:
    file = tmp_path / "it's; done"
    names = ["make"], ["remove"]
    do, undo = 'touch -- "$1"', 'rm -- "$1"'
    with sshd.open() as host:
        with held(host, do, undo, [str(file)], names=names, as_root=False):
            assert file.exists()
        assert not file.exists()
        wrong = held(host, "echo why >&2; exit 3", undo, [str(file)], names=names, as_root=False)
        with pytest.raises(CommandFailed, match=r"make ended with 3.*why"), wrong:
            pass
        not_undone = held(host, do, "exit 4", [str(file)], names=names, as_root=False)
        with pytest.raises(CommandFailed, match="remove ended with 4"), not_undone:
            pass
        lost = held(host, do, undo, [str(file)], names=names, as_root=False)
        with pytest.raises(HostUnreachable), lost:
            host.close()
    deadline = time.monotonic() + 30
    while file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not file.exists()
