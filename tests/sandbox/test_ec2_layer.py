"""What holds for every call: attempts, sessions, pages, paces, batches."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from snapback import backup_instances_by_tag
from snapback.core.model import Place
from snapback.errors import ItemsFailed
from snapback.run import use
from tests.sandbox.conftest import REGIONS, instance
from tests.sandbox.histories import daily

HOSTILE = {"AWS_RETRY_MODE": "adaptive", "AWS_MAX_ATTEMPTS": "9", "AWS_DEFAULTS_MODE": "mobile"}
HAS_NO_PAGES = {"DescribeKeyPairs", "DescribeRegions"}


@pytest.mark.parametrize(
    ("action", "attempts"),
    [("CreateSnapshots", 1), ("DescribeInstances", 5), ("AssumeRole", 5)],
)
def test_attempts_are_ours_whatever_the_environment_says(
    sandbox, load, begin, configure, monkeypatch, action, attempts
):
    """A creation whose answers are lost is looked for, and made again, three times at most.

    Four looks come before it is made again, and one at the end.
    """
    load(instance("web", 8))
    role = "arn:aws:iam::123456789012:role/snapback"
    path = configure(accounts=[{"name": "own", "role_arn": role, "regions": ["us-east-1"]}])
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    sandbox.fault(action, "error", count=attempts, code="InternalError", status=500)
    with use(begin(path)):  # its pauses take no time
        try:
            backup_instances_by_tag()
            code = 0
        except ItemsFailed as error:
            code = error.exit_code
    tries = [call.outcome for call in sandbox.calls(action)]
    assert tries[:attempts] == ["InternalError"] * attempts
    if action == "CreateSnapshots":
        looked = [c for c in sandbox.calls("DescribeSnapshots") if "Filter.1.Name" in c.parameters]
        assert (code, tries, len(looked)) == (0, ["InternalError", "ok"], 5)
    else:
        assert (code, len(tries)) == (1, attempts)


def test_sessions_and_clients_are_made_when_needed_and_shared(sandbox, begin, configure):
    accounts = [
        {"name": name, "role_arn": f"arn:aws:iam::{number * 12}:role/x", "regions": list(REGIONS)}
        for name, number in (("one", "1"), ("two", "2"))
    ]
    run = begin(configure(accounts=accounts))
    assert run.connections._sessions == {}
    places = [Place(region, "one") for region in REGIONS]
    with ThreadPoolExecutor(16) as pool:
        clients = list(pool.map(run.conn, places * 20))
        list(pool.map(lambda conn: conn.describe_regions(), clients))
    assert len({id(client) for client in clients}) == len(REGIONS)
    assert set(run.connections._sessions) == {"", "one"}  # whose credentials assume the role
    assert len(sandbox.calls("AssumeRole")) == 1
    run.connections.close()


def test_whatever_is_read_is_read_in_full_pages(sandbox, load, fab):
    load(instance("web", 8, history=[daily(3)]))
    for task in ("backup_instances_by_tag", "trim_snapshots", "status", "sweep"):
        fab(task)
    described = [call for call in sandbox.calls() if call.action.startswith("Describe")]
    assert {"DescribeInstances", "DescribeSnapshots", "DescribeVolumes"} <= {
        call.action for call in described
    }
    for call in described:
        assert call.action in HAS_NO_PAGES or call.parameters["MaxResults"] == "1000", call


def test_regions_are_worked_side_by_side_each_at_its_own_pace(sandbox, load, fab, world):
    load(**{r: {"instances": [{**instance("web", 8), "count": 12}]} for r in REGIONS})
    sandbox.configure(buckets={"CreateSnapshots": [4, 4]})
    ended = fab("backup_instances_by_tag")
    assert (ended.code, ended.err) == (0, "")
    calls = {region: sandbox.calls("CreateSnapshots", region) for region in REGIONS}
    assert all(len(world.snapshots(region)) == 12 for region in REGIONS)
    first = max(some[0].time for some in calls.values())
    assert all(first < some[-1].time for some in calls.values())  # none waits for another
    for some in calls.values():
        refused = Counter(call.outcome for call in some)["RequestLimitExceeded"]
        assert refused


def test_hundreds_that_are_pending_are_looked_at_together(sandbox, load, fab):
    load({**instance("web", 8), "count": 250})
    sandbox.configure(snapshot_seconds=2)
    assert fab("backup_instances_by_tag", "--synchronously").code == 0
    looks = [
        call
        for call in sandbox.calls("DescribeSnapshots")
        if call.parameters.get("Filter.1.Name") == "snapshot-id"
    ]
    ids = [sum(key.startswith("Filter.1.Value.") for key in call.parameters) for call in looks]
    assert max(ids) == 200
    assert len(looks) < 40
