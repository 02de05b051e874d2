"""Who is believed: records that anybody could write, and what EC2 says of them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import boto3
import pytest

from snapback.core.model.tags import write_long
from tests.sandbox.conftest import changing_calls, instance
from tests.sandbox.histories import daily, deleted
from tests.sandbox.permissions import bound_by
from tests.sandbox.replicas import EAST, WEST, records, sets

pytestmark = pytest.mark.usefixtures("sandbox")

DAYS = 10
NOTHING = dict.fromkeys(("hourly", "daily", "weekly", "monthly", "quarterly", "yearly"), 0)
STRONGEST = {"snapback:consistency": "application", "Earmarking": "production"}


@pytest.fixture
def victim(configure, fleet) -> dict[str, Any]:
    """Instances with ten days of backups, sets and lone ones, and one that is somebody else's."""
    configure(retention={**NOTHING, "daily": DAYS})
    return fleet(
        instance("victim", 8, 20, history=[sets(DAYS)]),
        instance("lone", 8, history=[daily(DAYS, until="1h")]),
        instance("mallory", 1, tags={}),
    )


class Mallory:
    """Whoever may snapshot a volume of his own, with the rights of a documented role."""

    def __init__(self, sandbox: Any, ids: dict[str, Any]) -> None:
        self._sandbox = sandbox
        self._instance = ids["mallory"]["instance_id"]
        self.volume_id = ids["mallory"]["volumes"]["/dev/sda1"]

    def forge(self, description: dict[str, Any] | str, tags: dict[str, str] | None = None) -> str:
        """Take a snapshot with any description and tags; bound by the policy of backups."""
        text = description if isinstance(description, str) else json.dumps(description)
        given = [{"Key": key, "Value": value} for key, value in (tags or {}).items()]
        self._sandbox.advance(20)  # EC2 wants 15 s between two snapshots of a volume
        with bound_by(self._sandbox, "backup_instances_by_tag"):
            taken = boto3.client("ec2", EAST).create_snapshots(
                InstanceSpecification={"InstanceId": self._instance},
                Description=text,
                TagSpecifications=[{"ResourceType": "snapshot", "Tags": given}] if given else [],
            )
        self._sandbox.complete_all()
        self._sandbox.clear_calls()
        return str(taken["Snapshots"][0]["SnapshotId"])


@pytest.fixture
def mallory(sandbox, victim) -> Mallory:
    return Mallory(sandbox, victim)


def volume_of(ids: dict[str, Any], device: str = "/dev/sdf") -> str:
    return str(ids["victim"]["volumes"][device])


def claim_all(world, mallory: Mallory, volume_id: str) -> list[str]:
    """Forge each record of a volume, with the strongest tags there are."""
    claimed = [r for r in records(world, EAST).values() if r.volume == volume_id]
    assert len(claimed) == DAYS
    return [
        mallory.forge(
            {
                "Volume": record.volume,
                "Region": record.region,
                "Device": record.device,
                "Instance": record.instance,
                "Root_dev_name": "/dev/sda1",
                "Time": f"{record.taken_at:%Y-%m-%dT%H:%M:%S}",
            },
            STRONGEST,
        )
        for record in claimed
    ]


@pytest.mark.parametrize(("name", "device"), [("victim", "/dev/sdf"), ("lone", "/dev/sda1")])
def test_a_record_of_anothers_volume_displaces_nothing(
    victim, mallory, world, fab, sandbox, name, device
):
    wanted = victim[name]["volumes"][device]
    before = records(world, EAST)
    forged = claim_all(world, mallory, wanted)
    with bound_by(sandbox, "trim_snapshots", "django_fabfile"):
        ended = fab("trim_snapshots", "--json")
    assert ended.code == 0
    assert deleted(sandbox) == []
    assert world.snapshot_ids() == {*before, *forged}
    document = ended.document
    assert sum(document["kept"][EAST].values()) == len(before)
    assert document["unproven"] == {
        EAST: dict.fromkeys(forged, f"its record says {wanted}, and EC2 says {mallory.volume_id}")
    }
    told = fab("trim_snapshots", "--dry-run").out
    assert f"{DAYS} unproven and kept: {forged[0]} (its record says {wanted}, and EC2" in told


def test_status_and_check_count_what_is_proven_and_show_the_rest(
    victim, mallory, world, fab, tmp_path
):
    before = fab("status", "--json").document["items"]
    forged = claim_all(world, mallory, volume_of(victim))
    after = fab("status", "--json", "--html", str(tmp_path / "page.html")).document["items"]
    (shown,) = [item for item in after if item["outcome"] == "unproven"]
    assert list(shown["unproven"]) == forged
    kept = [{i["volume"]: i["kept"] for i in items if "kept" in i} for items in (before, after)]
    assert kept[0] == kept[1]
    assert f"{DAYS} unproven and kept" in (tmp_path / "page.html").read_text()
    assert f'snapback_unproven_snapshots{{account="",region="{EAST}"}} {DAYS}' in metrics(
        fab, tmp_path
    )


def metrics(fab, folder) -> str:
    assert fab("status", "--prometheus", str(folder / "metrics.prom")).code == 0
    return str((folder / "metrics.prom").read_text())


def test_a_volume_without_proven_snapshots_is_not_called_backed_up(load, configure, sandbox, fab):
    configure()
    ids = load(instance("victim", 8), instance("mallory", 1, tags={}))
    now = f"{sandbox.now():%Y-%m-%dT%H:%M:%S}"
    volume_id = volume_of(ids, "/dev/sda1")
    Mallory(sandbox, ids).forge({"Volume": volume_id, "Region": EAST, "Time": now}, STRONGEST)
    checked = fab("check")
    assert checked.code == 2
    assert "no snapshot" in checked.out


def test_an_old_snapshot_cannot_be_passed_off_as_a_new_one(victim, world, fab, sandbox):
    volume_id = volume_of(victim)
    sandbox.advance(60)
    soon = f"{sandbox.now():%Y-%m-%d}T00:00:00"
    far = world.ec2().create_snapshot(
        VolumeId=volume_id,
        Description=json.dumps(
            {"Volume": volume_id, "Region": EAST, "Time": "2020-01-01T00:00:00"}
        ),
    )
    sandbox.advance(60)
    near = world.ec2().create_snapshot(
        VolumeId=volume_id,
        Description=json.dumps({"Volume": volume_id, "Region": EAST, "Time": soon}),
    )
    sandbox.complete_all()
    unproven = fab("trim_snapshots", "--dry-run", "--json").document["unproven"][EAST]
    assert list(unproven) == [far["SnapshotId"]]
    assert near["SnapshotId"] not in unproven
    assert "its record says 2020-01-01 00:00, and EC2 says 2026-11-2" in unproven[far["SnapshotId"]]


def test_restores_choose_what_is_proven_unless_an_id_is_named(victim, mallory, world, fab):
    wanted = volume_of(victim)
    chosen = fab("restore_volume", "--volume-id", wanted, "--dry-run", "--json").document["items"]
    forged = claim_all(world, mallory, wanted)
    again = fab("restore_volume", "--volume-id", wanted, "--dry-run", "--json").document["items"]
    assert [item["snapshot"] for item in again] == [item["snapshot"] for item in chosen]
    named = fab("restore_volume", "--snapshot-id", forged[-1], "--dry-run", "--zone", f"{EAST}a")
    assert named.code == 0
    assert "although it is unproven: its record says" in named.out


def test_an_instance_is_restored_from_sets_of_its_own(victim, mallory, world, fab):
    arguments = ("restore_instance", victim["victim"]["instance_id"], "--dry-run", "--json")
    (before,) = fab(*arguments).document["items"]
    (newest, tags) = max(
        ((s, world.tags(s)) for s in world.snapshots()), key=lambda pair: pair[0]["StartTime"]
    )
    said = json.loads(newest["Description"])
    devices = json.loads(tags["snapback:devices"])
    forgeries = [
        # A member of the set of another, which names it.
        (
            said,
            {**tags, **write_long("snapback:devices", {**devices, "/dev/sda0": mallory.volume_id})},
        ),
        # The set of another, of which this would be the root.
        (
            said,
            {**tags, **write_long("snapback:devices", {**devices, "/dev/sda1": mallory.volume_id})},
        ),
        # A lone snapshot of another region, or account, that says it is the whole instance.
        ({**said, "Region": WEST, "Volume": volume_of(victim), "Device": "/dev/sda1"}, {}),
        (
            {**said, "Volume": volume_of(victim), "Device": "/dev/sda1"},
            {"snapback:account": "999999999999"},
        ),
    ]
    for description, forged_tags in forgeries:
        own = {key: value for key, value in forged_tags.items() if not key.startswith("aws:")}
        mallory.forge({**description, "Root_dev_name": "/dev/sda1"}, own)
    (after,) = fab(*arguments).document["items"]
    same = ("set", "snapshots", "outcome")
    assert {key: after[key] for key in same} == {key: before[key] for key in same}


def test_a_set_of_volumes_that_the_instance_never_had_is_told(victim, mallory, world, fab):
    instance_id = victim["victim"]["instance_id"]
    newest = max(world.snapshots(), key=lambda s: s["StartTime"])
    said = {"Region": EAST, "Instance": instance_id, "Root_dev_name": "/dev/sda1"}
    devices = write_long("snapback:devices", {"/dev/sda1": mallory.volume_id})
    later = newest["StartTime"] + timedelta(seconds=30)
    mallory.forge(
        {**said, "Time": f"{later:%Y-%m-%dT%H:%M:%S}"},
        {**STRONGEST, **devices, "snapback:set": "set-0123456789abcdef0"},
    )
    ended = fab("create_ami", "--instance-id", instance_id, "--dry-run")
    assert "none of its volumes is in an older set" in ended.out


def test_two_disks_of_one_device_make_no_whole_set(load, configure, sandbox, world, fab):
    configure()
    ids = load(instance("victim", 8, history=[daily(2)]), instance("mallory", 1, tags={}))
    mallory = Mallory(sandbox, ids)
    instance_id = ids["victim"]["instance_id"]
    newest = max(world.snapshots(), key=lambda s: s["StartTime"])
    said = json.loads(newest["Description"])
    sandbox.set_clock(now=newest["StartTime"])
    mallory.forge({**said, "Volume": mallory.volume_id})
    sandbox.advance(86400)
    ended = fab("restore_instance", instance_id, "--dry-run")
    assert "are both of /dev/sda1" in ended.out + ended.err
    assert newest["SnapshotId"] in ended.out + ended.err


def test_what_is_unproven_is_not_replicated(victim, mallory, world, fab):
    forged = claim_all(world, mallory, volume_of(victim))
    assert fab("rsync_region", EAST, WEST, "--engine", "copy").code == 0
    sources = {tags["snapback:source"] for s in world.snapshots(WEST) if (tags := world.tags(s))}
    assert len(sources) == 3
    assert not sources & set(forged)
    named = fab("rsync_snapshot", EAST, forged[0], WEST, "--engine", "copy")
    assert named.code == 2
    assert "is unproven, so it isn't replicated: its record says" in named.err


def test_a_broken_snapshot_that_is_unproven_is_left_alone(victim, mallory, world, fab, sandbox):
    sandbox.fail_next_snapshot()
    mallory.forge(
        {"Volume": volume_of(victim), "Region": EAST, "Time": f"{sandbox.now():%Y-%m-%dT%H:%M:%S}"},
        STRONGEST,
    )
    ended = fab("delete_broken_snapshots")
    assert changing_calls(sandbox) == []
    assert "not ours" in ended.out


@pytest.mark.parametrize("word", ["\ud800", "\x1b[2J", "a\nb", "\u202e"], ids=ascii)
def test_a_word_that_cannot_be_printed_stops_nothing(
    victim, mallory, fab, sandbox, world, word, tmp_path
):
    said = {"Volume": mallory.volume_id, "Region": EAST, "Instance": word, "Device": word}
    mallory.forge({**said, "Time": f"{sandbox.now():%Y-%m-%dT%H:%M:%S}"}, STRONGEST)
    world.ec2().terminate_instances(InstanceIds=[victim["mallory"]["instance_id"]])
    assert fab("status", "--html", str(tmp_path / "page.html")).code == 0
    assert victim["victim"]["instance_id"] in (tmp_path / "page.html").read_text()
    assert mallory.volume_id not in (tmp_path / "page.html").read_text()
    assert fab("rsync_region", EAST, WEST, "--engine", "copy").code == 0


def test_the_null_of_django_fabfile_is_an_empty_word(configure, fleet, fab, world):
    configure(retention={**NOTHING, "daily": 2})
    record = json.dumps(
        {
            "Volume": "$volume_id",
            "Region": "$region",
            "Device": "$device",
            "Instance": "$instance_id",
            "Type": "m1.small",
            "Arch": None,
            "Root_dev_name": None,
            "Time": "$time",
        }
    )
    fleet(instance("web", 8, history=[daily(4, description=record)]))
    ended = fab("trim_snapshots", "--dry-run", "--json")
    assert len(ended.document["items"]) == len(world.snapshots()) - 2 > 0


def test_a_backup_says_in_which_account_it_was_taken_and_its_replica_says_the_same(
    configure, load, fab, world, sandbox
):
    configure()
    load(instance("web", 8))
    assert fab("backup_instances_by_tag").code == 0
    sandbox.complete_all()
    assert fab("rsync_region", EAST, WEST, "--engine", "copy").code == 0
    ((native,), (replica,)) = (world.snapshots(region) for region in (EAST, WEST))
    assert world.tags(native)["snapback:account"] == native["OwnerId"]
    assert world.tags(replica)["snapback:account"] == native["OwnerId"]
    assert world.tags(native)["snapback:account"].isdigit()
