"""Hosts that print without end, or trickle: they are given up in time, and little of it is held."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from paramiko import Transport

from snapback.config import Settings
from snapback.errors import HostError, HostTimeout, HostUnreachable
from snapback.ssh.host import open_host
from snapback.ssh.process import MOST_HELD
from tests.ssh.conftest import Sshd, instance
from tests.waiting import wait_until


def ended(pid: Path) -> Callable[[], bool]:
    """Return a check whether the process is gone whose id is in a file."""
    return lambda: not Path("/proc", pid.read_text().strip()).exists()


@pytest.mark.parametrize("redirection", ["", " >&2"])
def test_a_command_that_prints_without_end_is_ended(
    sshd: Sshd, tmp_path: Path, redirection: str
) -> None:
    script = f"cd {tmp_path}; echo $$ >pid; exec cat /dev/zero{redirection}"
    with sshd.open() as host:
        for run in (
            lambda: host.run(["sh", "-c", script], timeout_s=300),
            lambda: host.start(["sh", "-c", script]).wait(300),
            lambda: host.start(["sh", "-c", script]).read_line(300),
        ):
            with pytest.raises(HostError, match="sh printed more than 8 MiB: see what it prints"):
                run()
            wait_until(ended(tmp_path / "pid"), "the end of the command")
        with pytest.raises(HostError, match=r"sh printed more than 0\.0625 MiB"):
            host.run(["sh", "-c", script], most_held=1 << 16)
        assert host.run(["echo", "well"]).stdout == "well\n"


def test_what_is_printed_after_the_end_is_no_answer_either(sshd: Sshd) -> None:
    late = "(sleep 0.3; head -c 200000 /dev/zero) & exit 0"
    with sshd.open() as host, pytest.raises(HostError, match="printed more than"):
        host.run(["sh", "-c", late], most_held=1 << 16)


def test_as_much_as_is_held_comes_whole(sshd: Sshd) -> None:
    with sshd.open() as host:
        said = host.run(["sh", "-c", f"head -c {MOST_HELD} /dev/zero"], timeout_s=300).stdout
        assert len(said) == MOST_HELD


def test_lines_do_not_put_a_deadline_off(sshd: Sshd) -> None:
    with sshd.open() as host:
        process = host.start(["sh", "-c", "while :; do echo; sleep 0.01; done"])
        wait_until(lambda: process.read_line(30) == "", "a line")
        with pytest.raises(HostTimeout):
            process.read_line(0)
        process.close()
        process = host.start(["sh", "-c", "while :; do printf x; sleep 0.01; done"])
        with pytest.raises(HostTimeout, match=r"printed nothing in 0\.5 s"):
            process.read_line(0.5)
        process.close()
        with pytest.raises(HostTimeout, match=r"still running after 0\.5 s"):
            host.run(["sh", "-c", "while :; do echo; sleep 0.01; done"], timeout_s=0.5)


def test_all_that_takes_input_and_answers_has_one_deadline(sshd: Sshd) -> None:
    script = "sleep 2; cat >/dev/null; sleep 60"
    with sshd.open() as host, pytest.raises(HostTimeout, match=r"still running after [01]\.?\d* s"):
        host.run(["sh", "-c", script], stdin=b"x" * 9_000_000, timeout_s=3)


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Take connections as a server that says what it likes; answer its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

        def talk(connection: socket.socket) -> None:
            with connection:
                try:
                    answer(connection)
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def says(*pieces: bytes, then: bytes = b"", each_s: float = 0) -> Callable[[socket.socket], None]:
    """Return a program that prints one text, and then another one for ever."""

    def answer(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
        while then:
            connection.sendall(then)
            time.sleep(each_s)
        connection.recv(1 << 20)
        time.sleep(600)

    return answer


SERVERS = {
    "silent": says(),
    "a banner without end": says(then=b"hello\r\n", each_s=0.05),
    "a line without end": says(then=b"x" * 65536),
    "a trickle": says(then=b"x", each_s=0.2),
    "no key exchange": says(b"SSH-2.0-x\r\n"),
}


def opening(port: int, tmp_path: Path, timeout_s: float) -> None:
    ssh = {"port": port, "username": "x", "connect_timeout_s": timeout_s}
    ssh |= {"known_hosts": str(tmp_path / "known_hosts"), "ssh_config": "/dev/null"}
    open_host(Settings.model_validate({"ssh": ssh}), instance(), lambda: "")


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_that_never_lets_us_in_is_hung_up_on(tmp_path: Path, server: str) -> None:
    before = set(threading.enumerate())

    def connecting() -> list[threading.Thread]:
        new = set(threading.enumerate()) - before
        return [t for t in new if t.name == "snapback-connect" or isinstance(t, Transport)]

    with answering(SERVERS[server]) as port:
        begun = time.monotonic()
        with pytest.raises(HostTimeout, match="no connection in 2 s"):
            opening(port, tmp_path, 2)
        assert time.monotonic() - begun < 30
        wait_until(lambda: not connecting(), "the end of what connects")


def test_no_packet_is_waited_for_that_no_server_sends(tmp_path: Path) -> None:
    packet = b"\x7f\xff\xff\xfc" + b"\0" * 4
    wrong = pytest.raises(HostUnreachable, match="it sends a packet of 2147483640 bytes")
    with answering(says(b"SSH-2.0-x\r\n", packet, then=b"\0" * 65536)) as port, wrong:
        opening(port, tmp_path, 20)
