"""A transfer of which nothing moves any more ends, and so do its helpers and its claim."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from snapback.errors import Stalled
from snapback.ssh.moving import End, Terms, move_volume
from snapback.ssh.road import open_road
from snapback.workers.watch import watched
from tests.hosts.helpers import HANG_S
from tests.hosts.replicas import LEG, Fleet, web
from tests.hosts.test_moving import Pair, pair
from tests.hosts.test_moving_faults import once, slow, with_data
from tests.hosts.test_rsync_faults import go_on, held_up

__all__ = ["pair"]

STOP = "pkill -STOP -x rsync"
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


def test_a_transfer_that_hangs_has_failed_and_the_next_run_makes_it(fleet, sandbox, world):
    with held_up(sandbox, world, *LEG, "--json") as (process, receiver):
        assert sandbox.hosts.run(receiver, STOP)[0] == 0
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


def test_writers_that_wait_for_a_disk_end_it(pair: Pair, begin: Any, reachable: Any):
    """They can't be killed, nor the disk be unmounted, before it goes on: here after the error."""
    run = begin(reachable(stall_minutes=0.05))
    source, destination = pair.source, pair.destination
    with_data(source, pair.disk)
    mounted_at = f"$(findmnt -nro TARGET -S {pair.disk} | head -n 1)"
    freeze = once(
        lambda: destination.sh(f"sync; fsfreeze -f {mounted_at}"),
        lambda state: state.bytes_done > 0,
    )
    ends = [(source.host, pair.disk), (destination.host, pair.disk)]
    with watched(run, "the data were moved", ends) as watch:

        def heed() -> None:
            try:
                watch.heed()
            except Stalled:
                destination.sh(f"fsfreeze -u {mounted_at}")
                raise

        src, dst = source.host.heeding(heed), destination.host.heeding(heed)
        with (
            slow(source),
            open_road(src, dst, destination.address) as road,
            pytest.raises(Stalled, match=r"nothing has moved for 0\.05 minutes .*was completed on"),
        ):
            move_volume(End(src, pair.disk), End(dst, pair.disk), road, Terms(), freeze)
    assert destination.sh("findmnt -nro TARGET -S /dev/nvme1n1 || true") == ""
