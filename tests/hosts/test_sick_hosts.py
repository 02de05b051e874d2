"""A host that floods, trickles or lies: its own set is told, and the others wait for nothing."""

from __future__ import annotations

import time

import pytest

from tests.hosts.helpers import are_writable
from tests.sandbox.conftest import instance

ROOT = {"device": "/dev/sda1", "size": 4}
DATA = {"device": "/dev/sdf", "size": 1, "filesystem": "ext4", "mount_point": "/data"}
LIMIT_S = 3
#: what relays the holder's words to us prints something else before it tells of the thaw
LIES = """
set -e; cd /usr/bin; mv tee real-tee; cat >tee <<'END'
#!/bin/sh
while read -r line; do
    case $line in THAWED*) {lie} ;; esac
    echo "$line" >/dev/fd/9
    echo "$line"
done
END
chmod +x tee
"""
FLOODS = LIES.format(lie='yes "" | head -c 20000000')
TRICKLES = LIES.format(lie='while echo "HOLDER 1"; do sleep 0.01; done')
MALFORMED = LIES.format(lie='echo "STUCK 99"')
ZEROS = "cd /usr/bin; printf '#!/bin/sh\\nexec cat /dev/zero\\n' >lsblk.new; mv lsblk.new lsblk"
ZEROS += "; chmod +x lsblk"
#: one that waits for a second only
FLOCK = """
cd /usr/bin; mv flock real-flock
printf '#!/bin/sh\\nexec real-flock -w 1 4\\n' >flock; chmod +x flock
"""
SICK = {"floods": FLOODS, "trickles": TRICKLES, "malformed": MALFORMED, "zeros": ZEROS}


@pytest.fixture
def fleet(load, sandbox, reachable):
    reachable(freeze={"freeze_timeout_s": LIMIT_S})
    names = [*SICK, "well"]
    ids = load(*(instance(name, volumes=[ROOT, DATA]) for name in names))
    for name, script in SICK.items():
        code, _, err = sandbox.hosts.run(ids[name]["instance_id"], script)
        assert code == 0, err
    return {name: ids[name]["instance_id"] for name in names}


def test_sick_hosts_hold_up_nobody(fleet, fab, world, sandbox) -> None:
    began = time.monotonic()
    ended = fab("backup_instances_by_tag", "--consistent", "--json")
    took_s = time.monotonic() - began
    assert ended.code == 3, ended
    called: dict[str, set[str]] = {}
    for snapshot in world.snapshots():
        tags = world.tags(snapshot)
        called.setdefault(tags["Name"], set()).add(tags["snapback:consistency"])
    assert called == {**{name: {"crash"} for name in SICK}, "well": {"filesystem"}}
    assert len(world.snapshots()) == 2 * len(fleet)
    for says in (
        "which is no word of a freeze",
        "it says 'STUCK 99', which is no word of a freeze",
        "the host's answer to the thaw is missing",
        "sh printed more than 8 MiB",
    ):
        assert says in ended.out
    # That of the one that trickles is thawed by its own watchdog, or from here.
    assert ended.err.count("thawed after all, nothing is left frozen") in {2, 3}
    for instance_id in fleet.values():
        assert are_writable(sandbox, instance_id, "/data", "/")
    assert took_s < 120


def test_a_lock_of_anybody_keeps_no_backup_from_its_freeze(load, fab, world, sandbox, reachable):
    reachable()
    instance_id = load(instance("web", volumes=[ROOT, DATA]))["web"]["instance_id"]
    code, _, err = sandbox.hosts.run(
        instance_id,
        "for what in / /run /var/run /data /tmp; do"
        " setpriv --reuid=65534 --regid=65534 --clear-groups"
        " setsid sh -c 'flock $0 sleep 600' $what >/dev/null 2>&1 & done;"
        " sleep 1; pgrep -c -x sleep",
    )
    assert code == 0, err
    ended = fab("backup_instances_by_tag", "--consistent", "--json")
    assert ended.code == 0, ended
    assert {world.tags(s)["snapback:consistency"] for s in world.snapshots()} == {"filesystem"}
    sandbox.advance(20)
    lock = "setsid sh -c 'real-flock /run/snapback-freeze.lock sleep 600' >/dev/null 2>&1 &"
    holds = f"{FLOCK}{lock} sleep 0.5"
    assert sandbox.hosts.run(instance_id, holds + "; stat -c %a:%u /run/snapback-freeze.lock") == (
        0,
        "600:0\n",
        "",
    )
    ended = fab("backup_instances_by_tag", "--consistent", "--json")
    assert ended.code == 3, ended
    assert "another backup holds its file systems frozen" in ended.out
    sandbox.advance(20)
    assert sandbox.hosts.run(instance_id, "mv /usr/bin/flock /usr/bin/no-flock")[0] == 0
    ended = fab("backup_instances_by_tag", "--consistent", "--json")
    assert ended.code == 3, ended
    assert "the lock that keeps other backups out can't be taken" in ended.out
