"""People are let in, and files fetched, by a key that is in no file; links lead nowhere else."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from snapback.errors import SnapbackError
from snapback.ssh.agent import agent
from snapback.ssh.fetching import Source, door, fetch, find
from snapback.ssh.keys import new_key
from tests.ssh.conftest import INSTANCE, USER, Sshd

NAMES = ("sp ace", "-lead", "'\"$(touch ran)", "new\nline", "\x1b[31m", "\udcff", "~", "a:b", "[x]")
ODD = "".join(NAMES)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files are made, with a name that ssh's options might misread."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "a %h b")
        made.mkdir()
        monkeypatch.setenv("TMPDIR", str(made))
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield made


@pytest.fixture
def home(sshd: Sshd, tmp_path: Path) -> Path:
    """The home that sshd's user has, with keys that are let in besides the tests' own."""
    if subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode:
        pytest.skip("there is no sudo without a password")
    made = tmp_path / "home"
    made.mkdir()
    sshd.configure(
        f"AuthorizedKeysFile {tmp_path}/id.pub {made}/.ssh/authorized_keys",
        f'ForceCommand HOME={made} exec sh -c "$SSH_ORIGINAL_COMMAND"',
    )
    return made


def options(sshd: Sshd) -> list[str]:
    return ["-F", "/dev/null", "-p", str(sshd.port)]


def copy(sshd: Sshd, top: Path, path: str, to: str, **wanted: bool) -> int:
    with (
        sshd.open() as host,
        door(host, INSTANCE, USER, "127.0.0.1", options(sshd)) as (ssh, whom),
    ):
        wanted = {"devices": False, "setuid": False, **wanted}
        return fetch(ssh, whom, find(host, str(top), path), to, **wanted)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """What somebody may have put into a snapshot, beside a file of the host's own."""
    made = tmp_path / "top"
    tree = made / "tree"
    tree.mkdir(parents=True)
    (tmp_path / "secret").write_text("the host's")
    for name in NAMES:
        (tree / name).write_text(name.encode("utf-8", "replace").decode())
    os.mkfifo(tree / "pipe")
    os.mknod(tree / "socket", stat.S_IFSOCK | 0o600)
    (tree / "suid").write_text("x")
    (tree / "suid").chmod(0o6755)
    (tree / "shared").mkdir()
    (tree / "shared").chmod(0o2775)
    (tree / "shared" / "authorized_keys").write_text("the snapshot's")
    (tree / "secrets").symlink_to(tmp_path)
    (made / "climbing").symlink_to(f"../../../../../../../..{tmp_path}")
    return made


def test_a_hostile_tree_is_copied_and_leads_nowhere(
    sshd: Sshd, home: Path, top: Path, tmp_path: Path, temporary: Path
) -> None:
    # What is at the destination already: links to where nothing may be written.
    to, own = tmp_path / "to", tmp_path / "own"
    (to / "tree").mkdir(parents=True)
    own.mkdir()
    (own / "authorized_keys").write_text("mine")
    (to / "tree" / "shared").symlink_to(own)
    (to / "tree" / "suid").symlink_to(own / "authorized_keys")

    assert copy(sshd, top, "tree", str(to)) == 2

    assert (own / "authorized_keys").read_text() == "mine"
    assert [path.name for path in own.iterdir()] == ["authorized_keys"]
    got = to / "tree"
    assert sorted(path.name for path in got.iterdir()) == sorted(
        [*NAMES, "secrets", "shared", "suid"]
    )
    assert (got / "secrets").is_symlink()
    assert (got / "suid").stat().st_mode & 0o7777 == 0o755
    assert (got / "shared").lstat().st_mode & 0o7777 == 0o775
    assert (got / "shared" / "authorized_keys").read_text() == "the snapshot's"
    assert not list(temporary.iterdir())

    assert copy(sshd, top, "/tree/", f"{to}/all/", devices=True, setuid=True) == 0
    assert (to / "all" / "pipe").is_fifo()
    assert (to / "all" / "socket").is_socket()
    assert (to / "all" / "suid").stat().st_mode & 0o7777 == 0o6755


def test_a_path_leads_to_what_it_names_beneath_the_top_and_to_nothing_else(
    sshd: Sshd, home: Path, top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (top / "[x]").write_text("meant")
    (top / "x").write_text("matches")
    (top / ODD).write_text("")
    with (
        sshd.open() as host,
        door(host, INSTANCE, USER, "127.0.0.1", options(sshd)) as (ssh, whom),
    ):
        for path in ("tree/secrets/secret", "climbing/secret", "*/secret", "\x1b[31m\n"):
            with pytest.raises(
                SnapbackError, match=r"not copied: .* can't be found in the snapshot"
            ) as no:
                find(host, str(top), path)
            assert str(no.value).isprintable()
        for path in ("[x]", ODD):
            source = find(host, str(top), path)
            fetch(ssh, whom, source, "to:here/", devices=False, setuid=False)
        assert find(host, str(top), "tree/pipe").is_special
        with pytest.raises(SnapbackError, match="/tree/pipe is a device, a fifo or a socket"):
            fetch(ssh, whom, Source(str(top), "/tree/pipe", True), ".", devices=False, setuid=False)
    (made,) = Path().iterdir()
    assert made.name == "to:here"
    assert sorted(path.name for path in made.iterdir()) == sorted(["[x]", ODD])


# Keys.

WAIT = """
import json, sys
from pathlib import Path
from snapback.ssh.fetching import door
from tests.ssh.conftest import Sshd
port, key, settings, instance, user, options = json.loads(sys.argv[1])
with Sshd(Path(), port, key, settings).open() as host:
    with door(host, instance, user, "127.0.0.1", options) as (ssh, whom):
        print(json.dumps([*ssh, whom]), flush=True)
        sys.stdin.read()
"""


def test_nothing_that_opens_the_host_outlives_a_killed_program(
    sshd: Sshd, home: Path, temporary: Path
) -> None:
    known = [sshd.port, sshd.host_key, sshd.settings, INSTANCE, USER, options(sshd)]
    with subprocess.Popen(
        [sys.executable, "-c", WAIT, json.dumps(known)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = shlex.join([*json.loads(process.stdout.readline()), "echo in"])
            done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
            assert (done.returncode, done.stdout) == (0, "in\n"), done.stderr
        finally:
            process.send_signal(signal.SIGKILL)
    left = [path for path in temporary.rglob("*") if path.is_file()]
    assert sorted(path.name for path in left) == ["key.pub", "known_hosts"]
    assert not any("PRIVATE" in path.read_text() for path in left)
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == 255
    assert "Permission denied" in done.stderr


def test_the_agent_signs_by_its_key_and_does_nothing_else(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, key = temporary / "agent", new_key()
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))

    def ssh_add(option: str) -> tuple[int, str]:
        done = subprocess.run(["ssh-add", option], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    with agent(key, path):
        assert ssh_add("-L") == (0, f"{key.public} snapback\n")
        for option in ("-D", "-x"):
            assert ssh_add(option)[0] == 1
        for request in (b"", b"\x0d", b"\x0d" + struct.pack(">I", 1 << 31) + b"x", b"\xff" * 90):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                client.sendall(struct.pack(">I", len(request)) + request)
                assert client.recv(99) == b"\0\0\0\x01\x05"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"\xff" * 4)
            assert client.recv(99) == b""
        assert ssh_add("-L")[0] == 0
    assert ssh_add("-L")[0] == 2
    with (
        pytest.raises(SnapbackError, match="set TMPDIR to a folder with a short name"),
        agent(key, temporary / ("x" * 120)),
    ):
        pass
