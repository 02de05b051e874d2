"""Backing up, through the real fab: what is taken, how it is tagged, what it costs in calls."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from ec2_sandbox import Sandbox

from snapback import get_region_conn, get_relevant_snapshots
from snapback.core.model import tags as our_tags
from snapback.core.model.record import parse
from tests.sandbox.conftest import changing_calls, instance

pytestmark = pytest.mark.usefixtures("sandbox")


def test_every_tagged_instance_is_taken_as_a_set_running_or_stopped(sandbox, load, fab, world):
    ids = load(
        instance("web", 8, 20, 30),
        instance("db", 8, state="stopped"),
        instance("toy", 8, tags={"Earmarking": "test"}),
    )
    ended = fab("backup_instances_by_tag", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert {item["name"]: item["outcome"] for item in ended.document["items"]} == {
        "web": "done",
        "db": "done",
    }
    taken = world.snapshots()
    wanted = {*ids["web"]["volumes"].values(), *ids["db"]["volumes"].values()}
    assert {snapshot["VolumeId"] for snapshot in taken} == wanted
    web = [s for s in taken if s["VolumeId"] in ids["web"]["volumes"].values()]
    assert len({snapshot["StartTime"] for snapshot in web}) == 1
    assert len({world.tags(snapshot)["snapback:set"] for snapshot in web}) == 1


def test_the_record_of_each_member_is_full(sandbox, load, fab, world):
    ids = load(instance("web", 8, 20, type="t3.small"))
    assert fab("backup_instances_by_tag").code == 0
    for snapshot in world.snapshots():
        record = parse(snapshot["Description"], world.tags(snapshot), snapshot["VolumeId"])
        assert record is not None
        assert ids["web"]["volumes"][record.device] == record.volume == snapshot["VolumeId"]
        assert record.region == "us-east-1"
        assert record.instance == ids["web"]["instance_id"]
        assert record.instance_type == "t3.small"
        assert record.root_device_name == "/dev/sda1"
        assert abs(record.taken_at - snapshot["StartTime"]) <= timedelta(seconds=2)
        said = json.loads(snapshot["Description"])
        assert "Volume" not in said
        assert "Device" not in said


def test_the_time_is_that_of_ec2_not_of_this_machine(sandbox, load, fab, world):
    load(instance("web", 8))
    sandbox.advance(40 * 24 * 3600)
    assert fab("backup_instances_by_tag").code == 0
    (snapshot,) = world.snapshots()
    said = json.loads(snapshot["Description"])["Time"]
    assert said[:16] in {
        f"{snapshot['StartTime'] - timedelta(seconds=early):%Y-%m-%dT%H:%M}" for early in (0, 2)
    }


def test_what_a_restore_needs_is_in_the_tags(load, fab, world):
    load(instance("web", 8))
    assert fab("backup_instances_by_tag").code == 0
    (snapshot,) = world.snapshots()
    restore = our_tags.read_long(our_tags.RESTORE, world.tags(snapshot))
    assert restore["virtualization_type"] == "hvm"
    assert restore["subnet_id"].startswith("subnet-")
    assert all(group.startswith("sg-") for group in restore["security_group_ids"])


def test_an_instance_of_thirty_volumes_has_its_map_in_several_tags(load, fab, world):
    volumes = [{"device": "/dev/sda1", "size": 8}]
    volumes += [{"device": f"/dev/sd{a}{b}", "size": 1} for a in "bc" for b in "abcdefghijklmno"]
    load(instance("wide", volumes=volumes))
    assert fab("backup_instances_by_tag").code == 0
    taken = world.snapshots()
    assert len(taken) == 31
    assert "snapback:devices.2" in world.tags(taken[0])
    assert all(parse(s["Description"], world.tags(s), s["VolumeId"]) for s in taken)


def test_tags_are_cloned_and_the_instances_win(load, fab, world):
    load(
        instance(
            "web",
            tags={
                "Earmarking": "production",
                "Team": "blue",
                "dlm:x": "1",
                "preserve_snapshot": "",
            },
            volumes=[
                {"device": "/dev/sda1", "size": 8, "tags": {"Team": "red", "Disk": "root"}},
                {"device": "/dev/sdf", "size": 8, "tags": {"Disk": "data"}},
            ],
        )
    )
    assert fab("backup_instances_by_tag").code == 0
    found = {}
    for snapshot in world.snapshots():
        tags = world.tags(snapshot)
        found[tags["Disk"]] = {k: v for k, v in tags.items() if not k.startswith("snapback:")}
    cloned = {"Earmarking": "production", "Team": "blue", "Name": "web"}
    assert found == {"root": {**cloned, "Disk": "root"}, "data": {**cloned, "Disk": "data"}}


def test_a_pinned_volume_does_not_pin_its_backups(load, fab, world, sandbox):
    load(
        instance(
            "web",
            volumes=[
                {"device": "/dev/sda1", "size": 8, "tags": {"preserve_snapshot": "", "A": "1"}},
                {"device": "/dev/sdf", "size": 8, "tags": {"snapback:set": "other", "A": "2"}},
            ],
        )
    )
    assert fab("backup_instances_by_tag").code == 0
    tags = [world.tags(snapshot) for snapshot in world.snapshots()]
    assert all("preserve_snapshot" not in found for found in tags)
    assert sorted(found["A"] for found in tags) == ["1", "2"]
    assert "other" not in {found["snapback:set"] for found in tags}


def test_excluded_volumes_are_left_out_root_and_data(load, fab, world):
    left_out = {"snapback:exclude": "whatever"}
    ids = load(
        instance(
            "a",
            volumes=[
                {"device": "/dev/sda1", "size": 8, "tags": left_out},
                {"device": "/dev/sdf", "size": 8},
                {"device": "/dev/sdg", "size": 8, "tags": left_out},
            ],
        ),
        instance("b", volumes=[{"device": "/dev/sda1", "size": 8, "tags": left_out}]),
    )
    assert "1 of 2 to be backed up, 1 excluded" in fab("backup_instances_by_tag", "--dry-run").out
    ended = fab("backup_instances_by_tag", "--json")
    assert ended.code == 0
    assert [s["VolumeId"] for s in world.snapshots()] == [ids["a"]["volumes"]["/dev/sdf"]]
    assert ended.item(ids["b"]["instance_id"])["outcome"] == "excluded"
    (snapshot,) = world.snapshots()
    assert "snapback:exclude" not in world.tags(snapshot)


@pytest.mark.parametrize("count", [1, 7])
def test_calls_are_two_describes_and_one_creation_an_instance(sandbox, load, fab, count):
    load(*(instance(f"web-{number}", 8, 8, 8) for number in range(count)))
    assert fab("backup_instances_by_tag", "--region-name", "us-east-1").code == 0
    actions = [call.action for call in sandbox.calls()]
    assert sorted(actions) == sorted(
        ["DescribeInstances", "DescribeVolumes"] + ["CreateSnapshots"] * count
    )


def test_tags_that_differ_cost_one_more_call_for_the_whole_set(sandbox, load, fab):
    load(
        instance(
            "web",
            volumes=[
                {"device": "/dev/sda1", "size": 8, "tags": {"Name": "web root"}},
                {"device": "/dev/sdf", "size": 8, "tags": {"Name": "web data"}},
                {"device": "/dev/sdg", "size": 8},
            ],
        )
    )
    assert fab("backup_instances_by_tag", "--region-name", "us-east-1").code == 0
    assert changing_calls(sandbox) == ["CreateSnapshots", "CreateTags"]


def test_large_fleets_are_read_in_full_pages_and_their_volumes_200_instances_a_call(
    sandbox, load, fab
):
    load({**instance("web", 8, 8), "count": 1001})
    ended = fab("backup_instances_by_tag", "--region-name", "us-east-1", "--dry-run", "--json")
    assert len(ended.document["items"]) == 1001
    actions = [call.action for call in sandbox.calls()]
    assert sorted(actions) == ["DescribeInstances"] * 2 + ["DescribeVolumes"] * 6


def test_volumes_that_can_not_be_read_are_a_failure_of_their_instances_alone(
    sandbox, load, fab, world
):
    ids = load({**instance("web", 8), "count": 203})
    sandbox.fault(
        "DescribeVolumes", "error", nth=2, count=None,
        code="UnauthorizedOperation", status=403, message="You are not authorized",
    )  # fmt: skip
    ended = fab("backup_instances_by_tag", "--region-name", "us-east-1", "--json")
    assert ended.code == 1
    taken = {snapshot["VolumeId"] for snapshot in world.snapshots()}
    by_outcome: dict[str, set[str]] = {"done": set(), "failed": set()}
    for item in ended.document["items"]:
        by_outcome[item["outcome"]].add(item["instance"])
        assert ("DescribeVolumes" in item["explanation"]) is (item["outcome"] == "failed")
    assert len(by_outcome["done"]) == 3 == len(taken)
    assert len(by_outcome["failed"]) == 200
    assert taken == {
        one["volumes"]["/dev/sda1"]
        for one in ids.values()
        if one["instance_id"] in by_outcome["done"]
    }


def test_all_regions_are_taken_and_one_that_refuses_fails_alone(sandbox, load, fab, world):
    load(**{
        region: {"instances": [instance("web", 8)]}
        for region in ("us-east-1", "eu-west-1", "ap-southeast-1")
    })  # fmt: skip
    sandbox.fault(
        "DescribeInstances", "error", region="eu-west-1", count=None,
        code="UnauthorizedOperation", status=403, message="You are not authorized",
    )  # fmt: skip
    ended = fab("backup_instances_by_tag", "--json")
    assert ended.code == 1
    assert "eu-west-1: failed: not allowed to call ec2:DescribeInstances" in ended.err
    assert [len(world.snapshots(r)) for r in ("us-east-1", "eu-west-1", "ap-southeast-1")] == [
        1, 0, 1,
    ]  # fmt: skip


def test_configured_regions_alone_are_used(sandbox, load, fab, configure, world):
    load(**{r: {"instances": [instance("web", 8)]} for r in ("us-east-1", "eu-west-1")})
    configure(regions={"eu-west-1": None})
    assert fab("backup_instances_by_tag").code == 0
    assert {call.region for call in sandbox.calls()} == {"eu-west-1"}
    assert "DescribeRegions" not in {call.action for call in sandbox.calls()}


def test_no_instance_anywhere_is_a_failure(load, fab):
    load(instance("toy", 8, tags={"Earmarking": "test"}))
    ended = fab("backup_instances_by_tag")
    assert ended.code == 1
    assert "has the tag Earmarking=production" in ended.err


def test_another_tag_may_be_asked_for(load, fab, world):
    load(instance("web", 8), instance("toy", 8, tags={"Backup": "yes please"}))
    assert fab("backup_instances_by_tag", "--tag-name=Backup", "--tag-value=yes please").code == 0
    (snapshot,) = world.snapshots()
    assert world.tags(snapshot)["Name"] == "toy"


def test_a_dry_run_shows_the_plan_and_changes_nothing(sandbox, load, fab, world):
    ids = load(instance("web", 8, 20))
    for arguments in (
        ["backup_instances_by_tag", "--dry-run"],
        ["backup_instance", "us-east-1", "--instance-id", ids["web"]["instance_id"], "--dry-run"],
    ):
        ended = fab(*arguments)
        assert ended.code == 0
        assert all(volume in ended.out for volume in ids["web"]["volumes"].values())
    ended = fab("--dry", "backup_instances_by_tag", "--json")
    assert ended.document["dry_run"] is True
    assert changing_calls(sandbox) == []
    assert world.snapshots() == []


def test_one_instance_by_its_id_in_a_contracted_region(sandbox, load, fab, world):
    ids = load(instance("web", 8, 20), instance("db", 8))
    ended = fab("backup_instance", "us-e", "--instance-id", ids["web"]["instance_id"], "--json")
    assert ended.code == 0
    taken = ended.item(ids["web"]["instance_id"])["snapshots"]
    assert set(taken) == world.snapshot_ids()
    assert len(taken) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["us-east-1"], "exactly one of instance_id and instance"),
        (["us-east-1", "--instance-id=i-12", "--instance=i-12"], "exactly one of"),
        (["us-east-1", "--instance-id=web"], "'web' is no instance id"),
        (["us-east-1", "--instance-id=i-0123456789abcdef0"], "there is no instance"),
        (["--help"], "'--help' is no region"),
        (["trim_snapshots"], "'trim_snapshots' is no region"),
        (
            ["mars", "--instance-id=i-0123456789abcdef0"],
            "no region in use is called 'mars' or begins so: there are ap-southeast-1",
        ),
    ],
)
def test_wrong_usage_is_one_line_and_nothing_done(sandbox, fab, arguments, says):
    ended = fab("backup_instance", *arguments)
    assert ended.code == 2
    assert says in ended.err
    assert len(ended.err.splitlines()) == 1
    assert ended.out == ""
    assert changing_calls(sandbox) == []


UNREACHABLE = {"overrides": [{"match": {"Earmarking": "production"}, "gateway": "127.0.0.1:1"}]}


def test_consistent_is_never_silently_not_given(sandbox, load, fab, configure, world):
    configure(**UNREACHABLE)
    load(instance("web", 8))
    ended = fab("backup_instances_by_tag", "--consistent", "--json")
    assert ended.code == 3
    (item,) = ended.document["items"]
    assert item["outcome"] == "less consistent"
    assert "127.0.0.1" in item["explanation"]
    (snapshot,) = world.snapshots()
    assert world.tags(snapshot)["snapback:consistency"] == "crash"


def test_where_consistency_is_required_nothing_is_taken_without(load, fab, configure, world):
    configure(**UNREACHABLE, freeze={"require_consistent": True})
    ids = load(instance("web", 8))
    ended = fab("backup_instances_by_tag", "--consistent", "--json")
    assert ended.code == 1
    assert ended.item(ids["web"]["instance_id"])["outcome"] == "failed"
    assert world.snapshots() == []


def test_a_stopped_instance_is_consistent_as_it_is(sandbox, load, fab, configure, world):
    configure(**UNREACHABLE)
    load(instance("web", 8, 20, state="stopped"))
    ended = fab("backup_instances_by_tag", "--consistent")
    assert ended.code == 0
    snapshots = world.snapshots()
    assert [world.tags(one)["snapback:consistency"] for one in snapshots] == ["stopped"] * 2


def test_a_hibernated_instance_is_not_consistent(sandbox, load, fab, configure, world):
    configure(**UNREACHABLE)
    ids = load(instance("web", 8, 20))["web"]
    world.ec2().stop_instances(InstanceIds=[ids["instance_id"]], Hibernate=True)
    ended = fab("backup_instances_by_tag", "--consistent")
    assert ended.code == 3
    assert "it is hibernated" in ended.out
    assert {world.tags(one)["snapback:consistency"] for one in world.snapshots()} == {"crash"}
    configure(**UNREACHABLE, freeze={"require_consistent": True})
    sandbox.advance(20)
    assert fab("backup_instances_by_tag", "--consistent").code == 1
    assert len(world.snapshots()) == 2


def test_an_override_decides_whether_a_backup_is_consistent(load, fab, configure, world):
    configure(overrides=[{"match": {"Name": "idle"}, "consistent": True}])
    load(instance("web", 8), instance("idle", 8, state="stopped"))
    assert fab("backup_instances_by_tag").code == 0
    found = {
        world.tags(one)["Name"]: world.tags(one)["snapback:consistency"]
        for one in world.snapshots()
    }
    assert found == {"web": "crash", "idle": "stopped"}


def test_hostile_names_neither_break_the_table_nor_the_snapshots(load, fab, world):
    name = "web \"1\"\n$(reboot) 'x' --all \u202egnp"
    load(instance(name, 8))
    ended = fab("backup_instances_by_tag")
    assert ended.code == 0
    assert "\u202e" not in ended.out
    assert "web \"1\"\\n$(reboot) 'x' --all" in ended.out
    (snapshot,) = world.snapshots()
    assert world.tags(snapshot)["Name"] == name


def test_synchronously_waits_until_all_are_completed(sandbox: Sandbox, load, fab, world):
    load(instance("web", 8, 20), instance("db", 8))
    assert fab("backup_instances_by_tag", "--synchronously").code == 0
    assert {snapshot["State"] for snapshot in world.snapshots()} == {"completed"}


def test_asynchronously_leaves_them_pending(sandbox, load, fab, world):
    sandbox.configure(snapshot_seconds=3600)
    load(instance("web", 8))
    assert fab("backup_instances_by_tag").code == 0
    assert {snapshot["State"] for snapshot in world.snapshots()} == {"pending"}


def test_a_set_that_ends_in_error_is_deleted_and_taken_again(sandbox, load, fab, world):
    ids = load(instance("web", 8, 20))
    sandbox.fail_next_snapshot(volume_id=ids["web"]["volumes"]["/dev/sdf"], message="bad disk")
    ended = fab("backup_instances_by_tag", "--synchronously", "--json")
    assert ended.code == 0
    assert {snapshot["State"] for snapshot in world.snapshots()} == {"completed"}
    assert set(ended.document["items"][0]["snapshots"]) == world.snapshot_ids()
    assert len(world.snapshots()) == 2


def test_three_errors_are_a_failure_that_says_why(sandbox, load, fab, world):
    ids = load(instance("web", 8))
    sandbox.fail_next_snapshot(
        volume_id=ids["web"]["volumes"]["/dev/sda1"], message="bad disk", count=3
    )
    ended = fab("backup_instances_by_tag", "--synchronously")
    assert ended.code == 1
    assert "bad disk; so it went 3 times" in ended.err
    assert world.snapshots() == []


def test_running_out_of_time_is_another_error_and_deletes_nothing(
    sandbox, load, fab, world, configure
):
    sandbox.configure(snapshot_seconds=3600)
    load(instance("web", 8))
    configure(minutes_for_snap=0.02)
    ended = fab("backup_instances_by_tag", "--synchronously", "--json")
    assert ended.code == 1
    assert ended.document["items"][0]["outcome"] == "timed out"
    assert len(world.snapshots()) == 1


def test_what_was_backed_up_is_what_the_helpers_find(run, load, fab, world):
    load(instance("web", 8, 20))
    assert fab("backup_instances_by_tag").code == 0
    found = get_relevant_snapshots(get_region_conn("us-east-1"))
    assert {snapshot.snapshot_id for snapshot in found} == world.snapshot_ids()
