"""A consistent backup, whatever happens while it has frozen a host, with ``/`` and without."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ec2_sandbox import Sandbox

from snapback import config
from snapback.backup import back_up_by_tag
from snapback.core.model.outcome import Outcome
from snapback.run import Run
from snapback.words import Word
from tests.hosts.helpers import (
    HANG_S,
    are_writable,
    backing_up_frozen,
    is_frozen,
    let_go,
    wait_until,
)
from tests.sandbox.conftest import instance

DATA = {"device": "/dev/sdf", "size": 1, "filesystem": "ext4", "mount_point": "/data"}
KINDS: dict[str, tuple[dict[str, Any], bool]] = {
    "with / under systemd": ({"init": "systemd"}, True),
    "with / under a classic syslogd": ({"syslog": True}, True),
    "without /": ({}, False),
}
LIMIT_S = 4


class Web:
    """An instance that is backed up."""

    def __init__(self, sandbox: Sandbox, instance_id: str, path: Any) -> None:
        self.sandbox = sandbox
        self.instance_id = instance_id
        self.path = path
        self.outcomes: list[Outcome] = []

    def becomes_writable(self) -> bool:
        return are_writable(self.sandbox, self.instance_id, "/data", "/")

    def back_up(self) -> None:
        run = Run(config.load(config.named_file(self.path)))
        self.outcomes += back_up_by_tag(run, "us-east-1", None, None, False, True)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Back up in the meantime; the call hangs while the host is frozen, to the block's end."""
        self.sandbox.fault("CreateSnapshots", "hang", seconds=HANG_S)
        thread = threading.Thread(target=self.back_up)
        thread.start()
        wait_until(lambda: is_frozen(self.sandbox, self.instance_id), "the freeze")
        try:
            yield
        finally:
            self.sandbox.clear_faults()
            thread.join()

    @property
    def outcome(self) -> Outcome:
        (found,) = self.outcomes
        return found


@pytest.fixture(params=KINDS)
def web(request: pytest.FixtureRequest, sandbox: Sandbox, load, reachable) -> Web:
    options, freeze_root = KINDS[request.param]
    path = reachable(freeze={"freeze_root": freeze_root, "freeze_timeout_s": LIMIT_S})
    ids = load(instance("web", volumes=[{"device": "/dev/sda1", "size": 4}, DATA], **options))
    return Web(sandbox, ids["web"]["instance_id"], path)


def labels(world) -> set[str]:
    return {world.tags(one)["snapback:consistency"] for one in world.snapshots()}


def test_the_program_is_killed(web: Web, world):
    with backing_up_frozen(web.sandbox, web.instance_id) as process:
        process.send_signal(signal.SIGKILL)
        assert web.becomes_writable()
    let_go(web.sandbox)
    assert labels(world) == {"crash"}


def test_the_program_is_stopped(web: Web, world):
    with backing_up_frozen(web.sandbox, web.instance_id) as process:
        process.send_signal(signal.SIGSTOP)
        assert web.becomes_writable()
        process.send_signal(signal.SIGCONT)
        let_go(web.sandbox)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 3
    (item,) = json.loads(said)["items"]
    assert item["outcome"] == "less consistent"
    assert labels(world) == {"crash"}


def test_the_cable_is_cut(web: Web, world):
    with web.frozen():
        web.sandbox.hosts.cut_network(web.instance_id)
        web.sandbox.clear_faults()
        assert web.becomes_writable()
    assert web.outcome.word is Word.LEFT_FROZEN
    assert "sudo fsfreeze -u /data" in web.outcome.explanation
    assert labels(world) == {"crash"}


def test_the_cable_is_mended_in_time(web: Web, world):
    with web.frozen():
        web.sandbox.hosts.cut_network(web.instance_id)
        web.sandbox.clear_faults()
        assert web.becomes_writable()
        web.sandbox.hosts.mend_network(web.instance_id)
    assert web.outcome.word is Word.LESS_CONSISTENT
    assert labels(world) == {"crash"}


def test_sshd_is_killed(web: Web, world):
    with web.frozen():
        web.sandbox.hosts.run(web.instance_id, "pkill -KILL sshd")
        assert web.becomes_writable()
    assert web.outcome.word is Word.LEFT_FROZEN
    assert labels(world) == {"crash"}


def test_the_call_takes_longer_than_the_limit(web: Web, world):
    with web.frozen():
        assert web.becomes_writable()
    assert web.outcome.word is Word.LESS_CONSISTENT
    assert labels(world) == {"crash"}


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("RequestLimitExceeded", Word.DONE),
        ("InternalError", Word.DONE),
        ("UnauthorizedOperation", Word.FAILED),
    ],
)
@pytest.mark.parametrize("web", ["with / under a classic syslogd"], indirect=True)
def test_the_call_fails(web: Web, world, code, word):
    web.sandbox.fault("CreateSnapshots", "error", code=code)
    web.back_up()
    assert web.becomes_writable()
    assert web.outcome.word is word
    assert labels(world) == ({"filesystem"} if word is Word.DONE else set())


@pytest.mark.parametrize("web", ["with / under a classic syslogd"], indirect=True)
def test_the_instance_is_terminated(web: Web, world):
    with web.frozen():
        world.ec2().terminate_instances(InstanceIds=[web.instance_id])
        ended = world.ec2().get_waiter("instance_terminated")
        ended.wait(InstanceIds=[web.instance_id], WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})
    assert web.outcome.exit_code in {1, 4}
    assert labels(world) <= {"crash"}


@pytest.mark.parametrize("web", ["with / under a classic syslogd"], indirect=True)
def test_two_backups_at_the_same_time_take_turns(web: Web, world):
    threads = [threading.Thread(target=web.back_up) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert web.becomes_writable()
    assert [outcome.word for outcome in web.outcomes] == [Word.DONE, Word.DONE]
    assert len(world.snapshots()) == 4
    assert labels(world) == {"filesystem"}


FULL_DISK = """
for folder in /data /; do
    fallocate -l $(df --output=avail -B1 $folder | tail -1) $folder/full
done
true
"""
PASSWORD_FOR_SUDO = """
rm -f /etc/sudoers.d/*
sed -i '/^ubuntu/d; /NOPASSWD/d' /etc/sudoers
echo 'ubuntu ALL=(ALL) ALL' >>/etc/sudoers
"""
NOISY_SHELL = """
echo 'echo noise; echo noise >&2' >~ubuntu/.bashrc
usermod -s /bin/bash ubuntu
echo Keep out >/etc/issue.net
echo 'Banner /etc/issue.net' >>/etc/ssh/sshd_config
pkill -HUP -o sshd
"""
HOSTILE = {
    "a full disk": (FULL_DISK, Word.DONE),
    "a password for sudo": (PASSWORD_FOR_SUDO, Word.LESS_CONSISTENT),
    "a noisy shell": (NOISY_SHELL, Word.DONE),
    "csh": ("usermod -s /usr/bin/tcsh ubuntu", Word.DONE),
    "fish": ("usermod -s /usr/bin/fish ubuntu", Word.DONE),
}


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("web", ["with / under a classic syslogd"], indirect=True)
def test_hosts_that_are_not_as_usual(web: Web, world, case):
    script, word = HOSTILE[case]
    code, _, said = web.sandbox.hosts.run(web.instance_id, script)
    assert code == 0, said
    web.back_up()
    assert web.becomes_writable() or case == "a full disk"
    assert web.outcome.word is word, web.outcome
    assert labels(world) == ({"filesystem"} if word is Word.DONE else {"crash"})
