"""Reaching a host: by which address and login, within which time, and how a failure is told."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from snapback.config import HostSettings, Settings
from snapback.core.model import Instance, Place
from snapback.errors import HostError, HostTimeout, HostUnreachable
from snapback.ssh.host import Host, address_of, open_booting_host, open_host
from tests.ssh.conftest import SSHD, Sshd, instance, make_key, signal_tree

Starts = Callable[..., Sshd]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A listener that accepts nothing by itself."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def options_to(port: int, **others: object) -> Settings:
    return Settings.model_validate(
        {"ssh": {"port": port, "ssh_config": "/dev/null", "known_hosts": "/dev/null", **others}}
    )


def error_of(settings: Settings) -> HostError:
    with pytest.raises(HostError) as raised:
        open_host(settings, instance(), lambda: "")
    return raised.value


@pytest.mark.parametrize(
    ("choice", "address"),
    [
        (None, "ec2-1.example.com"),
        ("public_dns", "ec2-1.example.com"),
        ("private_ip", "10.0.0.5"),
        ("public_ip", "192.0.2.5"),
        ("instance_id", "i-1"),
    ],
)
def test_the_address_is_the_configured_one(choice: str | None, address: str) -> None:
    one = Instance(
        place=Place("eu-west-1"),
        instance_id="i-1",
        public_dns_name="ec2-1.example.com",
        public_ip_address="192.0.2.5",
        private_ip_address="10.0.0.5",
    )
    assert address_of(one, HostSettings.model_validate({"address": choice})) == address


def test_without_a_public_name_the_private_address_is_used() -> None:
    one = Instance(place=Place("eu-west-1"), instance_id="i-1", private_ip_address="10.0.0.5")
    assert address_of(one, HostSettings()) == "10.0.0.5"
    with pytest.raises(HostError, match="i-1 in eu-west-1: it has no public_ip, and is running"):
        address_of(one, HostSettings(address="public_ip"))
    nowhere = Instance(place=Place("eu-west-1"), instance_id="i-1", state="stopped")
    with pytest.raises(HostError, match="no public_dns and no private_ip, and is stopped"):
        address_of(nowhere, HostSettings())


def test_nothing_listens(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    error = error_of(options_to(port))
    assert isinstance(error, HostUnreachable)
    assert error.may_pass
    assert f"no connection to port {port}" in str(error)


def test_a_host_that_says_nothing_is_given_up_in_time(listener: socket.socket) -> None:
    begun = time.monotonic()
    error = error_of(options_to(listener.getsockname()[1], connect_timeout_s=0.5))
    assert isinstance(error, HostTimeout)
    assert "no connection in 0.5 s" in str(error)
    assert time.monotonic() - begun < 60


def test_a_host_that_hangs_up(listener: socket.socket) -> None:
    def serve() -> None:
        connection, _ = listener.accept()
        connection.sendall(b"Not allowed at this time\r\n")
        connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    assert isinstance(error_of(options_to(listener.getsockname()[1])), HostUnreachable)
    thread.join()


def test_a_name_that_cannot_be_resolved() -> None:
    one = Instance(
        place=Place("eu-west-1"), instance_id="i-1", public_dns_name="no-such-host.invalid"
    )
    with pytest.raises(HostUnreachable, match=r"no-such-host\.invalid in eu-west-1: no connection"):
        open_host(options_to(22), one, lambda: "")


def test_a_login_that_comes_too_late_is_closed_again(sshd: Sshd) -> None:
    class Slow:
        """Says that it has no console output, after a while."""

        def __call__(self) -> str:
            time.sleep(1)
            return ""

    with pytest.raises(HostTimeout):
        sshd.open(Slow(), host_keys="console", connect_timeout_s=0.5)
    assert sshd.processes[0].wait(10) is not None


def test_a_login_that_is_refused_tells_user_and_key(sshd: Sshd, tmp_path: Path) -> None:
    make_key(tmp_path / "wrong")
    with pytest.raises(HostUnreachable, match=rf"doesn't let .* in .*{tmp_path}/wrong"):
        sshd.open(key_filename=f"{tmp_path}/wrong")
    with pytest.raises(HostError, match="correct `key_filename`"):
        sshd.open(key_filename=f"{tmp_path}/missing")


def test_that_there_is_no_key_at_all_is_told(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    sshd.settings.pop("key_filename")
    with pytest.raises(HostUnreachable, match=r"doesn't let .* in .*the agent and ~/.ssh") as told:
        sshd.open()
    assert "key_filename" in told.value.advice


def test_the_first_of_override_region_and_ssh_decides(sshd: Sshd, tmp_path: Path) -> None:
    key = sshd.settings.pop("key_filename")
    user = sshd.settings.pop("username")
    settings = Settings.model_validate(
        {
            "ssh": {**sshd.settings, "username": "nobody-such", "key_filename": "/no/such"},
            "regions": {"eu-west-1": {"username": "neither", "key_filename": key}},
            "overrides": [{"match": {"role": "db"}, "username": user}],
        }
    )
    with open_host(settings, instance(role="db"), lambda: "") as host:
        assert host.name == "i-0123456789abcdef0 (web-1) at 127.0.0.1"
        assert host.run(["whoami"]).stdout == f"{user}\n"
    with pytest.raises(HostUnreachable, match="doesn't let neither in"):
        open_host(settings, instance(), lambda: "")


def test_the_login_given_goes_before_the_settings(sshd: Sshd) -> None:
    settings = Settings.model_validate({"ssh": {**sshd.settings, "username": "nobody-such"}})
    login = settings.for_host("eu-west-1", {}).model_copy(
        update={"username": sshd.settings["username"]}
    )
    with open_host(settings, instance(), lambda: "", login=login) as host:
        assert host.run(["true"]).returncode == 0


def test_reads_are_done_under_fab_dry(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVOKE_RUN_DRY", "1")
    with sshd.open() as host:
        assert host.run(["echo", "x"]).stdout == "x\n"


def patiently(sshd: Sshd, **options: object) -> Host:
    """Open it, however busy this machine is."""
    limits = {"ssh_timeout_attempts": 50, "ssh_timeout_interval": 0.1}
    settings = Settings.model_validate({"ssh": {**sshd.settings, **limits, **options}})
    return open_booting_host(
        settings, lambda: open_host(settings, instance(), lambda: ""), time.sleep
    )


def test_a_host_that_stops_answering_is_given_up_in_time(sshd: Sshd) -> None:
    with patiently(sshd, connect_timeout_s=2) as host:
        process = host.start(["cat"])
        signal_tree(sshd.processes[-1].pid, signal.SIGSTOP)
        begun = time.monotonic()
        with pytest.raises(HostTimeout, match="cat printed nothing"):
            process.read_line(0.2)
        with pytest.raises(HostTimeout, match="no answer in 2 s to the start of true"):
            host.run(["true"])
        with pytest.raises(HostUnreachable):
            host.run(["true"])
        assert time.monotonic() - begun < 60


# ProxyCommand.


def proxied(sshd: Sshd, command: str) -> dict[str, str]:
    config = sshd.folder / "ssh_config"
    config.write_text(f"Host 127.*\n  ProxyCommand {command}\n")
    return {"ssh_config": str(config)}


def test_a_proxy_command_makes_the_connection(sshd: Sshd) -> None:
    command = f"sh -c 'echo $$ %h > {sshd.folder}/pid; exec {SSHD} -i -f {sshd.folder}/sshd_config'"
    with sshd.open(**proxied(sshd, command)) as host:
        assert host.run(["echo", "x"]).stdout == "x\n"
    assert sshd.processes == []
    pid, address = (sshd.folder / "pid").read_text().split()
    assert address == "127.0.0.1"
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("sh -c 'echo TargetNotConnected >&2; exit 254'", r"\(TargetNotConnected\)"),
        ("no-such-command", "no-such-command: not found"),
        ("sh -c 'read banner; echo rubbish; exec cat'", "makes no connection"),
    ],
)
def test_a_proxy_command_that_fails(sshd: Sshd, command: str, says: str) -> None:
    with pytest.raises(HostUnreachable, match=says):
        sshd.open(**proxied(sshd, command))


def test_a_proxy_command_that_hangs(sshd: Sshd) -> None:
    begun = time.monotonic()
    command = f"sh -c 'echo $$ > {sshd.folder}/pid; exec sleep 60'"
    with pytest.raises(HostTimeout):
        sshd.open(**proxied(sshd, command), connect_timeout_s=1)
    assert time.monotonic() - begun < 60
    assert not Path(f"/proc/{(sshd.folder / 'pid').read_text().strip()}").exists()


def test_a_proxy_command_that_dies_later(sshd: Sshd) -> None:
    command = f"sh -c 'echo $$ > {sshd.folder}/pid; exec {SSHD} -i -f {sshd.folder}/sshd_config'"
    with sshd.open(**proxied(sshd, command)) as host:
        process = host.start(["cat"])
        os.kill(int((sshd.folder / "pid").read_text()), signal.SIGKILL)
        assert process.read_line(30) is None
        with pytest.raises(HostUnreachable):
            host.run(["true"])


@pytest.mark.parametrize("text", ["Match exec\n", "Host x\n  Port many\n"])
def test_an_ssh_config_that_is_broken(sshd: Sshd, text: str) -> None:
    config = sshd.folder / "broken"
    config.write_text(text.replace("Host x", "Host *"))
    settings = {**sshd.settings, "ssh_config": str(config)}
    if "Port" in text:
        del settings["port"]
    with pytest.raises(HostError, match="no way to it"):
        open_host(Settings.model_validate({"ssh": settings}), instance(), lambda: "")


# Hosts that boot.


def booting(sshd: Sshd, attempts: int, errors: list[HostError]) -> tuple[Host, list[float]]:
    settings = Settings.model_validate(
        {"ssh": {**sshd.settings, "ssh_timeout_attempts": attempts, "ssh_timeout_interval": 7}}
    )
    pauses: list[float] = []

    def attempt() -> Host:
        if errors:
            raise errors.pop(0)
        return open_host(settings, instance(), lambda: "")

    return open_booting_host(settings, attempt, pauses.append), pauses


def test_a_host_that_boots_is_waited_for(sshd: Sshd) -> None:
    errors: list[HostError] = [
        HostTimeout("i-1", "r", "first", ""),
        HostUnreachable("i-1", "r", "second", ""),
    ]
    host, pauses = booting(sshd, 3, errors)
    with host:
        assert host.run(["echo", "x"]).stdout == "x\n"
    assert pauses == [7, 7]


def test_the_last_error_is_raised(sshd: Sshd) -> None:
    errors: list[HostError] = [HostTimeout("i-1", "r", f"number {n}", "") for n in range(9)]
    with pytest.raises(HostTimeout, match="number 2"):
        booting(sshd, 3, errors)
    assert len(errors) == 6


def test_what_time_does_not_mend_is_raised_at_once(sshd: Sshd) -> None:
    errors = [HostError("i-1", "r", "no such key file", "")]
    with pytest.raises(HostError, match="no such key file"):
        booting(sshd, 3, errors)
