"""A source whose root is an attacker: it decides nothing on the destination, and reads nothing."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snapback.errors import HostError
from tests.hosts.replicas import Fleet, web
from tests.hosts.test_moving import DISK, Pair, pair, small

__all__ = ["pair", "small"]

SENDER = Path(__file__).with_name("hostile_sender.py").read_text(encoding="utf-8")
RSYNC = """#!/bin/sh
[ "$1" != --version ] || exec /usr/bin/rsync --version
for word do
    [ "$before" != -e ] || ssh=$word
    before=$word
done
"""
"""Begins a program in place of rsync: it answers for its version, and knows how to log in."""
SAYS = (
    ["sh", "-c", "touch /owned"],
    ["rsync", "--server", "-re.iLsfxCIvu", "--log-file=/owned", ".", "/data"],
    ["rsync", "--server", "-s"],
)
SAY = """
if [ "$SNAPBACK_SAID" ]; then printf '%s\\n' {words} >"$SNAPBACK_SAID"; exit; fi
printf '%s\\n' {words}
$ssh destination {words} </dev/null
exit 12
"""
"""Says which command the destination is to run, whoever asks, and logs in."""
SEND = """
export RULE={rule} SSH="$ssh"
exec python3 - <<'END'
{program}
END
"""
HOLD = """
exec 3>&1 >/dev/null 2>&1
{ sleep 60 | $ssh destination | { head -c 4; touch /run/held; sleep 60; }; } 3>&- &
exec >&3
until [ -e /run/held ]; do sleep 0.1; done
echo 'Total bytes sent: 1,,,1'
echo STATUS x
printf '%s %s%% %s.%s.%skB/s 999999999999:00:00\\n' 9 9 9 9 9
"""
"""Holds a session open once rsync has greeted it, and says that all has been done."""
FLOOD = """
yes 'rsync: \033]0;owned\007' | head -c 20M
yes 'Total file size: 1' | head -c 20M >&2
exit 3
"""


def put(program: str, script: str, folder: str = "/usr/local/bin") -> str:
    """Return the shell's command that puts a program in the place of another one."""
    path = f"{folder}/{program}"
    return f"printf %s {shlex.quote(script)} >{path}; chmod +x {path}"


CLEAN = (
    "cd /; ls -d owned /etc/owned 2>&1; find etc -type f | sort | xargs sha256sum; pgrep -a rsync"
)


def test_what_stands_for_rsync_on_the_source_gets_nowhere(
    lay_out: Callable[..., Fleet], fab: Any
) -> None:
    fleet = lay_out(us_east_1=[web(name="from")], eu_west_1=[web(name="to")])
    words = [
        word
        for region in fleet.ids.values()
        for ids in region.values()
        for word in (ids["instance_id"], ids["volumes"]["/dev/sdf"], "/data")
    ]
    fleet.shell("echo the secret of the other >/etc/secret", "to")
    # Whatever the login shell prints is not the destination's command either.
    fleet.shell("echo 'echo touch /owned; echo rsync --server . /' >>/etc/bash.bashrc", "from")
    fleet.shell("rm /data/sparse", "from")  # the sender above doesn't speak of compression
    before = fleet.shell(CLEAN + "; true", "to")

    def attack(script: str) -> Any:
        fleet.shell(put("rsync", RSYNC + script), "from")
        ended = fab("rsync_mountpoints", *words)
        assert fleet.shell(CLEAN + "; true", "to") == before
        assert "Traceback" not in ended.err
        return ended

    for said in SAYS:
        ended = attack(SAY.format(words=shlex.join(said)))
        assert ended.code == 1
        assert len(ended.err.splitlines()) == 1, ended.err
        assert "ended with 12" in ended.err
    for rule in (". /etc/secret", "merge /etc/secret"):
        ended = attack(SEND.format(rule=shlex.quote(rule), program=SENDER))
        assert ended.code == 1
        loot = ascii(fleet.shell("cat /run/loot", "from"))
        assert "/etc/secret: No such file" in loot, loot
    ended = attack(FLOOD)
    assert ended.code == 1
    assert len(ended.err) < 2000
    fleet.shell("rm /usr/local/bin/rsync", "from")
    assert fab("rsync_mountpoints", *words).code == 0


def test_what_the_source_has_begun_on_the_destination_ends_with_its_key(small: Pair) -> None:
    """It says that all is done, and keeps a session to a device that is another's by then."""
    small.source.sh(put("rsync", RSYNC + HOLD))
    small.source.sh(f"mkfs.ext4 -q {small.disk}")
    with pytest.raises(HostError, match="differs from the source by its hash"):
        small.move(encr=True)
    assert small.destination.sh("pgrep -a 'rsync|unshare|sudo' || true") == ""
    assert small.destination.left() == ""
    small.source.sh("pkill -KILL -f '^/bin/sh /usr/local/bin/rsync'; pkill -KILL -x sleep; true")


LIES = {
    "blockdev": "echo 1e99",
    "lsblk": "printf %200000s | tr ' ' '['",
    "blkid": 'case "$*" in *LABEL*) yes | head -c 20M;; *) exec /usr/sbin/blkid "$@"; esac',
    "dumpe2fs": "/usr/sbin/dumpe2fs \"$@\" | sed 's/^Block count:.*/Block count: -d/'",
    "base64": "head -c 440 /dev/zero; printf '\\377$(touch /owned)\\n'",
    "python3": "echo 0 0 1 -d 0 $(printf %032d 0); yes | head -c 20M",
    "b2sum": "echo; echo \"$(printf %128s | tr ' ' g)  -\"",
    "sfdisk": "/usr/sbin/sfdisk \"$@\"; echo 'write: $(touch /owned)'",
}


def test_what_the_source_prints_of_its_disk_is_read_strictly(small: Pair) -> None:
    part, small.disk = small.disk, DISK
    small.source.sh(f"mkfs.ext4 -q {part}")
    for program, lie in LIES.items():
        small.source.sh(put(program, f"#!/bin/sh\n{lie}\n"))
        with pytest.raises(HostError) as raised:
            small.move(encr=program == "b2sum")
        assert "\n" not in str(raised.value), program
        assert len(str(raised.value)) < 2000, program
        small.source.sh(f"rm /usr/local/bin/{program}")
        small.destination.sh("! ls -d /owned 2>/dev/null")
    small.move()
    assert small.source.all_of(part) == small.destination.all_of(part)
