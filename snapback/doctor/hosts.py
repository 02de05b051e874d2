"""What a consistent backup takes on the hosts: logged in, looked at, nothing changed.

No host key is remembered either: what would be written is written to copies that are thrown away.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from snapback.config import Settings
from snapback.core.doctor.checkup import Line
from snapback.core.doctor.host_checkup import HostFacts, judge_host
from snapback.core.model import Instance, Place, Volume
from snapback.ec2.instances import console_output
from snapback.ec2.volumes import in_batches, volumes_of
from snapback.errors import HostError
from snapback.run import Run, fanout
from snapback.ssh.host import Host, open_host
from snapback.ssh.layout import freeze_plan_of

_REMEMBERED = ("known_hosts", "remembered_keys")


def examine_hosts(run: Run, instances: Sequence[Instance]) -> list[Line]:
    """Log in to instances, and answer what would keep their backups from being consistent.

    Source: DescribeVolumes, GetConsoleOutput (with ``host_keys: console``); sudo(8), fsfreeze(8),
    lsblk(8), rsync(1).
    """
    run.progress.expect(len(instances), "hosts")
    volumes, unread = _volumes(run, [one for one in instances if one.state == "running"])
    results = fanout.each(
        instances,
        lambda instance: unread.get(instance.instance_id) or _examine(run, instance, volumes),
        workers=run.settings.workers,
        stop=run.stop,
        on_done=lambda _: run.progress.done(),
    )
    return [
        line
        for result in results
        for line in judge_host(result.item, result.value or HostFacts(problem=str(result.error)))
    ]


def _volumes(
    run: Run, instances: Sequence[Instance]
) -> tuple[dict[str, Volume], dict[str, HostFacts]]:
    """Answer the volumes to back up of some instances, by id; and whose could not be read."""
    by_place: dict[Place, list[Instance]] = {}
    for instance in instances:
        by_place.setdefault(instance.place, []).append(instance)
    results = fanout.each(
        [batch for here in by_place.values() for batch in in_batches(here)],
        lambda batch: volumes_of(run.conn(batch[0].place), batch[0].place, batch),
        workers=run.settings.workers,
        stop=run.stop,
    )
    found = {volume_id: one for r in results for volume_id, one in (r.value or {}).items()}
    unread = {
        instance.instance_id: HostFacts(problem=str(r.error), advice="nothing was looked at there")
        for r in results
        if r.error
        for instance in r.item
    }
    return {v: o for v, o in found.items() if run.settings.exclude_tag not in o.tags}, unread


def _examine(run: Run, instance: Instance, volumes: Mapping[str, Volume]) -> HostFacts:
    if instance.state != "running":
        return HostFacts(is_at_rest=True)
    own = [volumes[one] for one in instance.devices.values() if one in volumes]
    conn = run.conn(instance.place)
    with _leaving_no_trace(run.settings) as copies:
        try:
            host = open_host(
                copies.settings, instance, lambda: console_output(conn, instance.instance_id)
            )
        except HostError as error:
            return HostFacts(problem=copies.named(error.reason), advice=copies.named(error.advice))
        with host:
            return _look_at(run, host, instance, own, new_key=copies.have_a_new_key())


@dataclass(frozen=True)
class _Copies:
    """Copies of the files of host keys.

    :ivar settings: those that name the copies.
    :ivar originals: copy -> what it is a copy of.
    :ivar size: of the copy of known_hosts, as it was made.
    """

    settings: Settings
    originals: Mapping[str, str]
    size: int

    def named(self, text: str) -> str:
        """Answer a text in which the originals are named in place of their copies."""
        for copy, original in self.originals.items():
            text = text.replace(copy, original)
        return text

    def have_a_new_key(self) -> bool:
        """Tell whether a key was met for the first time."""
        return _size(Path(self.settings.ssh.known_hosts)) != self.size


@contextmanager
def _leaving_no_trace(settings: Settings) -> Iterator[_Copies]:
    """Copy the files of host keys for a moment, to be written to in their place."""
    with TemporaryDirectory(prefix="snapback-doctor-") as folder:
        paths: dict[str, str] = {}
        originals: dict[str, str] = {}
        for name in _REMEMBERED:
            original, copy = Path(getattr(settings.ssh, name)).expanduser(), Path(folder, name)
            try:
                shutil.copyfile(original, copy)
            except FileNotFoundError:
                pass
            except OSError:
                copy = original  # what is wrong with it is told when it is read
            paths[name] = str(copy)
            originals[str(copy)] = str(original)
        ssh = settings.ssh.model_copy(update=paths)
        size = _size(Path(paths["known_hosts"]))
        yield _Copies(settings.model_copy(update={"ssh": ssh}), originals, size)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _look_at(
    run: Run, host: Host, instance: Instance, volumes: Sequence[Volume], *, new_key: bool
) -> HostFacts:
    rsync = _said(host, ["rsync", "--version"])
    try:
        host.sudo(["true"])
    except HostError as error:
        return HostFacts(new_key=new_key, rsync=rsync, no_sudo=error.reason)
    freeze = _said(host, ["fsfreeze", "--version"], as_root=True)
    try:
        freeze_root = run.settings.freeze.freeze_root
        plan = freeze_plan_of(host, instance, volumes, freeze_root=freeze_root)
    except HostError as error:
        return HostFacts(new_key=new_key, rsync=rsync, fsfreeze=freeze, no_lsblk=error.reason)
    return HostFacts(
        new_key=new_key,
        rsync=rsync,
        fsfreeze=freeze,
        mount_points=plan.mount_points,
        shortcomings=tuple(plan.shortcomings),
    )


def _said(host: Host, argv: Sequence[str], *, as_root: bool = False) -> str:
    """Answer the first line that a program says of itself, or ``""`` where it isn't there."""
    try:
        run = host.sudo if as_root else host.run
        return run(argv).stdout.partition("\n")[0].strip()
    except HostError:
        return ""
