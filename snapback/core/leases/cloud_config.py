"""What a temporary instance is told at its first boot, as cloud-config.

Source: https://docs.cloud-init.io/en/latest/reference/modules.html (SSH, Runcmd);
udev(7), "RULES FILES".
"""

from __future__ import annotations

import json

NOT_ASSEMBLED = ("64-md-raid-assembly.rules", "69-lvm.rules", "69-bcache.rules")
"""The rules of udev by which Ubuntu puts RAIDs, volume groups and caches together on its own."""


def cloud_config(host_private: str, host_public: str, login_public: str, lease_minutes: int) -> str:
    """Answer the user data: the host's key, who may log in, and a timer that ends the instance.

    The timer is set late in the boot, when there is something that can keep it. sshd is to allow
    many sessions a connection, since all is done over one. What is on the volumes that it is lent
    must not be put together and written to: those rules of udev are overruled. JSON is YAML too.

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
            {"path": "/etc/ssh/sshd_config.d/10-snapback.conf", "content": "MaxSessions 1000\n"},
            *(
                {"path": f"/etc/udev/rules.d/{rules}", "content": "# not by itself\n"}
                for rules in NOT_ASSEMBLED
            ),
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
