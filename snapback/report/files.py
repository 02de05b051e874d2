"""Writing a file that others read: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from snapback.errors import UsageError

MODE = 0o644


def write_whole(name: str, text: str) -> Path:
    """Write a file in one step: whoever reads it sees the old one or the new one, never a part.

    :raises UsageError: it can't be written.
    """
    path = Path(name).expanduser().absolute()
    try:
        number, made = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
        try:
            with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(made).chmod(MODE)
            Path(made).replace(path)
        except BaseException:
            Path(made).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(f"{path} can't be written ({error.strerror}): name another file") from None
    return path
