"""Fleets: what a file can say, and how its mistakes are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from helpers import FLEET, own, tags_of

from ec2_sandbox import LaunchedSandbox, SandboxError

EXAMPLE = Path(__file__).parent.parent / "example-fleet.yaml"


def one(**more: Any) -> dict[str, Any]:
    """Answers a fleet of one instance."""
    return {"regions": {"us-east-1": {"instances": [{"name": "a", **more}]}}}


def test_the_example_of_the_readme(sandbox: LaunchedSandbox, client: Callable[..., Any]) -> None:
    layout = sandbox.load_fleet(EXAMPLE)
    assert {region: sorted(names) for region, names in layout.items()} == {
        "us-east-1": ["db", "web-1", "web-2"],
        "eu-west-1": [],
    }
    assert sandbox.now() == datetime(2024, 6, 1, 12, tzinfo=UTC)
    assert len(own(client("us-east-1"))) > 50
    assert len(own(client("eu-west-1"))) == 1


def test_instances_and_volumes(sandbox: LaunchedSandbox, ec2: Any) -> None:
    volumes = [
        {"device": "/dev/xvda", "size": 9, "type": "gp2"},
        {"device": "/dev/sdf", "size": 500, "type": "st1", "encrypted": True, "tags": {"n": 1}},
    ]
    layout = sandbox.load_fleet(
        one(
            type="t3.small",
            architecture="arm64",
            root_device_name="/dev/xvda",
            state="stopped",
            boot_mode="uefi",
            ena_support=False,
            tags={"Earmarking": "production", "aws:x": "y"},
            volumes=volumes,
        )
    )
    ids = layout["us-east-1"]["a"]
    instance = ec2.describe_instances()["Reservations"][0]["Instances"][0]
    assert instance["InstanceId"] == ids["instance_id"]
    assert tags_of(instance) == {"Name": "a", "Earmarking": "production", "aws:x": "y"}
    assert {
        key: instance[key]
        for key in ("InstanceType", "Architecture", "RootDeviceName", "BootMode", "EnaSupport")
    } == {
        "InstanceType": "t3.small",
        "Architecture": "arm64",
        "RootDeviceName": "/dev/xvda",
        "BootMode": "uefi",
        "EnaSupport": False,
    }
    assert instance["State"]["Name"] == "stopped"
    shown = {x["VolumeId"]: x for x in ec2.describe_volumes()["Volumes"]}
    data = shown[ids["volumes"]["/dev/sdf"]]
    assert (data["Size"], data["VolumeType"], data["Encrypted"]) == (500, "st1", True)
    assert tags_of(data) == {"n": "1"}


def test_defaults_are_replaced_key_by_key(sandbox: LaunchedSandbox, ec2: Any) -> None:
    instances = [{"name": "a"}, {"name": "b", "tags": {"Name": None}}]
    sandbox.load_fleet(
        {"defaults": {"tags": {"E": "p"}}, "regions": {"us-east-1": {"instances": instances}}}
    )
    shown = [x["Instances"][0] for x in ec2.describe_instances()["Reservations"]]
    assert [tags_of(x) for x in shown] == [{"Name": "a", "E": "p"}, {}]


def test_ids_are_always_the_same(sandbox: LaunchedSandbox, ec2: Any) -> None:
    fleet = one(history=[{"every": "1d", "from": "5d"}])
    first, snapshots = sandbox.load_fleet(fleet), [x["SnapshotId"] for x in own(ec2)]
    sandbox.reset()
    assert sandbox.load_fleet(fleet) == first
    assert [x["SnapshotId"] for x in own(ec2)] == snapshots


def test_a_history_of_sets(sandbox: LaunchedSandbox, ec2: Any) -> None:
    rule = {
        "every": "6h",
        "from": "1d",
        "until": "6h",
        "description": '{"Region": "$region", "Time": "$time", "costs": "$$5"}',
        "tags": {"set": "$set_id", "map": "$device_map", "of": "$device", "n": "$set_number"},
        "copy_tags": ["volume", "instance"],
    }
    volumes = [{"device": "/dev/sda1"}, {"device": "/dev/sdf", "tags": {"v": "1"}}]
    ids = sandbox.load_fleet(one(volumes=volumes, history=[rule]))["us-east-1"]["a"]
    shown = own(ec2)
    noon = datetime(2024, 6, 1, 12, tzinfo=UTC)
    times = sorted({x["StartTime"] for x in shown})
    assert times == [noon - timedelta(hours=hours) for hours in (24, 18, 12, 6)]
    assert len(shown) == 8
    oldest = [x for x in shown if x["StartTime"] == times[0]]
    assert len({tags_of(x)["set"] for x in oldest}) == 1
    assert len({tags_of(x)["set"] for x in shown}) == 4
    data = next(x for x in oldest if x["VolumeId"] == ids["volumes"]["/dev/sdf"])
    tags = tags_of(data)
    assert json.loads(tags["map"]) == ids["volumes"]
    assert (tags["of"], tags["n"], tags["v"], tags["Name"]) == ("/dev/sdf", "1", "1", "a")
    assert json.loads(data["Description"]) == {
        "Region": "us-east-1",
        "Time": "2024-05-31T12:00:00",
        "costs": "$5",
    }
    assert {x["State"] for x in shown} == {"completed"}


def test_months_of_single_snapshots_of_one_device(sandbox: LaunchedSandbox, ec2: Any) -> None:
    rule = {
        "every": "1M",
        "from": "4M",
        "start_offset": "30d 2h",
        "as": "single",
        "devices": ["/dev/sda1"],
        "state": "error",
        "state_message": "lost",
    }
    sandbox.load_fleet(one(history=[rule], volumes=[{"device": "/dev/sdf"}]))
    shown = own(ec2)
    days = [f"{x['StartTime'].astimezone(UTC):%m-%d %H}" for x in shown]
    assert days == ["03-02 14", "04-02 14", "05-02 14"]
    assert {(x["State"], x["StateMessage"]) for x in shown} == {("error", "lost")}


def test_loose_snapshots(sandbox: LaunchedSandbox, ec2: Any, client: Callable[..., Any]) -> None:
    fleet = one(volumes=[{"device": "/dev/sda1", "size": 11}])
    fleet["regions"]["us-east-1"]["snapshots"] = [
        {"volume": "a:/dev/sda1", "age": "3d", "description": "$volume_id"},
        {"size": 5, "volume_id": "vol-12345678", "state": "pending"},
        {"size": 6, "locked": True},
        {"size": 7, "archived": True},
        {"size": 8, "state": "error", "state_message": "lost"},
    ]
    of = "us-east-1/a:/dev/sda1"
    replica = {"volume": of, "volume_id": "vol-ffffffff", "description": "$region $volume_id"}
    fleet["regions"]["eu-west-1"] = {"snapshots": [replica]}
    root = sandbox.load_fleet(fleet)["us-east-1"]["a"]["volumes"]["/dev/sda1"]
    shown = {x["VolumeSize"]: x for x in own(ec2)}
    assert shown[11]["Description"] == shown[11]["VolumeId"] == root
    assert shown[11]["StartTime"] == datetime(2024, 5, 29, 12, tzinfo=UTC)
    assert (shown[5]["VolumeId"], shown[5]["State"]) == ("vol-12345678", "pending")
    locked = ec2.describe_locked_snapshots()["Snapshots"]
    assert [x["SnapshotId"] for x in locked] == [shown[6]["SnapshotId"]]
    assert shown[7]["StorageTier"] == "archive"
    assert (shown[8]["State"], shown[8]["StateMessage"]) == ("error", "lost")
    copy = own(client("eu-west-1"))[0]
    assert (copy["VolumeId"], copy["Description"]) == ("vol-ffffffff", f"us-east-1 {root}")
    sandbox.advance(5)
    assert {x["VolumeSize"]: x for x in own(ec2)}[5]["State"] == "completed"


@pytest.mark.parametrize(
    ("fleet", "problems"),
    [
        ({"x": 1, "regions": {"xx-west-9": {}}}, ["x: unknown key", "regions.xx-west-9"]),
        (one(zone="us-east-1z"), ["us-east-1 has no zone us-east-1z"]),
        (one(size=1, type=5), ["instances[0].size: unknown key", "instances[0].type"]),
        (one(volumes=[{"size": 0}]), ["volumes[0].size", "volumes[0]: device is missing"]),
        (one(volumes=[{"device": "/dev/sdf"}] * 2), ["two volumes are /dev/sdf"]),
        (one(history=[{"every": "x"}]), ["history[0].every", "history[0]: from is missing"]),
        (one(history=[{"every": "0d", "from": "1d"}]), ["history[0].every"]),
        (
            one(history=[{"every": "1d", "from": "1d", "devices": ["/dev/sdz"]}]),
            ["history[0].devices: the instance has no /dev/sdz"],
        ),
        (
            one(history=[{"every": "1d", "from": "1d", "description": "$nonsense"}]),
            ["no variable $nonsense"],
        ),
        (
            {"regions": {"us-east-1": {"instances": [{"name": "a-1"}, {"name": "a", "count": 2}]}}},
            ["instances[1]: the name a-1 is taken"],
        ),
        ({"regions": {"us-east-1": {"snapshots": [{}]}}}, ["snapshots[0]: give the size"]),
        (
            {"regions": {"us-east-1": {"snapshots": [{"volume": "b:/dev/sda1"}]}}},
            ["the fleet has no us-east-1/b:/dev/sda1"],
        ),
        (
            {"enabled_regions": ["us-east-1"], "regions": {"eu-west-1": {}}},
            ["regions.eu-west-1: it is not enabled"],
        ),
        ({"settings": {"nonsense": 1}}, ["settings: unknown setting 'nonsense'"]),
        ({"defaults": {"name": "x"}}, ["defaults.name"]),
        (one(tags={"a": "\x1b[31m"}), ["instances[0].tags: '\\x1b[31m' has a character that XML"]),
    ],
)
def test_mistakes_are_told_with_their_paths_all_at_once(
    fleet: dict[str, Any], problems: list[str], sandbox: LaunchedSandbox, ec2: Any
) -> None:
    with pytest.raises(SandboxError) as caught:
        sandbox.load_fleet(fleet)
    told = str(caught.value)
    assert [each for each in problems if each not in told] == []
    assert "\n" not in told
    assert ec2.describe_volumes()["Volumes"] == []


def test_a_fleet_is_not_laid_out_twice(sandbox: LaunchedSandbox) -> None:
    sandbox.load_fleet(FLEET)
    with pytest.raises(SandboxError, match="web-1"):
        sandbox.load_fleet(FLEET)


def test_fleets_add_up(sandbox: LaunchedSandbox, ec2: Any) -> None:
    for size in (1, 2):
        sandbox.load_fleet({"regions": {"us-east-1": {"snapshots": [{"size": size}]}}})
    sandbox.load_fleet(one())
    assert [x["VolumeSize"] for x in own(ec2)] == [1, 2]


def test_a_file_that_is_none(sandbox: LaunchedSandbox, tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    for text in ("a: [", "- 1", ""):
        path.write_text(text)
        with pytest.raises(SandboxError, match=r"fleet\.yaml"):
            sandbox.load_fleet(path)
