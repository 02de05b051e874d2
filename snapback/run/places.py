"""Which places there are: the accounts in use, and the regions of each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from snapback.core.model import Place
from snapback.ec2.connection import SOME_REGION, Connections
from snapback.ec2.regions import check_name, enabled_regions, expand
from snapback.ec2.sessions import Role
from snapback.errors import SnapbackError, UsageError
from snapback.run import fanout

if TYPE_CHECKING:
    from snapback.config import Settings


def roles_of(settings: Settings, run_id: str) -> dict[str, Role | None]:
    """Answer the accounts' names -> the role to assume; ``None`` where none is needed."""
    return {
        one.name: Role(one.name, one.role_arn, one.external_id or "", f"snapback-{run_id}"[:64])
        if one.role_arn
        else None
        for one in settings.accounts
    }


class Places:
    """The places that a run may work at.

    An account that can't be looked into has one place, without a region: whoever asks for its
    client gets the error that says why. So it fails alone.

    :param conn: answers the client of a place.
    :param check: sees that a named account can be worked in, or raises.
    """

    def __init__(
        self,
        settings: Settings,
        connections: Connections,
        conn: Callable[[Place], Any],
        check: Callable[[str], None],
        stop: threading.Event,
    ) -> None:
        self._settings = settings
        self._connections = connections
        self._conn = conn
        self._check = check
        self._stop = stop
        self._closed: dict[str, SnapbackError] = {}

    def accounts(self, chosen: str | None = None) -> list[str]:
        """Answer the names of the accounts in use; ``""`` is the one of the AWS chain.

        :param chosen: only this one.
        :raises UsageError: there is none of that name.
        """
        names = [account.name for account in self._settings.accounts]
        if chosen is None:
            return names or [""]
        if chosen not in names:
            known = ", ".join(names) or "none below `accounts` in the configuration"
            raise UsageError(f"no account is called {chosen!r}: there are {known}")
        return [chosen]

    def refuse_if_closed(self, place: Place) -> None:
        """Raise what kept us from looking into a place's account.

        :raises SnapbackError: so it was.
        """
        if not place.region and place.account in self._closed:
            raise self._closed[place.account]

    def region(self, name: str | None, accounts: Sequence[str]) -> str:
        """Answer the full name of a region; of none given, the default of the AWS chain.

        :raises UsageError: no region is called so, several are, or there is no default.
        """
        if name is None:
            default = self._connections.default_region()
            if default is None:
                raise UsageError(
                    "no region: name one, or set AWS_DEFAULT_REGION or the profile's region"
                )
            return default
        check_name(name)
        if self._is_full(name):
            return name
        return expand(name, {place.region for place in self._open(accounts)})

    def places(self, name: str | None, accounts: Sequence[str]) -> list[Place]:
        """Answer the places of some accounts: all in use, or those in one region.

        :raises UsageError: no region is called so, or none of the accounts uses it.
        :raises SnapbackError: nothing at all is known of the only account.
        """
        if name is None:
            return self._in_use(accounts)
        region = self.region(name, accounts)
        if self._is_full(name):
            closed = self._assume(accounts)
            found = [Place("" if account in closed else region, account) for account in accounts]
            found = [one for one in found if not one.region or self._may_use(one)]
        else:
            found = [p for p in self._in_use(accounts) if p.region in ("", region)]
        if not found:
            raise UsageError(f"no account uses the region {region}: see `accounts` and `regions`")
        return found

    def _is_full(self, name: str) -> bool:
        """Tell whether a region is known to be called so."""
        listed = {region for one in self._settings.accounts for region in one.regions or ()}
        listed |= set(self._settings.regions or ())
        return name in listed or name in self._connections.known_regions()

    def _may_use(self, place: Place) -> bool:
        """Tell whether an account's own list of regions has one."""
        own = self._own(place.account)
        return own is None or place.region in own

    def _own(self, account: str) -> list[str] | None:
        return next((one.regions for one in self._settings.accounts if one.name == account), None)

    def _open(self, accounts: Sequence[str]) -> list[Place]:
        """Answer the places in use of the accounts that can be looked into.

        :raises SnapbackError: none can; the first one's error.
        """
        found = [place for place in self._in_use(accounts) if place.region]
        if not found:
            raise self._closed[accounts[0]]
        return found

    def _in_use(self, accounts: Sequence[str]) -> list[Place]:
        """Answer all places in use, sorted by account and region; accounts side by side."""
        results = fanout.each(accounts, self._of, stop=self._stop)
        found = []
        for result in results:
            if result.error and not result.item:
                raise result.error
            if result.error:
                self._closed[result.item] = result.error
            regions = result.value or [""]
            found += [Place(region, result.item) for region in regions]
        return found

    def _of(self, account: str) -> list[str]:
        """Answer the regions of an account: the configured ones, or else all enabled for it."""
        if account:
            self._check(account)
        if configured := self._own(account) or self._settings.regions:
            return sorted(configured)
        ask = self._connections.default_region() or SOME_REGION
        return enabled_regions(self._conn(Place(ask, account)))

    def _assume(self, accounts: Sequence[str]) -> dict[str, SnapbackError]:
        """Answer which of the accounts' roles can't be assumed, and why."""
        named = [account for account in accounts if account]
        results = fanout.each(named, self._check, stop=self._stop)
        closed = {result.item: result.error for result in results if result.error}
        self._closed |= closed
        return closed
