"""Whose host keys are trusted: over a real sshd, in every mode, on jump hosts too."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from snapback.config import Settings
from snapback.errors import ApiError, HostError, HostKeyError
from snapback.ssh.host import open_host
from snapback.ssh.host_keys import HostKey
from tests.ssh.conftest import INSTANCE, Sshd, instance, make_key

Starts = Callable[..., Sshd]


def refusal(sshd: Sshd, **options: str) -> HostKeyError:
    with pytest.raises(HostKeyError) as raised:
        sshd.open(**options)
    return raised.value


def works(sshd: Sshd, console: Callable[[], str] = lambda: "", **options: str) -> bool:
    with sshd.open(console, **options) as host:
        return host.run(["echo", "x"]).stdout == "x\n"


def console_of(*keys: str) -> str:
    lines = "\n".join(f"{key} root@ip-10-0-0-5" for key in keys)
    return f"-----BEGIN SSH HOST KEY KEYS-----\n{lines}\n-----END SSH HOST KEY KEYS-----\n"


def test_an_unknown_key_is_refused_with_the_line_to_add(start_sshd: Starts) -> None:
    sshd = start_sshd()
    error = refusal(sshd)
    line = f"{sshd.name} {sshd.host_key}"
    assert str(error).endswith(
        f"is unknown: if it is the right one, add this line to {sshd.known_hosts}: {line}"
    )
    assert not error.may_pass
    assert not sshd.known_hosts.exists()
    sshd.known_hosts.write_text(f"{line}\n")
    assert works(sshd)


@pytest.mark.parametrize("mode", ["known_hosts", "accept-new"])
def test_a_changed_key_is_refused(start_sshd: Starts, tmp_path: Path, mode: str) -> None:
    sshd = start_sshd()
    before = f"{sshd.name} {make_key(tmp_path / 'before')}\n"
    sshd.known_hosts.write_text(before)
    error = refusal(sshd, host_keys=mode)
    assert "its host key has CHANGED" in str(error)
    assert f"{sshd.known_hosts}, line 1" in str(error)
    assert sshd.known_hosts.read_text() == before


def test_a_key_of_another_kind_than_the_known_one_is_refused(
    start_sshd: Starts, tmp_path: Path
) -> None:
    sshd = start_sshd()
    sshd.known_hosts.write_text(f"{sshd.name} {make_key(tmp_path / 'before', 'ecdsa')}\n")
    assert "CHANGED" in str(refusal(sshd, host_keys="accept-new"))


def test_a_revoked_key_is_refused(start_sshd: Starts) -> None:
    sshd = start_sshd()
    line = f"{sshd.name} {sshd.host_key}"
    sshd.known_hosts.write_text(f"{line}\n@revoked {line}\n")
    assert "is revoked" in str(refusal(sshd))


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_the_known_one_of_a_hosts_keys_is_asked_for(
    start_sshd: Starts, tmp_path: Path, kind: str
) -> None:
    sshd = start_sshd()
    sshd.configure(f"HostKey {tmp_path}/other")
    sshd.known_hosts.write_text(f"{sshd.name} {make_key(tmp_path / 'other', kind)}\n")
    assert works(sshd)


def test_new_keys_are_accepted_and_remembered(start_sshd: Starts) -> None:
    sshd = start_sshd()
    sshd.known_hosts.write_text("# no newline at the end")
    assert works(sshd, host_keys="accept-new")
    assert sshd.known_hosts.read_text().splitlines() == [
        "# no newline at the end",
        f"{sshd.name} {sshd.host_key}",
    ]
    assert works(sshd)


def test_new_keys_are_written_once_by_many(start_sshd: Starts) -> None:
    sshd = start_sshd()
    threads = [
        threading.Thread(target=works, args=(sshd,), kwargs={"host_keys": "accept-new"})
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sshd.known_hosts.read_text() == f"{sshd.name} {sshd.host_key}\n"
    assert sshd.known_hosts.stat().st_mode & 0o777 == 0o600


def test_keys_that_cannot_be_written_are_not_accepted(start_sshd: Starts, tmp_path: Path) -> None:
    sshd = start_sshd()
    (tmp_path / "file").write_text("")
    error = refusal(sshd, host_keys="accept-new", known_hosts=f"{tmp_path}/file/known_hosts")
    assert "can't be" in str(error)


def test_a_key_on_the_console_is_learned_by_instance_id(start_sshd: Starts, tmp_path: Path) -> None:
    sshd = start_sshd()
    other = make_key(tmp_path / "other", "ecdsa")
    assert works(sshd, lambda: console_of(other, sshd.host_key), host_keys="console")
    remembered = Path(sshd.settings["remembered_keys"])
    assert remembered.read_text().splitlines() == [
        f"{INSTANCE} {other}",
        f"{INSTANCE} {sshd.host_key}",
    ]
    assert works(sshd, host_keys="console")  # the console is empty by now
    assert not sshd.known_hosts.exists()


def test_another_machine_at_a_recycled_address_is_refused(start_sshd: Starts) -> None:
    before, after = start_sshd(), start_sshd()
    assert works(before, lambda: console_of(before.host_key), host_keys="console")
    after.settings["remembered_keys"] = before.settings["remembered_keys"]
    with pytest.raises(HostKeyError, match=f"has CHANGED.*add: {INSTANCE} ssh-ed25519"):
        after.open(lambda: console_of(after.host_key), host_keys="console")


def test_a_key_that_is_not_on_the_console_is_refused(start_sshd: Starts, tmp_path: Path) -> None:
    sshd = start_sshd()
    sshd.trust()  # by address: does not count
    other = make_key(tmp_path / "other")
    with pytest.raises(HostKeyError, match="is not in its console output") as raised:
        sshd.open(lambda: console_of(other), host_keys="console")
    assert not raised.value.may_pass
    assert not Path(sshd.settings["remembered_keys"]).exists()


def test_a_console_without_keys_may_have_some_later(start_sshd: Starts) -> None:
    sshd = start_sshd()
    with pytest.raises(HostKeyError, match="shows no host keys") as raised:
        sshd.open(lambda: "booting", host_keys="console")
    assert raised.value.may_pass
    Path(sshd.settings["remembered_keys"]).write_text(
        raised.value.advice.rpartition(": ")[2] + "\n"
    )
    assert works(sshd, lambda: "booting", host_keys="console")


def test_a_console_that_may_not_be_read(start_sshd: Starts) -> None:
    def console() -> str:
        raise ApiError("GetConsoleOutput", "eu-west-1", "UnauthorizedOperation", "no")

    with pytest.raises(HostKeyError, match="not allowed to call ec2:GetConsoleOutput"):
        start_sshd().open(console, host_keys="console")


def test_only_the_keys_given_to_an_instance_are_trusted(start_sshd: Starts, tmp_path: Path) -> None:
    sshd = start_sshd()
    settings = Settings.model_validate({"ssh": sshd.settings})
    own, other = (
        HostKey.read(*line.split()) for line in (sshd.host_key, make_key(tmp_path / "other"))
    )
    assert own
    assert other
    with open_host(settings, instance(), lambda: "", host_keys=[own]) as host:
        assert host.run(["echo", "x"]).stdout == "x\n"
    sshd.trust()
    with pytest.raises(HostKeyError, match="is not the one it was given"):
        open_host(settings, instance(), lambda: "", host_keys=[other])


# Jump hosts.


def through(target: Sshd, *gateways: Sshd) -> dict[str, str]:
    """Answer the options to reach a host through others, whose keys are in the same file."""
    config = target.folder / "ssh_config"
    config.write_text(f"Host *\n  User {target.settings['username']}\n")
    names = ",".join(f"127.0.0.1:{gateway.port}" for gateway in gateways)
    return {"ssh_config": str(config), "gateway": names}


def test_the_keys_of_jump_hosts_are_checked(start_sshd: Starts) -> None:
    target, gateway = start_sshd(), start_sshd()
    target.trust()
    error = refusal(target, **through(target, gateway))
    assert f"{gateway.name} {gateway.host_key}" in str(error)
    assert "is unknown" in str(error)
    target.known_hosts.write_text(f"{gateway.name} {gateway.host_key}\n")
    assert f"{target.name} {target.host_key}" in str(refusal(target, **through(target, gateway)))
    target.known_hosts.write_text(
        f"{gateway.name} {gateway.host_key}\n{target.name} {target.host_key}\n"
    )
    assert works(target, **through(target, gateway))


def test_jump_hosts_are_passed_in_the_order_of_openssh(start_sshd: Starts) -> None:
    target, first, second = start_sshd(), start_sshd(), start_sshd()
    target.known_hosts.write_text(
        "".join(f"{sshd.name} {sshd.host_key}\n" for sshd in (target, first, second))
    )
    first.configure(f"PermitOpen 127.0.0.1:{second.port}")
    second.configure(f"PermitOpen 127.0.0.1:{target.port}")
    assert works(target, **through(target, first, second))
    with pytest.raises(HostError):
        target.open(**through(target, second, first))


def test_the_jump_hosts_of_the_ssh_config(start_sshd: Starts) -> None:
    target, gateway = start_sshd(), start_sshd()
    target.known_hosts.write_text(
        f"{gateway.name} {gateway.host_key}\n{target.name} {target.host_key}\n"
    )
    config = target.folder / "ssh_config"
    config.write_text(
        f"Host jump\n  HostName 127.0.0.1\n  Port {gateway.port}\n"
        f"Host *\n  User {target.settings['username']}\n"
        "  ProxyJump jump\n  IdentityFile /no/such/key\n"
    )
    assert works(target, ssh_config=str(config))
    served = len(gateway.processes)
    assert served == 1
    assert works(target, ssh_config=str(config), gateway="none")
    assert len(gateway.processes) == served
