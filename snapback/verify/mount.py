"""Mounting a snapshot on a temporary instance, for getting single files back."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from snapback.core.model import Snapshot, record_of
from snapback.core.model.backup_sets import unusable
from snapback.core.model.outcome import Outcome
from snapback.core.model.times import in_utc
from snapback.core.text import printable
from snapback.ec2.temporary import VolumeWish
from snapback.errors import Interrupted, UsageError
from snapback.run import Run
from snapback.snapshots.search import snapshot_by_id
from snapback.ssh import disks
from snapback.ssh.fetching import door, fetch, find
from snapback.ssh.host import address_of
from snapback.ssh.mountable import Mountable, fit_to_mount
from snapback.words import Word
from snapback.workers import Helper, helper

LOOKS_S = 0.5


@dataclass(frozen=True)
class Mounted:
    """A file system of the snapshot, mounted read-only."""

    what: Mountable
    folder: str

    def __str__(self) -> str:
        where = f"partition {self.what.number}" if self.what.number else "all of it"
        return f"{self.folder}  ({where}, {self.what.fs_type})"


@dataclass(frozen=True, kw_only=True)
class Errand:
    """What is done with a mounted snapshot.

    :ivar hours: how long it stays, where it isn't ended before.
    :ivar enter: set when the person has enough of it.
    :ivar copy: the path to fetch, from the top of its file system; empty: none, it stays.
    :ivar to: where to.
    :ivar partition: of which partition; 0: the only one, or the largest.
    :ivar devices: fetch devices, fifos and sockets, too.
    :ivar setuid: keep setuid and setgid bits.
    """

    hours: float = 1.0
    enter: Event
    copy: str = ""
    to: str = "."
    partition: int = 0
    devices: bool = False
    setuid: bool = False


@dataclass(frozen=True)
class Telling:
    """Who is told what.

    :ivar say: what a person may want to know.
    :ivar ready: that it is mounted, and how to look into it: before it is waited.
    """

    say: Callable[[str], None]
    ready: Callable[[Outcome], None]


def mount(
    run: Run, snapshot_id: str, region_name: str | None, errand: Errand, telling: Telling
) -> Outcome:
    """Mount a snapshot, and fetch from it, or wait; then all is taken down, and that is answered.

    :raises UsageError: there is no such snapshot, partition, or it isn't completed.
    :raises SnapbackError: it can't be mounted, or not all was copied.
    """
    snapshot = snapshot_by_id(run, region_name, snapshot_id)
    if why := unusable(snapshot):
        raise UsageError(f"{snapshot_id} {why}")
    record = record_of(snapshot)
    telling.say(
        f"{snapshot_id} in {snapshot.place}: {record.volume} as of {in_utc(record.taken_at)}"
    )
    if snapshot.unproven:
        telling.say(f"{snapshot_id} is unproven: {snapshot.unproven.why}")
    wish = VolumeWish(size_gib=snapshot.size_gib, snapshot_id=snapshot_id)
    with (
        helper(run, snapshot.place, "mount") as one,
        one.volume(wish) as (_, block_device),
        ExitStack() as stack,
    ):
        mounted = [
            Mounted(
                what,
                stack.enter_context(
                    disks.mounted(one.host, what.node, what.fs_type, read_only=True)
                ),
            )
            for what in fit_to_mount(one.host, block_device)
        ]
        left_out = _serve(run, one, snapshot, mounted, errand, telling)
        telling.say("taking it down")
    facts = {"copied": errand.copy or None, "left_out": left_out}
    return _outcome(snapshot, Word.DONE, "taken down again", facts)


def _outcome(snapshot: Snapshot, word: Word, explanation: str, facts: Mapping[str, Any]) -> Outcome:
    known = {"snapshot": snapshot.snapshot_id, "volume": record_of(snapshot).volume}
    return Outcome(
        subject=snapshot.snapshot_id,
        word=word,
        explanation=explanation,
        place=snapshot.place,
        facts={**known, **facts},
    )


def _serve(
    run: Run,
    one: Helper,
    snapshot: Snapshot,
    mounted: Sequence[Mounted],
    errand: Errand,
    telling: Telling,
) -> int | None:
    """Fetch what is asked for, or wait for the person.

    :returns: how many devices, fifos and sockets were left out, where something was fetched.
    """
    login = run.settings.for_host(snapshot.place.region, one.instance.tags)
    config = run.settings.ssh.ssh_config
    options = [
        *(["-F", str(Path(config).expanduser())] if config else []),
        *(["-J", login.gateway] if login.gateway and login.gateway != "none" else []),
    ]
    user = run.settings.temporary.username
    address = address_of(one.instance, login)
    with door(one.host, one.instance.instance_id, user, address, options) as (ssh, whom):
        if errand.copy:
            source = find(one.host, _chosen(mounted, errand.partition).folder, errand.copy)
            left_out = fetch(
                ssh, whom, source, errand.to, devices=errand.devices, setuid=errand.setuid
            )
            telling.say(_copied(errand, source.path, left_out))
            return left_out
        line = shlex.join([*ssh, whom])
        telling.say("mounted read-only:")
        for it in mounted:
            telling.say(f"  {it}")
        telling.say(f"look into it, with sudo where it takes root: {line}")
        telling.say(
            f"press Enter or Ctrl-C to take it down; after {errand.hours:g} h it goes by itself"
        )
        folders = {it.folder: it.what.number for it in mounted}
        facts = {"ssh": line, "folders": folders, "hours": errand.hours}
        telling.ready(_outcome(snapshot, Word.MOUNTED, "", facts))
        _stay(run, errand)
        return None


def _copied(errand: Errand, path: str, left_out: int) -> str:
    """Return the sentence that tells what was copied, from where, and how much of it wasn't."""
    from_there = "" if path.strip("/") == errand.copy.strip("/") else f" ({path})"
    lacking = f", but for {left_out} devices, fifos or sockets" if left_out else ""
    return printable(f"copied {errand.copy}{from_there} to {errand.to}{lacking}")


def _chosen(mounted: Sequence[Mounted], partition: int) -> Mounted:
    if not partition:
        return max(mounted, key=lambda it: it.what.size)
    for it in mounted:
        if it.what.number == partition:
            return it
    there = ", ".join(str(it.what.number) for it in mounted)
    raise UsageError(f"--partition: there is no file system on {partition}: there are {there}")


def _stay(run: Run, errand: Errand) -> None:
    """Wait for the person, or for the end of the time.

    Ctrl-C is a usual way to say so. It is fulfilled here, and stops nothing else.
    """
    deadline = run.clock() + 3600 * errand.hours
    try:
        while not errand.enter.is_set() and run.clock() < deadline:
            run.pause(LOOKS_S)
    except Interrupted:
        run.stop.clear()
