"""What is in the Recycle Bin: deleted snapshots and volumes that a retention rule keeps.

The rules are settings, see :mod:`ec2_sandbox.recycle_bin`. What is kept leaves by the sandbox's
clock; later changes of the rules don't touch it, as in EC2.

Source: https://docs.aws.amazon.com/ebs/latest/userguide/recycle-bin-factors.html
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ec2_sandbox.corrections.backend_part import BackendPart
from ec2_sandbox.errors import ApiError
from ec2_sandbox.recycle_bin import days_kept

#: what EC2 itself puts on what is in the bin, and takes off at its restoration
IN_BIN = "aws:recycle-bin:resource-in-bin"
_KINDS = {
    "snap": ("EBS_SNAPSHOT", "InvalidSnapshot.NotFound"),
    "vol": ("EBS_VOLUME", "InvalidVolume.NotFound"),
}


@dataclass(frozen=True)
class Kept:
    """A snapshot or a volume in the Recycle Bin."""

    resource: Any
    entered_at: datetime
    exits_at: datetime


class StrictRecycleBin(BackendPart):
    """Of the backend: the one place where deleted things are kept, and taken out again."""

    def init_recycle_bin(self) -> None:
        """Start with an empty Recycle Bin."""
        self._bin: dict[str, Kept] = {}

    def keep_deleted(self, resource: Any) -> bool:
        """Put what is deleted into the bin, with its tags; return whether a rule keeps it."""
        rules = self.world.settings.recycle_bin.get(self.region_name, ())
        kind, _ = _KINDS[resource.id.partition("-")[0]]
        days = days_kept(rules, kind, self.tags.get(resource.id) or {})
        if not days:
            return False
        now = self.world.clock.now()
        self._bin[resource.id] = Kept(resource, now, now + timedelta(days=days))
        self.set_tags(resource.id, {IN_BIN: "true"})
        return True

    def in_bin(self, prefix: str) -> list[Kept]:
        """Return what is in the bin: snapshots (``snap``) or volumes (``vol``)."""
        self._take_out_expired()
        return [kept for name, kept in self._bin.items() if name.startswith(f"{prefix}-")]

    def is_in_bin(self, resource_id: str) -> bool:
        """Return whether a snapshot or a volume is in the bin."""
        self._take_out_expired()
        return resource_id in self._bin

    def check_in_bin(self, resource_id: str) -> Kept:
        """Return what is in the bin under an id.

        :raises ApiError: ``Invalid....NotFound``; ``IncorrectState`` for what was not deleted
        """
        self._take_out_expired()
        kept = self._bin.get(resource_id)
        if kept is not None:
            return kept
        if resource_id in self.snapshots or resource_id in self.volumes:
            raise ApiError("IncorrectState", f"{resource_id} is not in the Recycle Bin.")
        _, code = _KINDS[resource_id.partition("-")[0]]
        raise ApiError(code, f"{resource_id} does not exist in the Recycle Bin.")

    def restore_from_bin(self, resource_id: str) -> Any:
        """Take a snapshot or a volume out of the bin, as it was; return it."""
        resource = self.check_in_bin(resource_id).resource
        del self._bin[resource_id]
        self.tags[resource_id].pop(IN_BIN, None)
        home = self.snapshots if resource_id.startswith("snap-") else self.volumes
        home[resource_id] = resource
        return resource

    def _take_out_expired(self) -> None:
        now = self.world.clock.now()
        for resource_id in [name for name, kept in self._bin.items() if kept.exits_at <= now]:
            del self._bin[resource_id]
            self.forget(resource_id)

    def forget(self, resource_id: str) -> None:
        """Delete for good what belongs to a snapshot or a volume: its tags and its data."""
        self.tags.pop(resource_id, None)
        if self.world.hosts is not None:
            self.world.hosts.deleted(resource_id)
