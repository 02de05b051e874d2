"""A transfer that goes wrong: an error that says why, never a success; nothing is left of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from snapback.core.replication.progress import Progress
from snapback.errors import HostError, NotMoved
from snapback.ssh import rsync
from snapback.ssh.moving import End, Terms, move_tree, move_volume
from snapback.ssh.road import open_road
from tests.hosts.test_moving import DISK, OTHER, Machine, Pair, pair, small

__all__ = ["pair", "small"]


def move(pair: Pair, tell: Callable[[Progress], Any], **terms: Any) -> None:
    """Move the disk, with something of one's own done at each state of the progress."""
    source, destination = pair.source.host, pair.destination.host
    with open_road(source, destination, pair.destination.address, dead_after_s=3) as road:
        ends = End(source, pair.disk), End(destination, pair.disk)
        move_volume(*ends, road, Terms(**terms), tell)


def once(done: Callable[[], Any], when: Callable[[Progress], bool]) -> Callable[[Progress], None]:
    """Answer what does something at the first state of the progress of some kind."""
    waiting = [done]

    def tell(state: Progress) -> None:
        if waiting and when(state):
            waiting.pop()()

    return tell


@contextmanager
def slow(machine: Machine) -> Iterator[None]:
    """Let its rsync send 10 MiB a second, so that something can be done in the middle."""
    machine.sh(
        "printf '#!/bin/sh\\nexec /usr/bin/rsync --bwlimit=10M \"$@\"\\n' >/usr/local/bin/rsync; "
        "chmod +x /usr/local/bin/rsync"
    )
    try:
        yield
    finally:
        machine.sh("rm /usr/local/bin/rsync")


def with_data(machine: Machine, disk: str, mebibytes: int = 96) -> None:
    machine.sh(f"mkfs.ext4 -q {disk}")
    with machine.mounted(disk) as folder:
        machine.sh(f"head -c {mebibytes}M /dev/urandom >{folder}/data")


def test_the_key_of_a_transfer_can_do_nothing_else(small: Pair):
    with_data(small.source, small.disk)
    seen = []

    def try_it() -> None:
        seen.append(small.destination.sh("cat /home/ubuntu/.ssh/authorized_keys").splitlines()[-1])
        seen.append(small.source.sh("cd $(dirname /run/snapback-*/key-0); stat -c %a . key-0"))
        seen.append(
            small.source.sh(
                "cd $(dirname /run/snapback-*/key-0); "
                "for command in id 'rsync --server . /' ''; do "
                "timeout 10 ssh -F none -i key-* -o IdentitiesOnly=yes -o BatchMode=yes "
                "-o HostKeyAlias=destination -o UserKnownHostsFile=known_hosts -o LogLevel=ERROR "
                f'ubuntu@{small.destination.address} "$command" </dev/null 2>&1 | '
                'tr -cd "[:print:]" || true; '
                "done; timeout 10 ssh -F none -i key-* -o IdentitiesOnly=yes -o BatchMode=yes "
                "-o StrictHostKeyChecking=yes -o UserKnownHostsFile=/dev/null "
                f"ubuntu@{small.destination.address} id </dev/null 2>&1 || true"
            )
        )

    with slow(small.source):
        move(small, once(try_it, lambda state: state.bytes_done > 0))
    line, modes, said = seen
    assert line.startswith('restrict,expiry-time="2')
    assert ',command="exec sh -c ' in line
    assert modes == "700\n600\n"
    assert "uid=" not in said
    assert "Host key verification failed" in said
    assert small.destination.all_of(small.disk) == small.source.all_of(small.disk)


def test_a_file_that_cannot_be_written(small: Pair):
    with_data(small.source, small.disk, 8)
    small.move()
    with small.source.mounted(small.disk) as folder:
        small.source.sh(f"echo more >>{folder}/data")
    protect = once(
        lambda: small.destination.sh("chattr +i /run/snapback-*/data"), lambda state: True
    )
    with (
        slow(small.source),
        pytest.raises(NotMoved, match=r"ended with 23: .*data.*Operation not permitted"),
    ):
        move(small, protect)
    small.move()
    assert small.destination.all_of(small.disk) == small.source.all_of(small.disk)


@pytest.mark.parametrize("encr", [False, True], ids=["files", "blocks"])
def test_a_connection_that_breaks_in_the_middle(small: Pair, encr: bool):
    with_data(small.source, small.disk)
    cut = once(lambda: small.source.sh("pkill -KILL -x ssh"), lambda state: state.bytes_done > 0)
    with slow(small.source), pytest.raises(NotMoved, match="ended with"):
        move(small, cut, encr=encr)
    small.move(encr=encr)
    assert small.destination.all_of(small.disk) == small.source.all_of(small.disk)


def test_a_network_that_is_cut_in_the_middle(small: Pair):
    with_data(small.source, small.disk)
    hosts, there = small.source.sandbox.hosts, small.destination.instance_id
    cut = once(lambda: hosts.cut_network(there), lambda state: state.bytes_done > 0)
    try:
        with slow(small.source), pytest.raises(HostError):
            move(small, cut)
    finally:
        hosts.mend_network(there)
        small.destination.sh(
            """
            pkill -KILL -x rsync || true
            while pgrep -x rsync; do sleep 0.1; done
            umount /run/snapback-* || true
            rmdir /run/snapback-*
            rm -f /home/ubuntu/.ssh/authorized_keys
            """
        )


def test_whoever_is_told_of_the_progress_can_stop_it(small: Pair):
    with_data(small.source, small.disk)

    def stop() -> None:
        raise KeyboardInterrupt

    for encr in (False, True):
        with slow(small.source), pytest.raises(KeyboardInterrupt):
            move(small, once(stop, lambda state: state.bytes_done > 0), encr=encr)
        assert small.source.left() == ""
        assert small.destination.left() == ""


def test_a_hash_that_differs(small: Pair):
    small.destination.sh(
        "printf '#!/bin/sh\\n/usr/bin/b2sum | tr 0-7 1-8\\n' >/usr/local/bin/b2sum; "
        "chmod +x /usr/local/bin/b2sum"
    )
    with pytest.raises(NotMoved, match="differs from the source by its hash"):
        small.move()


def test_a_comparison_that_finds_differences(pair: Pair):
    for machine in (pair.source, pair.destination):
        machine.sh("mkdir /mnt/tree; cd /mnt/tree; touch -d @1 same gone; echo a >data")
        machine.sh("touch -d @2 /mnt/tree/data /mnt/tree")
    pair.destination.sh("cd /mnt/tree; rm gone; echo b >data; touch -d @2 data .")
    address = pair.destination.address
    with open_road(pair.source.host, pair.destination.host, address) as road:
        with pytest.raises(NotMoved, match=r"2 in all \(.*data") as told:
            rsync.compare_files(road, "/mnt/tree", "/mnt/tree", (), "", pair.told.append)
        assert "gone" in str(told.value)
        pair.destination.sh("rm /mnt/tree/data; touch -d @2 /mnt/tree")
        rsync.compare_files(road, "/mnt/tree", "/mnt/tree", ("gone", "data"), "", pair.told.append)


def test_mounted_hierarchies(pair: Pair):
    """What is mounted inside is another's; a full destination is an error."""
    for machine, size in ((pair.source, "1G"), (pair.destination, "100M")):
        machine.sh(
            f"""
            mkfs.ext4 -q -T default {DISK} {size}; mkfs.ext4 -q {OTHER}
            mkdir '/srv/a b;$(c)'; mount {DISK} '/srv/a b;$(c)'
            mkdir '/srv/a b;$(c)/inner'; mount {OTHER} '/srv/a b;$(c)/inner'
            echo {size} >'/srv/a b;$(c)/inner/other'
            """
        )
    point = "/srv/a b;$(c)"
    pair.source.trees("fill", "/srv/a b;$(c)/")
    source, destination = pair.source.host, pair.destination.host
    with open_road(source, destination, pair.destination.address) as road:
        ends = source, point, destination, point
        moved = move_tree(*ends, road, Terms(compare=True), pair.told.append)
        assert moved.how == "by rsync"
        pair.source.sh(f"head -c 200M /dev/urandom >'{point}/large'")
        with pytest.raises(NotMoved, match="No space left on device") as told:
            move_tree(*ends, road, Terms(), pair.told.append)
        assert told.value.no_room
        with pytest.raises(HostError, match="not a mount point"):
            move_tree(source, "/srv", destination, point, road, Terms(), pair.told.append)
        pair.source.sh(f"rm '{point}/large'")
        move_tree(*ends, road, Terms(compare=True), pair.told.append)
    assert pair.destination.sh(f"cat '{point}/inner/other'") == "100M\n"
    pair.source.sh(f"umount '{point}/inner' '{point}'")
    pair.destination.sh(f"umount '{point}/inner' '{point}'")
    assert pair.destination.all_of() == pair.source.all_of()


def test_disks_that_are_not_fit(small: Pair):
    host = small.destination
    for disk, says in (("/dev/nvme9n1", "there is no"), ("/dev/nvme0n1", "is mounted on /")):
        with pytest.raises(HostError, match=says):
            _to(small, disk)
    host.sh(f"mkfs.ext4 -q {OTHER}; mkdir /srv/data; mount {OTHER} /srv/data; touch /srv/data/x")
    with pytest.raises(HostError, match="is mounted on /srv/data"):
        _to(small, OTHER)
    assert host.sh("ls /srv/data; umount /srv/data").endswith("x\n")
    host.sh(f"swapoff -a; mkswap -q {DISK}p1")
    with pytest.raises(HostError, match="at least as large"):
        _to(small, f"{DISK}p1", disk=OTHER)


def _to(pair: Pair, to: str, disk: str = "") -> None:
    source, destination = pair.source.host, pair.destination.host
    with open_road(source, destination, pair.destination.address) as road:
        ends = End(source, disk or pair.disk), End(destination, to)
        move_volume(*ends, road, Terms(), pair.told.append)


def test_what_a_host_lacks_is_installed_or_named(small: Pair):
    """A stand-in for apt-get: there is no network in which the real one would find anything."""
    with_data(small.source, small.disk, 1)
    small.destination.sh(
        """
        mv /usr/sbin/mke2fs /usr/sbin/mke2fs.away
        printf '#!/bin/sh\necho "$@" >>/run/asked; mv /usr/sbin/mke2fs.away /usr/sbin/mke2fs\n' \
            >/usr/local/bin/apt-get
        """
    )
    with pytest.raises(HostError, match=r"it lacks mke2fs.*install e2fsprogs there"):
        small.move()
    small.destination.sh("chmod +x /usr/local/bin/apt-get")
    small.move()
    assert small.destination.sh("cat /run/asked").split()[-2:] == ["install", "e2fsprogs"]
    small.destination.sh("ln -s /bin/true /usr/local/bin/rsync")
    with pytest.raises(HostError, match=r"its rsync is unknown, and 3\.2\.4 is needed"):
        small.move()
