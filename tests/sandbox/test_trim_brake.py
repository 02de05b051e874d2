"""The brake, and outages: what a person meets whose retention, or whose backups, went wrong."""

from __future__ import annotations

import json

import pytest

from tests.sandbox.conftest import instance
from tests.sandbox.histories import RECORD, SET_RECORD, daily, deleted

pytestmark = pytest.mark.usefixtures("sandbox")

NOTHING = dict.fromkeys(("hourly", "daily", "weekly", "monthly", "quarterly", "yearly"), 0)
SETS = {
    "as": "set",
    "description": SET_RECORD,
    "tags": {"snapback:set": "$set_id", "snapback:devices": "$device_map"},
}


def times(world) -> list[str]:
    """When the snapshots that are left were taken."""
    return sorted(json.loads(s["Description"])["Time"][:16] for s in world.snapshots())


def volumes_left(world) -> dict[str, int]:
    """How many snapshots are left of each volume."""
    found = [json.loads(s["Description"])["Volume"] for s in world.snapshots()]
    return {volume: found.count(volume) for volume in found}


# Outages.


def test_one_snapshot_after_an_outage_pushes_out_one_day(fleet, fab, world, configure, sandbox):
    configure(retention={**NOTHING, "daily": 3})
    fleet(
        instance(
            "web", 8,
            history=[daily(7, until="5d"), daily(1, until="1d")],  # Tuesday to Thursday; Monday
        )
    )  # fmt: skip
    assert times(world)[0] == "2026-11-17T12:00"
    assert fab("trim_snapshots").code == 0
    assert times(world) == ["2026-11-18T12:00", "2026-11-19T12:00", "2026-11-23T12:00"]


@pytest.mark.parametrize("every", ["1d", "1h"])
def test_a_long_outage_costs_next_to_nothing(fleet, fab, world, sandbox, every):
    sandbox.configure(recycle_bin={})
    fleet(instance("web", 8, history=[daily(75, until="35d", every=every)]))
    assert fab("trim_snapshots", "--max-delete", "100").code == 0
    before = times(world)
    volume = json.loads(world.snapshots()[0]["Description"])["Volume"]
    description = {"Volume": volume, "Region": "us-east-1", "Time": "2026-11-24T11:00:00"}
    world.ec2().create_snapshot(VolumeId=volume, Description=json.dumps(description))
    sandbox.advance(5)
    ended = fab("trim_snapshots")
    assert (ended.code, ended.err) == (0, "")
    gone = sorted(set(before) - set(times(world)))
    newest_days = [time for time in before if time[:10] in {before[-1][:10], "2026-10-19"}]
    assert len([time for time in gone if time not in newest_days]) <= 4
    assert "2026-11-24T11:00" in times(world)


# The brake.


def test_a_timeline_that_would_lose_most_of_its_days_is_kept_whole(fleet, fab, world, configure):
    configure(retention={**NOTHING, "daily": 5})
    ids = fleet(
        instance("web", 8, history=[daily(39)]),
        instance("db", 8, history=[daily(7)]),
    )
    web, db = (ids[name]["volumes"]["/dev/sda1"] for name in ("web", "db"))
    planned = fab("trim_snapshots", "--dry-run", "--json")
    ended = fab("trim_snapshots", "--json")
    for one in (planned, ended):
        assert one.code == 3
        item = one.item(web)
        assert item["outcome"] == "stopped"
        assert (item["days"], item["days_lost"], item["shares_sets_with"]) == (40, 35, [])
        assert f"--max-delete 100 --volume-id {web}" in one.err
    assert volumes_left(world) == {web: 40, db: 5}
    released = fab("trim_snapshots", "--max-delete", "100", "--volume-id", web)
    assert (released.code, released.err) == (0, "")
    assert volumes_left(world) == {web: 5, db: 5}


def test_where_nothing_else_goes_it_is_refused(fleet, fab, world, configure, sandbox):
    configure(retention={**NOTHING, "daily": 5})
    fleet(instance("web", 8, history=[daily(39)]))
    for arguments in (["--dry-run"], []):
        ended = fab("trim_snapshots", *arguments)
        assert ended.code == 2
        assert "35 of the 40 days" in ended.err
        assert len(ended.err.splitlines()) == 1
    assert deleted(sandbox) == []


def test_a_broken_one_goes_though_a_timeline_is_stopped(fleet, fab, world, configure, sandbox):
    configure(retention={**NOTHING, "daily": 5})
    broken = {"volume": "web:/dev/sda1", "age": "1d", "state": "error", "description": RECORD}
    fleet(instance("web", 8, history=[daily(39)]), snapshots=[broken])
    ended = fab("trim_snapshots", "--json")
    assert ended.code == 3
    words = sorted(item["outcome"] for item in ended.document["items"])
    assert words == ["broken", "stopped"]
    assert len(deleted(sandbox)) == 1


def test_many_stopped_timelines_stop_everything_everywhere(sandbox, fab, world, configure):
    configure(retention={**NOTHING, "daily": 5})
    broken = {"volume": "web-1:/dev/sda1", "age": "1d", "state": "error", "description": RECORD}
    regions = {
        "us-east-1": {
            "instances": [instance("web", 8, count=3, history=[daily(39)])],
            "snapshots": [broken],
        },
        "eu-west-1": {"instances": [instance("db", 8, count=4, history=[daily(9)])]},
    }
    sandbox.load_fleet({"now": "2026-11-24T12:00:00Z", "regions": regions})
    for arguments in (["--dry-run"], []):
        ended = fab("trim_snapshots", *arguments, "--json")
        assert ended.code == 2
        (item,) = ended.document["items"]
        assert item["outcome"] == "refused"
        assert "nothing is deleted anywhere" in item["explanation"]
        assert "3 of 7 volumes" in item["explanation"]
        assert ended.document["kept"]["us-east-1"]["stopped by the brake"] == 3 * 35
    assert deleted(sandbox) == []
    assert fab("trim_snapshots", "--max-delete", "100").code == 3
    assert len(deleted(sandbox)) == 3 * 35 + 4 * 5 + 1


def test_volumes_that_share_sets_are_released_together(fleet, fab, world, configure):
    configure(retention={**NOTHING, "daily": 5})
    ids = fleet(
        instance("web", 8, 20, history=[daily(39, **SETS)]),
        instance("db", 8, history=[daily(7)]),
    )
    root, data = (ids["web"]["volumes"][device] for device in ("/dev/sda1", "/dev/sdf"))
    ended = fab("trim_snapshots", "--json")
    assert ended.code == 3
    assert ended.item(root)["shares_sets_with"] == [data]
    assert f"together with {data}, which it shares sets with" in ended.item(root)["explanation"]
    released = fab("trim_snapshots", "--max-delete", "100", "--volume-id", data, "--json")
    assert released.code == 0
    assert len(released.document["items"]) == 2 * 35


def test_the_volumes_of_an_instance_are_released(fleet, fab, configure):
    configure(retention={**NOTHING, "daily": 5})
    ids = fleet(
        instance("web", 8, history=[daily(39)]),
        instance("db", 8, history=[daily(39)]),
    )
    web, db = (ids[name]["instance_id"] for name in ("web", "db"))
    ended = fab("trim_snapshots", "--max-delete", "100", "--instance-id", web, "--json")
    assert ended.code == 3
    assert len([i for i in ended.document["items"] if i["outcome"] == "deleted"]) == 35
    assert ended.item(ids["db"]["volumes"]["/dev/sda1"])["outcome"] == "stopped"
    both = ("--instance-id", db, "--volume-id", ids["web"]["volumes"]["/dev/sda1"])
    assert fab("trim_snapshots", "--max-delete", "100", *both).code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--volume-id", "vol-0123456789abcdef0"], "they need --max-delete"),
        (["--instance-id", "i-0123456789abcdef0"], "they need --max-delete"),
        (["--max-delete", "100", "--volume-id", "$(reboot)"], "is no volume id"),
        (["--max-delete", "100", "--instance-id", "web"], "is no instance id"),
        (
            ["--max-delete", "100", "--volume-id", "vol-0123456789abcdef0"],
            "no snapshots of vol-0123456789abcdef0",
        ),
        (
            ["--max-delete", "100", "--instance-id", "i-0123456789abcdef0"],
            "no snapshots of i-0123456789abcdef0",
        ),
        (["--max-delete", "101"], "--max-delete"),
    ],
)
def test_a_release_that_can_not_be_is_one_line(sandbox, fleet, fab, configure, arguments, says):
    configure(retention={**NOTHING, "daily": 5})
    fleet(instance("web", 8, history=[daily(9)]))
    ended = fab("trim_snapshots", *arguments)
    assert ended.code == 2
    assert says in ended.err
    assert len(ended.err.splitlines()) == 1
    assert deleted(sandbox) == []


# What the retention reaches.


def test_the_reach_for_a_volume_is_shown(fleet, fab, configure, sandbox):
    configure(retention={"hourly": 0, "daily": 7, "weekly": 4, "monthly": 0, "quarterly": 0})
    ids = fleet(instance("web", 8, history=[daily(13, until="10d"), daily(1)]))
    volume = ids["web"]["volumes"]["/dev/sda1"]
    plain = fab("show_config", "--region-name", "us-e", "--volume-id", volume)
    assert plain.code == 0
    assert (
        f"{volume} in us-east-1: 6 completed snapshots, counted back from the newest, of "
        "2026-11-24 12:00 UTC:\n"
        "  daily 7: 6 days, back to 2026-11-11 00:00 UTC\n"
        "  weekly 4: 2 weeks, back to 2026-11-08 00:00 UTC\n"
        "  yearly 10: 1 year, back to 2026-01-01 00:00 UTC\n"
    ) in plain.out
    shown = fab("show_config", "--region-name", "us-east-1", "--volume-id", volume, "--json")
    (reach,) = shown.document["reach"]
    assert reach["kinds"]["daily"] == {
        "count": 7, "periods": 6, "from": "2026-11-11T00:00:00+00:00",
    }  # fmt: skip
    assert (reach["volume"], reach["snapshots"], reach["faded"]) == (volume, 6, False)
    sandbox.clear_calls()
    assert fab("show_config").code == 0
    assert sandbox.calls() == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--region-name", "us-east-1"], "--region-name needs --volume-id"),
        (["--volume-id", "x", "--region-name", "us-east-1"], "is no volume id"),
        (
            ["--volume-id", "vol-0123456789abcdef0", "--region-name", "us-east-1"],
            "no completed snapshot of vol-0123456789abcdef0",
        ),
    ],
)
def test_a_reach_that_can_not_be_shown_is_one_line(fab, arguments, says):
    ended = fab("show_config", *arguments)
    assert ended.code == 2
    assert says in ended.err
    assert len(ended.err.splitlines()) == 1
