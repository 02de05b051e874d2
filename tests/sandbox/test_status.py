"""The state of all backups, through the real fab."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.sandbox.conftest import BIN, changing_calls, instance

pytestmark = pytest.mark.usefixtures("sandbox")

TWO_DAYS_S = 2 * 24 * 3600
RECORD = json.dumps(
    {"Volume": "$volume_id", "Region": "$region", "Instance": "$instance_id", "Time": "$time"}
)


def hourly(**more):
    """Past snapshots, one an hour for half a day."""
    return {
        "every": "1h",
        "from": "12h",
        "until": "1h",
        "as": "single",
        "description": RECORD,
        "tags": {"Earmarking": "production"},
        **more,
    }


def test_check_is_ok_after_a_backup_and_critical_two_days_later(sandbox, load, fab):
    load(instance("web", 8, 20))
    assert fab("backup_instances_by_tag", "--synchronously").code == 0
    good = fab("check")
    assert (good.code, good.err) == (0, "")
    assert good.out.startswith("SNAPBACK OK - 2 volumes backed up")
    sandbox.advance(TWO_DAYS_S)
    bad = fab("check")
    assert (bad.code, bad.err) == (2, "")
    (line,) = bad.out.splitlines()
    assert line.startswith("SNAPBACK CRITICAL - web /dev/sda1 (vol-")
    assert "last snapshot is 2 days old, at most 26 h allowed" in line


def test_both_only_read_and_in_few_calls(sandbox, load, fab):
    load(*(instance(f"web-{n}", 8, 8, history=[hourly()]) for n in range(5)))
    for task in ("status", "check"):
        sandbox.clear_calls()
        assert fab(task).code == 0
        assert changing_calls(sandbox) == []
        actions = sorted(call.action for call in sandbox.calls(region="us-east-1"))
        assert actions == [
            "DescribeImages", "DescribeInstances", "DescribeKeyPairs", "DescribeRegions",
            "DescribeSecurityGroups", "DescribeSnapshots", "DescribeVolumes",
        ]  # fmt: skip


def test_the_table_shows_what_wants_to_be_looked_at_first(load, fab):
    load(
        instance("fine", 8, history=[hourly()]),
        instance("new", 8),
        instance("former", 8, tags={}, history=[hourly()]),
    )
    ended = fab("status")
    assert ended.code == 0
    head, *rows = ended.out.splitlines()
    assert head.split() == [
        "region", "instance", "name", "volume", "GiB", "last", "kept", "oldest", "verified",
        "replicas",
        "under", "way", "state",
    ]  # fmt: skip
    assert [row.split()[2] for row in rows[:3]] == ["new", "former", "fine"]
    assert rows[0].endswith("critical: no snapshot")
    assert rows[1].endswith("its instance has no tag Earmarking=production")
    assert "1 h, crash" in rows[2]
    assert "12 h" in rows[2]
    assert rows[2].endswith("ok")
    assert rows[3] == "2 volumes to back up: 1 critical"


def test_what_is_pending_and_in_error_is_shown(sandbox, load, fab):
    placed = load(instance("web", 8, history=[hourly()]), instance("db", 8, history=[hourly()]))
    sandbox.configure(snapshot_seconds=3600)
    sandbox.set_clock(speed=0)
    assert fab("backup_instances_by_tag").code == 0
    sandbox.advance(600)
    sandbox.fail_next_snapshot(volume_id=placed["db"]["volumes"]["/dev/sda1"])
    web = fab("status", "--json").item(placed["web"]["volumes"]["/dev/sda1"])
    assert [one["progress"] for one in web["pending"]] == ["16%"]
    assert web["pending"][0]["since_s"] >= 599  # the Date header has whole seconds
    sandbox.advance(3600)
    sandbox.configure(snapshot_seconds=0)
    assert fab("backup_instances_by_tag").code == 0
    sandbox.advance(1)
    ended = fab("status", "--json")
    db = ended.item(placed["db"]["volumes"]["/dev/sda1"])
    assert len(db["in_error"]) == 1
    assert db["outcome"] == "critical"
    assert fab("check").code == 2


def test_replicas_and_what_is_being_replicated(sandbox, load, fab, world, configure):
    configure(destinations={"us-east-1": ["eu-west-1"]})
    placed = load(instance("web", 8, history=[hourly()]))
    volume = placed["web"]["volumes"]["/dev/sda1"]
    assert fab("check").code == 2
    source = max(world.snapshots(), key=lambda snapshot: snapshot["StartTime"])
    sandbox.configure(copy_seconds=1000)
    sandbox.set_clock(speed=0)
    world.ec2("eu-west-1").copy_snapshot(
        SourceRegion="us-east-1",
        SourceSnapshotId=source["SnapshotId"],
        Description=json.dumps({**json.loads(source["Description"]), "Volume": volume}),
    )
    sandbox.advance(500)
    (replicas,) = fab("status", "--json").item(volume)["replicas"]
    assert replicas["wanted"]
    assert replicas["last"] is None
    assert replicas["being_replicated"][0]["progress"] == "50%"
    assert "replicating to eu-west-1 50%" in fab("status").out
    sandbox.advance(500)
    item = fab("status", "--json").item(volume)
    assert item["outcome"] == "ok"
    assert item["replicas"][0]["last"]["taken_at"] == item["last"]["taken_at"]
    assert fab("check").code == 0
    sandbox.advance(TWO_DAYS_S)
    assert "replica in eu-west-1 is 2 days old" in fab("check").out


def test_a_replica_in_error_is_never_ok_destinations_or_not(sandbox, load, fab):
    load(instance("web", 8, history=[hourly()]))
    sandbox.fail_next_snapshot(region="eu-west-1", message="no key")
    assert fab("rsync_region", "us", "eu-west", "--engine", "copy", "--synchronously").code == 1
    bad = fab("check")
    assert (bad.code, bad.err) == (2, "")
    assert "1 replica in eu-west-1 in error (snap-" in bad.out
    assert ": no key) | " in bad.out
    assert " errors=1;;;0" in bad.out
    assert "1 in error in eu-west-1" in fab("status").out
    sandbox.advance(3600)
    assert fab("backup_instances_by_tag", "--synchronously").code == 0
    fab("rsync_region", "us", "eu-west", "--engine", "copy", "--synchronously")
    assert fab("check").code == 1, "a newer one is good"
    assert fab("delete_broken_snapshots").code == 3
    assert fab("check").code == 0


def test_what_is_left_in_error_of_a_volume_that_is_gone_is_a_warning(sandbox, load, fab, world):
    placed = load(instance("web", 8, history=[hourly()]), instance("old", 8, history=[hourly()]))
    assert fab("check").code == 0
    sandbox.fail_next_snapshot(region="eu-west-1", message="no key")
    old = placed["old"]
    source = next(s for s in world.snapshots() if s["VolumeId"] == old["volumes"]["/dev/sda1"])
    copy = ("rsync_snapshot", "us", source["SnapshotId"], "eu-west", "--engine", "copy", "--force")
    assert fab(*copy, "--synchronously").code == 1
    world.ec2().terminate_instances(InstanceIds=[old["instance_id"]])
    world.ec2().delete_volume(VolumeId=old["volumes"]["/dev/sda1"])
    ended = fab("check")
    assert (ended.code, ended.err) == (1, "")
    assert "1 replica in eu-west-1 in error (snap-" in ended.out
    row = fab("status", "--json").item("volumes that are gone")
    assert (row["outcome"], len(row["in_error"])) == ("warning", 1)


def test_one_region_is_read_together_with_its_destinations(sandbox, load, fab, configure):
    configure(destinations={"us-east-1": ["eu-west-1"]})
    load(instance("web", 8, history=[hourly()]))
    fab("status", "--region-name", "us-east-1")
    assert {call.region for call in sandbox.calls("DescribeSnapshots")} == {
        "us-east-1", "eu-west-1",
    }  # fmt: skip


def test_limits_differ_by_tag(sandbox, load, fab, configure):
    overrides = [{"match": {"Environment": "test"}, "max_age": "5d"}]
    configure(check={"max_age": "2h", "overrides": overrides})
    tags = {"Earmarking": "production", "Environment": "test"}
    load(
        instance("web", 8, history=[hourly()]),
        instance("toy", 8, tags=tags, history=[hourly()]),
    )
    assert fab("check").code == 0
    sandbox.advance(2 * 3600)
    line = fab("check").out
    assert "web" in line
    assert "toy" not in line


def test_a_region_that_cannot_be_read_is_unknown_and_the_others_are_shown(sandbox, load, fab):
    load(instance("web", 8, history=[hourly()]))
    sandbox.fault(
        "DescribeSnapshots", "error", region="eu-west-1", count=None,
        code="UnauthorizedOperation", status=403, message="no",
    )  # fmt: skip
    seen = fab("status")
    assert seen.code == 1
    assert "web" in seen.out
    assert "not allowed to call ec2:DescribeSnapshots in eu-west-1" in seen.err
    judged = fab("check")
    assert judged.code == 3
    assert "eu-west-1 could not be read" in judged.out


@pytest.mark.parametrize("why", ["usage", "configuration", "credentials", "network", "file"])
def test_whatever_keeps_check_from_its_verdict_is_unknown(fab, configure, tmp_path: Path, why):
    arguments, environment = [], {}
    if why == "usage":
        arguments = ["--region-name", "mars"]
    elif why == "configuration":
        configure(check={"max_age": "soon"}, nonsense=1)
    elif why == "credentials":
        environment = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    elif why == "network":
        environment = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    else:
        arguments = ["--prometheus", str(tmp_path / "no folder" / "x.prom")]
    ended = fab("check", *arguments, **environment)
    assert ended.code == 3
    (line,) = ended.out.splitlines()
    assert line.startswith("SNAPBACK UNKNOWN - ")
    assert "Traceback" not in ended.err


def test_the_line_for_the_monitor_is_said_whatever_is_quiet(load, fab):
    load(instance("web", 8, history=[hourly()]))
    assert fab("check", SNAPBACK_QUIET="1").out.startswith("SNAPBACK OK - ")


def test_no_instance_with_the_earmark_is_critical(fab):
    ended = fab("check")
    assert ended.code == 2
    assert "nothing is backed up" in ended.out


def test_the_page_shows_the_next_trim_and_changes_nothing(sandbox, load, fab, tmp_path: Path):
    load(instance("web", 8, history=[hourly(**{"from": "40h"})]))
    target = tmp_path / "page.html"
    assert fab("status", "--html", str(target)).code == 0
    page = target.read_text()
    assert page.startswith("<!doctype html>")
    planned = fab("trim_snapshots", "--dry-run", "--json").document
    in_the_legend = 1
    assert page.count('class="going"') - in_the_legend == len(planned["items"]) > 0
    kept = sum(planned["kept"]["us-east-1"].values())
    assert page.count('class="kept"') - in_the_legend == kept > 0
    assert "the next trim deletes it: day " in page
    assert changing_calls(sandbox) == []


def test_the_dry_run_of_a_trimming_writes_the_same_picture(sandbox, load, fab, tmp_path: Path):
    load(instance("web", 8, history=[hourly(**{"from": "40h"})]))
    target = tmp_path / "trim.html"
    ended = fab("trim_snapshots", "--dry-run", "--json", "--html", str(target))
    assert ended.code == 0
    going, kept = len(ended.document["items"]), sum(ended.document["kept"]["us-east-1"].values())
    assert f"{going} snapshots would go, {kept} would stay" in target.read_text()
    refused = fab("trim_snapshots", "--html", str(target))
    assert refused.code == 2
    assert "--dry-run" in refused.err
    assert changing_calls(sandbox) == []


def test_the_metrics_are_written_whole(load, fab, tmp_path: Path):
    load(instance("web", 8, history=[hourly()]))
    target = tmp_path / "metrics" / "snapback.prom"
    target.parent.mkdir()
    target.write_text("old\n")
    assert fab("check", "--prometheus", str(target)).code == 0
    assert "snapback_volume_state{" in target.read_text()
    assert list(target.parent.iterdir()) == [target]
    assert target.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("wrong", [["--nonsense"], ["--region-name"], ["us-east-1"]])
def test_what_the_parser_refuses_is_unknown_of_the_check_alone(wrong):
    def ended(task):
        return subprocess.run(
            [BIN / "snapback", task, *wrong], capture_output=True, text=True, check=False
        )

    assert ended("check").returncode == 3
    assert ended("check").stdout.startswith("SNAPBACK UNKNOWN - ")
    assert (ended("status").returncode, ended("status").stdout) == (1, "")
