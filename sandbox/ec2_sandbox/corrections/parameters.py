"""Public parameters of SSM that name images."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from ec2_sandbox.corrections.images import public_image_id

_CANONICAL = re.compile(
    r"/aws/service/canonical/ubuntu/server/(?P<version>22\.04|24\.04)/stable/current/"
    r"(?P<arch>amd64|arm64)/hvm/ebs-gp[23]/ami-id"
)
_AMAZON = re.compile(
    r"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-(?:default|6\.1)-(?P<arch>x86_64|arm64)"
)


def public_parameter(region: str, name: str) -> str | None:
    """Answers the image id that a public parameter holds; None for a name there isn't."""
    match = _CANONICAL.fullmatch(name)
    if match:
        return public_image_id(region, match["version"], match["arch"])
    match = _AMAZON.fullmatch(name)
    if match:
        short = "amd64" if match["arch"] == "x86_64" else "arm64"
        return public_image_id(region, "al2023", short)
    return None


def answer_parameters(region: str, action: str, asked: dict[str, Any]) -> dict[str, Any] | None:
    """Answers GetParameter and GetParameters about public parameters.

    :return: None when the request is about something else, which moto is to answer
    """
    names: Iterable[str] = asked.get("Names") or [asked.get("Name", "")]
    if action not in ("GetParameter", "GetParameters") or not any(
        name.startswith("/aws/service/") for name in names
    ):
        return None
    found = {name: public_parameter(region, name) for name in names}
    shown = [_view(region, name, value) for name, value in found.items() if value]
    if action == "GetParameter":
        return {"Parameter": shown[0]} if shown else {"__type": "ParameterNotFound"}
    missing = [name for name, value in found.items() if not value]
    return {"Parameters": shown, "InvalidParameters": missing}


def _view(region: str, name: str, value: str) -> dict[str, Any]:
    return {
        "Name": name,
        "Type": "String",
        "Value": value,
        "Version": 1,
        "LastModifiedDate": datetime(2024, 8, 5, tzinfo=UTC).timestamp(),
        "ARN": f"arn:aws:ssm:{region}::parameter{name}",
        "DataType": "aws:ec2:image",
    }
