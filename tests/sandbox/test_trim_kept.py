"""The stop switch, the tag ``snapback:keep``; and volumes that are gone, whose history fades."""

from __future__ import annotations

import json

import pytest

from snapback.core.model import Place, record_of
from snapback.snapshots.catalog import all_snapshots
from snapback.snapshots.protection import protection_of
from tests.sandbox.conftest import instance
from tests.sandbox.histories import NOW, RECORD, daily, deleted

pytestmark = pytest.mark.usefixtures("sandbox")

NOTHING = dict.fromkeys(("hourly", "daily", "weekly", "monthly", "quarterly", "yearly"), 0)
FEW = {**NOTHING, "daily": 5}


@pytest.fixture
def two(configure, fleet):
    """Two instances with a week of snapshots each, of which five days stay."""
    configure(retention=FEW)
    return fleet(
        instance("web", 8, history=[daily(7)]),
        instance("db", 8, history=[daily(7)]),
    )


def tag(world, resource: str, region: str = "us-east-1") -> None:
    world.ec2(region).create_tags(
        Resources=[resource], Tags=[{"Key": "snapback:keep", "Value": "the night of the break-in"}]
    )


def volumes_of_deleted(ended) -> set[str]:
    return {i["volume"] for i in ended.document["items"] if i["outcome"] in ("deleted", "would do")}


def kept_by_the_tag(ended, region: str = "us-east-1") -> int:
    found: int = ended.document["kept"][region].get("tag snapback:keep", 0)
    return found


@pytest.mark.parametrize("what", ["instance", "volume", "snapshot"])
def test_the_tag_stops_the_trimming_of_its_timelines(two, fab, world, what):
    web, db = (two[name]["volumes"]["/dev/sda1"] for name in ("web", "db"))
    first = next(s for s in world.snapshots() if json.loads(s["Description"])["Volume"] == web)
    tagged = {
        "instance": two["web"]["instance_id"],
        "volume": web,
        "snapshot": first["SnapshotId"],
    }[what]
    tag(world, tagged)
    for arguments in (["--dry-run"], []):
        ended = fab("trim_snapshots", "--json", *arguments)
        assert (ended.code, ended.err) == (0, "")
        assert volumes_of_deleted(ended) == {db}
        assert kept_by_the_tag(ended) == 8
    world.ec2().delete_tags(Resources=[tagged], Tags=[{"Key": "snapback:keep"}])
    assert volumes_of_deleted(fab("trim_snapshots", "--json")) == {web}


def test_it_holds_for_a_volume_that_has_moved_to_another_instance(two, fab, world):
    web = two["web"]["volumes"]["/dev/sda1"]
    ec2 = world.ec2()
    ec2.stop_instances(InstanceIds=[two["web"]["instance_id"]])
    ec2.detach_volume(VolumeId=web)
    tag(world, two["web"]["instance_id"])
    ended = fab("trim_snapshots", "--json")
    assert volumes_of_deleted(ended) == {two["db"]["volumes"]["/dev/sda1"]}


def test_the_tag_of_a_terminated_instance_is_gone_with_it_and_a_snapshots_is_not(two, fab, world):
    tag(world, two["web"]["instance_id"])
    world.ec2().terminate_instances(InstanceIds=[two["web"]["instance_id"]])
    web, db = (two[name]["volumes"]["/dev/sda1"] for name in ("web", "db"))
    assert volumes_of_deleted(fab("trim_snapshots", "--json", "--dry-run")) == {web, db}
    snapshots = [s for s in world.snapshots() if web in s["Description"]]
    tag(world, snapshots[0]["SnapshotId"])
    assert volumes_of_deleted(fab("trim_snapshots", "--json")) == {db}


def test_backups_dont_hand_the_tag_on(two, fab, world):
    tag(world, two["web"]["instance_id"])
    tag(world, two["web"]["volumes"]["/dev/sda1"])
    assert fab("backup_instance", "--instance-id", two["web"]["instance_id"], "--region-name",
               "us-east-1").code == 0  # fmt: skip
    assert not [s for s in world.snapshots() if "snapback:keep" in world.tags(s)]


# Homes.


@pytest.fixture
def replicated(configure, sandbox):
    """A volume in us-east-1 with a week of replicas in eu-west-1."""
    configure(retention=FEW, regions={"us-east-1": {}, "eu-west-1": {}})
    replicas = [
        {
            "volume": "us-east-1/web:/dev/sda1",
            "volume_id": "vol-ffffffff",
            "age": f"{day}d",
            "description": RECORD,
        }
        for day in range(8)
    ]
    return sandbox.load_fleet(
        {
            "now": NOW,
            "regions": {
                "us-east-1": {"instances": [instance("web", 8)]},
                "eu-west-1": {"snapshots": replicas},
            },
        }
    )["us-east-1"]["web"]


@pytest.mark.parametrize("what", ["instance", "volume"])
def test_the_tag_holds_for_replicas_in_other_regions(replicated, fab, world, what):
    home = {"instance": replicated["instance_id"], "volume": replicated["volumes"]["/dev/sda1"]}
    assert len(world.snapshots("eu-west-1")) == 8
    tag(world, home[what])
    ended = fab("trim_snapshots", "--region-name", "eu-west-1", "--json")
    assert (ended.code, ended.document["items"]) == (0, [])
    assert kept_by_the_tag(ended, "eu-west-1") == 8
    world.ec2().delete_tags(Resources=[home[what]], Tags=[{"Key": "snapback:keep"}])
    assert fab("trim_snapshots", "--region-name", "eu-west-1").code == 0
    assert len(world.snapshots("eu-west-1")) == 5


def test_a_replicas_own_tag_is_known_without_its_home(replicated, world, begin, configure):
    run = begin(configure(regions={"eu-west-1": {}}))
    first, *others = (s["SnapshotId"] for s in world.snapshots("eu-west-1"))
    tag(world, first, "eu-west-1")
    place = Place("eu-west-1")
    ours = {s.snapshot_id: s for s in all_snapshots(run, place)}
    timeline = record_of(ours[first]).timeline
    assert timeline[1:] == ("us-east-1", replicated["volumes"]["/dev/sda1"])
    assert protection_of(run, place, [ours[first]]).kept == {timeline: first}
    assert protection_of(run, place, [ours[others[0]]]).kept == {}


def test_a_home_that_is_not_among_the_regions_in_use_is_asked_all_the_same(
    replicated, fab, world, configure
):
    configure(retention=FEW, regions={"eu-west-1": {}})
    tag(world, replicated["instance_id"])
    ended = fab("trim_snapshots", "--json")
    assert (ended.code, ended.document["items"]) == (0, [])
    assert kept_by_the_tag(ended, "eu-west-1") == 8


@pytest.mark.parametrize("action", ["DescribeInstances", "DescribeVolumes", "DescribeSnapshots"])
def test_a_home_that_can_not_be_read_means_kept_and_is_told(
    replicated, sandbox, fab, world, action
):
    sandbox.fault(
        action, "error", region="us-east-1", count=None,
        code="UnauthorizedOperation", status=403, message="no",
    )  # fmt: skip
    ended = fab("trim_snapshots", "--region-name", "eu-west-1", "--json")
    assert ended.code in (1, 3)  # 1 where transfers can't be read there either
    item = next(i for i in ended.document["items"] if i["outcome"] == "kept all")
    assert item["subject"] == "us-east-1"
    assert f"ec2:{action}" in item["explanation"]
    assert deleted(sandbox) == []
    assert len(world.snapshots("eu-west-1")) == 8
    assert ended.document["kept"]["eu-west-1"]["home can't be read"] == 8


def test_a_home_that_is_no_region_costs_no_call(sandbox, fleet, fab, world, configure):
    configure(retention=FEW)
    stray = [
        {
            "volume": "web:/dev/sda1",
            "age": f"{day}d",
            "description": RECORD.replace("$region", f"us-mars-{day}"),
        }
        for day in range(1, 9)
    ]
    fleet(instance("web", 8), snapshots=stray)
    ended = fab("trim_snapshots", "--region-name", "us-east-1", "--json")
    assert ended.code == 3
    assert deleted(sandbox) == []
    assert {i["outcome"] for i in ended.document["items"]} == {"kept all"}
    assert "isn't enabled for the account" in ended.err
    assert {call.region for call in sandbox.calls()} <= {"us-east-1", "eu-west-1", "ap-southeast-1"}


# Fading.


@pytest.fixture
def old(configure, sandbox):
    """Two volumes whose last snapshot is 100 days old; of 30 days that are kept, 40 are there."""
    configure(retention={**NOTHING, "daily": 30, "monthly": 1}, fade_after_days=90)
    instances = [instance(name, 8, history=[daily(139, until="100d")]) for name in ("gone", "here")]
    fresh = instance("fresh", 8, history=[daily(3)])
    placed = sandbox.load_fleet(
        {"now": NOW, "regions": {"us-east-1": {"instances": [*instances, fresh]}}}
    )["us-east-1"]
    return {name: placed[name]["volumes"]["/dev/sda1"] for name in ("gone", "here")}


def remove(world, volume: str) -> None:
    ec2 = world.ec2()
    (found,) = ec2.describe_volumes(VolumeIds=[volume])["Volumes"]
    ec2.terminate_instances(InstanceIds=[found["Attachments"][0]["InstanceId"]])
    left = ec2.describe_volumes(Filters=[{"Name": "volume-id", "Values": [volume]}])["Volumes"]
    if left:
        ec2.delete_volume(VolumeId=volume)


def test_only_a_volume_that_is_gone_fades(old, fab, world):
    remove(world, old["gone"])
    planned = fab("trim_snapshots", "--dry-run", "--json")
    ended = fab("trim_snapshots", "--json")
    assert (planned.code, ended.code, ended.err) == (0, 0, "")
    assert ended.document["faded"] == {"us-east-1": [old["gone"]]}
    deleted_of = [i["volume"] for i in ended.document["items"]]
    assert {v: deleted_of.count(v) for v in deleted_of} == {old["gone"]: 39, old["here"]: 10}
    assert planned.document["faded"] == ended.document["faded"]
    why = next(i["explanation"] for i in planned.document["items"] if i["volume"] == old["gone"])
    assert why.startswith("faded: ")
    plain = fab("trim_snapshots", "--dry-run")
    assert f"faded, since the volume is gone: {old['gone']}" in plain.out


def test_a_volume_counts_as_there_where_ec2_can_not_be_asked(old, fab, world, sandbox):
    remove(world, old["gone"])
    sandbox.fault(
        "DescribeVolumes", "error", count=None,
        code="UnauthorizedOperation", status=403, message="no",
    )  # fmt: skip
    ended = fab("trim_snapshots", "--json")
    assert ended.document["faded"] == {}
    assert deleted(sandbox) == []
    assert ended.code == 3
