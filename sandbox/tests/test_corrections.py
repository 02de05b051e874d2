"""Each correction of moto: the sandbox does it as EC2 does, and plain moto still does not."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import boto3
import moto
import pytest
from botocore.config import Config
from moto.ec2.models import ec2_backends
from probes import PROBES, Place, Probe

from ec2_sandbox import LaunchedSandbox

each_correction = pytest.mark.parametrize(
    ("where", "probe"), PROBES, ids=[probe.__name__ for _, probe in PROBES]
)


@lru_cache
def _mocked_client(region: str = "us-east-1", service: str = "ec2") -> Any:
    session = boto3.session.Session("a", "b", region_name=region)
    return session.client(service, config=Config(retries={"total_max_attempts": 1}))


@each_correction
def test_the_sandbox_is_as_strict_as_ec2(
    where: str, probe: Probe, sandbox: LaunchedSandbox, client: Callable[..., Any]
) -> None:
    assert probe(Place(client, sandbox.advance)), f"correction {where} does not do its work"


@each_correction
def test_moto_is_still_kinder_than_ec2(
    where: str, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    few = probe.__name__ != "the_account_owns_no_foreign_snapshots"
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false" if few else "true")
    with moto.mock_aws():
        right = probe(Place(_mocked_client, lambda _seconds: None))
    assert not right, (
        f"moto {moto.__version__} does it right by itself now: drop the correction "
        f"ec2_sandbox.corrections {where} and its probe {probe.__name__}"
    )


def test_moto_still_looks_tags_up_by_a_scan() -> None:
    class Tags(dict[str, dict[str, str]]):
        scanned = False

        def copy(self) -> dict[str, dict[str, str]]:
            Tags.scanned = True
            return super().copy()

    with moto.mock_aws():
        backend = ec2_backends["123456789012"]["eu-west-3"]
        backend.tags = Tags({"vol-1": {"a": "b"}})
        backend.describe_tags({"resource-id": ["vol-1"]})
    assert Tags.scanned, "moto looks tags up by id now: drop corrections.tags.StrictTags"
