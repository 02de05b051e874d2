"""What real hosts need of the machine. ``python -m ec2_sandbox.hosts.needs`` installs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

#: programs, and Debian's packages that have them
PACKAGES = {
    "unshare": "util-linux",
    "sfdisk": "fdisk",
    "ip": "iproute2",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "sudo": "sudo",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.xfs": "xfsprogs",
    "mkfs.btrfs": "btrfs-progs",
    "cryptsetup": "cryptsetup-bin",
    "rsync": "rsync",
    "busybox": "busybox",
    "tcsh": "tcsh",
    "fish": "fish",
    "systemctl": "systemd",
}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def missing() -> list[str]:
    """Answers the packages that are not there."""
    return sorted(
        {package for program, package in PACKAGES.items() if not shutil.which(program, path=_PATH)}
    )


def why_not() -> str | None:
    """Answers in a line why there can be no real hosts here, or None if there can be."""
    if not sys.platform.startswith("linux"):
        return "real hosts need Linux"
    if os.geteuid() != 0:
        return "real hosts need root"
    packages = missing()
    if packages:
        return f"real hosts need more of Debian: apt-get install {' '.join(packages)}"
    if not os.path.exists("/dev/loop-control"):
        return "real hosts need loop devices, and there is no /dev/loop-control"
    return None


def main() -> int:
    """Installs what is missing, where that can be done; says what is to be done where not."""
    packages = missing()
    if packages and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages]
        for command in (["apt-get", "update", "-qq"], install):
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)
    reason = why_not()
    if reason:
        print(f"ec2_sandbox: {reason}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
