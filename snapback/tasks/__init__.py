"""The tasks: ``ns``, the collection for a fabfile, and ``program``, the command ``snapback``.

In your own fabfile, ``from snapback.tasks import backup_instances_by_tag`` takes one task,
``from snapback.tasks import ns`` all of them.
"""

from __future__ import annotations

import sys
from typing import Any

from fabric.config import Config
from fabric.main import Fab
from invoke.collection import Collection
from invoke.exceptions import Exit, ParseError

from snapback.tasks.backup import backup_instance, backup_instances_by_tag
from snapback.tasks.doctor import doctor
from snapback.tasks.executor import UNKNOWN, ChainExecutor
from snapback.tasks.mountpoints import rsync_mountpoints
from snapback.tasks.replicate import rsync_all_regions, rsync_region, rsync_snapshot
from snapback.tasks.restore import (
    create_ami,
    restore_instance,
    restore_instances_by_tag,
    restore_volume,
)
from snapback.tasks.show import show_config
from snapback.tasks.status import check, status
from snapback.tasks.sweep import sweep
from snapback.tasks.trim import delete_broken_snapshots, trim_snapshots
from snapback.tasks.undelete import undelete_snapshots
from snapback.tasks.verify import mount_snapshot, verify_region, verify_snapshot
from snapback.tasks.volume_tags import update_volumes_tags

__all__ = [
    "backup_instance",
    "backup_instances_by_tag",
    "check",
    "create_ami",
    "delete_broken_snapshots",
    "doctor",
    "mount_snapshot",
    "ns",
    "program",
    "restore_instance",
    "restore_instances_by_tag",
    "restore_volume",
    "rsync_all_regions",
    "rsync_mountpoints",
    "rsync_region",
    "rsync_snapshot",
    "show_config",
    "status",
    "sweep",
    "trim_snapshots",
    "undelete_snapshots",
    "update_volumes_tags",
    "verify_region",
    "verify_snapshot",
]

ns = Collection(
    backup_instance,
    backup_instances_by_tag,
    check,
    create_ami,
    delete_broken_snapshots,
    doctor,
    mount_snapshot,
    restore_instance,
    restore_instances_by_tag,
    restore_volume,
    rsync_all_regions,
    rsync_mountpoints,
    rsync_region,
    rsync_snapshot,
    show_config,
    status,
    sweep,
    trim_snapshots,
    undelete_snapshots,
    update_volumes_tags,
    verify_region,
    verify_snapshot,
    auto_dash_names=False,
)


class _Config(Config):  # type: ignore[misc]
    """Fabric's configuration, with task names as they are written: with underscores."""

    @staticmethod
    def global_defaults() -> dict[str, Any]:
        """Answer Fabric's defaults with ours."""
        defaults: dict[str, Any] = Config.global_defaults()
        defaults["tasks"]["auto_dash_names"] = False
        return defaults


class _Program(Fab):  # type: ignore[misc]
    """Fabric's command, which asks for our version only where it is wanted: that takes a while.

    Of `check` it says in Nagios's way what the parser refuses; ``fab`` can't be taught that.
    """

    def parse_tasks(self) -> None:
        """Parse the tasks and their options."""
        try:
            super().parse_tasks()
        except ParseError as error:
            if not (error.context and error.context.name == check.name):
                raise
            sys.stdout.write(f"SNAPBACK UNKNOWN - {error}\n".replace("|", "/"))
            raise Exit(code=UNKNOWN) from error

    def print_version(self) -> None:
        """Print the versions."""
        from importlib.metadata import version

        self.version = version("snapback")
        super().print_version()


program = _Program(
    name="snapback",
    binary="snapback",
    namespace=ns,
    executor_class=ChainExecutor,
    config_class=_Config,
)
