"""Helpers: temporary instances that are ready to work, and gone at the end.

A helper is launched with keys that are made here, for it alone: one to log in with, and the host's
own, so that it is known from the first connection. Two things end it if this program can't: the
tags, by which it is swept, and a timer on the helper itself, which shuts it down, and so ends it
for good. Both are put off while the program lives.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from snapback.config import HostSettings
from snapback.core.leases.cloud_config import cloud_config, shutdown_in
from snapback.core.log_context import about, of_item
from snapback.core.model import Instance, Place, Volume
from snapback.ec2 import launching
from snapback.ec2.launching import Launch, Subnet
from snapback.ec2.own_address import own_cidr
from snapback.ec2.removal import pauses
from snapback.ec2.temporary import Lender, VolumeWish
from snapback.errors import CommandFailed, SnapbackError, UsageError
from snapback.run import Run
from snapback.ssh.host import Host
from snapback.ssh.host_keys import HostKey
from snapback.ssh.keys import new_key
from snapback.ssh.layout import layouts_of
from snapback.workers.sweep import lender_at
from snapback.workers.watch import Pulse

log = logging.getLogger(__name__)

RENEWALS = 4
RETRY_S = 30.0
APPEARS_S = 60.0


@dataclass(frozen=True)
class Helper:
    """An instance that works for us: a temporary one, or one of the operator's own.

    :ivar host: open, with passwordless sudo.
    :ivar lender: lends more at its place.
    :ivar pulse: of what is at work on it; while that has stopped, it isn't renewed.
    :ivar zone: where its volumes have to be.
    :ivar group_id: its temporary security group, or ``""``.
    :ivar is_temporary: whether it ends with its lease.
    """

    run: Run
    instance: Instance
    host: Host
    lender: Lender
    pulse: Pulse
    zone: str
    group_id: str = ""
    is_temporary: bool = False

    @contextmanager
    def volume(self, wish: VolumeWish) -> Iterator[tuple[Volume, str]]:
        """Lend it a volume, attached; with its block device, ``"/dev/nvme1n1"``.

        It has to be unmounted at the end, when it is deleted.

        :raises HostError: the volume doesn't show on the host.
        """
        with self.lender.volume(wish, self.instance, self.zone) as volume:
            yield volume, self.block_device(volume)

    def block_device(self, volume: Volume) -> str:
        """Answer the block device of a volume that is attached to it, as soon as it shows.

        :raises HostError: it doesn't.
        """
        devices = {**self.instance.devices, volume.device_name: volume.volume_id}
        for pause_s in pauses(APPEARS_S):
            layout = layouts_of(self.host, devices, [volume])[volume.volume_id]
            if layout.block_device:
                return layout.block_device.path
            self.run.pause(pause_s)
        raise self.host.error(
            f"{volume.volume_id}, attached as {volume.device_name}, doesn't show in lsblk",
            "see what its kernel says of it",
        )

    def let_in(self, cidr: str) -> None:
        """Let SSH in from some addresses more, where its security group is ours."""
        if self.group_id:
            launching.let_in(self.lender.conn, self.group_id, [cidr])


@contextmanager
def helper(run: Run, place: Place, purpose: str, zone: str = "") -> Iterator[Helper]:
    """Launch a helper and log in to it; all that it needed is taken down at the end.

    :param purpose: what for, in two or three words; in the tags.
    :param zone: where it has to be; empty: anywhere.
    :raises UsageError: there is no such subnet or zone; nothing was launched.
    :raises LeftBehind: something could not be taken down.
    :raises SnapbackError: it doesn't come up.

    Source: DescribeImages, DescribeSubnets, CreateSecurityGroup, AuthorizeSecurityGroupIngress,
    RunInstances, DescribeInstances.
    """
    wanted, conn = run.settings.temporary, run.conn(place)
    image = launching.newest_image(
        conn, place, wanted.image_owner, wanted.image_name, wanted.architecture
    )
    subnets = _subnets(run, place, zone)
    host_key, login_key = new_key(), new_key()
    with ExitStack() as stack:
        lender = stack.enter_context(lender_at(run, place))
        group_ids = wanted.security_groups.get(place.region, [])
        group_id = ""
        if not group_ids:
            vpc_id = subnets[0].vpc_id
            subnets = [subnet for subnet in subnets if subnet.vpc_id == vpc_id]
            cidr = wanted.source_cidr or own_cidr()
            group_id = stack.enter_context(lender.security_group(vpc_id, [cidr]))
        wish = Launch(
            image=image,
            instance_types=wanted.instance_types,
            subnets=subnets,
            security_group_ids=group_ids or [group_id],
            user_data=cloud_config(
                host_key.private, host_key.public, login_key.public, wanted.lease_minutes
            ),
        )
        instance = stack.enter_context(lender.instance(wish, purpose))
        known = HostKey.read(*host_key.public.split())
        assert known is not None  # we have just made it
        log_in = partial(
            run.host,
            instance,
            login=_login(run, instance),
            host_keys=[known],
            private_key=login_key.private,
        )
        host = stack.enter_context(log_in(booting=True))
        run.doors[instance.instance_id] = log_in
        stack.callback(run.doors.pop, instance.instance_id)
        made = Helper(
            *(run, instance, host, lender, Pulse(run), instance.zone, group_id), is_temporary=True
        )
        _set_switch(made)
        stack.enter_context(_renewed(made))
        yield made


@contextmanager
def borrowed(run: Run, instance: Instance) -> Iterator[Helper]:
    """Log in to an instance of the operator's own, as the settings say, to use it as a helper.

    What it is lent is taken back at the end; the instance itself stays as it is.

    :raises UsageError: it isn't running.
    :raises HostError: the login doesn't work.
    :raises LeftBehind: something could not be taken down.
    """
    if instance.state != "running":
        raise UsageError(f"{instance.instance_id} is {instance.state}: start it, or name another")
    with (
        lender_at(run, instance.place) as lender,
        run.host(instance) as host,
    ):
        made = Helper(run, instance, host, lender, Pulse(run), instance.zone)
        with _renewed(made):
            yield made


def _subnets(run: Run, place: Place, zone: str) -> Sequence[Subnet]:
    named = run.settings.temporary.subnets.get(place.region, [])
    found = launching.subnets_for(run.conn(place), place, named)
    fit = [subnet for subnet in found if zone in ("", subnet.zone)]
    if not fit:
        raise UsageError(
            f"no subnet for temporary instances is in {zone}: add one to temporary.subnets"
        )
    return fit


def _login(run: Run, instance: Instance) -> HostSettings:
    """Answer how to log in: on the way that the settings tell, by the image's own user."""
    configured = run.settings.for_host(instance.place.region, instance.tags)
    own = {"username": run.settings.temporary.username, "port": 22, "key_filename": None}
    return configured.model_copy(update=own)


def renew(helper: Helper) -> None:
    """Put off the end of a helper: the expiry in the tags, and the timer on a temporary one.

    :raises SnapbackError: one of the two could not be put off.
    """
    if helper.is_temporary:
        minutes = helper.run.settings.temporary.lease_minutes
        helper.host.sudo(shutdown_in(minutes))
    helper.lender.renew()


def _set_switch(helper: Helper) -> None:
    """Renew a helper for the first time: while it boots there may be nothing yet to keep a timer.

    :raises SnapbackError: it can't be set; without it, it would run on if this machine died.
    """
    for pause_s in pauses(APPEARS_S):
        try:
            return renew(helper)
        except CommandFailed as error:
            log.info("%s: not yet: %s", helper.host.name, error)
            helper.run.pause(pause_s)
    return renew(helper)


@contextmanager
def _renewed(helper: Helper) -> Iterator[None]:
    """Renew a helper some times in each lease, as long as the context lasts."""
    over = threading.Event()
    thread = threading.Thread(target=_keep, args=(helper, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _keep(helper: Helper, over: threading.Event) -> None:
    """Renew a helper until it is over; one failure is not the end, but is tried again sooner."""
    often_s = 60 * helper.run.settings.temporary.lease_minutes / RENEWALS
    wait_s = often_s
    while not over.wait(wait_s):
        wait_s = often_s
        if helper.pulse.is_gone:
            continue
        try:
            renew(helper)
        except SnapbackError as error:
            wait_s = RETRY_S
            with about(**of_item(helper.instance)):
                log.warning("%s: its lease was not renewed: %s", helper.host.name, error)
