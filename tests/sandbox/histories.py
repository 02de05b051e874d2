"""Past snapshots for a fleet, and what a trimming made of them."""

from __future__ import annotations

import json
from typing import Any

from ec2_sandbox import Sandbox

RECORD = json.dumps(
    {
        "Volume": "$volume_id",
        "Region": "$region",
        "Device": "$device",
        "Instance": "$instance_id",
        "Time": "$time",
    }
)
SET_RECORD = json.dumps({"Region": "$region", "Instance": "$instance_id", "Time": "$time"})
NOW = "2026-11-24T12:00:00Z"


def daily(days: int, **more: Any) -> dict[str, Any]:
    """Past snapshots as django-fabfile made them: one a day, with nothing but their description."""
    return {
        "every": "1d",
        "from": f"{days}d",
        "until": "0h",
        "as": "single",
        "description": RECORD,
        "tags": {"Earmarking": "production"},
        **more,
    }


def deleted(sandbox: Sandbox) -> list[str]:
    """The snapshots that DeleteSnapshot was called for, in order."""
    return [call.parameters["SnapshotId"] for call in sandbox.calls("DeleteSnapshot")]
