"""The work handed out: to a Dask cluster, to processes; with a worker killed in the middle."""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from snapback import backup_instances_by_tag, delete_broken_snapshots, trim_snapshots
from snapback.backup import back_up_place
from snapback.core.model import Place
from snapback.errors import CredentialsError, ItemsFailed, UsageError
from snapback.run import Run, use
from tests.sandbox.conftest import REGIONS, instance
from tests.sandbox.dask_cluster import DaskCluster
from tests.sandbox.histories import daily
from tests.sandbox.test_faults import complete_sets
from tests.waiting import wait_until

ORDER = (Place("us-east-1"), "Earmarking", "production", False, False, False)


@pytest.fixture(scope="module")
def running_cluster(running_sandbox, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dask")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environ = {**clean, **running_sandbox.environ, "HOME": str(folder)}
    found = DaskCluster(folder, environ, workers=2)
    yield found
    found.close()


@pytest.fixture
def cluster(sandbox, running_cluster):
    running_cluster.have_workers(2)
    return running_cluster


def in_each_region(load, *instances):
    """Lay out the same instances in each region; answer name@region -> ids."""
    placed = load(**{region: {"instances": list(instances)} for region in REGIONS})
    return {f"{name}@{r}": ids for r, named in placed.items() for name, ids in named.items()}


def everything(world):
    return [snapshot for region in REGIONS for snapshot in world.snapshots(region)]


def tell(document, *, also=()):
    """What a document says, less what differs from run to run."""
    changing = {"snapshots", *also}
    return sorted(
        str({key: value for key, value in item.items() if key not in changing})
        for item in document["items"]
    )


def test_on_dask_all_is_as_on_threads(sandbox, load, fab, world, cluster):
    in_each_region(load, instance("web", 8, 20), instance("db", 8))
    here = fab("backup_instances_by_tag", "--json")
    sandbox.clear_calls()
    there = fab("backup_instances_by_tag", "--executor", cluster.address, "--json")
    assert (there.code, there.err) == (here.code, here.err) == (0, "")
    assert tell(there.document) == tell(here.document)
    told = {s for item in there.document["items"] for s in item["snapshots"]}
    run = there.document["run"]
    assert told == {
        s["SnapshotId"] for s in everything(world) if world.tags(s)["snapback:run"] == run
    }
    assert len(sandbox.calls("DescribeInstances")) == len(REGIONS)


def test_failures_are_as_on_threads(sandbox, load, fab, cluster, configure):
    ids = in_each_region(load, instance("web", 8), instance("db", 8))
    refused = ids["db@us-east-1"]["instance_id"]

    def break_things():
        sandbox.clear_faults()
        sandbox.fault(
            "CreateSnapshots", "error", count=None, code="Nope", status=400, message="no",
            where={"InstanceSpecification.InstanceId": refused},
        )  # fmt: skip
        sandbox.fault(
            "DescribeInstances", "error", count=None, code="UnauthorizedOperation", status=403,
            message="no", region="eu-west-1",
        )  # fmt: skip

    break_things()
    here = fab("backup_instances_by_tag", "--json")
    break_things()
    configure(executor=cluster.address)
    there = fab("backup_instances_by_tag", "--json")
    assert (there.code, there.err) == (here.code, here.err)
    assert here.code == 1
    assert tell(there.document) == tell(here.document)


def test_reading_is_handed_out_and_what_changes_is_done_here(sandbox, load, fab, cluster, tmp_path):
    in_each_region(load, instance("web", 8, history=[daily(12)]))
    for task in (("trim_snapshots", "--dry-run"), ("delete_broken_snapshots",)):
        here = fab(*task, "--json")
        there = fab(*task, "--executor", cluster.address, "--json")
        assert (there.code, there.err) == (here.code, here.err)
        assert tell(there.document) == tell(here.document)
    here, there = fab("check"), fab("check", "--executor", cluster.address)
    assert there.code == here.code
    assert there.out.split(" - ")[0] == here.out.split(" - ")[0]
    ended = fab("trim_snapshots", "--executor", cluster.address, "--json")
    assert ended.code == 0
    log = tmp_path / ".local/state/snapback/deletions.jsonl"  # here, not in a worker's home
    assert len(log.read_text().splitlines()) == 2 * len(ended.document["items"]) > 0


def test_in_several_accounts_all_is_as_on_threads(sandbox, fab, cluster, configure):
    """Each worker assumes the roles by itself; an account that is closed fails alone."""
    roles = {f"arn:aws:iam::{number}:role/snapback": "" for number in ("111122223333", "4" * 12)}
    sandbox.configure(roles=roles)
    accounts = [
        {"name": name, "role_arn": arn, "regions": ["eu-west-1", "us-east-1"]}
        for name, arn in zip(("prod", "test"), roles, strict=True)
    ]
    configure(accounts=[*accounts, {"name": "ops", "regions": ["us-east-1"]}])
    fleet = {"us-east-1": {"instances": [instance("web", 8)]}}
    for account in ({"account": "111122223333"}, {"account": "4" * 12}, {}):
        sandbox.load_fleet({**account, "regions": fleet})
    for closed, code in (({}, 0), ({next(iter(roles)): "another"}, 1)):
        sandbox.configure(roles=roles | closed)
        here = fab("backup_instances_by_tag", "--json")
        there = fab("backup_instances_by_tag", "--executor", cluster.address, "--json")
        assert (there.code, here.code) == (code, code)
        done = {item["account"] for item in there.document["items"] if item["outcome"] == "done"}
        assert done == ({"test", "ops"} if code else {"prod", "test", "ops"})
        assert tell(there.document) == tell(here.document)
    here = fab("trim_snapshots", "--dry-run", "--json")
    there = fab("trim_snapshots", "--dry-run", "--executor", cluster.address, "--json")
    assert (there.code, there.err) == (here.code, here.err)
    only = fab(
        "backup_instances_by_tag", "--executor", cluster.address, "--account", "test", "--json"
    )
    assert [item["account"] for item in only.document["items"]] == ["test"]


HANGS = {
    "while sets are being taken": ("CreateSnapshots", 3),
    "when the last of a set's tags is lacking": ("CreateTags", 1),
    "before anything is taken": ("DescribeVolumes", 1),
}


@pytest.mark.parametrize("action", HANGS)
def test_a_worker_killed_in_the_middle_loses_and_doubles_nothing(
    sandbox, load, fab, world, cluster, action
):
    named = [{"device": "/dev/sda1", "size": 8, "tags": {"Name": "another's"}}]
    many = [instance(f"web-{number}", 8, 20) for number in range(5)]
    ids = in_each_region(load, *many, instance("named", volumes=named))
    sandbox.configure(seconds_between_snapshots=60, visibility_delay_s=1)
    name, nth = HANGS[action]
    sandbox.fault(name, "hang", nth=nth, seconds=100, region="us-east-1")
    ended = []
    runs = threading.Thread(
        target=lambda: ended.append(
            fab("backup_instances_by_tag", "--executor", cluster.address, "--json")
        )
    )
    runs.start()
    wait_until(lambda: hangs(sandbox, cluster), "a call hangs, and all else is done")
    (victim,) = cluster.at_work()
    cluster.kill(victim)
    runs.join(300)
    sandbox.clear_faults()  # what hung is done now, after another worker has done it
    (there,) = ended
    assert (there.code, there.err) == (0, "")
    assert len(there.document["items"]) == len(ids)
    wait_until(lambda: not sandbox.calls_under_way(), "what hung has ended")
    sandbox.advance(2)  # so that all there is can be seen
    volumes = [snapshot["VolumeId"] for snapshot in everything(world)]
    assert sorted(volumes) == sorted(v for one in ids.values() for v in one["volumes"].values())
    assert {s for item in there.document["items"] for s in item["snapshots"]} == {
        snapshot["SnapshotId"] for snapshot in everything(world)
    }
    assert {world.tags(s)["snapback:run"] for s in everything(world)} == {there.document["run"]}
    names = [world.tags(s).get("Name") for s in everything(world)]
    assert names.count("named") == len(REGIONS)
    assert len(sandbox.calls("DescribeInstances", region="us-east-1")) == 2


def hangs(sandbox, cluster):
    """Tell whether a call hangs, no other is under way, and only one worker is still at work."""
    hanging, under_way = sandbox.calls_hanging(), sandbox.calls_under_way()
    return hanging == under_way == 1 == len(cluster.at_work())


def test_a_wish_to_stop_is_heard_by_each_unit(sandbox, load, world, cluster, begin, configure):
    """Those under way are finished; of three units on two workers, the third is not begun."""
    in_each_region(load, instance("web", 8))
    sandbox.fault("DescribeInstances", "hang", count=None, seconds=100)
    run = Run(begin(configure()).loaded)
    caught = []

    def back_up():
        with pytest.raises(ItemsFailed) as raised:
            backup_instances_by_tag(executor=cluster.address)
        caught.append(raised.value)

    with use(run):
        thread = threading.Thread(target=back_up)
        thread.start()
        wait_until(lambda: sandbox.calls_hanging() == 2, "two units are under way")
        before = cluster.wishes()
        run.stop.set()
        wait_until(lambda: cluster.wishes() > before, "the workers can know of it")
        sandbox.clear_faults()
        thread.join()
    (error,) = caught
    assert sorted(outcome.word.text for outcome in error.outcomes) == ["done", "done", "not done"]
    assert len(everything(world)) == 2


def test_where_there_is_no_scheduler_that_is_one_line(sandbox, load, fab):
    load(instance("web", 8))
    for address, says in (
        ("tcp://127.0.0.1:9", "no Dask scheduler answers at tcp://127.0.0.1:9"),
        ("nonsense", "nonsense"),
    ):
        ended = fab("backup_instances_by_tag", "--executor", address)
        assert ended.code == 2
        (line,) = ended.err.splitlines()
        assert says in line
    assert sandbox.calls("DescribeInstances") == []


# Other executors, from Python.


@pytest.fixture(scope="module")
def processes():
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as pool:
        yield pool


@pytest.mark.usefixtures("run")
def test_in_processes_all_is_as_on_threads(sandbox, load, world, processes):
    ids = in_each_region(load, instance("web", 8, 20), instance("db", 8))
    outcomes = backup_instances_by_tag(executor=processes)
    assert {o.subject for o in outcomes} == {one["instance_id"] for one in ids.values()}
    assert {s for o in outcomes for s in o.facts["snapshots"]} == {
        s["SnapshotId"] for s in everything(world)
    }
    again = backup_instances_by_tag(executor=processes)  # another backup, not the same once more
    assert {s for o in again for s in o.facts["snapshots"]}.isdisjoint(
        s for o in outcomes for s in o.facts["snapshots"]
    )
    sandbox.fault("CreateSnapshots", "error", code="Nope", status=400, message="no")
    with pytest.raises(ItemsFailed) as raised:
        backup_instances_by_tag(executor=processes)
    assert raised.value.exit_code == 1
    assert len(raised.value.outcomes) == 6


@pytest.mark.usefixtures("run")
def test_trimming_is_planned_in_processes_and_carried_out_here(load, processes, tmp_path):
    in_each_region(load, instance("web", 8, history=[daily(12)]))
    would = trim_snapshots(dry_run=True, executor=processes)
    assert would == trim_snapshots(dry_run=True)
    done = trim_snapshots(executor=processes)
    gone = {outcome.subject for outcome in done.outcomes}
    assert gone == {outcome.subject for outcome in would.outcomes} != set()
    assert trim_snapshots(executor=processes).outcomes == ()
    assert delete_broken_snapshots(executor=processes).outcomes == ()


@pytest.mark.usefixtures("run")
def test_a_pool_that_breaks_is_a_failure_of_each_region(sandbox, load):
    in_each_region(load, instance("web", 8))
    sandbox.fault("DescribeInstances", "hang", count=None, seconds=3600)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:

        def kill():
            wait_until(lambda: sandbox.calls_hanging() == 1, "a unit is under way")
            for process in pool._processes.values():
                process.kill()

        thread = threading.Thread(target=kill)
        thread.start()
        with pytest.raises(ItemsFailed) as raised:
            backup_instances_by_tag(executor=pool)
        thread.join()
    assert [o.word.text for o in raised.value.outcomes] == ["failed"] * 3
    assert all(
        "the executor lost this: BrokenProcessPool" in o.explanation for o in raised.value.outcomes
    )


@pytest.mark.usefixtures("run")
def test_no_credentials_are_refused_as_on_threads(sandbox, load, configure, begin, monkeypatch):
    load(instance("web", 8))
    path = configure(regions={"us-east-1": {}})
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "")
    with use(begin(path)), ThreadPoolExecutor(1) as pool, pytest.raises(CredentialsError):
        backup_instances_by_tag(executor=pool)
    with pytest.raises(UsageError, match="no Dask scheduler answers"):
        backup_instances_by_tag(executor="tcp://nowhere")


def test_the_sets_of_a_run_that_is_begun_again_are_its_own(sandbox, load, world, begin, configure):
    ids = load(instance("web", 8, 20), instance("db", 8))
    run = begin(configure())
    first = back_up_place(run, *ORDER)
    run.once = True
    assert back_up_place(run, *ORDER) == first
    complete_sets(world, ids)
    run.run_id = "run-another"
    assert back_up_place(run, *ORDER) != first


def test_a_set_that_is_not_to_be_seen_yet_is_found_when_the_second_is_refused(
    sandbox, load, world, begin, configure
):
    ids = load(instance("web", 8, 20))
    sandbox.set_clock(speed=0)
    sandbox.configure(visibility_delay_s=5, seconds_between_snapshots=15)
    run = begin(configure())
    run.once = True
    (first,) = back_up_place(run, *ORDER)
    (second,) = back_up_place(run, *ORDER)
    assert set(second.facts["snapshots"]) == set(first.facts["snapshots"])
    complete_sets(world, ids)
    assert [call.outcome for call in sandbox.calls("CreateSnapshots")] == [
        "ok", "SnapshotCreationPerVolumeRateExceeded",
    ]  # fmt: skip


def test_the_backup_before_that_one_is_not_taken_for_it(sandbox, load, world, begin, configure):
    load(instance("web", 8))
    sandbox.set_clock(speed=0)
    sandbox.configure(seconds_between_snapshots=15)
    back_up_place(begin(configure()), *ORDER)
    run = begin(configure())
    run.once = True
    (outcome,) = back_up_place(run, *ORDER)
    assert outcome.word.text == "done"
    assert len(world.snapshots()) == 2


def test_a_set_without_a_busy_volume_is_found_as_it_is(sandbox, load, world, begin, configure):
    ids = load(instance("web", 8, 20))
    sandbox.configure(snapshot_seconds=3600)
    for _ in range(5):
        world.ec2().create_snapshot(VolumeId=ids["web"]["volumes"]["/dev/sdf"])
    run = begin(configure())
    run.once = True
    (first,) = back_up_place(run, *ORDER)
    assert (first.word.text, first.exit_code) == ("busy", 3)
    (second,) = back_up_place(run, *ORDER)
    assert (second.word.text, second.exit_code) == ("partial", 3)
    assert second.facts["snapshots"] == first.facts["snapshots"]


def test_one_that_ended_in_error_is_taken_again(sandbox, load, world, begin, configure):
    ids = load(instance("web", 8))
    sandbox.fail_next_snapshot(volume_id=ids["web"]["volumes"]["/dev/sda1"])
    run = begin(configure())
    run.once = True
    (first,) = back_up_place(run, *ORDER)
    sandbox.complete_all()
    (second,) = back_up_place(run, *ORDER)
    assert second.facts["snapshots"] != first.facts["snapshots"]
    states = sorted(snapshot["State"] for snapshot in world.snapshots())
    assert states == ["error", "pending"]
