"""How fast the sandbox is: ``python benchmarks/speed.py``; prints a table.

Two clients ask for CreateSnapshots: boto3 with threads, and a lean one that sends the same signed
requests over kept-alive sockets, because boto3 itself spends more on a call than the sandbox does
and both have to share the machine's cores.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import local
from typing import Any
from urllib.parse import urlencode, urlsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from ec2_sandbox import LaunchedSandbox, launch

REGION = "us-east-1"
SETTINGS: dict[str, Any] = {
    "seconds_between_snapshots": 0,
    "pending_per_volume": 10**6,
    "snapshot_seconds": 30,
}


def fleet(instances: int) -> dict[str, Any]:
    """Answers a fleet of instances with three volumes each, tagged as real ones are."""
    volumes = [
        {"device": device, "size": 8, "tags": {"Name": device, "Team": "ops"}}
        for device in ("/dev/sda1", "/dev/sdf", "/dev/sdg")
    ]
    one = {"name": "web", "count": instances, "tags": {"Earmarking": "production"}}
    return {"regions": {REGION: {"instances": [{**one, "volumes": volumes}]}}}


def boto(sandbox: LaunchedSandbox, threads: int) -> Any:
    """Makes a boto3 client."""
    config = Config(max_pool_connections=threads, retries={"total_max_attempts": 1})
    return boto3.client("ec2", region_name=REGION, endpoint_url=sandbox.url, config=config)


def snapshots_by_boto(sandbox: LaunchedSandbox, ids: list[str], calls: int, threads: int) -> float:
    """Answers CreateSnapshots a second by boto3."""
    ec2 = boto(sandbox, threads)
    ec2.describe_regions()
    tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "by", "Value": "speed"}]}]

    def take(number: int) -> None:
        ec2.create_snapshots(
            InstanceSpecification={"InstanceId": ids[number % len(ids)]},
            Description="a" * 200,
            CopyTagsFromSource="volume",
            TagSpecifications=tags,
        )

    return rate(take, calls, threads)


def snapshots_by_sockets(
    sandbox: LaunchedSandbox, ids: list[str], calls: int, threads: int
) -> float:
    """Answers CreateSnapshots a second by signed requests over kept-alive sockets."""
    requests = [signed(sandbox.url, instance_id) for instance_id in ids]
    where = urlsplit(sandbox.url)
    mine = local()

    def take(number: int) -> None:
        if not hasattr(mine, "socket"):
            mine.socket = socket.create_connection((where.hostname, where.port))
            mine.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            mine.file = mine.socket.makefile("rb")
        mine.socket.sendall(requests[number % len(requests)])
        head = mine.file.readline()
        length = 0
        while (line := mine.file.readline()) != b"\r\n":
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        body = mine.file.read(length)
        if b" 200 " not in head:
            raise RuntimeError(body)

    return rate(take, calls, threads)


def signed(url: str, instance_id: str) -> bytes:
    """Makes the bytes of one signed CreateSnapshots."""
    body = urlencode(
        {
            "Action": "CreateSnapshots",
            "Version": "2016-11-15",
            "InstanceSpecification.InstanceId": instance_id,
            "Description": "a" * 200,
            "CopyTagsFromSource": "volume",
            "TagSpecification.1.ResourceType": "snapshot",
            "TagSpecification.1.Tag.1.Key": "by",
            "TagSpecification.1.Tag.1.Value": "speed",
        }
    )
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    request = AWSRequest("POST", url, headers, body)
    SigV4Auth(Credentials("AKIASANDBOXSANDBOX00", "sandbox"), "ec2", REGION).add_auth(request)
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    head = ["POST / HTTP/1.1", f"Host: {urlsplit(url).netloc}", *lines]
    return "\r\n".join([*head, f"Content-Length: {len(body)}", "", body]).encode()


def rate(call: Any, calls: int, threads: int) -> float:
    """Answers how many calls a second are done by threads."""
    numbers = count()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(call, [next(numbers) for _ in range(threads)]))
        began = time.perf_counter()
        list(pool.map(call, [next(numbers) for _ in range(calls)]))
        return calls / (time.perf_counter() - began)


def seconds(call: Any) -> float:
    """Answers how long a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def described(sandbox: LaunchedSandbox, name: str, **given: Any) -> tuple[int, float, float]:
    """Describes all pages; answers the calls, their time at the sandbox, and at boto3."""
    sandbox.clear_calls()
    ec2 = boto(sandbox, 1)
    pages = ec2.get_paginator(name).paginate(PaginationConfig={"PageSize": 1000}, **given)
    took = seconds(lambda: [None for _ in pages])
    calls = sandbox.calls()
    return len(calls), sum(call.seconds for call in calls), took


def row(what: str, value: str) -> None:
    """Prints a line of the table."""
    print(f"{what:<68} {value:>14}", flush=True)


def main() -> int:
    """Measures all, prints all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--quick", action="store_true", help="leave the 20,000 instances out")
    options = parser.parse_args()
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "AKIASANDBOXSANDBOX00")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "sandbox")

    command = [sys.executable, "-c", "from ec2_sandbox import launch; launch().close()"]
    subprocess.run(command, check=True)
    row(
        "start and end of a sandbox, new Python process",
        f"{seconds(lambda: subprocess.run(command)):.2f} s",
    )
    with launch(**SETTINGS) as sandbox:
        row("launch()", f"{seconds(lambda: launch().close()):.2f} s")
        took = seconds(lambda: sandbox.load_fleet(fleet(1000)))
        row("load 1000 instances of 3 volumes", f"{took:.2f} s")
        shown = boto(sandbox, 1).describe_instances()["Reservations"]
        ids = [each["Instances"][0]["InstanceId"] for each in shown]
        for threads in (1, 8, 32):
            by_sockets = snapshots_by_sockets(sandbox, ids, options.calls, threads)
            row(
                f"CreateSnapshots of 3 volumes a second, sockets, {threads} threads",
                f"{by_sockets:.0f}",
            )
        for threads in (1, 8, 32):
            by_boto = snapshots_by_boto(sandbox, ids, options.calls // 2, threads)
            row(
                f"CreateSnapshots of 3 volumes a second, boto3, {threads} threads", f"{by_boto:.0f}"
            )
        for name, given in (
            ("describe_instances", {}),
            ("describe_volumes", {}),
            ("describe_snapshots", {"OwnerIds": ["self"]}),
        ):
            calls, here, there = described(sandbox, name, **given)
            row(f"{name}, {calls} pages: at the sandbox", f"{here:.2f} s")
            row(f"{name}, {calls} pages: with boto3's own work", f"{there:.2f} s")
        row("reset()", f"{seconds(sandbox.reset) * 1000:.1f} ms")
        rule = {
            "every": "6h",
            "from": "420d",
            "description": "$region $time",
            "tags": {"s": "$set_id"},
        }
        history = fleet(1)
        history["regions"][REGION]["instances"][0]["history"] = [rule]
        row("load 5,043 past snapshots", f"{seconds(lambda: sandbox.load_fleet(history)):.2f} s")
        sandbox.reset()
        sandbox.configure(latency_ms=80)
        ec2 = boto(sandbox, 32)
        with ThreadPoolExecutor(32) as pool:
            warm = lambda: list(pool.map(lambda _: ec2.describe_volumes(), range(32)))  # noqa: E731
            warm()
            row("32 parallel calls of 80 ms latency", f"{seconds(warm) * 1000:.0f} ms")
        if not options.quick:
            sandbox.reset()
            took = seconds(lambda: sandbox.load_fleet(fleet(20_000)))
            row("load 20,000 instances of 3 volumes", f"{took:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
