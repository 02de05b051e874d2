"""Undeleting, through the real fab: what was trimmed comes back from the Recycle Bin, and stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from snapback import undelete_snapshots
from snapback.errors import ItemsFailed, UsageError
from snapback.run import use
from snapback.undelete import run_undelete_snapshots, selection_of
from tests.sandbox.conftest import changing_calls, instance
from tests.sandbox.histories import NOW, daily
from tests.sandbox.replicas import EAST, SOUTH, WEST, sets
from tests.sandbox.test_accounts import ACCOUNTS, PROD

pytestmark = pytest.mark.usefixtures("sandbox")

FEW = dict.fromkeys(("hourly", "weekly", "monthly", "quarterly", "yearly"), 0) | {"daily": 3}
UNKNOWN_RUN = "run-20261124T000000-000000"
KEEP = "snapback:keep"


@pytest.fixture
def trimmed(sandbox, configure, fab, world, tmp_path: Path):
    """Lay out regions, trim them under rules of the Recycle Bin; return the trim's document."""

    def make(*instances, rules=({"days": 7},), regions=None, **settings):
        regions = regions or {EAST: {"instances": list(instances)}}
        make.placed = sandbox.load_fleet({"now": NOW, "regions": regions})
        sandbox.configure(recycle_bin={region: list(rules) for region in regions})
        log = str(tmp_path / "deletions.jsonl")
        make.configuration = {
            "retention": FEW, "max_delete": 100, "deletion_log": log, **settings
        }  # fmt: skip
        configure(**make.configuration)
        ended = fab("trim_snapshots", "--json")
        assert ended.code == 0, ended
        sandbox.clear_calls()
        return ended.document

    make.log = tmp_path / "deletions.jsonl"
    return make


def deleted(document) -> set[str]:
    return {item["subject"] for item in document["items"]}


def binned(world, region: str = EAST) -> set[str]:
    found = world.ec2(region).list_snapshots_in_recycle_bin()["Snapshots"]
    return {snapshot["SnapshotId"] for snapshot in found}


def words(ended) -> dict[str, str]:
    return {item["subject"]: item["outcome"] for item in ended.document["items"]}


def kept(world, region: str = EAST) -> dict[str, str]:
    """The snapshots with the tag that keeps them: id -> value."""
    tagged = {s["SnapshotId"]: world.tags(s) for s in world.snapshots(region)}
    return {snapshot_id: tags[KEEP] for snapshot_id, tags in tagged.items() if KEEP in tags}


def test_what_a_run_deleted_is_shown_and_then_restored(trimmed, fab, world, sandbox):
    document = trimmed(instance("web", 8, 20, history=[sets(9)]))
    gone, run = deleted(document), ("--run-id", document["run"])
    tags = {tag["Key"] for s in world.snapshots() for tag in s["Tags"]}
    assert len(gone) == 12
    before = world.snapshot_ids()

    dry = fab("undelete_snapshots", *run, "--dry-run", "--json")
    assert dry.code == 0
    assert changing_calls(sandbox) == []
    assert sandbox.calls("RestoreSnapshotFromRecycleBin") == []
    assert words(dry) == dict.fromkeys(gone, "would do")
    item = dry.document["items"][0]
    assert item["explanation"].startswith("in the Recycle Bin until 2026-12-01 12:0")
    assert (item["deleted_at"][:10], item["until"][:10]) == ("2026-11-24", "2026-12-01")
    assert item["taken_at"] < dry.document["items"][-1]["taken_at"]
    assert item["volume"] in trimmed.placed[EAST]["web"]["volumes"].values()

    done = fab("undelete_snapshots", *run, "--json")
    assert (done.code, done.err) == (0, "")
    assert words(done) == dict.fromkeys(gone, "done")
    assert world.snapshot_ids() == before | gone
    assert kept(world) == dict.fromkeys(gone, done.document["run"])
    back = [s for s in world.snapshots() if s["SnapshotId"] in gone]
    assert all({tag["Key"] for tag in s["Tags"]} == tags | {KEEP} for s in back)

    again = fab("undelete_snapshots", *run, "--json")
    assert (again.code, words(again)) == (0, dict.fromkeys(gone, "already restored"))
    assert set(kept(world).values()) == {done.document["run"]}


def test_what_is_back_is_not_trimmed_again_until_the_tag_is_removed(trimmed, fab, world):
    document = trimmed(instance("web", 8, 20, history=[sets(9)]))
    gone = deleted(document)
    assert fab("undelete_snapshots", "--run-id", document["run"]).code == 0
    before = world.snapshot_ids()
    assert gone <= before
    assert fab("trim_snapshots", "--json").document["items"] == []
    for snapshot_id in gone:
        world.ec2().delete_tags(Resources=[snapshot_id], Tags=[{"Key": KEEP}])
    assert deleted(fab("trim_snapshots", "--json").document) == gone


def test_tables_say_until_when_and_that_the_tag_stops_the_trimming(trimmed, fab):
    run = ("--run-id", trimmed(instance("web", 8, history=[daily(5)]))["run"])
    dry = fab("undelete_snapshots", *run, "--dry-run")
    assert "until" in dry.out.splitlines()[0]
    assert "2026-12-01T12:0" in dry.out
    assert "3 to be restored, 0 already restored" in dry.out
    assert KEEP not in dry.out
    done = fab("undelete_snapshots", *run)
    assert "3 restored, 0 already restored" in done.out
    assert "tag snapback:keep: their volumes are not trimmed there until you remove it" in done.out
    assert "0 restored, 3 already restored" in fab("undelete_snapshots", *run).out
    quiet = fab("undelete_snapshots", *run, "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


@pytest.mark.parametrize("by_log", [True, False])
@pytest.mark.parametrize("history", [daily(9), sets(9)])
def test_a_volume_or_an_instance_is_found_by_descriptions_and_by_the_log(
    trimmed, fab, world, history, by_log
):
    gone = trimmed(instance("web", 8, 20, history=[history]), instance("db", 8, history=[history]))[
        "items"
    ]
    if not by_log:
        trimmed.log.unlink()
    web = trimmed.placed[EAST]["web"]
    of_data = {one["subject"] for one in gone if one["volume"] == web["volumes"]["/dev/sdf"]}
    of_web = {one["subject"] for one in gone if one["volume"] in web["volumes"].values()}
    assert of_data
    one = fab("undelete_snapshots", "--volume-id", web["volumes"]["/dev/sdf"], "--json")
    assert (one.code, words(one)) == (0, dict.fromkeys(of_data, "done"))
    both = fab("undelete_snapshots", "--instance-id", web["instance_id"], "--json")
    back = dict.fromkeys(of_data, "already restored") if by_log else {}
    assert words(both) == dict.fromkeys(of_web - of_data, "done") | back
    assert both.code == 0
    assert set(kept(world)) == of_web
    if not by_log:
        assert "deletion_log" in fab("undelete_snapshots", "--volume-id", one_of(web)).out


def one_of(ids) -> str:
    return ids["volumes"]["/dev/sda1"]


def test_only_ours_are_restored(trimmed, fab, world, sandbox):
    document = trimmed(instance("web", 8, history=[daily(6)]))
    volume = one_of(trimmed.placed[EAST]["web"])
    ec2 = world.ec2()
    time = {"Region": WEST, "Instance": trimmed.placed[EAST]["web"]["instance_id"]}
    foreign = set()
    for description in ("by hand", "", json.dumps({**time, "Time": "2026-11-24T03:00:00"}), "{}"):
        made = ec2.create_snapshot(VolumeId=volume, Description=description)["SnapshotId"]
        sandbox.complete_all()
        ec2.delete_snapshot(SnapshotId=made)
        foreign.add(made)
    with trimmed.log.open("a") as log:
        line = {"event": "deleted", "region": EAST, "description": "of ours", "volume": volume}
        for made in foreign:
            log.write(json.dumps({**line, "run": document["run"], "snapshot": made}) + "\n")
        log.write('{"event": "deleted", "run": "run')
    ended = fab("undelete_snapshots", "--volume-id", volume, "--json")
    assert ended.code == 0
    assert words(ended) == dict.fromkeys(deleted(document), "done") | dict.fromkeys(
        foreign, "not ours"
    )
    assert binned(world) == foreign


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--volume-id", "vol-0123456789abcdef0", "--run-id", UNKNOWN_RUN),
        ("--volume-id", "snap-0123456789abcdef0"),
        ("--instance-id", "web"),
        ("--run-id", "yesterday's"),
        ("--run-id", ""),
        ("--volume-id", ""),
        ("--run-id", UNKNOWN_RUN),
        ("--volume-id", "vol-0123456789abcdef0", "--region-name", "mars"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_done(trimmed, fab, sandbox, world, arguments):
    trimmed(instance("web", 8, history=[daily(5)]))
    before = binned(world)
    sandbox.clear_calls()
    ended = fab("undelete_snapshots", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 1
    assert binned(world) == before
    assert not any("Restore" in call.action for call in sandbox.calls())


@pytest.mark.parametrize("lost", ["missing", "a folder", "not readable text", "empty"])
def test_a_run_needs_a_log_that_can_be_read(trimmed, fab, lost):
    run = trimmed(instance("web", 8, history=[daily(5)]))["run"]
    trimmed.log.unlink()
    if lost == "a folder":
        trimmed.log.mkdir()
    elif lost != "missing":
        trimmed.log.write_bytes(b"\xff\x00\n" * 9 if lost == "not readable text" else b"")
    ended = fab("undelete_snapshots", "--run-id", run)
    assert ended.code == 2
    assert "on the machine that trimmed, or give --volume-id or --instance-id" in ended.err
    assert str(trimmed.log) in ended.err


def test_what_no_rule_kept_is_told_and_fails(trimmed, fab):
    document = trimmed(instance("web", 8, history=[daily(5)]), rules=())
    ended = fab("undelete_snapshots", "--run-id", document["run"], "--json")
    assert ended.code == 1
    told = words(ended)
    assert told.pop(document["run"]) == "failed"
    assert told == dict.fromkeys(deleted(document), "not in the bin")
    assert "nothing to restore: the Recycle Bin of us-east-1 has none" in ended.err
    volume = one_of(trimmed.placed[EAST]["web"])
    ended = fab("undelete_snapshots", "--volume-id", volume, "--dry-run")
    assert ended.code == 1
    assert f"the Recycle Bin of {SOUTH}, {WEST}, {EAST} has none of its snapshots" in ended.err


def test_what_has_left_the_bin_is_told_beside_what_is_back(trimmed, fab, sandbox, world):
    rules = [{"days": 7, "exclude_tags": {"Name": "web"}}]
    document = trimmed(instance("web", 8, history=[sets(5)]), instance("db", 8, history=[sets(5)]),
                       rules=rules)  # fmt: skip
    there = binned(world)
    gone = deleted(document) - there
    assert there
    assert gone
    ended = fab("undelete_snapshots", "--run-id", document["run"], "--json")
    assert ended.code == 3
    assert words(ended) == dict.fromkeys(there, "done") | dict.fromkeys(gone, "not in the bin")
    assert ended.err.count("not in the bin: it is not in the Recycle Bin of us-east-1") == len(gone)


def test_what_ended_in_error_holds_no_backup(trimmed, fab, sandbox, world):
    trimmed(instance("web", 8, history=[sets(1)]))
    volume, ec2 = one_of(trimmed.placed[EAST]["web"]), world.ec2()
    record = {"Volume": volume, "Region": EAST, "Time": "2026-11-24T03:00:00"}
    sandbox.fail_next_snapshot(message="bad key")
    made = ec2.create_snapshot(VolumeId=volume, Description=json.dumps(record))["SnapshotId"]
    sandbox.complete_all()
    ec2.delete_snapshot(SnapshotId=made)
    ended = fab("undelete_snapshots", "--volume-id", volume, "--json")
    assert (ended.code, words(ended)) == (3, {made: "broken"})
    assert "holds no backup, since it had ended in error: bad key" in ended.err
    with trimmed.log.open("a") as log:
        line = {"event": "deleted", "run": "run-x", "region": EAST, "snapshot": made}
        log.write(json.dumps({**line, "volume": volume}) + "\n")
    again = fab("undelete_snapshots", "--run-id", "run-x", "--json")
    assert (again.code, words(again)) == (3, {made: "broken"})


@pytest.fixture
def everywhere(trimmed):
    """Trim in two regions; return the trim's document."""
    fleet = {"instances": [instance("web", 8, history=[daily(6)])]}
    other = {"instances": [instance("db", 8, history=[daily(6)])]}
    return trimmed(regions={EAST: fleet, WEST: other})


def test_all_regions_are_looked_at_or_the_one_named(everywhere, fab, world):
    run = ("--run-id", everywhere["run"])
    here = fab("undelete_snapshots", *run, "--region-name", "eu-w", "--json")
    assert here.code == 0
    assert {item["region"] for item in here.document["items"]} == {WEST}
    nowhere = fab("undelete_snapshots", *run, "--region-name", SOUTH)
    assert nowhere.code == 1
    assert "nothing to restore" in nowhere.err
    rest = fab("undelete_snapshots", *run, "--json")
    assert rest.code == 0
    assert set(words(rest)) == deleted(everywhere)
    assert set(words(rest).values()) == {"already restored", "done"}
    assert binned(world) == binned(world, WEST) == set()


def test_regions_out_of_use_are_named(everywhere, trimmed, fab, configure):
    configure(**trimmed.configuration, regions={EAST: {}})
    ended = fab("undelete_snapshots", "--run-id", everywhere["run"], "--json")
    assert ended.code == 1
    assert ended.item(WEST)["outcome"] == "failed"
    assert "name it with --region-name" in ended.item(WEST)["explanation"]
    assert list(words(ended).values()).count("done") == 4


@pytest.mark.parametrize("action", ["ListSnapshotsInRecycleBin", "RestoreSnapshotFromRecycleBin"])
def test_a_region_that_refuses_stops_no_other(everywhere, fab, sandbox, world, action):
    sandbox.configure(denied={WEST: [action]})
    ended = fab("undelete_snapshots", "--run-id", everywhere["run"], "--json")
    assert ended.code == 1
    assert f"not allowed to call ec2:{action} in eu-west-1" in ended.err
    sandbox.configure(denied={})
    assert binned(world) == set()
    assert len(binned(world, WEST)) == 4
    assert set(kept(world)) == world.snapshot_ids() & deleted(everywhere)


@pytest.mark.parametrize(
    "action", ["ListSnapshotsInRecycleBin", "RestoreSnapshotFromRecycleBin", "CreateTags"]
)
@pytest.mark.parametrize(
    "fault",
    [
        {"effect": "error", "code": "RequestLimitExceeded", "status": 503, "count": 2},
        {"effect": "error", "code": "InternalError", "status": 500},
        {"effect": "error_after", "code": "InternalError", "status": 500},
        {"effect": "drop_before"},
        {"effect": "drop_after"},
    ],
    ids=lambda fault: fault["effect"] + fault.get("code", ""),
)
def test_faults_that_pass_cost_nothing(trimmed, fab, sandbox, world, action, fault):
    document = trimmed(instance("web", 8, history=[daily(6)]))
    sandbox.fault(action, **fault)
    ended = fab("undelete_snapshots", "--run-id", document["run"], "--json")
    assert (ended.code, ended.err) == (0, "")
    assert {call.outcome for call in sandbox.calls(action)} != {"ok"}
    assert set(kept(world)) == deleted(document)
    assert set(words(ended).values()) <= {"done", "already restored"}


def test_one_that_fails_stops_no_other(trimmed, fab, sandbox, world):
    document = trimmed(instance("web", 8, history=[daily(6)]))
    bad = min(deleted(document))
    sandbox.fault("RestoreSnapshotFromRecycleBin", "error", code="Nope", message="no",
                  where={"SnapshotId": bad}, count=None)  # fmt: skip
    ended = fab("undelete_snapshots", "--run-id", document["run"], "--json")
    assert (ended.code, words(ended)[bad]) == (1, "failed")
    assert binned(world) == {bad}
    assert set(kept(world)) == deleted(document) - {bad}
    sandbox.clear_faults()
    assert fab("undelete_snapshots", "--run-id", document["run"]).code == 0
    assert set(kept(world)) == deleted(document)


def test_answers_that_are_lost_each_time_are_looked_up(trimmed, fab, sandbox, world):
    document = trimmed(instance("web", 8, history=[daily(6)]))
    one, other, *_ = sorted(deleted(document))
    lost = {"code": "InternalError", "status": 500, "count": None}
    sandbox.fault("RestoreSnapshotFromRecycleBin", "error", where={"SnapshotId": one}, **lost)
    sandbox.fault("RestoreSnapshotFromRecycleBin", "error_after", where={"SnapshotId": other},
                  **lost)  # fmt: skip
    ended = fab("undelete_snapshots", "--run-id", document["run"], "--json")
    assert ended.code == 1
    assert (words(ended)[one], words(ended)[other]) == ("failed", "already restored")
    assert set(kept(world)) == deleted(document) - {one}


def test_one_that_leaves_the_bin_meanwhile_is_told(trimmed, fab, sandbox):
    document = trimmed(instance("web", 8, history=[daily(6)]))
    late = min(deleted(document))
    sandbox.fault("RestoreSnapshotFromRecycleBin", "error", code="InvalidSnapshot.NotFound",
                  message="no", where={"SnapshotId": late}, count=None)  # fmt: skip
    ended = fab("undelete_snapshots", "--run-id", document["run"], "--json")
    assert (ended.code, words(ended)[late]) == (3, "not in the bin")
    assert "left the Recycle Bin meanwhile" in ended.err


def test_where_the_tag_can_not_be_set_it_is_loud_and_the_next_run_sets_it(
    trimmed, fab, sandbox, world
):
    document = trimmed(instance("web", 8, history=[daily(6)]))
    sandbox.configure(denied={"*": ["CreateTags"]})
    ended = fab("undelete_snapshots", "--run-id", document["run"], "--json")
    assert ended.code == 4
    assert set(words(ended).values()) == {"not kept"}
    assert "the next trimming may delete it again" in ended.err
    assert "not allowed to call ec2:CreateTags in us-east-1" in ended.err
    assert f"--tags Key={KEEP},Value=" in ended.err
    assert binned(world) == set()
    dry = fab("undelete_snapshots", "--run-id", document["run"], "--dry-run")
    assert dry.out.count("already restored: it is there, without the tag snapback:keep") == 4
    shown = fab("undelete_snapshots", "--run-id", document["run"], "--quiet")
    assert (shown.code, shown.out) == (4, "")
    sandbox.configure(denied={})
    again = fab("undelete_snapshots", "--run-id", document["run"], "--json")
    assert (again.code, set(words(again).values())) == (0, {"already restored"})
    assert set(kept(world)) == deleted(document)


def test_replicas_come_back_where_they_lay(trimmed, fab, sandbox, world):
    trimmed(instance("web", 8, history=[sets(1)]))
    volume, there = one_of(trimmed.placed[EAST]["web"]), world.ec2(WEST)
    sandbox.configure(recycle_bin={WEST: [{"days": 7}]})
    assert fab("rsync_region", EAST, WEST, "--engine=copy", "--synchronously").code == 0
    (replica,) = world.snapshots(WEST)
    there.delete_snapshot(SnapshotId=replica["SnapshotId"])
    ended = fab("undelete_snapshots", "--volume-id", volume, "--json")
    assert (ended.code, words(ended)) == (0, {replica["SnapshotId"]: "done"})
    (back,) = world.snapshots(WEST)
    assert world.tags(back).items() > world.tags(replica).items()


def test_each_account_has_a_bin_of_its_own(trimmed, fab, sandbox, configure, tmp_path):
    sandbox.configure(roles={f"arn:aws:iam::{PROD}:role/snapback": "of-prod"})
    fleet = {"instances": [instance("web", 8, history=[daily(6)])]}
    sandbox.load_fleet({"account": PROD, "regions": {EAST: fleet}})
    sandbox.configure(recycle_bin={EAST: [{"days": 7}]})
    accounts = [one for one in ACCOUNTS if one["name"] != "test"]
    configure(retention=FEW, max_delete=100, accounts=accounts,
              deletion_log=str(tmp_path / "log"))  # fmt: skip
    ended = fab("trim_snapshots", "--json")
    assert ended.code == 0, ended
    document = ended.document
    assert {item["account"] for item in document["items"]} == {"prod"}
    run = ("--run-id", document["run"])
    others = fab("undelete_snapshots", *run, "--account", "ops")
    assert others.code == 1
    sandbox.configure(roles={})
    closed = fab("undelete_snapshots", *run)
    assert closed.code == 2
    assert "role/snapback" in closed.err
    sandbox.configure(roles={f"arn:aws:iam::{PROD}:role/snapback": "of-prod"})
    ended = fab("undelete_snapshots", *run, "--json")
    assert (ended.code, set(words(ended))) == (0, deleted(document))


def test_the_helper_returns_what_became_of_each(trimmed, begin, world):
    document = trimmed(instance("web", 8, history=[daily(6)]))
    with use(begin(Path("snapback.yaml"))):
        dry = undelete_snapshots(run_id=document["run"], dry_run=True)
        assert {one.word.text for one in dry.outcomes} == {"would do"}
        done = undelete_snapshots("us-e", run_id=document["run"])
        assert {one.subject for one in done.outcomes} == deleted(document)
        with pytest.raises(ItemsFailed, match="nothing to restore"):
            undelete_snapshots(volume_id="vol-0123456789abcdef0")
        with pytest.raises(UsageError, match="give one of"):
            undelete_snapshots()
    assert set(kept(world)) == deleted(document)


def test_a_wish_to_stop_restores_no_more(trimmed, begin, world):
    document = trimmed(instance("web", 8, history=[daily(6)]))
    with use(begin(Path("snapback.yaml"))) as run:
        run.progress.expect = lambda *_: run.stop.set()
        done = run_undelete_snapshots(run, selection_of(None, None, document["run"]))
    assert {one.word.text for one in done.outcomes} == {"not done"}
    assert binned(world) == deleted(document)
