"""To wait for what is sure to come: no test fails by the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 90.0


def wait_until(met: Callable[[], Any], what: str) -> Any:
    """Answer what a condition answers as soon as it is met."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := met():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {PATIENCE_S:g} s: {what}")
