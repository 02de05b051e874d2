"""A real sshd on loopback, an ordinary process of each test's own; root or not.

Each connection is accepted by the test and handed to an ``sshd -i``, so that no port has to be
guessed and nothing listens after the test. A login shell is put in by ForceCommand.
"""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from snapback.config import Settings
from snapback.core.model import Instance, Place
from snapback.ssh.host import Host, open_host

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
USER = pwd.getpwuid(os.getuid()).pw_name
INSTANCE = "i-0123456789abcdef0"


def make_key(path: Path, kind: str = "ed25519") -> str:
    """Make a key pair; answer its public line, kind and key."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", str(path)], check=True
    )
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


@dataclass
class Sshd:
    """An sshd, and the settings with which snapback reaches it."""

    folder: Path
    port: int
    host_key: str
    settings: dict[str, Any]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    accepting: bool = True

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def name(self) -> str:
        return f"[127.0.0.1]:{self.port}"

    def configure(self, *lines: str) -> None:
        """Add to its configuration, before what is there: sshd takes the first it finds."""
        path = self.folder / "sshd_config"
        path.write_text("\n".join([*lines, path.read_text()]))

    def login_shell(self, *argv: str) -> None:
        """Have commands run by this, as a login shell: with ``-c`` and the command behind it."""
        self.configure(f'ForceCommand exec {shlex.join(argv)} -c "$SSH_ORIGINAL_COMMAND"')

    def trust(self) -> None:
        self.known_hosts.write_text(f"{self.name} {self.host_key}\n")

    def kill(self) -> None:
        """Kill every sshd with what it has begun to serve, as a host that loses power."""
        for process in self.processes:
            signal_tree(process.pid, signal.SIGKILL)

    def open(
        self, console: Callable[[], str] = lambda: "", tags: Any = None, **options: Any
    ) -> Host:
        """Open it with these settings of ``ssh`` besides."""
        settings = Settings.model_validate({"ssh": {**self.settings, **options}})
        return open_host(settings, instance(**(tags or {})), console)


def signal_tree(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process and to those it has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        below = [int(child) for child in children.read_text().split()]
        os.kill(pid, number)
    except (FileNotFoundError, ProcessLookupError):
        return
    for child in below:
        signal_tree(child, number)


def instance(**tags: str) -> Instance:
    return Instance(
        place=Place("eu-west-1"),
        instance_id=INSTANCE,
        public_dns_name="127.0.0.1",
        private_ip_address="127.0.0.2",
        tags={"Name": "web-1", **tags},
    )


@pytest.fixture
def start_sshd(tmp_path: Path) -> Iterator[Callable[..., Sshd]]:
    """Answer what starts an sshd, in a folder of its own."""
    if SSHD is None:
        pytest.skip("there is no sshd: apt-get install openssh-server")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd insists on it
    stops = []

    def start(kind: str = "ed25519") -> Sshd:
        folder = tmp_path / f"sshd-{len(stops)}"
        folder.mkdir()
        host_key = make_key(folder / "host_key", kind)
        key = tmp_path / "id"
        if not key.exists():
            make_key(key)
        (folder / "sshd_config").write_text(
            f"HostKey {folder}/host_key\nAuthorizedKeysFile {key}.pub\nStrictModes no\n"
            "UsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
        )
        listener = socket.create_server(("127.0.0.1", 0))
        sshd = Sshd(
            folder,
            listener.getsockname()[1],
            host_key,
            {
                "username": USER,
                "key_filename": str(key),
                "port": listener.getsockname()[1],
                "known_hosts": str(folder / "known_hosts"),
                "remembered_keys": str(folder / "remembered"),
                "ssh_config": "/dev/null",
            },
        )
        thread = threading.Thread(target=_serve, args=(listener, sshd))
        thread.start()

        def stop() -> None:
            sshd.accepting = False
            socket.create_connection(listener.getsockname()).close()
            thread.join()
            listener.close()
            sshd.kill()
            for process in sshd.processes:
                process.wait()

        stops.append(stop)
        return sshd

    yield start
    for stop in stops:
        stop()


def _serve(listener: socket.socket, sshd: Sshd) -> None:
    with (sshd.folder / "log").open("wb") as log:
        while True:
            connection, _ = listener.accept()
            with connection:
                if not sshd.accepting:
                    return
                sshd.processes.append(
                    subprocess.Popen(
                        [str(SSHD), "-i", "-e", "-f", str(sshd.folder / "sshd_config")],
                        stdin=connection,
                        stdout=connection,
                        stderr=log,
                    )
                )


@pytest.fixture
def sshd(start_sshd: Callable[..., Sshd]) -> Sshd:
    """An sshd whose host key is known."""
    started = start_sshd()
    started.trust()
    return started
