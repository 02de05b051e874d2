"""The tasks: ``ns``, the collection for a fabfile, and ``program``, the command ``snapback``.

In your own fabfile, ``from snapback.tasks import backup_instances_by_tag`` takes one task,
``from snapback.tasks import ns`` all of them.
"""

from __future__ import annotations

from invoke.collection import Collection

from snapback.tasks.backup import backup_instance, backup_instances_by_tag
from snapback.tasks.doctor import doctor
from snapback.tasks.mountpoints import rsync_mountpoints
from snapback.tasks.program import make_program
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

program = make_program(ns)
