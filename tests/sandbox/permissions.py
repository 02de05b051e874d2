"""What each task calls, in all its ways: bound by its policies, watched, and compared with them.

The sandbox evaluates them by the tags that things have at the moment, so that a way ends well only
where their conditions let it pass. AWS itself was not asked (``fab doctor`` asks it).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from ec2_sandbox import Sandbox

from snapback.core.doctor.permissions import EXTRAS_OF, needs_in
from snapback.core.leases import lease
from snapback.run import Run
from tests.sandbox.conftest import Ended, World, instance
from tests.sandbox.replicas import EAST, SOUTH, WEST, sets
from tests.sandbox.warm_fab import ROOT

FOLDER = ROOT / "docs" / "reference" / "iam"
PROTECT_TAGS = json.loads((FOLDER.parent / "scp" / "protect_tags.json").read_text())
ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
OUR_ROLE = "arn:aws:iam::123456789012:role/snapback-tests"
NEED_NO_PERMISSION = {"sts:GetCallerIdentity"}

HOW_TO_ADD = """\
{task}: there is no {what}.
Of every task the permissions are told and tested. For a new one:
1. docs/reference/iam/{task}.json: what it calls; what deletes or changes, conditioned on our tags;
2. what it needs in some case only: an extra, in snapback/core/permissions.py (EXTRAS_OF);
   a task that calls nothing: CALLS_NOTHING there;
3. docs/reference/iam.md: a section that includes the file;
4. WAYS in tests/sandbox/permissions.py, or in tests/hosts/permissions.py if it takes hosts: run the
   task there in all its ways, each in `with kit.way(...)` with the extras that it needs."""


def actions_of(policy: str) -> set[str]:
    """The actions that a policy allows."""
    return {need.action for need in needs_in(policy, (FOLDER / f"{policy}.json").read_text())}


def logged(configure: Callable[..., Path], folder: Path) -> Callable[..., Path]:
    """Have whatever is configured keep a log of everything, as JSON lines; it does so from now."""

    def write(**settings: Any) -> Path:
        log = {"file": str(folder / "log"), "format": "json", "level": "debug"}
        return configure(**{"logging": log, **settings})

    write()
    return write


OF_THE_RUN = ("snapback ", "ended with ")


def check_log(sandbox: Sandbox, folder: Path) -> None:
    """See that each line of a log says in which run, where and of what, and that no secret does."""
    text = (folder / "log").read_text()
    for line in map(json.loads, text.splitlines()):
        assert line["run"], line
        assert line["task"], line
        if line["message"].startswith(OF_THE_RUN):
            continue
        is_of_here = line["task"] == "doctor" and line["from"] == "snapback.tasks.performance"
        assert line["region"] or is_of_here, line
        assert line["resource"] or line["from"] == "snapback.ec2.connection", line
    assert "PRIVATE KEY" not in text
    assert "UserData" not in text
    for call in sandbox.calls("RunInstances"):
        assert call.parameters.get("UserData", "no such text") not in text


@contextmanager
def bound_by(sandbox: Sandbox, *policies: str) -> Iterator[None]:
    """Let the sandbox allow a role of ours no more than some policies do, with their conditions.

    The policy that protects our tags is attached to the account.
    """
    documents = [json.loads((FOLDER / f"{name}.json").read_text()) for name in policies]
    with bound_as(
        sandbox, OUR_ROLE, policies=documents, service_control_policies=[ALL, PROTECT_TAGS]
    ):
        yield


@contextmanager
def bound_as(sandbox: Sandbox, principal: str, **layers: list[Any]) -> Iterator[None]:
    """Make the sandbox's own access key that of a principal, whom policies bind."""
    sandbox.configure(principal=principal, **layers)
    try:
        yield
    finally:
        sandbox.configure(**dict.fromkeys(layers))


def called(sandbox: Sandbox) -> set[str]:
    """The permissions that the calls since the last look took; ours, not a bystander's.

    A dry run asks whether something is allowed, so that needs no permission. To tag what one makes
    takes a permission of its own.
    """
    key = sandbox.environ["AWS_ACCESS_KEY_ID"]
    found = set()
    for call in sandbox.calls():
        if call.access_key != key or call.parameters.get("DryRun") == "true":
            continue
        found.add(f"{call.service}:{call.action}")
        if any(name.startswith("TagSpecification.") for name in call.parameters):
            found.add("ec2:CreateTags")
    return found - NEED_NO_PERMISSION


@dataclass
class Kit:
    """What a way of a task is made with, and what was seen of all of them."""

    task: str
    sandbox: Sandbox
    world: World
    load: Callable[..., Any]
    run_fab: Callable[..., Ended]
    configure: Callable[..., Path]
    begin: Callable[..., Run]
    folder: Path
    seen: set[str] = field(default_factory=set)
    with_extra: dict[str, set[str]] = field(default_factory=dict)

    @contextmanager
    def way(self, *extras: str) -> Iterator[None]:
        """Watch one way of the task, which may do what its policy and some extras allow."""
        self.sandbox.clear_calls()
        with bound_by(self.sandbox, self.task, *extras):
            yield
        now = called(self.sandbox)
        allowed = set().union(*map(actions_of, [self.task, *extras]))
        missing = sorted(now - allowed)
        files = " or ".join(f"{name}.json" for name in (self.task, *extras))
        assert not missing, f"{self.task} called {missing}, which neither of {files} allows: add it"
        self.seen |= now
        for extra in extras:
            self.with_extra.setdefault(extra, set()).update(now)

    def fab(self, *arguments: str, codes: Sequence[int] = (0,)) -> Ended:
        """Run the task by its name."""
        ended = self.run_fab(self.task, *arguments)
        assert ended.code in codes, ended
        return ended

    def fail(self, action: str, code: str = "UnauthorizedOperation", **more: Any) -> None:
        """Have an action be refused."""
        self.sandbox.fault(action, "error", code=code, **more)

    def check(self, *, extras: Sequence[str] | None = None) -> None:
        """See that the policies allow no more than was called.

        :param extras: those of which all has been seen; left out: all that the task may need.
        """
        too_much = sorted(actions_of(self.task) - self.seen)
        assert not too_much, (
            f"{self.task}.json allows {too_much}, which the task called in none of its ways: take "
            "it out, or add the way to WAYS"
        )
        for extra in EXTRAS_OF.get(self.task, ()) if extras is None else extras:
            too_much = sorted(actions_of(extra) - self.with_extra.get(extra, set()))
            assert not too_much, f"{extra}.json allows {too_much}, which {self.task} never called"


OVERRULED = {"tags": {"Name": "of the volume"}, "device": "/dev/sda1", "size": 8}


def back_up_by_tag(kit: Kit) -> None:
    kit.load(instance("web", volumes=[OVERRULED]), instance("db", 8, state="stopped"))
    with kit.way():
        kit.fab()
    with kit.way():
        kit.fab("--dry-run")
    with kit.way():
        kit.sandbox.fault("CreateSnapshots", "drop_after")
        kit.fab("--region-name", "us-e")
    with kit.way():
        kit.fab("--consistent", codes=[3])
    with kit.way("synchronously"):
        kit.sandbox.fail_next_snapshot()
        kit.fab("--synchronously")


def back_up_one(kit: Kit) -> None:
    ids = kit.load(instance("web", volumes=[OVERRULED]), instance("db", 8, state="stopped"))
    web, db = ("--instance-id=" + ids[name]["instance_id"] for name in ("web", "db"))
    with kit.way():
        kit.fab("us-e", web, "--dry-run")
        kit.sandbox.fault("CreateSnapshots", "drop_after")
        kit.fab("us-e", web)
    with kit.way():
        kit.fab(EAST, db, "--consistent")
    with kit.way("synchronously"):
        kit.sandbox.fail_next_snapshot()
        kit.fab(EAST, web, "--synchronously")


def _leave_old_snapshots(kit: Kit) -> None:
    volume = {"volume": "web:/dev/sda1", "age": "1d", "tags": {"snapback:set": "set-x"}}
    history = {"every": "1d", "from": "60d", "until": "1h"}
    kit.load(
        **{
            EAST: {
                "instances": [instance("web", 8, history=[{**sets(60), **history}])],
                "snapshots": [{**volume, "state": "error"}],
            }
        }
    )


def trim(kit: Kit) -> None:
    _leave_old_snapshots(kit)
    with kit.way():
        page = str(kit.folder / "trim.html")
        kit.fab("--dry-run", "--max-delete=100", "--html", page, codes=[3])
    with kit.way("django_fabfile"):
        kit.fab("--max-delete=100", codes=[3])


def delete_broken(kit: Kit) -> None:
    _leave_old_snapshots(kit)
    with kit.way():
        kit.fab("--dry-run", codes=[3])
    with kit.way("django_fabfile"):
        kit.fab(codes=[3])


def undelete(kit: Kit) -> None:
    _leave_old_snapshots(kit)
    kit.sandbox.configure(recycle_bin={EAST: [{"days": 7}]})
    trimmed = kit.run_fab("trim_snapshots", "--max-delete=100", "--json").document
    one = f"--volume-id={trimmed['items'][-1]['volume']}"
    run = f"--run-id={trimmed['run']}"
    with kit.way():
        kit.fab(run, "--dry-run")
        kit.fail("CreateTags")
        kit.fab(one, codes=[4])
    with kit.way():
        kit.fab(run, codes=[3])


def status(kit: Kit) -> None:
    _leave_old_snapshots(kit)
    kit.configure(destinations={EAST: [WEST]})
    page, metrics = str(kit.folder / "page.html"), str(kit.folder / "x.prom")
    codes = range(4) if kit.task == "check" else [0]
    with kit.way():
        kit.fab("--region-name", EAST, codes=codes)
        kit.fab("--html", page, "--prometheus", metrics, codes=codes)


def sweep(kit: Kit) -> None:
    def tagged(kind: str, *, days: int = -1) -> dict[str, Any]:
        until = kit.sandbox.now() + timedelta(days=days)
        marks = lease.marks("run-x", "a test", "token", until)
        tags = [{"Key": key, "Value": value} for key, value in marks.items()]
        return {"TagSpecifications": [{"ResourceType": kind, "Tags": tags}]}

    ec2 = kit.world.ec2()
    image = ec2.describe_images(Owners=["099720109477"])["Images"][0]["ImageId"]
    for token, days in (
        (f"{lease.RESTORES}1", -1),
        (f"{lease.HELPERS}1", -1),
        (f"{lease.HELPERS}2", 1),
    ):
        (helper,) = ec2.run_instances(
            ImageId=image, MinCount=1, MaxCount=1, ClientToken=token,
            InstanceInitiatedShutdownBehavior="terminate", **tagged("instance", days=days),
        )["Instances"]  # fmt: skip
    zone = helper["Placement"]["AvailabilityZone"]
    volume = ec2.create_volume(AvailabilityZone=zone, Size=1, **tagged("volume"))["VolumeId"]
    ec2.attach_volume(VolumeId=volume, InstanceId=helper["InstanceId"], Device="/dev/sdp")
    ec2.create_key_pair(KeyName=f"{lease.CLAIMS}1", **tagged("key-pair"))
    group = {"GroupName": f"{lease.HELPERS}1", "Description": "x"}
    ec2.create_security_group(**group, **tagged("security-group"))
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    root = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}
    mapped = {"RootDeviceName": "/dev/sda1", "BlockDeviceMappings": [root]}
    ec2.register_image(Name=f"{lease.RESTORES}1", **mapped, **tagged("image"))
    with kit.way():
        would = kit.fab("--dry-run", "--json").document["items"]
        done = kit.fab("--json").document["items"]
    assert [item["outcome"] for item in done] == ["deleted"] * 6
    assert [item["outcome"] for item in would] == ["would do"] * 6 + ["in use"]
    assert [item["subject"] for item in would[:6]] == [item["subject"] for item in done]


def tag_volumes(kit: Kit) -> None:
    kit.load(instance("web", volumes=[OVERRULED]))
    with kit.way():
        kit.fab("--dry-run")
        kit.fab("--all-instances")


def replicate(kit: Kit) -> None:
    _leave_old_snapshots(kit)
    one = kit.world.snapshots()
    newest = max((s for s in one if s["State"] == "completed"), key=lambda s: s["StartTime"])
    where = {
        "rsync_snapshot": ("us-e", newest["SnapshotId"], "eu-w"),
        "rsync_region": ("us-e", "eu-w"),
        "rsync_all_regions": (WEST, SOUTH),
    }[kit.task]
    with kit.way():
        kit.fab(*where, "--engine=copy", "--dry-run")
    with kit.way("copy_engine"):
        kit.sandbox.fault("CopySnapshot", "drop_after")
        kit.fab(*where, "--engine=copy", "--synchronously", codes=[0, 1])


def _backed_up(kit: Kit) -> dict[str, Any]:
    """Leave the snapshots of an instance with two volumes, completed; answer its ids."""
    ids = kit.load(instance("web", 8, 20, key_name="ops"))["web"]
    kit.run_fab("backup_instances_by_tag")
    kit.sandbox.complete_all()
    found: dict[str, Any] = ids
    return found


def restore_volume(kit: Kit) -> None:
    ids = _backed_up(kit)
    snapshot, attach = kit.world.snapshots()[0]["SnapshotId"], f"--attach={ids['instance_id']}"
    with kit.way():
        kit.fab(f"--snapshot-id={snapshot}", "--dry-run")
        kit.fab(f"--volume-id={ids['volumes']['/dev/sdf']}", attach)
    with kit.way():
        kit.fail("DeleteTags")
        kit.fab(f"--snapshot-id={snapshot}", attach, codes=[1])
        kit.fail("CreateVolume")
        kit.fab(f"--snapshot-id={snapshot}", codes=[1])


def create_ami(kit: Kit) -> None:
    ids = _backed_up(kit)
    with kit.way():
        kit.fab(f"--snapshot-id={kit.world.snapshots()[0]['SnapshotId']}", "--dry-run")
        kit.fab(f"--instance-id={ids['instance_id']}")


def restore_instance(kit: Kit) -> None:
    ids = _backed_up(kit)
    one = f"--instance-id={ids['instance_id']}"
    kit.world.ec2().create_key_pair(KeyName="ops")
    with kit.way():
        kit.fab(one, "--dry-run")
        kit.fab(one, "--key-name=ops")
    with kit.way():
        soon = {"ssh_timeout_attempts": 1, "connect_timeout_s": 0.1}
        kit.configure(ssh={**soon, "username": "nobody"})
        kit.fab(one, "--drill", codes=[1])
    with kit.way():
        kit.fail("DeleteTags")
        kit.fab(one, codes=[1])
        kit.fail("RunInstances")
        kit.fab(one, codes=[1])


def restore_all(kit: Kit) -> None:
    _backed_up(kit)
    kit.run_fab("rsync_region", EAST, WEST, "--engine=copy", "--synchronously")
    here = kit.world.ec2(WEST)
    subnet = here.describe_subnets()["Subnets"][0]["SubnetId"]
    group = here.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    where = ("eu-w", f"--subnet-map=*={subnet}", f"--security-group-map=*={group}")
    here.create_key_pair(KeyName="ops")
    with kit.way():
        kit.fab(*where, "--dry-run")
        kit.fail("DeleteTags")
        kit.fab(*where, codes=[1])
        kit.fab(*where, "--key-name=ops")
    with kit.way():
        kit.fab(*where)
    made = here.describe_instances()["Reservations"][-1]["Instances"][0]["InstanceId"]
    here.terminate_instances(InstanceIds=[made])
    with kit.way():
        kit.fail("RunInstances")
        kit.fab(*where, codes=[1])


def show(kit: Kit) -> None:
    kit.sandbox.clear_calls()
    kit.fab()
    assert called(kit.sandbox) == set()


WAYS: dict[str, Callable[[Kit], None]] = {
    "backup_instance": back_up_one,
    "backup_instances_by_tag": back_up_by_tag,
    "check": status,
    "create_ami": create_ami,
    "delete_broken_snapshots": delete_broken,
    "restore_instance": restore_instance,
    "restore_instances_by_tag": restore_all,
    "restore_volume": restore_volume,
    "rsync_all_regions": replicate,
    "rsync_region": replicate,
    "rsync_snapshot": replicate,
    "show_config": show,
    "status": status,
    "sweep": sweep,
    "trim_snapshots": trim,
    "undelete_snapshots": undelete,
    "update_volumes_tags": tag_volumes,
}
SEEN_ELSEWHERE = {
    "console",
    "instance_profile",
    "own_instances",
    "rsync_engine",
    "temporary_instances",
}
