"""Where moto's EC2 is corrected: a stricter backend and a stricter response class, nowhere else.

Each module here corrects one noun of the API. :mod:`.backend` and :mod:`.response` put them
together; :func:`.backend.install` makes moto use them, in this process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import datetime

#: Moto's 1,301 images and their snapshots are left out; the sandbox has a handful of its own.
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"

ACCOUNT_ID = "123456789012"


def use_clock(now: Callable[[], datetime]) -> None:
    """Makes every moto module loaded so far take the time from the sandbox's clock."""

    def utcnow() -> datetime:
        return now().replace(tzinfo=None)

    for name, module in list(sys.modules.items()):
        if name.startswith("moto.") and "utcnow" in vars(module):
            vars(module)["utcnow"] = utcnow
