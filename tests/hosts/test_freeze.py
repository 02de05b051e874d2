"""A freeze, whatever dies on the host: all is thawed, and what is said of it is true."""

from __future__ import annotations

import shlex
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from ec2_sandbox import Sandbox

from snapback.core.model import Place
from snapback.ec2.instances import instance_by_id
from snapback.errors import FreezeRefused
from snapback.run import Run
from snapback.ssh.freeze import Hold, Terms, frozen
from snapback.ssh.host import Host
from tests.hosts.helpers import are_writable, wait_until
from tests.sandbox.conftest import instance

DATA = "/srv/a b;$(c)'\""
MOUNT_POINTS = (DATA, "/")
LEVELS = ((DATA,), ("/",))
#: each of the first two lies in a file on the next
STACKED = ("/inner", "/pool", DATA)
STACKED_LEVELS = tuple((path,) for path in STACKED)
STACK = f"""
set -e; cd {shlex.quote(DATA)}; mkdir -p /pool /inner
truncate -s 64M pool; mkfs.ext4 -q pool; mount -o loop pool /pool
truncate -s 32M /pool/inner; mkfs.ext4 -q /pool/inner; mount -o loop /pool/inner /inner
"""
#: an fsfreeze whose holder is killed when it has frozen DATA, which can't be thawed until it ends
HANGING_FSFREEZE = f"""
set -e; cd /usr/sbin; mv fsfreeze real-fsfreeze; cat >fsfreeze <<'END'
#!/bin/sh
if [ "$3" = {shlex.quote(DATA)} ]; then
    [ "$1" = -u ] && [ -e /run/hangs ] && echo "fsfreeze: x: Invalid argument" >&2 && exit 1
    [ "$1" = -f ] && touch /run/hangs && real-fsfreeze "$@"
    [ "$1" = -f ] && pkill -KILL -o -f ' snapback-hold [0-9]'
    [ "$1" = -f ] && sleep 4 && rm /run/hangs && exit
fi
exec real-fsfreeze "$@"
END
chmod +x fsfreeze
"""
LIMIT_S = 3
HARMLESS = {signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH, signal.SIGPIPE}
STOPPING = {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
SIGNALS = [one for one in signal.Signals if one < 32]


class Web:
    """An instance with a data volume, and a connection to it."""

    def __init__(self, sandbox: Sandbox, run: Run, instance_id: str) -> None:
        self.sandbox = sandbox
        self.instance_id = instance_id
        self.alarms: list[str] = []
        place = Place("us-east-1")
        self.host: Host = run.host(instance_by_id(run.conn(place), place, instance_id))

    @contextmanager
    def frozen(self, *levels: Sequence[str], **terms: Any) -> Iterator[Hold]:
        terms = {"limit_s": LIMIT_S, **terms}
        with frozen(
            self.host,
            levels or LEVELS,
            Terms(**terms),
            alarm=self.alarms.append,
            sleep=time.sleep,
        ) as hold:
            yield hold

    def inside(self, command: str) -> str:
        code, out, err = self.sandbox.hosts.run(self.instance_id, command)
        assert code == 0, err
        return out

    def kill(self, name: str, number: int) -> None:
        """Send a signal to the oldest process of a name, as ``ps`` shows it."""
        self.inside(f"pkill -{number} -o -f ' {name} [0-9]'")

    def is_writable(self, *paths: str) -> bool:
        """Tell whether files can be written now, or so soon that nothing is frozen."""
        return are_writable(self.sandbox, self.instance_id, *(paths or MOUNT_POINTS), within_s=2)

    def becomes_writable(self, *paths: str) -> bool:
        return are_writable(self.sandbox, self.instance_id, *(paths or MOUNT_POINTS))

    def helpers(self) -> str:
        """The freeze's processes that are still there."""
        return self.sandbox.hosts.run(self.instance_id, "pgrep -f ' snapback-[a-z]* '")[1]


@pytest.fixture
def web(sandbox: Sandbox, load, reachable, begin) -> Iterator[Web]:
    path = reachable()
    data = {"device": "/dev/sdf", "size": 1, "filesystem": "ext4", "mount_point": DATA}
    ids = load(instance("web", volumes=[{"device": "/dev/sda1", "size": 4}, data]))["web"]
    web = Web(sandbox, begin(path), ids["instance_id"])
    with web.host:
        yield web


def test_frozen_and_thawed(web: Web):
    with web.frozen(limit_s=60) as hold:
        assert not web.is_writable(DATA)
        assert not web.is_writable("/")
    assert (hold.held, hold.reason, hold.left_frozen) == (True, "", ())
    assert web.is_writable()
    wait_until(lambda: not web.helpers(), "the end of all its processes")


def test_an_error_in_the_block_thaws(web: Web):
    with pytest.raises(ZeroDivisionError), web.frozen():
        raise ZeroDivisionError
    assert web.is_writable()


def test_what_cannot_be_frozen_freezes_nothing(web: Web):
    web.inside("mkdir -p /mnt/memory && mount -t tmpfs memory /mnt/memory")
    for path, says in (("/mnt/memory", "not supported"), ("/etc", "not a mount point")):
        with pytest.raises(FreezeRefused, match=says), web.frozen((DATA, path), ("/",)):
            raise AssertionError("frozen")
        assert web.is_writable()


def test_what_somebody_else_has_frozen_stays_frozen(web: Web):
    web.inside(f"fsfreeze -f {shlex.quote(DATA)}")
    with pytest.raises(FreezeRefused, match="busy"), web.frozen():
        raise AssertionError("frozen")
    assert web.is_writable("/")
    assert not web.is_writable(DATA)


@pytest.mark.parametrize("numbers", [SIGNALS[::2], SIGNALS[1::2]], ids=["odd", "even"])
def test_each_signal_to_the_holder(web: Web, numbers):
    for number in numbers:
        with web.frozen() as hold:
            web.kill("snapback-hold", number)
            if number not in HARMLESS:
                assert web.becomes_writable()
        assert web.is_writable()
        assert hold.left_frozen == ()
        assert hold.held == (number in HARMLESS), (number, hold.reason)
    assert web.alarms == []


def test_the_watchdog_killed(web: Web):
    with web.frozen() as hold:
        web.kill("snapback-watch", signal.SIGKILL)
    assert web.is_writable()
    assert hold.left_frozen == ()


def test_what_relays_killed(web: Web):
    with web.frozen() as hold:
        web.inside("pkill -KILL -x tee")
        assert web.becomes_writable()
    assert not hold.held
    assert hold.left_frozen == ()


@pytest.mark.parametrize("killed", ["hold|watch", "freeze|hold|watch"])
def test_those_who_thaw_killed_at_once(web: Web, killed):
    """The sandbox's user is in the group sudo, as Ubuntu's is: a sudo begun now would hang."""
    with web.frozen() as hold:
        web.inside(f"pkill -KILL -f ' snapback-({killed}) [0-9#]'")
    assert web.is_writable()
    assert not hold.held
    assert hold.left_frozen == ()
    first, last = web.alarms
    assert "may be left frozen" in first
    assert f"sudo fsfreeze -u /; sudo fsfreeze -u {shlex.quote(DATA)}" in first
    assert "nothing is left frozen" in last


def test_stacked_ones_are_frozen_from_the_top_and_thawed_from_the_bottom(web: Web):
    web.inside(STACK)
    with web.frozen(*STACKED_LEVELS, limit_s=60) as hold, ThreadPoolExecutor() as pool:
        assert not any(pool.map(web.is_writable, STACKED))
    assert (hold.held, hold.reason, hold.left_frozen) == (True, "", ())
    assert web.is_writable(*STACKED)
    web.inside("mkdir -p /mnt/memory && mount -t tmpfs memory /mnt/memory")
    for levels in (
        (("/inner",), ("/pool", "/mnt/memory"), (DATA,)),
        (("/inner",), ("/pool",), ("/mnt/memory", DATA)),
        (("/inner", "/mnt/memory"), ("/pool",), (DATA,)),
    ):
        with pytest.raises(FreezeRefused, match="not supported"), web.frozen(*levels):
            raise AssertionError("frozen")
        assert web.is_writable(*STACKED)
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP):
        with web.frozen(*STACKED_LEVELS) as hold:
            web.kill("snapback-hold", number)
            assert web.becomes_writable(*STACKED)
        assert (hold.held, hold.left_frozen) == (False, ())
    assert web.alarms == []
    with web.frozen(*STACKED_LEVELS) as hold:
        web.inside("pkill -KILL -f ' snapback-(hold|watch) [0-9]'")
    assert web.is_writable(*STACKED)
    assert hold.left_frozen == ()
    thaws = [f"sudo fsfreeze -u {shlex.quote(path)}" for path in reversed(STACKED)]
    assert "; ".join(thaws) in web.alarms[0]


def test_a_holder_killed_while_the_freeze_of_one_below_goes_on(web: Web):
    """A thaw of what lies above waits for that of what lies below, which isn't possible yet."""
    web.inside(STACK + HANGING_FSFREEZE)
    with pytest.raises(FreezeRefused, match="RESCUED"), web.frozen(*STACKED_LEVELS, limit_s=1):
        raise AssertionError("frozen")
    assert web.is_writable(*STACKED)
    assert web.alarms == []


def test_silence_from_here_thaws(web: Web):
    """As when this program hangs: what beats no longer is its heart."""
    with web.frozen(limit_s=60) as hold:
        for thread in threading.enumerate():
            if thread.name == "snapback-freeze":
                web.host.close()
        assert web.becomes_writable()
    assert not hold.held


def test_the_limit_thaws(web: Web):
    with web.frozen() as hold:
        assert web.becomes_writable()
    assert not hold.held
    assert "freeze_timeout_s" in hold.reason


def test_commands_before_and_after(web: Web):
    terms = {"pre_freeze": 'echo "it\'s" > /run/pre', "post_thaw": "cat /run/pre > /run/post"}
    with web.frozen(**terms) as hold:
        assert web.inside("cat /run/pre") == "it's\n"
        assert web.sandbox.hosts.run(web.instance_id, "test -e /run/post")[0] == 1
    assert (hold.held, hold.pre_problem, hold.post_problem) == (True, "", "")
    assert web.inside("cat /run/post") == "it's\n"


def test_commands_that_fail_are_told_and_stop_nothing(web: Web):
    terms = {
        "pre_freeze": "echo no database >&2; exit 3",
        "post_thaw": "sleep 9",
        "hook_timeout_s": 1,
    }
    with web.frozen(**terms) as hold:
        pass
    assert hold.held
    assert "ended with 3" in hold.pre_problem
    assert "no database" in hold.pre_problem
    assert "longer than 1 s" in hold.post_problem
    with web.frozen(**terms | {"post_thaw": "echo gone >&2; exit 4"}) as hold:
        pass
    assert hold.pre_problem == "pre_freeze ended with 3 (no database)"
    assert hold.post_problem == "post_thaw ended with 4 (gone)"


def test_the_command_after_runs_even_if_nobody_is_there_any_more(web: Web):
    with web.frozen(post_thaw="touch /run/post") as hold:
        web.host.close()
        assert web.becomes_writable()
    assert not hold.held
    assert "answer to the thaw is missing" in hold.reason
    wait_until(
        lambda: web.sandbox.hosts.run(web.instance_id, "test -e /run/post")[0] == 0, "post_thaw"
    )
