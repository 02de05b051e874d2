"""The programs that moving data needs on a host: seen to be there, or installed."""

from __future__ import annotations

import re
from collections.abc import Mapping

from snapback.core.text import abridged
from snapback.ssh.host import Host

BASE: Mapping[str, str] = {
    "rsync": "rsync",
    "b2sum": "coreutils",
    "stdbuf": "coreutils",
    "blkid": "util-linux",
    "blockdev": "util-linux",
    "flock": "util-linux",
    "lsblk": "util-linux",
    "mount": "mount",
    "pivot_root": "util-linux",
    "sudo": "sudo",
    "unshare": "util-linux",
}
TABLE: Mapping[str, str] = {"sfdisk": "fdisk", "partx": "util-linux"}
RSYNC = (3, 2, 4)
_INSTALL_S = 600.0
_MISSING = 'for program do command -v "$program" >/dev/null || echo "$program"; done'
_INSTALL = (
    "command -v apt-get >/dev/null || exit 1; "
    "export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1; "
    'get() { apt-get -qq -y -o DPkg::Lock::Timeout=300 "$@"; }; '
    'install() { get --no-install-recommends install "$@"; }; '
    'install "$@" || { get update && install "$@"; }'
)


def demand(host: Host, programs: Mapping[str, str], *, may_install: bool) -> None:
    """See to it that a host has some programs.

    :param programs: and Debian's packages that have them.
    :param may_install: install what is missing, where that can be done by apt.
    :raises HostError: something is missing.
    """
    missing = _missing(host, programs)
    said = ""
    if missing and may_install:
        packages = sorted({programs[one] for one in missing})
        done = host.sudo(
            ["sh", "-c", _INSTALL, "snapback-install", *packages],
            timeout_s=_INSTALL_S,
            check=False,
        )
        said = abridged(done.stderr)
        missing = _missing(host, programs)
    if missing:
        packages = sorted({programs[one] for one in missing})
        raise host.error(
            f"it lacks {', '.join(missing)}{f' ({said})' if said else ''}",
            f"install {' '.join(packages)} there, or use an image that has them",
        )


def _missing(host: Host, programs: Mapping[str, str]) -> list[str]:
    found = host.sudo(["sh", "-c", _MISSING, "snapback-missing", *sorted(programs)])
    said = set(found.stdout.split())
    return [program for program in sorted(programs) if program in said]


def demand_rsync(host: Host) -> None:
    """See to it that a host's rsync can do what is asked of it.

    :raises HostError: it is too old.
    """
    said = host.sudo(["rsync", "--version"]).stdout
    match = re.search(r"version v?(\d{1,4})\.(\d{1,4})\.(\d{1,4})", said)
    version = tuple(int(number) for number in match.groups()) if match else ()
    if version < RSYNC:
        wanted = ".".join(str(number) for number in RSYNC)
        raise host.error(
            f"its rsync is {'.'.join(map(str, version)) or 'unknown'}, and {wanted} is needed",
            "use a newer image",
        )
