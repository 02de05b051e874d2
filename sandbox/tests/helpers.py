"""What several tests ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

UBUNTU = (
    "resolve:ssm:/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
)
#: Three instances with a root and a data volume each.
FLEET = {
    "regions": {
        "us-east-1": {
            "instances": [
                {
                    "name": "web",
                    "count": 3,
                    "tags": {"Earmarking": "production"},
                    "zone": "us-east-1a",
                    "volumes": [
                        {"device": "/dev/sda1", "size": 8, "tags": {"Name": "root"}},
                        {"device": "/dev/sdf", "size": 100, "tags": {"Name": "data"}},
                    ],
                }
            ]
        }
    }
}


def code(call: Callable[[], Any]) -> str | None:
    """Answers the error code that a call ends with; None when it succeeds."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return None


def status(call: Callable[[], Any]) -> int:
    """Answers the HTTP status that a call ends with."""
    try:
        return int(call()["ResponseMetadata"]["HTTPStatusCode"])
    except ClientError as error:
        return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


def own(ec2: Any) -> list[dict[str, Any]]:
    """Answers the account's snapshots."""
    found: list[dict[str, Any]] = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    return found


def tags_of(resource: dict[str, Any]) -> dict[str, str]:
    """Answers a resource's tags as a dict."""
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags", [])}


def specification(kind: str, tags: dict[str, str]) -> list[dict[str, Any]]:
    """Answers tags as TagSpecifications."""
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    return [{"ResourceType": kind, "Tags": pairs}]
