"""Snapshots: states, owners, sizes of their moment, sets, quotas, protection from deletion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from ec2_sandbox.corrections.backend_part import BackendPart
from ec2_sandbox.corrections.ids import stable_id
from ec2_sandbox.corrections.snapshot import NewSnapshot, StrictSnapshot
from ec2_sandbox.corrections.tags import check_number
from ec2_sandbox.errors import ApiError, invalid
from ec2_sandbox.quotas import SnapshotQuota

MAX_DESCRIPTION = 255
COPY_VOLUME_ID = "vol-ffffffff"


class StrictSnapshots(BackendPart):
    """Of the backend: the one place where snapshots are made, found and deleted."""

    def init_snapshots(self) -> None:
        """Starts with no snapshots."""
        self.quota = SnapshotQuota()

    def add_snapshot(self, new: NewSnapshot) -> StrictSnapshot:
        """Puts a completed snapshot into the world; :meth:`start_snapshot` sets out from it."""
        number = self.world.next_sequence()
        snapshot_id = new.snapshot_id or stable_id(
            "snap", self.region_name, self.world.epoch, number
        )
        snapshot = StrictSnapshot(self, new, snapshot_id, self.world.clock.now())
        self.snapshots[snapshot_id] = snapshot
        self.set_tags(snapshot_id, new.tags)
        return snapshot

    def start_snapshot(self, new: NewSnapshot, doom: str | None = None) -> StrictSnapshot:
        """Makes a snapshot that is pending, and counts it in its volume's quota.

        :param doom: the StateMessage with which it is to end, if it is to end in error
        """
        settings, world = self.world.settings, self.world
        now = new.start_time or world.clock.now()
        snapshot = self.add_snapshot(new)
        if settings.visibility_delay_s:
            snapshot.visible_at = now + timedelta(seconds=settings.visibility_delay_s)
        snapshot.completed_at = None
        seconds = settings.snapshot_seconds
        if new.is_copy and settings.copy_seconds is not None:
            seconds = settings.copy_seconds
        seconds += settings.snapshot_seconds_per_gib * new.volume_size
        ends_at = now + timedelta(seconds=seconds)
        doom = doom or world.lifecycle.doom_of(self.region_name, new.volume_id)
        world.lifecycle.begin(snapshot, ends_at, doom)
        if world.hosts is not None and new.data_of is not None:
            world.hosts.snapshot_made(snapshot.id, new.data_of)
        if not new.is_copy:
            self.quota.take(new.volume_id, snapshot.id, now, ends_at)
        return snapshot

    def create_snapshot(
        self,
        volume_id: str,
        description: str = "",
        owner_id: str | None = None,
        from_ami: str | None = None,
    ) -> StrictSnapshot:
        """Makes a snapshot for moto's own calls."""
        return self.snapshot_volumes([self.get_volume(volume_id)], description)[0]

    def snapshot_volumes(
        self,
        volumes: Sequence[Any],
        description: str,
        tags: Sequence[Mapping[str, str]] | None = None,
    ) -> list[StrictSnapshot]:
        """Takes snapshots of volumes at one instant, all or none.

        :param tags: of each volume's snapshot
        :raises ApiError: a quota is exhausted
        """
        now = self.world.clock.now()
        self.quota.check(
            self.world.settings, [(each.id, each.volume_type) for each in volumes], now
        )
        made = [
            self.start_snapshot(
                NewSnapshot(
                    volume_id=volume.id,
                    volume_size=volume.size,
                    description=description,
                    tags=own,
                    encrypted=bool(volume.encrypted),
                    kms_key_id=volume.kms_key_id,
                    start_time=now,
                    data_of=volume.id,
                )
            )
            for volume, own in zip(volumes, tags or [{}] * len(volumes), strict=True)
        ]
        if len(made) > 1:
            for snapshot in made:
                snapshot.set_members = made
        return made

    def get_snapshot(self, snapshot_id: str) -> StrictSnapshot:
        """Answers a snapshot by its id, whether it is visible yet or not.

        :raises ApiError: ``InvalidSnapshot.NotFound``
        """
        snapshot: StrictSnapshot | None = self.snapshots.get(snapshot_id)
        if snapshot is None:
            raise not_found(snapshot_id)
        return snapshot

    def check_visible(self, resource_id: str) -> None:
        """Refuses a snapshot so new that EC2 would not know of it everywhere yet."""
        snapshot = self.snapshots.get(resource_id)
        if snapshot is not None and not snapshot.is_visible(self.world.clock.now()):
            raise not_found(resource_id)

    def users_of(self, snapshot_id: str) -> str | None:
        """Answers the id of an image that uses a snapshot, a disabled one too."""
        for ami_id, ami in self.amis.items():
            if snapshot_id in ami.snapshot_ids:
                return str(ami_id)
        return None

    def check_deletable(self, snapshot_id: str) -> StrictSnapshot:
        """Answers a snapshot that may be deleted.

        :raises ApiError: in use, locked, AWS Backup's, somebody else's, or not there
        """
        snapshot = self.get_snapshot(snapshot_id)
        if snapshot.owner_id != self.account_id:
            raise ApiError("AuthFailure", f"Not authorized for resource: {snapshot_id}", 403)
        if snapshot.managed_by_backup:
            raise invalid(
                f"This resource is managed by AWS Backup and cannot be modified or deleted "
                f"through EC2: {snapshot_id}"
            )
        now = self.world.clock.now()
        if snapshot.lock is not None and snapshot.lock.state(now) != "expired":
            raise ApiError("SnapshotLocked", f"The snapshot {snapshot_id} is locked.")
        user = self.users_of(snapshot_id)
        if user:
            raise ApiError(
                "InvalidSnapshot.InUse",
                f"The snapshot {snapshot_id} is currently in use by {user}",
            )
        return snapshot

    def delete_snapshot(self, snapshot_id: str) -> StrictSnapshot:
        """Deletes a snapshot; one deleted while pending still counts in its volume's quota.

        One that a rule of the Recycle Bin keeps is moved there, unless it is pending.
        """
        snapshot = self.check_deletable(snapshot_id)
        if snapshot.status == "error":
            self.quota.release(snapshot.volume_id, snapshot_id)
        for member in snapshot.set_members:
            member.set_members = [each for each in member.set_members if each is not snapshot]
        snapshot.set_members = []
        del self.snapshots[snapshot_id]
        if snapshot.status == "pending" or not self.keep_deleted(snapshot):
            snapshot.status = "deleted"
            self.forget(snapshot_id)
        return snapshot

    def visible_snapshots(self, snapshot_ids: Sequence[str] = ()) -> list[StrictSnapshot]:
        """Answers the snapshots that Describe calls show: all, or those of some ids.

        :raises ApiError: ``InvalidSnapshot.NotFound`` for an id that isn't there, or not yet
        """
        now = self.world.clock.now()
        if not snapshot_ids:
            return [each for each in self.snapshots.values() if each.is_visible(now)]
        found = []
        for snapshot_id in dict.fromkeys(snapshot_ids):
            self.check_visible(snapshot_id)
            found.append(self.get_snapshot(snapshot_id))
        return found

    def describe_snapshots(
        self, snapshot_ids: list[str] | None = None, filters: Any = None
    ) -> list[StrictSnapshot]:
        """Answers moto's own look-ups; the API's call is in :mod:`.snapshot_calls`."""
        return self.visible_snapshots(snapshot_ids or ())


def not_found(snapshot_id: str) -> ApiError:
    """Makes the error for a snapshot that isn't there."""
    return ApiError("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")


def check_description(description: str) -> str:
    """Answers a description that is short enough.

    :raises ApiError: ``InvalidParameterValue`` over 255 characters
    """
    if len(description) > MAX_DESCRIPTION:
        raise invalid(
            f"Value ({description[:20]}...) for parameter description is invalid. "
            f"Description must be at most {MAX_DESCRIPTION} characters."
        )
    return description


def tags_with_source(
    volume_id: str, given: Mapping[str, str], source: Mapping[str, str]
) -> dict[str, str]:
    """Puts a call's tags and its volume's together, for CopyTagsFromSource.

    What EC2 does with a key that both have is not documented: here it is refused.

    :raises ApiError: a key in both, or more tags than a resource may have
    """
    copied = {key: value for key, value in source.items() if not key.startswith("aws:")}
    twice = sorted(given.keys() & copied.keys())
    if twice:
        raise invalid(
            f"The tag key '{twice[0]}' is both in TagSpecifications and on volume {volume_id}, "
            "and CopyTagsFromSource is set. (EC2 does not document what happens then; "
            "the sandbox refuses it.)"
        )
    both = {**copied, **given}
    check_number(both)
    return both
