"""The ideal script: the same reads, one CreateSnapshots an instance, and nothing else.

It is what `fleet.py` compares with. It handles no error, knows EC2's buckets beforehand where it is
told them, and forgets what it made.

    python benchmarks/ideal.py REGION... [--bucket CAPACITY REFILL]
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config

THREADS = 32


class Bucket:
    """A bucket of tokens as EC2 has it."""

    def __init__(self, capacity: float, refill: float) -> None:
        self._capacity, self._refill = capacity, refill
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._taken = 0

    def take(self) -> None:
        """Wait for a token."""
        with self._lock:
            if not self._taken:
                self._began = time.monotonic()
            self._taken += 1
            due = self._began + (self._taken - self._capacity) / self._refill
        time.sleep(max(0.0, due - time.monotonic()))


def read(ec2: Any) -> Iterator[dict[str, Any]]:
    """Answer the earmarked instances, and look at the volumes, as whoever clones tags has to."""
    pages = ec2.get_paginator("describe_instances").paginate(
        Filters=[{"Name": "tag:Earmarking", "Values": ["production"]}],
        PaginationConfig={"PageSize": 1000},
    )
    for page in pages:
        for reservation in page["Reservations"]:
            yield from reservation["Instances"]
    for _ in ec2.get_paginator("describe_volumes").paginate(PaginationConfig={"PageSize": 1000}):
        pass


def back_up(ec2: Any, bucket: Bucket | None) -> None:
    """Take one set of each instance in a region."""

    def take(instance: dict[str, Any]) -> None:
        if bucket:
            bucket.take()
        ec2.create_snapshots(
            InstanceSpecification={"InstanceId": instance["InstanceId"]},
            Description=f"of {instance['InstanceId']}",
            CopyTagsFromSource="volume",
            TagSpecifications=[{"ResourceType": "snapshot", "Tags": instance["Tags"]}],
        )

    instances = list(read(ec2))
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(take, instances))


def main() -> None:
    """Back up all regions side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("regions", nargs="+")
    parser.add_argument("--bucket", nargs=2, type=float)
    options = parser.parse_args()
    config = Config(max_pool_connections=THREADS, retries={"total_max_attempts": 1})
    session = boto3.Session()
    clients = [session.client("ec2", region_name=r, config=config) for r in options.regions]
    buckets = [Bucket(*options.bucket) if options.bucket else None for _ in clients]
    with ThreadPoolExecutor(len(clients)) as pool:
        list(pool.map(back_up, clients, buckets))


if __name__ == "__main__":
    main()
