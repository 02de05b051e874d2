"""What the deletion log tells of snapshots that were deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from snapback.core.model import Place
from snapback.core.undelete.deletions import Deletion, last_of_each, read_line
from snapback.errors import ConfigError
from snapback.run import Run

LONGEST_LINE = 1 << 16


def deletions_meant(
    run: Run, is_meant: Callable[[Deletion], bool]
) -> dict[Place, dict[str, Deletion]]:
    """Return the deletions that are meant, of those in the deletion log.

    Lines that can't be read are passed over, as the last one of a run that was killed.

    :returns: place -> snapshot id -> its deletion.
    :raises ConfigError: there is no log that can be read.
    """
    path = Path(run.settings.deletion_log)
    try:
        return last_of_each(one for one in _read(path.expanduser()) if is_meant(one))
    except (OSError, RuntimeError) as error:
        why = error.strerror if isinstance(error, OSError) else "there is no such home"
        raise ConfigError(f"deletion_log: {path} can't be read ({why})") from None


def _read(path: Path) -> Iterator[Deletion]:
    """Yield what the lines tell. No more than a piece of an endless line is held."""
    with path.open(encoding="utf-8", errors="replace") as file:
        while line := file.readline(LONGEST_LINE):
            if found := read_line(line):
                yield found
