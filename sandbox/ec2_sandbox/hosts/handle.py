"""What a test can do to real hosts, beyond what EC2's API offers. It needs root, on one machine."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class HostsHandle:
    """The bodies of a sandbox's instances: ``sandbox.hosts``."""

    def __init__(self, ask: Callable[..., Any]) -> None:
        self._ask = ask

    @property
    def key_file(self) -> str:
        """The path of the private key that every instance of a fleet lets in, as ``ubuntu``."""
        return str(self._ask("hosts")["key_file"])

    def pid(self, instance_id: str) -> int:
        """Answers the pid of an instance's first process, as this machine sees it."""
        return int(self._ask("host", instance_id=instance_id)["pid"])

    def command(self, instance_id: str, command: str | Sequence[str]) -> list[str]:
        """Answers the command to run here so that another one runs inside, as root."""
        inside = ["sh", "-c", command] if isinstance(command, str) else list(command)
        return [
            "nsenter", "--target", str(self.pid(instance_id)),
            "--mount", "--net", "--uts", "--ipc", "--pid", "--", *inside,
        ]  # fmt: skip

    def run(
        self, instance_id: str, command: str | Sequence[str], *, seconds: float = 60
    ) -> tuple[int, str, str]:
        """Runs a command, or a shell's script, inside an instance as root, without SSH.

        :return: exit code, standard output, standard error
        :raises subprocess.TimeoutExpired: it has not ended in time
        """
        ended = subprocess.run(
            self.command(instance_id, command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=seconds,
            check=False,
        )
        return ended.returncode, ended.stdout, ended.stderr

    def settle(self) -> None:
        """Waits until udev's data says what is on all disks and loop devices, as udevadm settle."""
        self._ask("hosts_settle")

    def cut_network(self, instance_id: str) -> None:
        """Cuts an instance's cable: what is sent is lost, and nobody is told."""
        self._ask("host_network", instance_id=instance_id, cut=True)

    def mend_network(self, instance_id: str) -> None:
        """Mends a cut cable."""
        self._ask("host_network", instance_id=instance_id, cut=False)

    def power_off(self, instance_id: str) -> None:
        """Cuts an instance's power; it is stopped then, without having written anything."""
        self._ask("host_power_off", instance_id=instance_id)

    def snapshot_image(self, snapshot_id: str) -> Path:
        """Answers the path of a clone of a snapshot's, or a volume's, data: yours to change."""
        return Path(self._ask("snapshot_image", resource_id=snapshot_id)["path"])

    def damage(self, snapshot_id: str, offset: int, data: bytes) -> None:
        """Overwrites bytes of a snapshot's own data, as never happens to one on EC2."""
        path = Path(self._ask("snapshot_file", resource_id=snapshot_id)["path"])
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    @contextmanager
    def mounted(
        self, snapshot_id: str, options: str = "ro", partition: int | None = None
    ) -> Iterator[Path]:
        """Mounts a clone of a snapshot's, or a volume's, data; yields the folder to look into.

        :param options: mount's: ``ro,norecovery`` shows what is there without the journal;
            an XFS needs ``nouuid`` as well
        :param partition: the number of the one to mount, instead of the whole
        """
        mount = self._ask(
            "mount_snapshot", resource_id=snapshot_id, options=options, partition=partition
        )
        try:
            yield Path(mount["path"])
        finally:
            self._ask("unmount", folder=mount["folder"])
