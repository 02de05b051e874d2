"""Where volumes and snapshots lie: sparse files in an XFS that can clone them in a moment."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from ec2_sandbox.hosts import linux
from ec2_sandbox.hosts.loops import open_loop
from ec2_sandbox.hosts.programs import run
from ec2_sandbox.hosts.template import make_root

POOL_BYTES = 1 << 40
GIB = 1 << 30


class Pool:
    """The files of one sandbox, by the ids of volumes and snapshots.

    The file system is mounted in this process's own namespace: it is gone with the process.
    """

    def __init__(self, folder: Path) -> None:
        image, self.mount_point = folder / "pool.img", folder / "pool"
        #: named as the sandbox: when it is gone, the name is all that is known of a file's place
        self.folder = self.mount_point / folder.name
        self.mount_point.mkdir()
        image.touch(0o600)
        os.truncate(image, POOL_BYTES)
        run(["mkfs.xfs", "-q", "-K", "-m", "reflink=1", "-l", "size=64m", str(image)])
        loop = open_loop(image, direct=False)
        try:
            run(["mount", "-t", "xfs", "-o", "noatime", loop.path, str(self.mount_point)])
        finally:
            loop.close()
        self.folder.mkdir()
        self._templates = threading.Lock()
        self._skeleton = folder / "skeleton"

    def file(self, resource_id: str) -> Path:
        """Answers where the file of a volume or snapshot is, or would be."""
        return self.folder / resource_id

    def make(self, volume_id: str, size_gib: int, snapshot_id: str | None = None) -> None:
        """Makes a volume's file: empty, or as a snapshot is."""
        file = self.file(volume_id)
        if snapshot_id and self.file(snapshot_id).exists():
            linux.clone(self.file(snapshot_id), file)
        else:
            file.touch(0o600)
        os.truncate(file, size_gib * GIB)

    def make_root(self, volume_id: str, size_gib: int, partitioned: bool) -> None:
        """Makes a volume's file anew: a system's root, cloned from one made once a size."""
        template = self.folder / f"root-{size_gib}{'-gpt' if partitioned else ''}"
        with self._templates:
            if not template.exists():
                make_root(template, size_gib * GIB, self._skeleton, partitioned)
        self.delete(volume_id)
        linux.clone(template, self.file(volume_id))

    def clone(self, source_id: str, target_id: str) -> None:
        """Makes a file that is as another is at this instant; nothing if there is no other."""
        if self.file(source_id).exists():
            linux.clone(self.file(source_id), self.file(target_id))

    def renew(self, volume_id: str) -> None:
        """Puts a clone in the place of a volume's file: what still has the old one open may write
        to it, but nobody will read that any more."""
        clone = self.folder / f"{volume_id}.new"
        linux.clone(self.file(volume_id), clone)
        clone.replace(self.file(volume_id))

    def delete(self, resource_id: str) -> None:
        """Deletes a file; what still uses it keeps what it has."""
        with contextlib.suppress(FileNotFoundError):
            self.file(resource_id).unlink()

    def empty(self) -> None:
        """Deletes all volumes and snapshots."""
        for file in self.folder.iterdir():
            if not file.name.startswith("root-"):
                file.unlink()
