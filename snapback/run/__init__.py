"""The run: its settings, clock, clients, and how it is stopped. The one place they come from.

Tasks start a run of their own; imported helpers share one that is made when first asked for.
Tests put theirs in its place with :func:`use`.
"""

from __future__ import annotations

import copy
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from snapback import config
from snapback.core.model import Instance, Place, Snapshot
from snapback.core.replication.progress import Progress as Transfer
from snapback.ec2.connection import Connections
from snapback.ec2.instances import console_output
from snapback.ec2.lost_calls import LostCalls
from snapback.ec2.snapshots import Patience
from snapback.errors import Interrupted, UsageError
from snapback.run.places import Places, roles_of
from snapback.ssh.host import Host, open_booting_host, open_host

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from mypy_boto3_ec2 import EC2Client

    from snapback.config import HostSettings, Settings
    from snapback.ec2.pace import Turn
    from snapback.ssh.host_keys import HostKey


def new_run_id() -> str:
    """Answer an id that no other run has."""
    return f"run-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


class Progress:
    """Told of what goes on during a run. This one keeps it to itself."""

    def expect(self, count: int, what: str) -> None:
        """So many more things of a kind are about to be done."""

    def done(self) -> None:
        """One of them is done, well or badly."""

    def waiting(self, place: Place, snapshots: Collection[Snapshot]) -> None:
        """These snapshots are being waited for; each tells its progress."""

    def moving(self, what: str, state: Transfer) -> None:
        """Data of something are on their way to another host."""

    def moved(self, what: str) -> None:
        """They are no longer."""

    def plan(self, lines: Sequence[str]) -> None:
        """This is what was decided, and is about to be done."""

    def alarm(self, text: str) -> None:
        """Something is so grave that the person must hear of it at once."""


@dataclass
class Run:
    """One run of a task, or of a program that imports snapback.

    :ivar run_id: names the run in tags and logs.
    :ivar stop: set when the run is asked to stop.
    :ivar sleep: waits for so many seconds, whatever happens.
    :ivar clock: seconds that only grow; what is waited for is measured by them.
    :ivar progress: told of what goes on.
    :ivar account: work in this account only; ``None``: in all.
    :ivar executor: what does the units of work; ``None``: threads of this process.
    :ivar once: whether another process may have begun this run's work and have been lost: then what
        bears this run's id is not taken again.
    :ivar doors: instance id -> what logs in to a temporary instance of this run.
    :ivar log_failures: why the deletion log could not be written; while there is any, this run
        begins no deletion. Parts of a run share the list.
    :ivar lost_calls: the calls that may take effect late, since their answers were lost.
    :ivar freeze_slots: held while a host is frozen; there are ``freeze_workers`` of them.
    """

    loaded: config.Loaded
    run_id: str = field(default_factory=new_run_id)
    stop: threading.Event = field(default_factory=threading.Event)
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    progress: Progress = field(default_factory=Progress)
    account: str | None = None
    executor: Executor | None = None
    once: bool = False

    def __post_init__(self) -> None:
        self.freeze_slots = threading.BoundedSemaphore(self.settings.freeze.freeze_workers)
        self.doors: dict[str, Callable[[], Host]] = {}
        self.log_failures: list[str] = []
        self.lost_calls = LostCalls(self.clock)
        roles = roles_of(self.settings, self.run_id)
        self.connections = Connections(
            self.settings.workers, self.pause, self.sleep, self.clock, roles
        )
        self._places = Places(self.settings, self.connections, self.conn, self._check, self.stop)

    def only(self, account: str | None) -> Run:
        """Answer this run, narrowed to one account where one is named.

        :raises UsageError: there is none of that name.
        """
        if account is None:
            return self
        self._places.accounts(account)
        narrowed = copy.copy(self)
        narrowed.account = account
        return narrowed

    def _check(self, account: str) -> None:
        """See that an account can be worked in, unless others are to do that."""
        if self.executor is None:
            self.connections.check(account)

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.loaded.settings

    @property
    def patience(self) -> Patience:
        """How to wait while something is made."""
        return Patience(self.pause, self.sleep, self.lost_calls)

    def pause(self, seconds: float) -> None:
        """Wait for so many seconds.

        :raises Interrupted: the run is asked to stop.
        """
        if self.stop.wait(seconds):
            raise Interrupted("stopped while waiting")

    def conn(self, place: Place) -> EC2Client:
        """Answer the client of a place.

        :raises SnapbackError: its account can't be looked into.
        """
        self.refuse_if_closed(place)
        return self.connections.client(place)

    def refuse_if_closed(self, place: Place) -> None:
        """Raise why a place's account can't be looked into, where that is so.

        :raises SnapbackError: it can't.
        """
        self._places.refuse_if_closed(place)

    def place_of(self, conn: Any) -> Place:
        """Answer the place of a client: of one of ours, or of whatever boto3 made.

        :raises UsageError: there are several accounts, and it may be of any.
        """
        found = self.connections.place_of(conn)
        return found or self.place(str(conn.meta.region_name))

    def place(self, region_name: str | None = None) -> Place:
        """Answer the one place in a region.

        :raises UsageError: no region is called so, or there are several accounts.
        """
        accounts = self._places.accounts(self.account)
        if len(accounts) > 1:
            raise UsageError(f"there are several accounts: name one of {', '.join(accounts)}")
        return Place(self._places.region(region_name, accounts), accounts[0])

    def conn_at_once(self, place: Place, timeout_s: float) -> EC2Client:
        """Answer a client of a place whose calls are one attempt each, without any waiting.

        For what must not wait: get the client, then take a :meth:`turn`, then call.
        """
        return self.connections.client_at_once(place, timeout_s)

    def turn(self, place: Place, action: str) -> AbstractContextManager[Turn]:
        """Wait for, and hold, the right to call an action once with :meth:`conn_at_once`.

        :raises Interrupted: the run is asked to stop.
        """
        return self.connections.turn(place, action)

    def now(self, place: Place) -> datetime:
        """Answer EC2's time at a place, aware UTC."""
        return self.connections.clock.now(place.region)

    def host(
        self,
        instance: Instance,
        *,
        login: HostSettings | None = None,
        host_keys: Collection[HostKey] = (),
        private_key: str = "",
        booting: bool = False,
    ) -> Host:
        """Log in to an instance: in one attempt, or, where it is booting, in as many as configured.

        :param login: how, where it isn't as the settings say for this instance.
        :param host_keys: the keys that were given to the instance: no others are trusted then.
        :param private_key: the only key to show to it, as OpenSSH writes it.
        :raises HostError: it didn't work; the last attempt's error.
        :raises Interrupted: the run is asked to stop.

        Source: GetConsoleOutput, with ``host_keys: console``.
        """

        if login is None and not host_keys and instance.instance_id in self.doors:
            return self.doors[instance.instance_id]()

        def console() -> str:
            return console_output(self.conn(instance.place), instance.instance_id)

        def attempt() -> Host:
            return open_host(
                self.settings,
                instance,
                console,
                login=login,
                host_keys=host_keys,
                private_key=private_key,
            )

        return open_booting_host(self.settings, attempt, self.pause) if booting else attempt()

    def region(self, region_name: str | None) -> str:
        """Answer the full name of a region; of none given, the default of the AWS chain.

        :raises UsageError: no region is called so, several are, or there is no default.
        """
        return self._places.region(region_name, self._places.accounts(self.account))

    def places(self, region_name: str | None = None) -> list[Place]:
        """Answer the places in one region, or all that are in use where none is named.

        An account that can't be looked into has one place without a region, of which :meth:`conn`
        raises why.

        :raises UsageError: no region is called so, or no account of those chosen uses it.
        """
        return self._places.places(region_name, self._places.accounts(self.account))


_lock = threading.Lock()
_current: Run | None = None


def current() -> Run:
    """Answer the run that is under way; where there is none, one is begun with the settings found.

    :raises ConfigError: the configuration is broken.
    """
    global _current
    with _lock:
        if _current is None:
            _current = Run(config.load(config.find()))
        return _current


@contextmanager
def use(run: Run) -> Iterator[Run]:
    """Make a run the current one for a while; its connections are closed at the end."""
    global _current
    before, _current = _current, run
    try:
        yield run
    finally:
        _current = before
        run.connections.close()


def get_region_conn(region_name: str | None = None, account: str | None = None) -> EC2Client:
    """Answer the shared, thread-safe EC2 client of a region.

    :param region_name: may be contracted: ``eu-w`` is ``eu-west-1`` where only that one matches
        among the regions in use; ``None``: the default region of the AWS chain.
    :param account: the account's name in the configuration, where there are several.
    :raises UsageError: no region is called so, or several are: lists the candidates; or there are
        several accounts.
    :raises ConfigError: the configuration is broken.
    :raises CredentialsError: none are found, where the account has to be asked.

    Source: DescribeRegions, for a contracted name and no configured regions.
    """
    run = current().only(account)
    return run.conn(run.place(region_name))
