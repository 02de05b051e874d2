"""The pace of calls against EC2's buckets, and the one attempt that waits for nothing."""

from __future__ import annotations

from collections import Counter

import pytest

from snapback.core.model import Place
from snapback.ec2.snapshots import create_one
from snapback.errors import ApiError, LostAnswer
from tests.sandbox.conftest import instance

HERE = Place("us-east-1")


def take(run, volume_id):
    """Take a snapshot in one attempt, with a turn for it."""
    conn = run.conn_at_once(HERE, 3)
    with run.turn(HERE, "CreateSnapshot"):
        return create_one(conn, volume_id, "", {"by": "test"})


def outcomes(sandbox, action):
    return [call.outcome for call in sandbox.calls(action)]


def test_at_once_is_one_attempt_whatever_comes_of_it(sandbox, load, run):
    volume_id = load(instance("web", 8))["web"]["volumes"]["/dev/sda1"]
    for fault, error in (
        ({"effect": "error", "code": "RequestLimitExceeded", "status": 503}, ApiError),
        ({"effect": "error", "code": "InternalError", "status": 500}, LostAnswer),
        ({"effect": "drop_before"}, LostAnswer),
        ({"effect": "hang", "seconds": 600}, LostAnswer),
    ):
        sandbox.clear_calls()
        sandbox.fault("CreateSnapshot", **fault)
        with pytest.raises(error):
            take(run, volume_id)
        assert len(outcomes(sandbox, "CreateSnapshot")) + sandbox.calls_under_way() == 1
    sandbox.clear_faults()
    assert take(run, volume_id)


def test_the_two_kinds_of_clients_learn_one_pace(sandbox, load, run):
    volume_id = load(instance("web", 8))["web"]["volumes"]["/dev/sda1"]
    sandbox.configure(pending_per_volume=100)
    sandbox.fault("CreateSnapshot", "error", code="RequestLimitExceeded", status=503)
    with pytest.raises(ApiError, match="RequestLimitExceeded"):
        take(run, volume_id)
    before = sandbox.now()
    create_one(run.conn(HERE), volume_id, "", {"by": "test"})
    assert (sandbox.now() - before).total_seconds() >= 0.19  # stepped on, not slept


def test_ec2s_bucket_is_emptied_as_fast_as_it_fills_with_few_refusals(sandbox, load, fab, world):
    load({**instance("web", 8), "count": 120})
    sandbox.configure(throttle=True, latency_ms=20, buckets={"CreateSnapshots": [60, 20]})
    ended = fab("backup_instances_by_tag", "--region-name", "us-east-1")
    assert (ended.code, ended.err) == (0, "")
    said = Counter(outcomes(sandbox, "CreateSnapshots"))
    assert said["ok"] == 120 == len(world.snapshots())
    assert 0 < said["RequestLimitExceeded"] <= 24
