"""Back up EC2 instances by EBS snapshots, and thin the snapshots out. The public helpers.

>>> from snapback import create_snapshot, get_relevant_snapshots, get_region_conn

Each is loaded when it is first asked for, so that importing this package costs nothing. The tasks
for a fabfile are in :mod:`snapback.tasks`.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snapback.backup import backup_instance, backup_instances_by_tag, create_snapshot
    from snapback.backup.volume_tags import update_volumes_tags
    from snapback.core.trim.policy import Policy
    from snapback.core.trim.retention import plan as plan_retention
    from snapback.errors import SnapbackError
    from snapback.replication import rsync_all_regions, rsync_region, rsync_snapshot
    from snapback.replication import rsync_all_regions as replicate_all_regions
    from snapback.replication import rsync_region as replicate_region
    from snapback.replication import rsync_snapshot as replicate_snapshot
    from snapback.replication.mountpoints import create_tmp_volume, rsync_mountpoints
    from snapback.replication.update import update_snap
    from snapback.restore import (
        create_ami,
        restore_instance,
        restore_instances_by_tag,
        restore_volume,
    )
    from snapback.run import get_region_conn
    from snapback.snapshots.catalog import get_oldest_replica, get_relevant_snapshots
    from snapback.trim import delete_broken_snapshots, trim_snapshots
    from snapback.undelete import undelete_snapshots
    from snapback.verify import verify_region, verify_snapshot

__all__ = [
    "Policy",
    "SnapbackError",
    "backup_instance",
    "backup_instances_by_tag",
    "create_ami",
    "create_snapshot",
    "create_tmp_volume",
    "delete_broken_snapshots",
    "get_oldest_replica",
    "get_region_conn",
    "get_relevant_snapshots",
    "plan_retention",
    "replicate_all_regions",
    "replicate_region",
    "replicate_snapshot",
    "restore_instance",
    "restore_instances_by_tag",
    "restore_volume",
    "rsync_all_regions",
    "rsync_mountpoints",
    "rsync_region",
    "rsync_snapshot",
    "trim_snapshots",
    "undelete_snapshots",
    "update_snap",
    "update_volumes_tags",
    "verify_region",
    "verify_snapshot",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())

_HOMES = {
    "Policy": ("snapback.core.trim.policy", "Policy"),
    "SnapbackError": ("snapback.errors", "SnapbackError"),
    "backup_instance": ("snapback.backup", "backup_instance"),
    "backup_instances_by_tag": ("snapback.backup", "backup_instances_by_tag"),
    "create_ami": ("snapback.restore", "create_ami"),
    "create_snapshot": ("snapback.backup", "create_snapshot"),
    "create_tmp_volume": ("snapback.replication.mountpoints", "create_tmp_volume"),
    "delete_broken_snapshots": ("snapback.trim", "delete_broken_snapshots"),
    "get_oldest_replica": ("snapback.snapshots.catalog", "get_oldest_replica"),
    "get_region_conn": ("snapback.run", "get_region_conn"),
    "get_relevant_snapshots": ("snapback.snapshots.catalog", "get_relevant_snapshots"),
    "plan_retention": ("snapback.core.trim.retention", "plan"),
    "replicate_all_regions": ("snapback.replication", "rsync_all_regions"),
    "replicate_region": ("snapback.replication", "rsync_region"),
    "replicate_snapshot": ("snapback.replication", "rsync_snapshot"),
    "restore_instance": ("snapback.restore", "restore_instance"),
    "restore_instances_by_tag": ("snapback.restore", "restore_instances_by_tag"),
    "restore_volume": ("snapback.restore", "restore_volume"),
    "rsync_all_regions": ("snapback.replication", "rsync_all_regions"),
    "rsync_mountpoints": ("snapback.replication.mountpoints", "rsync_mountpoints"),
    "rsync_region": ("snapback.replication", "rsync_region"),
    "rsync_snapshot": ("snapback.replication", "rsync_snapshot"),
    "trim_snapshots": ("snapback.trim", "trim_snapshots"),
    "undelete_snapshots": ("snapback.undelete", "undelete_snapshots"),
    "update_snap": ("snapback.replication.update", "update_snap"),
    "update_volumes_tags": ("snapback.backup.volume_tags", "update_volumes_tags"),
    "verify_region": ("snapback.verify", "verify_region"),
    "verify_snapshot": ("snapback.verify", "verify_snapshot"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
