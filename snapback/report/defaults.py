"""Say that a run goes on by the defaults, where nobody has said that they are meant."""

from __future__ import annotations

import logging

from snapback.report.screen import Screen
from snapback.run import Run

log = logging.getLogger(__name__)


def say_defaults(run: Run, screen: Screen, task: str) -> None:
    """Say on stderr, quiet or not, that no configuration was found; with one, say nothing.

    Quiet would hide the one line that tells why other instances are backed up than those meant.
    """
    source = run.loaded.source
    if not source.is_meant:
        log.warning("%s", source.by_the_defaults(), extra={"shown": True})
        screen.problem(f"{task}: {source.by_the_defaults()}")
