"""Faults by rule: the nth call of an action fails, is dropped, hangs, or takes effect late."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ec2_sandbox.errors import STATUS_OF_CODE, ApiError, SandboxError

if TYPE_CHECKING:
    from ec2_sandbox.wire import Request

EFFECTS = ("error", "error_after", "drop_before", "drop_after", "hang", "late")


@dataclass(frozen=True)
class Fault:
    """One rule. What it means is told by :meth:`ec2_sandbox.client.Sandbox.fault`."""

    action: str
    effect: str
    nth: int = 1
    count: int | None = 1
    region: str | None = None
    where: Mapping[str, str] | None = None
    code: str | None = None
    message: str | None = None
    status: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.effect not in EFFECTS:
            raise SandboxError(f"fault: effect {self.effect!r} is none of {', '.join(EFFECTS)}")
        if self.nth < 1 or (self.count is not None and self.count < 1):
            raise SandboxError("fault: nth and count are counted from 1")
        if self.effect in ("hang", "late") and not self.seconds:
            raise SandboxError(f"fault: {self.effect} needs seconds")
        if self.effect == "error" and not self.code:
            raise SandboxError("fault: an error needs a code")

    def matches(self, action: str, region: str, parameters: Mapping[str, str]) -> bool:
        """Says whether the rule is about this call."""
        if self.action not in ("*", action) or self.region not in (None, region):
            return False
        return all(
            any(
                (key == wanted or key.startswith(f"{wanted}.")) and value == str(expected)
                for key, value in parameters.items()
            )
            for wanted, expected in (self.where or {}).items()
        )

    def error(self) -> ApiError:
        """Makes the error that the rule answers."""
        code = self.code or "InternalError"
        status = self.status or STATUS_OF_CODE.get(code)
        return ApiError(code, self.message or f"{code}, by a rule of the sandbox.", status)


class Faults:
    """The rules in force, and how many calls each has seen."""

    def __init__(self) -> None:
        self._rules: list[tuple[Fault, list[int]]] = []
        self._hanging = 0
        self._late: list[tuple[datetime, Request]] = []
        self._lock = threading.Condition()

    def add(self, fault: Fault) -> None:
        """Puts a rule in force; its calls are counted from now on."""
        with self._lock:
            self._rules.append((fault, [0]))

    def clear(self) -> None:
        """Takes all rules out of force; calls that hang go on."""
        with self._lock:
            self._rules.clear()
            self._lock.notify_all()

    def reset(self) -> None:
        """Takes all rules out of force; calls that were to take effect late never do."""
        with self._lock:
            self._late.clear()
        self.clear()

    def put_off(self, request: Request, fault: Fault, now: datetime) -> None:
        """Keeps a call until it is to take effect, as a rule says."""
        with self._lock:
            self._late.append((now + timedelta(seconds=fault.seconds or 0), request))

    def due(self, now: datetime) -> list[Request]:
        """Gives out the calls that are to take effect by now, each once."""
        with self._lock:
            found = [request for at, request in self._late if at <= now]
            self._late = [(at, request) for at, request in self._late if at > now]
        return found

    def hang(self, fault: Fault) -> None:
        """Waits as a rule says, or until it is out of force."""
        with self._lock:
            self._hanging += 1
            self._lock.wait_for(
                lambda: all(rule is not fault for rule, _ in self._rules), fault.seconds
            )
            self._hanging -= 1

    @property
    def hanging(self) -> int:
        """How many calls hang."""
        return self._hanging

    def next(self, action: str, region: str, parameters: Mapping[str, str]) -> Fault | None:
        """Counts this call in every rule that is about it; answers the first that strikes."""
        struck = None
        with self._lock:
            for fault, seen in self._rules:
                if not fault.matches(action, region, parameters):
                    continue
                seen[0] += 1
                last = None if fault.count is None else fault.nth + fault.count - 1
                if seen[0] >= fault.nth and (last is None or seen[0] <= last):
                    struck = struck or fault
        return struck
