"""One sandbox a worker, emptied before each test; boto3 clients that talk to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import boto3
import pytest
from botocore.config import Config

from ec2_sandbox import UNSET, LaunchedSandbox, launch

Client = Callable[..., Any]


@pytest.fixture(scope="session")
def launched() -> Iterator[LaunchedSandbox]:
    """A sandbox with its clock frozen, so that only tests move it."""
    with launch(speed=0, now="2024-06-01T12:00:00Z", seconds_between_snapshots=0) as sandbox:
        for name in UNSET:
            os.environ.pop(name, None)
        os.environ.update(sandbox.environ)
        yield sandbox


@pytest.fixture
def sandbox(launched: LaunchedSandbox) -> LaunchedSandbox:
    """The sandbox, empty."""
    launched.reset()
    return launched


@lru_cache
def _client(url: str, region: str, service: str) -> Any:
    config = Config(retries={"total_max_attempts": 1}, read_timeout=20, max_pool_connections=50)
    session = boto3.session.Session(region_name=region)
    return session.client(service, endpoint_url=url, config=config)


@pytest.fixture
def client(sandbox: LaunchedSandbox) -> Client:
    """Makes clients that do not retry."""

    def make(region: str = "us-east-1", service: str = "ec2") -> Any:
        return _client(sandbox.url, region, service)

    return make


@pytest.fixture
def ec2(client: Client) -> Any:
    """A client of us-east-1."""
    return client()
