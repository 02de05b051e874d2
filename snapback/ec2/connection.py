"""The clients: one Session an account, one EC2 client a place; made when asked for, shared."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from snapback.core.model import Place
from snapback.core.secrets import keep
from snapback.ec2.calls import AtOncePolicy, RetryPolicy, call, in_our_words
from snapback.ec2.pace import Paces, Turn, Wait
from snapback.ec2.sessions import Role, new_session, session_in
from snapback.errors import SnapbackError, UsageError

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 60
MORE_CALLS = 4  # than there are workers: whoever hands them their work reads and waits
SOME_REGION = "us-east-1"


class Clock:
    """EC2's time in each region, from the ``Date`` header of its answers, not from this machine."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[datetime, float]] = {}

    def observe(self, region: str, date_header: str | None) -> None:
        """Remember the date of an answer that has just come."""
        if date_header:
            self._seen[region] = parsedate_to_datetime(date_header), time.monotonic()

    def now(self, region: str) -> datetime:
        """Answer EC2's time there, aware UTC; this machine's before the first answer."""
        if region not in self._seen:
            return datetime.now(UTC)
        said, at = self._seen[region]
        return said.astimezone(UTC) + timedelta(seconds=time.monotonic() - at)


class Connections:
    """Makes the clients and keeps them.

    Retries, timeouts and the size of the pool are ours, never boto3's defaults.

    :param workers: how many calls at the same time a client is made for.
    :param pause: :class:`~snapback.ec2.calls.RetryPolicy`'s.
    :param sleep: the same.
    :param clock: seconds that only grow; paces are measured by them.
    :param roles: the accounts' names -> the role to assume; ``None``: the AWS chain's own account.
    """

    def __init__(
        self,
        workers: int,
        pause: Wait,
        sleep: Wait,
        clock: Callable[[], float] = time.monotonic,
        roles: Mapping[str, Role | None] | None = None,
    ) -> None:
        self.clock = Clock()
        self._config = Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            max_pool_connections=workers + MORE_CALLS,
            retries={"mode": "standard", "total_max_attempts": 1},
            user_agent_extra="snapback",
        )
        self._pause, self._sleep = pause, sleep
        self._paces = Paces(clock)
        self._lock = threading.Lock()
        self._roles: Mapping[str, Role | None] = {"": None, **(roles or {})}
        self._sessions: dict[str, boto3.Session] = {}
        self._chain: Session | None = None
        self._asking = threading.Lock()
        self._callers: dict[str, str | SnapbackError] = {}
        self._clients: dict[tuple[Place, float | None], EC2Client] = {}

    def client(self, place: Place) -> EC2Client:
        """Answer the place's client.

        :raises CredentialsError: the profile doesn't exist or can't be read.
        """
        return self._kept(place, None)

    def client_at_once(self, place: Place, timeout_s: float) -> EC2Client:
        """Answer a client that makes each call at once, and one attempt only.

        For what must not wait, as while a file system is frozen: hold a :meth:`turn` meanwhile. Ask
        for the client before; to make one takes its time.

        :param timeout_s: how long to wait for a connection, and then for an answer.
        """
        return self._kept(place, timeout_s)

    @contextmanager
    def turn(self, place: Place, action: str) -> Iterator[Turn]:
        """Wait until one call of an action may be sent by :meth:`client_at_once`; hold the right.

        Credentials that are about to end are renewed before, so that the call needn't wait for it.

        :param action: the API operation, ``"CreateSnapshots"``.
        :raises Interrupted: the run is asked to stop.
        :raises CredentialsError: they can't be renewed.
        """
        with self._paces.of(place, action).turn(self._pause) as turn:
            self.check(place.account)
            yield turn

    def check(self, account: str) -> None:
        """See that there are credentials for an account: assume its role, unless that was done.

        :raises SnapbackError: there are none.

        Source: STS AssumeRole.
        """
        with self._lock:
            session = self._session(account)
        try:
            credentials = session.get_credentials()
            if credentials is not None:
                credentials.get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            raise in_our_words(error, "Session", "") from error

    def _kept(self, place: Place, timeout_s: float | None) -> EC2Client:
        with self._lock:
            if (place, timeout_s) not in self._clients:
                self._clients[place, timeout_s] = self._make("ec2", place, timeout_s)
            return self._clients[place, timeout_s]

    def close(self) -> None:
        """Close all connections; a client asked for afterwards is made anew."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def place_of(self, client: Any) -> Place | None:
        """Answer the place of a client that was made here, or ``None``."""
        with self._lock:
            found = (place for (place, _), one in self._clients.items() if one is client)
            return next(found, None)

    def default_region(self) -> str | None:
        """Answer the region that the AWS chain names (environment, profile), if any."""
        with self._lock:
            return self._session("").region_name

    def known_regions(self) -> set[str]:
        """Answer the regions that this release of boto3 knows of, without a call."""
        with self._lock:
            session = self._session("")
            return {
                region
                for partition in session.get_available_partitions()
                for region in session.get_available_regions("ec2", partition_name=partition)
            }

    def caller(self, account: str = "") -> str:
        """Answer the ARN of whoever an account's credentials belong to; asks once.

        :raises SnapbackError: it can't be told; nor is it asked again.

        Source: STS GetCallerIdentity.
        """
        with self._asking:
            if account not in self._callers:
                try:
                    self._callers[account] = self._ask_for_caller(account)
                except SnapbackError as error:
                    self._callers[account] = error
            found = self._callers[account]
        if isinstance(found, SnapbackError):
            raise found
        return found

    def _ask_for_caller(self, account: str) -> str:
        with self._lock:
            region = self._session("").region_name or SOME_REGION
            sts = self._make("sts", Place(region, account))
        with closing(sts):
            return str(call(sts, "get_caller_identity")["Arn"])

    @contextmanager
    def other(self, service: str, place: Place) -> Iterator[Any]:
        """Answer a client of another service than EC2, for a moment.

        :param service: as boto3 calls it, ``"rbin"``.
        """
        with self._lock:
            client = self._make(service, place)
        with closing(client):
            yield client

    def _session(self, account: str) -> boto3.Session:
        """Answer an account's Session; the lock is held."""
        if account not in self._roles:
            known = ", ".join(filter(None, self._roles)) or "none configured"
            raise UsageError(f"no account is called {account!r}: there are {known}")
        if account not in self._sessions:
            self._sessions[account] = self._new_session(self._roles[account])
        return self._sessions[account]

    def _new_session(self, role: Role | None) -> boto3.Session:
        try:
            self._chain = self._chain or new_session()
            if role is None:
                return boto3.Session(botocore_session=self._chain)
            return boto3.Session(botocore_session=session_in(role, self._chain, self._sts))
        except (BotoCoreError, ClientError) as error:
            raise in_our_words(error, "Session", "") from error

    def _keep_secrets(self, account: str) -> None:
        """Take note of what the credentials in use have that must not be told; they may change.

        Called after calls that wait for nothing, and not while a role is being assumed.
        """
        with suppress(BotoCoreError, ClientError, SnapbackError):  # the call itself went well
            credentials = self._sessions[account].get_credentials()
            if credentials:
                frozen = credentials.get_frozen_credentials()
                keep(frozen.secret_key, frozen.token)

    def _sts(self, service: str, **credentials: Any) -> Any:
        """Answer the STS client that assumes a role; asked for while a call is signed."""
        with self._lock:
            region = self._session("").region_name or SOME_REGION
            return self._make(service, Place(region), **credentials)

    def _make(self, service: Any, place: Place, at_once_s: float | None = None, **more: Any) -> Any:
        config = self._config
        if at_once_s is not None:
            config = config.merge(Config(connect_timeout=at_once_s, read_timeout=at_once_s))
        try:
            session = self._session(place.account)
            client = session.client(service, region_name=place.region, config=config, **more)
        except (BotoCoreError, ClientError, ValueError) as error:
            raise in_our_words(error, "Session", place.region) from error
        pace_of = partial(self._paces.of, place)
        policy = (
            RetryPolicy(self._pause, self._sleep, pace_of)
            if at_once_s is None
            else AtOncePolicy(pace_of)
        )
        policy.hook(client.meta.events, service)

        def observe(http_response: Any, parsed: Any, model: Any, **_: Any) -> None:
            self.clock.observe(place.region, http_response.headers.get("Date"))
            _note(model.name, place, http_response.status_code, parsed)
            if service == "ec2" and at_once_s is None:
                self._keep_secrets(place.account)

        client.meta.events.register(f"after-call.{service}", observe)
        return client


def _note(action: str, place: Place, status: int, parsed: Any) -> None:
    """Write a call down: what EC2 answered, and the id by which AWS finds it."""
    code = parsed.get("Error", {}).get("Code", "")
    request = parsed.get("ResponseMetadata", {}).get("RequestId", "without an id")
    log.debug("%s in %s: HTTP %d %s, request %s", action, place, status, code or "ok", request)
