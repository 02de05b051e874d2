"""The host that is spoken of when something goes wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, overload

from snapback.errors import HostError, HostTimeout, HostUnreachable

SomeHostError = TypeVar("SomeHostError", bound=HostError)

LOST_ADVICE = "see whether the host is up, and what its sshd and the network say"


@dataclass(frozen=True)
class Whom:
    """The host that errors speak of."""

    name: str
    region: str

    @overload
    def error(self, reason: str, advice: str) -> HostError: ...

    @overload
    def error(self, reason: str, advice: str, kind: type[SomeHostError]) -> SomeHostError: ...

    def error(self, reason: str, advice: str, kind: type[HostError] = HostError) -> HostError:
        """Return the error that says what went wrong on this host, and what to do."""
        return kind(self.name, self.region, reason, advice)

    def unreachable(self, reason: str, advice: str) -> HostUnreachable:
        """Return the error that says why there is no connection."""
        return self.error(reason, advice, HostUnreachable)

    def timeout(self, reason: str, advice: str) -> HostTimeout:
        """Return the error that says what took too long."""
        return self.error(reason, advice, HostTimeout)

    def lost(self, doing: str) -> HostUnreachable:
        """Return the error for a connection that broke."""
        return self.unreachable(f"the connection broke {doing}", LOST_ADVICE)
