"""What a temporary instance is told at its first boot, as cloud-config.

Source: https://docs.cloud-init.io/en/latest/reference/modules.html (SSH, Runcmd).
"""

from __future__ import annotations

import json


def cloud_config(host_private: str, host_public: str, login_public: str, lease_minutes: int) -> str:
    """Answer the user data: the host's key, who may log in, and a timer that ends the instance.

    The timer is set late in the boot, when there is something that can keep it. sshd is to allow
    many sessions a connection, since all is done over one. JSON is YAML too.

    :param host_private: the host's ed25519 key, in OpenSSH's format.
    :param login_public: the key of whoever may log in, as a line of ``authorized_keys``.
    """
    said = {
        "ssh_deletekeys": True,
        "ssh_genkeytypes": [],
        "ssh_keys": {"ed25519_private": host_private, "ed25519_public": host_public},
        "ssh_authorized_keys": [login_public],
        "disable_root": True,
        "ssh_pwauth": False,
        "write_files": [
            {"path": "/etc/ssh/sshd_config.d/10-snapback.conf", "content": "MaxSessions 1000\n"}
        ],
        "package_update": False,
        "package_upgrade": False,
        "runcmd": [shutdown_in(lease_minutes)],
    }
    return "#cloud-config\n" + json.dumps(said, indent=1) + "\n"


def drill_config(host_private: str, host_public: str, lease_minutes: int) -> str:
    """Answer the user data of an instance that is restored for a drill: its key, and a timer.

    Who may log in is on its disk, as on the original's.
    """
    said = {
        "ssh_deletekeys": True,
        "ssh_genkeytypes": [],
        "ssh_keys": {"ed25519_private": host_private, "ed25519_public": host_public},
        "runcmd": [shutdown_in(lease_minutes)],
    }
    return "#cloud-config\n" + json.dumps(said, indent=1) + "\n"


def shutdown_in(minutes: int) -> list[str]:
    """Answer the command that shuts a host down in so many minutes, instead of when it would."""
    return ["shutdown", "-P", f"+{minutes}"]
