"""A freeze of a host that says whatever it likes: that is told in time, and raises nothing.

Instead of our scripts a program of the test's own runs, by the name of ``sh``, on a real sshd.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from snapback.errors import FreezeRefused, HostError
from snapback.ssh.freeze import Hold, Terms, frozen
from tests.ssh.conftest import Sshd

SH = """#!/bin/dash
case $3 in
snapback-freeze) exec /bin/sh -c '{freeze}' ;;
snapback-rescue) exec /bin/sh -c '{rescue}' ;;
esac
exec /bin/sh "$@"
"""
FROZEN = 'echo "HOLDER 12"; echo "FREEZING 1"; echo FROZEN; head -c 1 >/dev/null; '
THAWS = 'echo READY; while read -r k; do echo "STUCK $k Invalid argument"; done'
FLOOD = 'yes ""'
LIMIT_S = 1

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="not root")


@pytest.fixture
def freeze(sshd: Sshd, tmp_path: Path) -> Iterator[Callable[..., tuple[Hold, list[str]]]]:
    """Freezes, with scripts of the host's own; answers what came of it, and the alarms."""

    program = tmp_path / "bin" / "sh"
    program.parent.mkdir()
    sshd.configure("MaxSessions 100")
    sshd.login_shell("env", f"PATH={program.parent}:/usr/bin:/bin", "sh")
    with sshd.open() as host:

        def run(says: str, rescue: str = THAWS, **terms: str) -> tuple[Hold, list[str]]:
            program.write_text(SH.format(freeze=says, rescue=rescue))
            program.chmod(0o755)
            alarms: list[str] = []
            ways = {"alarm": alarms.append, "sleep": time.sleep}
            with frozen(host, [["/data"]], Terms(limit_s=LIMIT_S, **terms), **ways) as hold:
                pass
            return hold, alarms

        yield run


def test_words_that_are_none_are_no_answer(freeze) -> None:
    for line in ("THAWED", "STUCK 99", "REFUSED", "PRE", "POST abc", "HOLDER", "\033[2J", ""):
        hold, alarms = freeze(FROZEN + f'echo "{line}"; sleep 60')
        assert not hold.held
        assert hold.left_frozen == ()
        assert "answer to the thaw is missing" in hold.reason
        assert "which is no word of a freeze" in hold.reason
        assert ["may be left frozen" in alarms[0], "thawed after all" in alarms[1]] == [True, True]
        with pytest.raises(HostError, match="no word of a freeze") as raised:
            freeze(f'echo "{line}"; sleep 60')
        assert not isinstance(raised.value, FreezeRefused)


@pytest.mark.parametrize(
    "then",
    [
        f"{FLOOD} >&2",
        'while :; do echo "HOLDER 1"; sleep 0.01; done',
        "while :; do printf x; sleep 0.01; done",
    ],
)
def test_no_flood_and_no_trickle_puts_the_thaw_off(freeze, then: str) -> None:
    began = time.monotonic()
    hold, alarms = freeze(FROZEN + then)
    assert not hold.held
    assert hold.left_frozen == ()
    assert "thawed after all" in alarms[-1]
    assert time.monotonic() - began < LIMIT_S + 30


def test_the_first_of_many_wrong_lines_ends_it(freeze) -> None:
    for then in (FLOOD, 'yes "STUCK 1 x"', "exec cat /dev/zero"):
        hold, alarms = freeze(FROZEN + then)
        assert not hold.held
        assert "thawed after all" in alarms[-1]


def test_where_nothing_answers_any_more_that_is_told_and_nothing_raised(freeze) -> None:
    for rescue in (
        "echo READY; yes",
        'echo READY; read -r k; echo "THAWED x"; sleep 60',
        "echo READY; exit",
    ):
        hold, alarms = freeze(FROZEN + FLOOD, rescue)
        assert not hold.held
        assert hold.left_frozen == ("/data",)
        assert len(alarms) == 1


def test_a_flood_before_the_freeze_is_an_error_of_the_host(freeze) -> None:
    for says in (FLOOD, "exec cat /dev/zero", f"{FLOOD} >&2"):
        with pytest.raises(HostError, match=r"no word of a freeze|printed more than 8 MiB"):
            freeze(says)
    with pytest.raises(HostError, match="printed more than 8 MiB"):
        freeze(FROZEN, "exec cat /dev/zero")
    with pytest.raises(HostError, match="before anything was asked"):
        freeze(FROZEN, "echo STUCK 1 x")


def test_what_is_printed_without_end_while_frozen_ends_the_freeze(freeze) -> None:
    hold, _ = freeze("echo FROZEN; exec cat /dev/zero")
    assert not hold.held


def test_a_post_thaw_whose_end_is_malformed(freeze) -> None:
    says = FROZEN + 'echo "THAWED asked"; echo "POST x"; sleep 600'
    hold, _ = freeze(says, post_thaw="true")
    assert hold.held
    assert "what became of post_thaw isn" in hold.post_problem
