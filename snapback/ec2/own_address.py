"""The address that this machine has on the Internet, which is what a security group lets in."""

from __future__ import annotations

import ipaddress
from urllib.error import URLError
from urllib.request import urlopen

from snapback.core.text import plain_body
from snapback.errors import SnapbackError

CHECKIP = "https://checkip.amazonaws.com/"
TIMEOUT_S = 10
LONGEST_READ = 4096


def own_cidr(url: str = CHECKIP) -> str:
    """Answer this machine's address as a service of AWS sees it: ``"203.0.113.7/32"``.

    :raises SnapbackError: the service can't be asked, or its answer is no address.
    """
    try:
        with urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 (https, or a test's own)
            said = answer.read(LONGEST_READ).decode("utf-8", "replace").strip()
        address = _address(said)
    except (OSError, URLError, ValueError) as error:
        raise SnapbackError(
            f"this machine's address can't be found out at {url} ({error}): name the addresses "
            "that temporary instances are to let in, temporary.source_cidr"
        ) from error
    return f"{address}/{address.max_prefixlen}"


def _address(said: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the address that a service tells.

    :raises ValueError: it tells something else.
    """
    try:
        return ipaddress.ip_address(said)
    except ValueError:
        raise ValueError(f"it answers with {plain_body(said)}") from None
