"""What a fleet may want of an instance's body."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ec2_sandbox.hosts.programs import run


@dataclass(frozen=True)
class FileSystem:
    """A file system that a volume of a fleet is to have, and where it is to be mounted."""

    volume_id: str
    kind: str
    label: str | None = None
    mount_point: str | None = None
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))

    def fstab(self) -> str:
        """Answers its line of /etc/fstab."""
        point = (self.mount_point or "none").replace(" ", "\\040")
        return f"UUID={self.uuid} {point} {self.kind} defaults,nofail 0 2"

    def make(self, file: Path) -> None:
        """Makes it in a volume's file."""
        uuid = f"uuid={self.uuid}" if self.kind == "xfs" else self.uuid
        run([*_MKFS[self.kind], uuid, *(["-L", self.label] if self.label else []), str(file)])


_MKFS = {
    "ext4": ("mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=1", "-U"),
    "xfs": ("mkfs.xfs", "-q", "-K", "-m"),
    "btrfs": ("mkfs.btrfs", "-q", "-K", "-U"),
}


@dataclass(frozen=True)
class Wish:
    """What a fleet wants of an instance's body; an instance that is launched has the defaults."""

    init: str = "plain"
    syslog: bool = False
    partitioned: bool = False
    authorized_keys: Sequence[str] = ()
    file_systems: Sequence[FileSystem] = ()
