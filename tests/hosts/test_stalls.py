"""A transfer of which nothing moves any more ends, and so do its helpers and its claim."""

from __future__ import annotations

import json
import signal

import pytest

from tests.hosts.helpers import HANG_S
from tests.hosts.replicas import LEG, Fleet, web
from tests.hosts.test_rsync_faults import go_on, held_up

STOP = "pkill -STOP -x rsync"
FREEZE = "fsfreeze -f $(findmnt -nro TARGET -S /dev/nvme1n1 | head -n 1)"
MOVING = """
end=$(($(date +%s) + 9))
while [ "$(date +%s)" -lt "$end" ]; do
    dd if=/dev/nvme1n1 of=/dev/null bs=4096 count=1 iflag=direct status=none
    sleep 1
done
pkill -CONT -x rsync
"""


@pytest.fixture
def fleet(lay_out) -> Fleet:
    found: Fleet = lay_out(us_east_1=[web()], settings={"stall_minutes": 0.1})
    found.back_up()
    return found


@pytest.mark.parametrize("script", [STOP, FREEZE], ids=["stopped", "in D state"])
def test_a_transfer_that_hangs_has_failed_and_the_next_run_makes_it(fleet, sandbox, world, script):
    with held_up(sandbox, world, *LEG, "--json") as (process, receiver):
        assert sandbox.hosts.run(receiver, script)[0] == 0
        go_on(sandbox, receiver)
        said, errors = process.communicate(timeout=HANG_S)
    assert process.returncode == 1, errors
    (outcome,) = json.loads(said)["items"]
    assert outcome["outcome"] == "failed"
    assert "nothing has moved for 0.1 minutes while the data were moved" in outcome["explanation"]
    fleet.demand(0)
    ended = fleet.fab(*LEG)
    assert ended.code == 0, ended.err
    fleet.demand(1)


def test_one_whose_disk_moves_goes_on(fleet, sandbox, world):
    with held_up(sandbox, world, *LEG) as (process, receiver):
        assert sandbox.hosts.run(receiver, STOP)[0] == 0
        go_on(sandbox, receiver)
        assert sandbox.hosts.run(receiver, MOVING)[0] == 0
        _, errors = process.communicate(timeout=HANG_S)
    assert process.returncode == 0, errors
    fleet.demand(1)


def test_sigterm_ends_one_that_hangs(lay_out, sandbox, world):
    fleet = lay_out(us_east_1=[web()])
    fleet.back_up()
    with held_up(sandbox, world, *LEG, "--json") as (process, receiver):
        assert sandbox.hosts.run(receiver, STOP)[0] == 0
        go_on(sandbox, receiver)
        process.send_signal(signal.SIGTERM)
        said, errors = process.communicate(timeout=HANG_S)
    assert process.returncode == 1, errors
    assert "stopped" in said
    fleet.demand(0)
