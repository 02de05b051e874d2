"""What the corrected calls answer: plain dictionaries with the API's own names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.core.responses import ActionResult


class Answer(ActionResult):  # type: ignore[misc]
    """An answer that :func:`ec2_sandbox.wire.write_answer` can write."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.values = values
