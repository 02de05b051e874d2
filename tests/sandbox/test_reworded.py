"""Reasons are values: a snapback that gives every reason in other words does just the same.

The reworded one is a copy of the package in which each ``Reason(kind, text)`` has another text. It
runs as a program of its own, against the same EC2, and only its words may differ.
"""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.conftest import Ended, instance, run_fab
from tests.sandbox.histories import NOW, daily
from tests.sandbox.replicas import BY_COPY, EAST, WEST, sets
from tests.sandbox.warm_fab import ROOT, WarmFab

pytestmark = pytest.mark.usefixtures("sandbox")

OTHER_WORDS = "in other words, number"
IN_WORDS = {"run", "error", "explanation", "reasons"}


class Reworder(ast.NodeTransformer):
    """Gives each reason another text.

    :ivar count: how many were found.
    """

    count = 0

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "Reason":
            kind, _ = node.args
            self.count += 1
            node.args = [kind, ast.Constant(f"{OTHER_WORDS} {self.count}")]
        return node


@pytest.fixture(scope="session")
def reworded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmFab]:
    """The ``fab`` of a snapback that gives its reasons in other words."""
    folder = tmp_path_factory.mktemp("reworded")
    shutil.copytree(ROOT / "snapback", folder / "snapback")
    for name in ("fabfile.py", "fabric.yaml", "tests"):
        (folder / name).symlink_to(ROOT / name)
    reworder = Reworder()
    for path in (folder / "snapback").rglob("*.py"):
        path.write_text(ast.unparse(reworder.visit(ast.parse(path.read_text(encoding="utf-8")))))
    assert reworder.count > 60
    warm = WarmFab(folder)
    yield warm
    warm.close()


@pytest.fixture
def alike(
    fab: Callable[..., Ended], reworded: WarmFab, tmp_path: Path
) -> Callable[..., tuple[Ended, Ended]]:
    """Runs a task by the usual snapback and by the reworded one; demands that only words differ."""

    def run(*arguments: str) -> tuple[Ended, Ended]:
        usual = fab(*arguments, "--json")
        other = run_fab(reworded, tmp_path, *arguments, "--json")
        assert (other.code, other.err == "") == (usual.code, usual.err == ""), other
        assert without_words(other.document) == without_words(usual.document)
        return usual, other

    return run


def without_words(document: Any) -> Any:
    if isinstance(document, dict):
        return {k: without_words(v) for k, v in document.items() if k not in IN_WORDS}
    return [without_words(one) for one in document] if isinstance(document, list) else document


def test_trimming_goes_by_kinds(sandbox, world, alike, reworded, tmp_path):
    instances = [
        instance("web", 8, history=[daily(15)]),
        instance("lost", 8, history=[daily(15, tags={"Retention": "misspelt"})]),
        instance("db", 8, 8, history=[sets(12)]),
    ]
    sandbox.load_fleet({"now": NOW, "regions": {EAST: {"instances": instances}}})
    oldest = min(world.snapshots(), key=lambda snapshot: snapshot["StartTime"])["SnapshotId"]
    pin = [{"Key": "preserve_snapshot", "Value": ""}]
    world.ec2().create_tags(Resources=[oldest], Tags=pin)
    planned, other = alike("trim_snapshots", "--dry-run", "--max-delete", "100")
    assert planned.code == 3, "a retention isn't known"
    assert "misspelt" in planned.err
    assert OTHER_WORDS in other.out
    kept = planned.document["kept"][EAST]
    assert {"newest", "day", "no such retention"} <= kept.keys()
    ended = run_fab(reworded, tmp_path, "trim_snapshots", "--max-delete", "100")
    assert ended.code == 3, ended
    assert len(world.snapshots()) == sum(kept.values())


def test_undeleting_goes_by_kinds(sandbox, configure, fab, alike, tmp_path):
    log = tmp_path / "deletions.jsonl"
    configure(max_delete=100, deletion_log=str(log))
    instances = [instance("web", 8, history=[daily(15)]), instance("db", 8, history=[daily(15)])]
    sandbox.load_fleet({"now": NOW, "regions": {EAST: {"instances": instances}}})
    rule = {"days": 7, "tags": {"Earmarking": ""}}
    sandbox.configure(recycle_bin={EAST: [rule]})
    document = fab("trim_snapshots", "--json").document
    run = ("undelete_snapshots", "--run-id", document["run"])
    assert alike(*run, "--dry-run")[0].code == 0
    gone = {"event": "deleted", "run": document["run"], "region": EAST}
    with log.open("a") as file:
        file.write(json.dumps({**gone, "snapshot": "snap-0123456789abcdef0"}) + "\n")
    assert alike(*run, "--dry-run")[0].code == 3
    assert fab(*run).code == 3
    back, _ = alike(*run)
    assert back.code == 3
    words = {item["outcome"] for item in back.document["items"]}
    assert words == {"already restored", "not in the bin"}


def test_restores_go_by_kinds(load, fab, sandbox, world, alike):
    web = load(instance("web", 8, 20))["web"]
    for _ in "12":
        assert fab("backup_instances_by_tag", "--synchronously").code == 0
        sandbox.advance(3600)
    of = ("--instance-id", web["instance_id"])
    assert alike("restore_instance", *of, "--dry-run")[0].code == 0
    data = web["volumes"]["/dev/sdf"]
    newest = max(world.snapshots(), key=lambda s: (s["StartTime"], s["VolumeId"] == data))
    world.ec2().delete_snapshot(SnapshotId=newest["SnapshotId"])
    assert alike("restore_instance", *of, "--dry-run")[0].code == 0, "the set before will do"
    assert alike("create_ami", *of, "--dry-run", "--incomplete")[0].code == 0
    assert alike("restore_instance", *of, "--dry-run", "--subnet-id", "subnet-0")[0].code == 2
    gaps, _ = alike("verify_region", EAST, "--dry-run")
    assert gaps.code == 1, "a volume is missing from a set"
    corrupt = {"Key": "snapback:verified", "Value": "2026-11-01T03:00:00Z corrupt ext4: bad"}
    ids = sorted(world.snapshot_ids())
    world.ec2().create_tags(Resources=ids, Tags=[corrupt])
    assert alike("restore_volume", "--snapshot-id", ids[0], "--dry-run")[0].code == 0
    assert alike("restore_volume", "--volume-id", data, "--dry-run")[0].code == 2
    assert alike("restore_instance", *of, "--dry-run")[0].code == 2


def test_replication_goes_by_kinds(load, fab, sandbox, world, alike):
    load(instance("web", 8, 20), instance("db", 8))
    assert fab("backup_instances_by_tag", "--synchronously").code == 0
    sandbox.configure(snapshot_seconds=3600)
    leg = ("rsync_region", EAST, WEST, *BY_COPY)
    assert fab(*leg).code == 0
    pending, _ = alike(*leg, "--dry-run")
    assert {item["outcome"] for item in pending.document["items"]} == {"being replicated"}
    sandbox.complete_all()
    there, _ = alike(*leg, "--dry-run")
    assert {item["outcome"] for item in there.document["items"]} == {"already replicated"}
    assert alike("restore_instances_by_tag", WEST, "--dry-run")[0].code == 2, "nothing is guessed"


WHAT_DIFFERED = """
from datetime import UTC, datetime
from snapback.core.model.digest import Digest
from snapback.core.model.reasons import Reason
from snapback.core.model.verdicts import VerdictKind, Verified, verdict_of, write_verdict
from snapback.core.verify.examination import compare, in_light_of

def found(digest=None):
    return Verified(at=datetime.now(UTC), reason=Reason(VerdictKind.GOOD, "ext4"), digest=digest)

differs = compare(found(Digest("a" * 32, "b" * 32)), [("x", found(Digest("a" * 32, "c" * 32)))])
print(differs.evidence)
known = verdict_of(write_verdict(differs))
print(in_light_of(known, found()).word)
"""


def test_what_differed_stays_corrupt_in_whatever_words(reworded):
    program = [sys.executable, "-c", WHAT_DIFFERED]
    said = subprocess.check_output(program, cwd=reworded.root, text=True).splitlines()
    assert said[0].startswith(OTHER_WORDS)
    assert said[1] == "corrupt"
