"""Show the tasks at work: a small fleet on the embedded EC2, and the commands as one types them.

Each command line is shown before it is run. Nothing is left running, and nothing lying about.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import boto3
import yaml

from ec2_sandbox import Sandbox, launch
from ec2_sandbox.hosts.needs import why_not

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]

# (what it shows, the command, the exit code it ends with)
STEPS = (
    (
        "Back up every instance that has the earmark, in all regions.",
        "fab backup_instances_by_tag",
        0,
    ),
    (
        "What would trimming delete, and why? This changes nothing.",
        "fab trim_snapshots --dry-run",
        3,
    ),
    ("Do just that. Broken snapshots go first.", "fab trim_snapshots", 3),
    ("Look for broken ones once more: what is left is not ours.", "fab delete_broken_snapshots", 0),
    ("Are the backups good enough? One line for a monitor, with its exit codes.", "fab check", 0),
)
TWO_DAYS_S = 2 * 24 * 3600
LAST_STEPS = (
    ("Two days later nobody has backed up. A monitor would know.", "fab check", 2),
    ("So back up once more.", "fab backup_instances_by_tag --quiet --synchronously", 0),
    (
        "How good are the backups now? The page build/backups.html shows it as well.",
        "fab status --html build/backups.html",
        0,
    ),
)
CONSISTENT_STEPS = (
    (
        "What would be frozen where? This logs in to the instances, and changes nothing.",
        "fab backup_instances_by_tag --consistent --dry-run",
        0,
    ),
    (
        "Freeze their file systems, take the snapshots, thaw.",
        "fab backup_instances_by_tag --consistent",
        0,
    ),
)
REPLICATION_STEPS = (
    (
        "What would it cost to have web's volumes in another region? This changes nothing.",
        "fab rsync_region eu-west-1 us-east-1 --tag-name Name --tag-value web --dry-run",
        0,
    ),
    (
        "Replicate them: two temporary instances move the data by rsync, and are gone afterwards.",
        "fab rsync_region eu-west-1 us-east-1 --tag-name Name --tag-value web --synchronously",
        0,
    ),
)
HOME_REGION, OTHER_REGION = "eu-west-1", "us-east-1"
RECORD = "written just before the backup, and never synced"
FINGERPRINT = Path(HERE, "fingerprint.py").read_text()
MEANING = {0: "all well", 2: "critical", 3: "done; broken snapshots of ours were found"}


def main() -> int:
    """Run all parts.

    :returns: 0 where each step ended as it should, else 1.
    """
    (PROJECT / "build").mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="snapback-demo-") as home,
        launch(fleet=HERE / "fleet.yaml") as sandbox,
    ):
        failures = [snapshots_and_trimming(sandbox, home)]
        reason = why_not()
        if reason:
            say(f"\n# Left out: backups and replicas of instances that boot. ({reason})")
        else:
            failures.append(consistent_backups(home))
        failures.append(two_days_later(sandbox, home))
        return max(failures)


def snapshots_and_trimming(sandbox: Sandbox, home: str) -> int:
    """Show the tasks that need EC2 alone; answer 1 if one of them did not end as it should."""
    say("An EC2 of this machine's own has been started, with a dozen instances in three")
    say("regions. For your own AWS account leave these out and type the same commands:")
    for name, value in sandbox.environ.items():
        say(f"  export {name}={value}")
    say("There is no configuration: the defaults are meant, or else nothing would be trimmed.")
    say("  export SNAPBACK_CONFIG=none")
    return max(run(*step, environment(sandbox, home)) for step in STEPS)


def two_days_later(sandbox: Sandbox, home: str) -> int:
    """Show how one knows that backups are good; answer 1 if not all went as it should."""
    say("\nBack to the dozen instances. Their EC2's clock is put on by two days.")
    sandbox.advance(TWO_DAYS_S)
    return max(run(*step, environment(sandbox, home)) for step in LAST_STEPS)


def consistent_backups(home: str) -> int:
    """Show a consistent backup of instances that boot; answer 1 if not all went as it should."""
    with launch(fleet=HERE / "hosts.yaml", hosts=True) as sandbox:
        web = sandbox.layout["eu-west-1"]["web"]
        say("\nNow an EC2 whose instances boot, each with an sshd, file systems and disks.")
        say("The configuration says how to log in:")
        config = Path(home, "snapback.yaml")
        login = {"username": web["user"], "key_filename": web["key_file"], "host_keys": "console"}
        addresses = {"source_cidr": "10.128.0.0/9"}
        config.write_text(yaml.safe_dump({"ssh": login, "temporary": addresses}))
        say(config.read_text().rstrip())
        settings = {**environment(sandbox, home), "SNAPBACK_CONFIG": str(config)}
        failures = run(*CONSISTENT_STEPS[0], settings)
        fill = f"cp -a /usr/share/zoneinfo /srv/www; echo '{RECORD}' >/srv/www/record"
        sandbox.hosts.run(web["instance_id"], fill)
        failures = max(failures, run(*CONSISTENT_STEPS[1], settings))
        failures = max(failures, look_into(sandbox, web["volumes"]["/dev/sdf"]))
        failures = max(failures, *(run(*step, settings) for step in REPLICATION_STEPS))
        return max(failures, restored_elsewhere(sandbox, web, settings))


def client(sandbox: Sandbox, region: str) -> Any:
    """Answer boto3's client of a region of the sandbox."""
    return boto3.client(
        "ec2",
        region_name=region,
        endpoint_url=sandbox.url,
        aws_access_key_id=sandbox.environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=sandbox.environ["AWS_SECRET_ACCESS_KEY"],
    )


def look_into(sandbox: Sandbox, volume_id: str) -> int:
    """Show that a record is in a volume's snapshot, without its journal being replayed."""
    mine = [{"Name": "volume-id", "Values": [volume_id]}]
    found = client(sandbox, HOME_REGION).describe_snapshots(OwnerIds=["self"], Filters=mine)
    (snapshot_id,) = [str(snapshot["SnapshotId"]) for snapshot in found["Snapshots"]]
    with sandbox.hosts.mounted(snapshot_id, "ro,norecovery") as folder:
        held = Path(folder, "record").read_text().strip()
    say(f"\n# In {snapshot_id} of web's /srv/www, mounted without replaying its journal:")
    say(held)
    return int(held != RECORD)


def restored_elsewhere(sandbox: Sandbox, web: dict[str, Any], settings: dict[str, str]) -> int:
    """Destroy an instance, restore it from its replicas, and show that its data are the same."""
    before = fingerprint_of(sandbox, web["instance_id"])
    destroy(sandbox, web)
    there = client(sandbox, OTHER_REGION)
    subnet = there.describe_subnets()["Subnets"][0]["SubnetId"]
    group = there.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    restore = (
        f"fab restore_instance --instance-id {web['instance_id']} --region-name {OTHER_REGION} "
        f"--subnet-id {subnet} --security-group-ids {group}"
    )
    failures = max(
        run("What is left of it in the other region? This changes nothing.",
            f"{restore} --dry-run", 0, settings),
        run("Restore it there, from its replicas. No other region is called.",
            restore, 0, settings),
    )  # fmt: skip
    mine = [{"Name": "tag-key", "Values": ["snapback:restored"]}]
    found = there.describe_instances(Filters=mine)["Reservations"]
    if failures or not found:
        return 1
    (restored,) = [str(one["Instances"][0]["InstanceId"]) for one in found]
    after = fingerprint_of(sandbox, restored)
    say("\n# /srv/www, every file read, on the instance that was and on the one that is:")
    say(f"{web['instance_id']} in {HOME_REGION}: {before}")
    say(f"{restored} in {OTHER_REGION}: {after}")
    say("They are equal." if before == after else "THEY DIFFER.")
    return int(before != after)


def destroy(sandbox: Sandbox, web: dict[str, Any]) -> None:
    """Terminate an instance, delete its volumes, and let its region refuse whatever is asked."""
    say("\n# Now the worst: web is terminated, and its volumes are deleted.")
    home = client(sandbox, HOME_REGION)
    say(f"$ aws ec2 terminate-instances --instance-ids {web['instance_id']}")
    home.terminate_instances(InstanceIds=[web["instance_id"]])
    home.get_waiter("instance_terminated").wait(
        InstanceIds=[web["instance_id"]], WaiterConfig={"Delay": 1}
    )
    mine = [{"Name": "volume-id", "Values": list(web["volumes"].values())}]
    for volume in home.describe_volumes(Filters=mine)["Volumes"]:
        say(f"$ aws ec2 delete-volume --volume-id {volume['VolumeId']}")
        home.delete_volume(VolumeId=volume["VolumeId"])
    sandbox.fault("*", "error", region=HOME_REGION, code="UnauthorizedOperation", count=None)
    say(f"And from now on {HOME_REGION} refuses every call.")


def fingerprint_of(sandbox: Sandbox, instance_id: str) -> str:
    """Answer the fingerprint of what an instance has below /srv/www; none where it has nothing."""
    command = ["python3", "-c", FINGERPRINT, "/srv/www"]
    _, said, _ = sandbox.hosts.run(instance_id, command)
    return str(said).strip() or f"nothing ({instance_id})"


def environment(sandbox: Sandbox, home: str) -> dict[str, str]:
    """Answer the environment in which the tasks reach the sandbox, and nothing else."""
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SNAPBACK_"))},
        **sandbox.environ,
        "SNAPBACK_CONFIG": "none",
        "HOME": home,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }


def run(about: str, command: str, expected: int, environment: dict[str, str]) -> int:
    """Show a command, run it, show its exit code.

    :returns: 0 where that is the expected one, else 1.
    """
    say(f"\n# {about}\n$ {command}")
    ended = subprocess.run(command.split(), cwd=PROJECT, env=environment, check=False)  # noqa: S603
    say(f"(exit code {ended.returncode}: {MEANING.get(ended.returncode, 'not as expected')})")
    return int(ended.returncode != expected)


def say(text: str) -> None:
    """Print a line at once, so that it stands before what a command prints."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
