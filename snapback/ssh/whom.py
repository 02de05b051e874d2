"""The host that is spoken of when something goes wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

from snapback.errors import HostTimeout, HostUnreachable

LOST_ADVICE = "see whether the host is up, and what its sshd and the network say"


@dataclass(frozen=True)
class Whom:
    """The host that errors speak of."""

    name: str
    region: str

    def unreachable(self, reason: str, advice: str) -> HostUnreachable:
        """Answer the error that says so."""
        return HostUnreachable(self.name, self.region, reason, advice)

    def timeout(self, reason: str, advice: str) -> HostTimeout:
        """Answer the error that says so."""
        return HostTimeout(self.name, self.region, reason, advice)

    def lost(self, doing: str) -> HostUnreachable:
        """Answer the error for a connection that broke."""
        return self.unreachable(f"the connection broke {doing}", LOST_ADVICE)
