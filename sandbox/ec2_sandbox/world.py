"""The sandbox's world: all that there is, and that a reset makes anew."""

from __future__ import annotations

import itertools
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ec2_sandbox.clock import Clock
from ec2_sandbox.corrections import ACCOUNT_ID
from ec2_sandbox.errors import SandboxError
from ec2_sandbox.faults import Faults
from ec2_sandbox.log import CallLog
from ec2_sandbox.quotas import Buckets
from ec2_sandbox.region_names import WITHOUT_OPT_IN, check_names
from ec2_sandbox.roles import Roles
from ec2_sandbox.settings import Settings
from ec2_sandbox.states import Lifecycle

if TYPE_CHECKING:
    from ec2_sandbox.hosts.hosts import Hosts


class World:
    """Everything. ``lock`` is held by whoever reads or changes what moto keeps.

    :func:`ec2_sandbox.corrections.backend.install` puts moto's EC2 into it.
    """

    def __init__(self, settings: Settings, hosts: Hosts | None = None) -> None:
        #: the bodies of instances and volumes, if they have any
        self.hosts = hosts
        self.launched = settings
        self.settings = settings
        self.lock = threading.RLock()
        self.clock = Clock()
        self.log = CallLog()
        self.faults = Faults()
        self.buckets = Buckets()
        self.roles = Roles()
        self.lifecycle = Lifecycle()
        self.epoch = 0
        #: set when this world is over: a reset has made another
        self.over = threading.Event()
        self._sequence = itertools.count(1)
        check_names(settings.enabled_regions, settings.default_region)
        self.reset()

    def reset(self) -> None:
        """Empties the world; the settings are those of the launch again."""
        from moto.core.model_instances import model_data
        from moto.ec2.models import ec2_backends

        with self.lock:
            self.over.set()
            self.over = threading.Event()
            self.settings = self.launched
            self.clock.set(self.launched.now or datetime.now(UTC), self.launched.speed)
            self.log.clear()
            self.faults.reset()
            self.buckets.clear()
            self.roles.clear()
            self.lifecycle = Lifecycle()
            self.epoch += 1
            self._sequence = itertools.count(1)
            if self.hosts is not None:
                self.hosts.reset()
            ec2_backends.clear()
            if "moto.iam.models" in sys.modules:
                sys.modules["moto.iam.models"].iam_backends.clear()
            for models in model_data.values():
                for model in models.values():
                    model.instances_tracked.clear()

    def settle(self, region: str, account: str = ACCOUNT_ID) -> None:
        """Brings to its end what time, or the hosts of a region, have brought there."""
        self.lifecycle.settle(self.clock.now())
        if self.hosts is not None:
            self.backend(region, account).detach_those_busy()

    def close(self) -> None:
        """Ends what the world has outside of this process."""
        with self.lock:
            if self.hosts is not None:
                self.hosts.close()

    def configure(self, settings: Settings) -> None:
        """Puts other settings in force; the clock changes only where they differ."""
        check_names(settings.enabled_regions, settings.default_region)
        with self.lock:
            before, self.settings = self.settings, settings
            if settings.speed != before.speed:
                self.clock.set(speed=settings.speed)
            if settings.now != before.now and settings.now is not None:
                self.clock.set(now=settings.now)

    def enabled_regions(self) -> tuple[str, ...]:
        """Answers the names of the regions that the account may use, in order."""
        return tuple(sorted(self.settings.enabled_regions or WITHOUT_OPT_IN))

    def default_region(self) -> str:
        """Answers the region that clients should start from: an enabled one."""
        enabled, wanted = self.enabled_regions(), self.settings.default_region
        return wanted if wanted in enabled else enabled[0]

    def backend(self, region: str, account: str = ACCOUNT_ID) -> Any:
        """Answers the EC2 of a region, as an account has it."""
        from moto.ec2.models import ec2_backends

        return ec2_backends[account][region]

    def next_sequence(self) -> int:
        """Answers a number greater than all before it."""
        return next(self._sequence)

    def snapshot(self, snapshot_id: str) -> Any:
        """Answers a snapshot of whatever region.

        :raises SandboxError: there is none
        """
        from moto.ec2.models import ec2_backends

        for regions in list(ec2_backends.values()):
            for backend in regions.values():
                if snapshot_id in backend.snapshots:
                    return backend.snapshots[snapshot_id]
        raise SandboxError(f"no snapshot {snapshot_id}")
