"""Faults by rule, and the log of calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError, HTTPClientError
from helpers import code, status

from ec2_sandbox import LaunchedSandbox, SandboxError

NEW = {"AvailabilityZone": "us-east-1a", "Size": 1}


def count(ec2: Any) -> int:
    """Answers how many volumes there are."""
    return len(ec2.describe_volumes()["Volumes"])


def test_the_nth_call_fails(sandbox: LaunchedSandbox, ec2: Any) -> None:
    sandbox.fault("CreateVolume", "error", nth=2, count=2, code="InternalError", message="boom")

    def make() -> Any:
        return ec2.create_volume(**NEW)

    assert [code(make) for _ in range(4)] == [None, "InternalError", "InternalError", None]
    assert count(ec2) == 2


def test_an_error_has_its_status_and_message(sandbox: LaunchedSandbox, ec2: Any) -> None:
    sandbox.fault("DescribeVolumes", "error", code="Unavailable", message="a <b> & c", count=None)
    assert status(ec2.describe_volumes) == 503
    with pytest.raises(ec2.exceptions.ClientError, match="a <b> & c"):
        ec2.describe_volumes()
    sandbox.clear_faults()
    ec2.describe_volumes()


def test_an_error_after_the_effect(sandbox: LaunchedSandbox, ec2: Any) -> None:
    sandbox.fault("CreateVolume", "error_after")
    assert status(lambda: ec2.create_volume(**NEW)) == 500
    assert count(ec2) == 1


@pytest.mark.parametrize(("effect", "volumes"), [("drop_before", 0), ("drop_after", 1)])
def test_a_dropped_connection(
    effect: str, volumes: int, sandbox: LaunchedSandbox, ec2: Any
) -> None:
    sandbox.fault("CreateVolume", effect)
    with pytest.raises((ConnectionClosedError, HTTPClientError)):
        ec2.create_volume(**NEW)
    assert count(ec2) == volumes
    assert [call.outcome for call in sandbox.calls("CreateVolume")] == ["dropped"]


def test_a_late_call_takes_effect_once_when_its_time_has_come(
    sandbox: LaunchedSandbox, ec2: Any
) -> None:
    sandbox.set_clock(speed=0)
    sandbox.fault("CreateVolume", "late", seconds=30)
    with pytest.raises((ConnectionClosedError, HTTPClientError)):
        ec2.create_volume(**NEW)
    sandbox.advance(29)
    assert count(ec2) == 0
    sandbox.advance(1)
    assert (count(ec2), count(ec2)) == (1, 1)
    assert [call.outcome for call in sandbox.calls("CreateVolume")] == ["dropped", "late"]
    sandbox.fault("CreateVolume", "late", seconds=1)
    with pytest.raises((ConnectionClosedError, HTTPClientError)):
        ec2.create_volume(**NEW)
    sandbox.reset()
    sandbox.advance(9)
    assert count(ec2) == 0


def test_a_hang_waits_and_then_does_it(sandbox: LaunchedSandbox, ec2: Any) -> None:
    sandbox.fault("CreateVolume", "hang", seconds=0.2)
    began = time.monotonic()
    ec2.create_volume(**NEW)
    assert time.monotonic() - began >= 0.2
    assert count(ec2) == 1


def test_a_hang_ends_when_the_faults_are_cleared(sandbox: LaunchedSandbox, ec2: Any) -> None:
    sandbox.fault("CreateVolume", "hang", seconds=600)
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(ec2.create_volume, **NEW)
        while sandbox.calls_hanging() != 1:
            time.sleep(0.01)
        assert count(ec2) == 0
        sandbox.clear_faults()
        hanging.result(10)
    assert (sandbox.calls_hanging(), count(ec2)) == (0, 1)


def test_a_hang_that_outlives_a_reset_does_nothing_to_the_new_world(
    sandbox: LaunchedSandbox, ec2: Any
) -> None:
    sandbox.fault("CreateVolume", "hang", seconds=15, count=None)
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(ec2.create_volume, **NEW)
        while not sandbox.calls_under_way():
            time.sleep(0.01)
        sandbox.reset()
        assert isinstance(hanging.exception(10), ConnectionClosedError | HTTPClientError)
    assert count(ec2) == 0
    assert sandbox.calls("CreateVolume") == []


def test_a_rule_is_about_a_region_and_parameters(
    sandbox: LaunchedSandbox, ec2: Any, client: Callable[..., Any]
) -> None:
    one, two = (ec2.create_volume(**NEW)["VolumeId"] for _ in range(2))
    given = {"code": "InternalError", "count": None}
    sandbox.fault("DescribeVolumes", "error", region="eu-west-1", **given)
    sandbox.fault("DescribeVolumes", "error", where={"VolumeId": one}, **given)
    sandbox.fault("DeleteVolume", "error", where={"VolumeId": one}, **given)
    assert code(ec2.describe_volumes) is None
    assert code(client("eu-west-1").describe_volumes) == "InternalError"
    assert code(lambda: ec2.describe_volumes(VolumeIds=[two, one])) == "InternalError"
    assert code(lambda: ec2.delete_volume(VolumeId=one)) == "InternalError"
    assert code(lambda: ec2.delete_volume(VolumeId=two)) is None


def test_any_action(sandbox: LaunchedSandbox, ec2: Any) -> None:
    sandbox.fault("*", "error", nth=2, code="InternalError")
    assert [code(ec2.describe_volumes) for _ in range(3)] == [None, "InternalError", None]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"effect": "explode"}, "explode"),
        ({"effect": "error"}, "code"),
        ({"effect": "hang"}, "seconds"),
        ({"effect": "error", "code": "x", "nth": 0}, "nth"),
    ],
)
def test_a_senseless_rule_is_refused(
    given: dict[str, Any], says: str, sandbox: LaunchedSandbox
) -> None:
    with pytest.raises(SandboxError, match=says):
        sandbox.fault("DescribeVolumes", **given)


def test_the_log(sandbox: LaunchedSandbox, ec2: Any, client: Callable[..., Any]) -> None:
    ec2.create_volume(**NEW)
    sandbox.advance(5)
    client("eu-west-1").describe_volumes(MaxResults=7)
    client(service="sts").get_caller_identity()
    calls = sandbox.calls()
    assert [(call.action, call.region, call.outcome, call.service) for call in calls] == [
        ("CreateVolume", "us-east-1", "ok", "ec2"),
        ("DescribeVolumes", "eu-west-1", "ok", "ec2"),
        ("GetCallerIdentity", "us-east-1", "ok", "sts"),
    ]
    assert (calls[1].time - calls[0].time).total_seconds() == 5
    assert calls[1].parameters == {"MaxResults": "7"}
    assert len(sandbox.calls(action="DescribeVolumes")) == 1
    assert len(sandbox.calls(region="us-east-1")) == 2
    sandbox.clear_calls()
    assert sandbox.calls() == []


def test_latency_does_not_queue_calls(sandbox: LaunchedSandbox, ec2: Any) -> None:
    ec2.describe_volumes()
    sandbox.configure(latency_ms=300)
    with ThreadPoolExecutor(16) as pool:
        began = time.monotonic()
        list(pool.map(lambda _: ec2.describe_volumes(), range(16)))
        took = time.monotonic() - began
    assert 0.3 <= took < 16 * 0.3 / 2, "one after the other would take 4.8 s"
