"""What the tests of real hosts need: whether there can be any, SSH, waiting."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from ec2_sandbox import Sandbox
from ec2_sandbox.client import ENVIRONMENT
from ec2_sandbox.hosts.needs import why_not

REASON = why_not()
needs_hosts = pytest.mark.skipif(REASON is not None, reason=str(REASON))


def client(sandbox: Sandbox, region: str = "us-east-1") -> Any:
    """Makes a client of EC2 that talks to a sandbox, whatever the environment says."""
    return boto3.client(
        "ec2",
        region_name=region,
        endpoint_url=sandbox.url,
        aws_access_key_id=ENVIRONMENT["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=ENVIRONMENT["AWS_SECRET_ACCESS_KEY"],
    )


def ssh(
    host: dict[str, Any], command: str, *, key: str | None = None, seconds: int = 10
) -> tuple[int, str]:
    """Runs a command over SSH as the user of a host of a layout; answers exit code and output."""
    ended = subprocess.run(
        [
            "ssh", "-F", "none", "-i", key or host["key_file"], "-o", "BatchMode=yes",
            "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no",
            "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
            "-o", f"ConnectTimeout={seconds}", f"ubuntu@{host['address']}", command,
        ],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=30, text=True,
    )  # fmt: skip
    return ended.returncode, ended.stdout


def wait_for(question: Callable[[], Any], seconds: float = 20) -> Any:
    """Asks until the answer is true; answers it.

    :raises AssertionError: it has not become true in time
    """
    end = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)
    return answer


def state(ec2: Any, instance_id: str) -> str:
    """Answers an instance's state."""
    found = ec2.describe_instances(InstanceIds=[instance_id])
    return str(found["Reservations"][0]["Instances"][0]["State"]["Name"])
