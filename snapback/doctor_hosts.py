"""What a consistent backup takes on the hosts: logged in, looked at, nothing changed.

No host key is remembered either: what would be written is written to copies that are thrown away.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from snapback import fanout
from snapback.config import Settings
from snapback.consistency import look
from snapback.core.checkup import Line
from snapback.core.host_checkup import HostFacts, judge_host
from snapback.core.model import Instance, Volume
from snapback.ec2.instances import console_output
from snapback.ec2.volumes import volumes_of
from snapback.errors import HostError
from snapback.runtime import Run
from snapback.ssh.host import Host, open_host

_REMEMBERED = ("known_hosts", "remembered_keys")


def examine_hosts(run: Run, instances: Sequence[Instance]) -> list[Line]:
    """Log in to instances, and answer what would keep their backups from being consistent.

    Source: DescribeVolumes, GetConsoleOutput (with ``host_keys: console``); sudo(8), fsfreeze(8),
    lsblk(8), rsync(1).
    """
    run.progress.expect(len(instances), "hosts")
    results = fanout.each(
        instances,
        lambda instance: _examine(run, instance),
        workers=run.settings.workers,
        stop=run.stop,
        on_done=lambda _: run.progress.done(),
    )
    return [
        line
        for result in results
        for line in judge_host(result.item, result.value or HostFacts(problem=str(result.error)))
    ]


def _examine(run: Run, instance: Instance) -> HostFacts:
    if instance.state != "running":
        return HostFacts(is_at_rest=True)
    conn = run.conn(instance.place)
    with _leaving_no_trace(run.settings) as (settings, is_new):
        try:
            host = open_host(settings, instance, lambda: console_output(conn, instance.instance_id))
        except HostError as error:
            return HostFacts(problem=error.reason, advice=error.advice)
        with host:
            return _look_at(run, host, instance, new_key=is_new())


@contextmanager
def _leaving_no_trace(settings: Settings) -> Iterator[tuple[Settings, Callable[[], bool]]]:
    """Answer settings with copies of the files of host keys, and what tells of a key met first."""
    with TemporaryDirectory(prefix="snapback-doctor-") as folder:
        paths = {name: Path(folder, name) for name in _REMEMBERED}
        for name, copy in paths.items():
            original = Path(getattr(settings.ssh, name)).expanduser()
            if original.is_file():
                shutil.copyfile(original, copy)
        before = _size(paths["known_hosts"])
        ssh = settings.ssh.model_copy(update={name: str(path) for name, path in paths.items()})
        yield (
            settings.model_copy(update={"ssh": ssh}),
            lambda: _size(paths["known_hosts"]) != before,
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _look_at(run: Run, host: Host, instance: Instance, *, new_key: bool) -> HostFacts:
    rsync = _said(host, ["rsync", "--version"])
    try:
        host.sudo(["true"])
    except HostError as error:
        return HostFacts(new_key=new_key, rsync=rsync, no_sudo=error.reason)
    freeze = _said(host, ["fsfreeze", "--version"], as_root=True)
    volumes = _to_back_up(run, instance)
    try:
        plan = look(run, host, instance, volumes)
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


def _to_back_up(run: Run, instance: Instance) -> list[Volume]:
    found = volumes_of(run.conn(instance.place), instance.place, [instance])
    return [one for one in found.values() if run.settings.exclude_tag not in one.tags]
