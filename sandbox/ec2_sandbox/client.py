"""The handle on a running sandbox, whoever started it."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Mapping
from datetime import datetime
from os import PathLike
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from ec2_sandbox.errors import SandboxError
from ec2_sandbox.hosts.handle import HostsHandle
from ec2_sandbox.log import Call

#: What is to be set so that nothing can reach a real account, and to be unset.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIASANDBOXSANDBOX00",
    "AWS_SECRET_ACCESS_KEY": "sandbox",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}
UNSET = (
    "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_ENDPOINT_URL_EC2", "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL_RBIN",
    "AWS_ENDPOINT_URL_KMS", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)  # fmt: skip


def environment(url: str, region: str) -> dict[str, str]:
    """Answers the variables that make boto3 talk to the sandbox at a URL, and to nothing else."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "NO_PROXY": ",".join(filter(None, (os.environ.get("NO_PROXY"), "127.0.0.1"))),
        **ENVIRONMENT,
    }


class Sandbox:
    """A handle on a running sandbox: ``Sandbox("http://127.0.0.1:4566")``.

    Usable from several threads. As a context manager it ends a sandbox that :func:`launch`
    started, and leaves any other running.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        #: what :meth:`load_fleet` answered to the fleet given at the launch
        self.layout: dict[str, Any] = {}
        #: the bodies of instances, where it was launched with ``hosts``
        self.hosts = HostsHandle(self._ask)

    @property
    def environ(self) -> dict[str, str]:
        """The variables to export; those in :data:`UNSET` had better be unset as well."""
        return environment(self.url, self._ask("ping")["default_region"])

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the handle; a sandbox that it launched ends."""

    def reset(self) -> None:
        """Empties the world: no resources, no calls, no faults; settings and clock as launched."""
        self._ask("reset")

    def load_fleet(self, fleet: str | PathLike[str] | Mapping[str, Any]) -> dict[str, Any]:
        """Lays a fleet out in addition to what is there.

        :param fleet: a YAML file's path, or what it would say as a dict
        :return: region to instance name to ``{"instance_id": ..., "volumes": {device: id}}``
        :raises SandboxError: every problem of the fleet, with its path
        """
        from ec2_sandbox.fleet.read import read_file

        content = fleet if isinstance(fleet, Mapping) else read_file(fleet)
        answer: dict[str, Any] = self._ask("fleet", fleet=content)
        return answer

    def configure(self, **settings: Any) -> None:
        """Changes settings; the names are those of :class:`ec2_sandbox.settings.Settings`."""
        self._ask("configure", **settings)

    def now(self) -> datetime:
        """Answers the time of the sandbox's clock, in UTC."""
        return datetime.fromisoformat(self._ask("clock")["now"])

    def advance(self, seconds: float) -> datetime:
        """Steps the clock; answers the new time."""
        return datetime.fromisoformat(self._ask("clock", advance=seconds)["now"])

    def set_clock(self, now: datetime | None = None, speed: float | None = None) -> datetime:
        """Sets the clock, its speed, or both; 0 freezes it. Answers the new time."""
        given: dict[str, Any] = {}
        if now is not None:
            given["now"] = now.isoformat()
        if speed is not None:
            given["speed"] = speed
        return datetime.fromisoformat(self._ask("clock", **given)["now"])

    def fault(
        self,
        action: str,
        effect: str,
        *,
        nth: int = 1,
        count: int | None = 1,
        region: str | None = None,
        where: Mapping[str, str] | None = None,
        code: str | None = None,
        message: str | None = None,
        status: int | None = None,
        seconds: float | None = None,
    ) -> None:
        """Puts a rule in force for calls to come.

        :param action: the API's name, or ``*``
        :param effect: ``error`` answers ``code``; ``error_after`` does it first and then answers
            ``code`` (``InternalError`` by default); ``drop_before`` and ``drop_after`` close the
            connection without an answer, before or after doing it; ``hang`` waits ``seconds``
            of real time before doing it, or until the faults are cleared; ``late`` closes the
            connection, and does it with the first call after ``seconds`` of the sandbox's clock
        :param nth: the first of the matching calls that is struck, counted from now
        :param count: how many are struck; ``None`` for all from then on
        :param where: flat query parameters to match: the exact key, or any key below it
        :param status: the HTTP status; by default the one that belongs to the code
        """
        self._ask(
            "fault", action=action, effect=effect, nth=nth, count=count, region=region,
            where=dict(where) if where else None, code=code, message=message, status=status,
            seconds=seconds,
        )  # fmt: skip

    def clear_faults(self) -> None:
        """Takes all rules out of force; calls that hang go on."""
        self._ask("clear_faults")

    def calls(self, action: str | None = None, region: str | None = None) -> list[Call]:
        """Answers the calls so far, of an action, of a region, or all."""
        found = self._ask("calls", action=action, region=region)["calls"]
        return [Call.from_json(each) for each in found]

    def calls_under_way(self) -> int:
        """Answers how many calls have come in and are not answered yet; those that hang, too."""
        return int(self._ask("ping")["under_way"])

    def calls_hanging(self) -> int:
        """Answers how many calls hang by a rule of :meth:`fault`."""
        return int(self._ask("ping")["hanging"])

    def clear_calls(self) -> None:
        """Forgets the calls so far."""
        self._ask("clear_calls")

    def fail_snapshot(self, snapshot_id: str, message: str = "Internal error") -> None:
        """Puts a snapshot in error now, and with it its set."""
        self._ask("fail_snapshot", snapshot_id=snapshot_id, message=message)

    def fail_next_snapshot(
        self,
        volume_id: str | None = None,
        region: str | None = None,
        message: str = "Internal error",
        count: int = 1,
    ) -> None:
        """Dooms the next snapshots made, of a volume, of a region, or any: they end in error."""
        self._ask(
            "fail_next_snapshot", volume_id=volume_id, region=region, message=message, count=count
        )

    def complete_all(self) -> None:
        """Ends everything pending now: completed, or in error if it was doomed."""
        self._ask("complete_all")

    def _ask(self, command: str, **asked: Any) -> Any:
        body = json.dumps(asked, default=_plain).encode()
        try:
            status, data = self._post(f"/_sandbox/{command}", body)
            answer = json.loads(data)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise SandboxError(f"no sandbox answers at {self.url}: {error}") from error
        if status != 200:
            raise SandboxError(answer.get("error", f"HTTP {status}"))
        return answer

    def _post(self, path: str, body: bytes) -> tuple[int, bytes]:
        where = urlsplit(self.url)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=120)
        try:
            connection.request("POST", path, body, {"Connection": "close"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{value!r} can't be sent to the sandbox")
