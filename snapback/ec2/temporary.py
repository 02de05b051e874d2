"""Temporary instances, volumes, key pairs and security groups, which leave nothing behind.

A :class:`Lender` lends things at one place for one run. Each is a context manager: tagged in the
call that creates it, taken back at the end however that comes. What can't be taken back then is
tried once more when the lender closes (a volume whose host hangs goes with its instance), and what
is left even so is told. What a killed run leaves is found by its tags: see
:mod:`snapback.workers.sweep`.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

from snapback.core import model
from snapback.core.disks.devices import DATA_DEVICES
from snapback.core.leases import lease
from snapback.core.leases.lease import HELPERS, RESTORES, Kind, Lent, was_created_with
from snapback.core.model import Instance, Place
from snapback.core.model import tags as our_tags
from snapback.ec2 import launching
from snapback.ec2.calls import call
from snapback.ec2.removal import detach_volume, lent_things, pauses, take_back
from snapback.ec2.snapshots import Patience
from snapback.ec2.tags import create_tags, delete_tags, write_tags
from snapback.ec2.volumes import read as read_volume
from snapback.errors import ApiError, LeftBehind, SnapbackError

log = logging.getLogger(__name__)

SOON_S = 60.0
LATE_S = 600.0
LOOK_FOR_S = 7.5
LAST_TRIES_AFTER_S = (0.0, 5.0, 30.0)


@dataclass(frozen=True, kw_only=True)
class VolumeWish:
    """A volume as it is wanted.

    :ivar snapshot_id: what it is made of; empty: blank.
    :ivar encrypted: whether it has to be; what is made of an encrypted snapshot is so anyway.
    :ivar kms_key_id: the key to encrypt it with; empty: the region's default.
    """

    size_gib: int
    snapshot_id: str = ""
    encrypted: bool = False
    kms_key_id: str = ""


class Lender:
    """Lends things at a place for a run; to be used as a context manager.

    :param now: EC2's time there.
    :param lease: how long a thing is needed, unless :meth:`renew` says longer.
    :param detach_s: how long to wait for a volume to detach, at last.
    """

    def __init__(
        self,
        conn: Any,
        place: Place,
        run_id: str,
        *,
        now: Callable[[], datetime],
        patience: Patience,
        lease: timedelta,
        detach_s: float = LATE_S,
    ) -> None:
        self.conn = conn
        self.place = place
        self.run_id = run_id
        self._now = now
        self._patience = patience
        self._lease = lease
        self._detach_s = detach_s
        self._lock = threading.Lock()
        self._lent: dict[str, Lent] = {}
        self._kept: set[str] = set()
        self._late: list[Lent] = []
        self._devices: dict[str, set[str]] = {}
        self._own_volumes: dict[str, tuple[str, ...]] = {}

    def __enter__(self) -> Lender:
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        left = [(thing, reason) for thing in self._late if (reason := self._try_again(thing))]
        if left:
            raise LeftBehind(left, self.run_id, error) from error

    def _try_again(self, thing: Lent) -> str:
        """Take a thing back after all, or answer why it is still there."""
        reason = ""
        for pause_s in LAST_TRIES_AFTER_S:
            self._patience.sleep(pause_s)
            try:
                take_back(self.conn, thing, self._patience.sleep, self._detach_s)
            except SnapbackError as error:
                reason = str(error)
                if isinstance(error, ApiError) and error.code == "UnauthorizedOperation":
                    break  # which no patience changes
            else:
                return ""
        return reason

    def renew(self) -> None:
        """Put off the expiry of all that is lent.

        :raises SnapbackError: EC2 refuses; what is taken back meanwhile doesn't count.
        """
        with self._lock:
            ids = [thing.resource_id for thing in self._lent.values()]
            ids += [own for one in ids for own in self._own_volumes.get(one, ())]
        until = lease.expiry(self._now() + self._lease)
        for resource_id in ids:
            try:
                create_tags(self.conn, [resource_id], until)
            except ApiError as error:
                if not error.code.endswith(".NotFound"):
                    raise

    @contextmanager
    def security_group(self, vpc_id: str, cidrs: Sequence[str]) -> Iterator[str]:
        """Lend a security group that lets SSH in from some addresses; its id.

        Source: CreateSecurityGroup, AuthorizeSecurityGroupIngress.
        """

        def create(token: str, tags: dict[str, str]) -> str:
            return launching.create_group(
                self.conn, token, vpc_id, _specified(Kind.SECURITY_GROUP, tags)
            )

        with self._lend(Kind.SECURITY_GROUP, "SSH of helpers", create) as group_id:
            launching.let_in(self.conn, group_id, cidrs)
            yield group_id

    @contextmanager
    def instance(self, wish: launching.Launch, purpose: str) -> Iterator[Instance]:
        """Lend an instance, and answer it once it is running.

        Source: RunInstances, DescribeInstances.
        """

        def create(token: str, tags: dict[str, str]) -> str:
            return launching.launch(
                self.conn, self.place, wish, token, _specified(Kind.INSTANCE, tags)
            )

        with self._lend(Kind.INSTANCE, purpose, create) as instance_id:
            running = launching.wait_until_running(
                self.conn, self.place, instance_id, self._patience.pause
            )
            with self._lock:
                self._own_volumes[instance_id] = tuple(running.devices.values())
            yield running

    @contextmanager
    def volume(self, wish: VolumeWish, host: Instance, zone: str) -> Iterator[model.Volume]:
        """Lend a volume, attached to an instance and deleted with it.

        It has to be unmounted when it is taken back.

        Source: CreateVolume, DescribeVolumes, AttachVolume, ModifyInstanceAttribute.
        """

        def create(token: str, tags: dict[str, str]) -> str:
            return _create_volume(self.conn, wish, zone, token, _specified(Kind.VOLUME, tags))

        purpose = f"volume of {wish.snapshot_id}" if wish.snapshot_id else "blank volume"
        with (
            self._device_on(host) as device,
            self._lend(Kind.VOLUME, purpose, create) as volume_id,
        ):
            self._wait_for_volume(volume_id, "available")
            self._attach(volume_id, host.instance_id, device)
            yield self._wait_for_volume(volume_id, "in-use")

    def detach(self, volume: model.Volume) -> None:
        """Detach a volume that is lent, before its time; it has to be unmounted.

        :raises SnapbackError: it doesn't come off.

        Source: DetachVolume, DescribeVolumes.
        """
        detach_volume(self.conn, volume.volume_id)
        self._wait_for_volume(volume.volume_id, "available", self._detach_s)

    def until_kept(
        self, kind: Kind, purpose: str, create: Callable[[str, dict[str, str]], str]
    ) -> AbstractContextManager[str]:
        """Lend a thing that is to stay once it is whole, when :meth:`keep` says so; its id.

        :param create: makes it, given a token of its own and the tags that it must have from then
            on, besides those that it is to keep.
        """
        return self._lend(kind, purpose, create, RESTORES)

    def keep(self, resource_ids: Sequence[str]) -> None:
        """Make things no longer lent: they stay, and are nothing that may be swept.

        One call for all: they are lent before it and kept afterwards, and nothing is in between.

        Source: DeleteTags.
        """
        with self._lock:
            self._lent = {
                t: one for t, one in self._lent.items() if one.resource_id not in resource_ids
            }
        delete_tags(self.conn, resource_ids, lease.MARKS)
        self._kept.update(resource_ids)

    @contextmanager
    def _lend(
        self,
        kind: Kind,
        purpose: str,
        create: Callable[[str, dict[str, str]], str],
        prefix: str = HELPERS,
    ) -> Iterator[str]:
        """Create a thing, answer its id, and take it back in the end.

        :param create: given the thing's token and its tags.
        :param prefix: of the token, by which a sweep knows what the thing was created for.
        """
        token = f"{prefix}{secrets.token_hex(6)}"
        tags = lease.marks(self.run_id, purpose, token, self._now() + self._lease)
        found: list[Lent] = []
        try:
            found = [self._thing(kind, create(token, tags))]
            with self._lock:
                self._lent[token] = found[0]
            log.info("%s in %s: %s", found[0], self.place, purpose)
            yield found[0].resource_id
        except BaseException as error:
            if not found:
                found = self._look_for(kind, token, lost=type(error) is not ApiError)
            raise
        finally:
            for thing in found:
                if thing.resource_id not in self._kept:
                    self._take_back(thing)
            with self._lock:
                self._lent.pop(token, None)

    def _thing(self, kind: Kind, resource_id: str) -> Lent:
        return Lent(place=self.place, kind=kind, resource_id=resource_id)

    def _look_for(self, kind: Kind, token: str, *, lost: bool) -> list[Lent]:
        """Return what a creation made that did not end well; never what only bears its token.

        The volumes of an instance go with it.
        """
        for pause_s in pauses(LOOK_FOR_S if lost else 0.1):
            try:
                things = lent_things(self.conn, self.place, {f"tag:{our_tags.LENT}": token}, [kind])
                found = [thing.resource_id for thing in things if was_created_with(thing, token)]
                if found:
                    return [self._thing(kind, resource_id) for resource_id in found]
            except SnapbackError as error:
                log.warning("looking for %s in %s: %s", token, self.place, error)
            self._patience.sleep(pause_s)
        return []

    def _take_back(self, thing: Lent) -> None:
        """Take a thing back now, or leave it to the end of the lender."""
        soon_s = LATE_S if thing.kind is Kind.SECURITY_GROUP else SOON_S
        try:
            take_back(self.conn, thing, self._patience.sleep, soon_s)
            log.info("%s in %s: taken back", thing, self.place)
        except SnapbackError as error:
            log.warning("%s in %s: can't be taken back yet: %s", thing, self.place, error)
            self._late.append(thing)

    def _wait_for_volume(
        self, volume_id: str, state: str, patience_s: float = LATE_S
    ) -> model.Volume:
        said: dict[str, Any] = {}
        for pause_s in pauses(patience_s):
            filters = [{"Name": "volume-id", "Values": [volume_id]}]
            found = call(self.conn, "describe_volumes", Filters=filters)["Volumes"]
            if said and not found:
                raise SnapbackError(
                    f"volume {volume_id} in {self.place} is gone again: EC2 does that where its "
                    "KMS key can't be used"
                )
            said = found[0] if found else {}
            if said.get("State") == "error":
                break
            attached = all(one["State"] == "attached" for one in said.get("Attachments", ()))
            if said.get("State") == state and attached:
                return read_volume(self.place, said)
            self._patience.pause(pause_s)
        raise SnapbackError(
            f"volume {volume_id} in {self.place} is {said.get('State', 'not to be seen')} instead "
            f"of {state}"
        )

    @contextmanager
    def _device_on(self, host: Instance) -> Iterator[str]:
        """Answer a device name that nothing on the instance has, and nobody else is given."""
        with self._lock:
            taken = self._devices.setdefault(host.instance_id, set(host.devices))
            device = next((name for name in DATA_DEVICES if name not in taken), None)
            if device is None:
                raise SnapbackError(
                    f"no device name is left on {host.instance_id}: use fewer replication_workers"
                )
            taken.add(device)
        try:
            yield device
        finally:
            with self._lock:
                taken.discard(device)

    def _attach(self, volume_id: str, instance_id: str, device: str) -> None:
        """Attach a volume that its instance takes along when it ends."""
        try:
            call(
                self.conn,
                "attach_volume",
                VolumeId=volume_id,
                InstanceId=instance_id,
                Device=device,
            )
        except ApiError as error:
            if error.code != "VolumeInUse":  # by ourselves: the first answer was lost
                raise
        mapping = [{"DeviceName": device, "Ebs": {"DeleteOnTermination": True}}]
        call(
            self.conn,
            "modify_instance_attribute",
            InstanceId=instance_id,
            BlockDeviceMappings=mapping,
        )


def _create_volume(
    conn: Any, wish: VolumeWish, zone: str, token: str, tags: list[dict[str, Any]]
) -> str:
    parameters: dict[str, Any] = {}
    if wish.snapshot_id:
        parameters["SnapshotId"] = wish.snapshot_id
    if wish.encrypted or wish.kms_key_id:
        parameters["Encrypted"] = True
    if wish.kms_key_id:
        parameters["KmsKeyId"] = wish.kms_key_id
    answer = call(
        conn,
        "create_volume",
        AvailabilityZone=zone,
        Size=wish.size_gib,
        VolumeType="gp3",
        ClientToken=token,
        TagSpecifications=tags,
        **parameters,
    )
    return str(answer["VolumeId"])


def _specified(kind: Kind, tags: dict[str, str]) -> list[dict[str, Any]]:
    """Answer the TagSpecifications of a thing; an instance's root volume gets the same."""
    types = {
        Kind.INSTANCE: ("instance", "volume"),
        Kind.VOLUME: ("volume",),
        Kind.SECURITY_GROUP: ("security-group",),
    }
    return [{"ResourceType": one, "Tags": write_tags(tags)} for one in types[kind]]
