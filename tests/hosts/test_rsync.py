"""The engine rsync: two helpers, volumes lent at both ends, a snapshot once the data has come."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from snapback.core.model.record import describe, parse
from tests.hosts.replicas import DATA, LEG, replicas, web
from tests.sandbox.conftest import World, instance
from tests.sandbox.replicas import EAST, WEST
from tests.sandbox.test_restore import into

MORE = {**DATA, "device": "/dev/sdg", "mount_point": "/more", "filesystem": "xfs"}


def test_cron_replicates_snapshots_that_were_pending_a_moment_ago(lay_out, sandbox, world):
    fleet = lay_out(us_east_1=[web()])
    sandbox.configure(snapshot_seconds=3)
    chain = ("backup_instances_by_tag", "trim_snapshots", *LEG)
    first = fleet.fab(*chain)
    assert first.code == 0, first.err
    assert "us-east-1 to eu-west-1: 1 " in first.out
    fleet.demand(1)
    (replica,) = replicas(world, WEST)
    (source,) = world.snapshots(EAST)
    tags, meant = world.tags(replica), world.tags(source)
    assert tags["snapback:source"] == source["SnapshotId"]
    assert {k: v for k, v in tags.items() if k not in ("snapback:source", "snapback:run")} == {
        k: v for k, v in meant.items() if k != "snapback:run"
    }
    assert f"this is {tags['snapback:run']}" in first.out.splitlines()

    fleet.shell("cd /data; rm -r empty; echo more >>sparse; echo new >'new\nfile'; sync")
    sandbox.clear_calls()
    second = fleet.fab(*chain, "--json")
    assert second.code == 0, second.err
    made = [call.parameters for call in sandbox.calls("CreateVolume", WEST)]
    assert [one["SnapshotId"] for one in made] == [replica["SnapshotId"]]
    fleet.demand(2)
    assert fleet.fab(*LEG).out.splitlines()[-1].endswith("1 already replicated")


def test_a_volume_that_grew_and_is_encrypted_stays_so(lay_out, sandbox, world):
    key = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    fleet = lay_out(
        settings={"replication": {"kms_keys": {WEST: key}, "compare": True}},
        us_east_1=[web(encrypted=True)],
    )
    fleet.back_up()
    assert fleet.fab(*LEG).code == 0
    fleet.demand(1)
    larger = larger_one(world)
    ended = fleet.fab(*LEG, "--json")
    assert ended.code == 0, ended.err
    made = [call.parameters for call in sandbox.calls("CreateVolume", WEST)]
    first, second = replicas(world, WEST)
    assert [(one["Size"], one.get("SnapshotId")) for one in made] == [
        ("1", None),
        ("2", first["SnapshotId"]),
    ]
    assert ended.item(larger)["replica"] == second["SnapshotId"]
    assert second["VolumeSize"] == 2
    assert {(one["Encrypted"], one["KmsKeyId"]) for one in (first, second)} == {(True, key)}
    fleet.demand(2)


def larger_one(world: World) -> str:
    """Take a snapshot of the only volume after it has grown."""
    ec2, (source,) = world.ec2(EAST), world.snapshots(EAST)
    record = parse(source["Description"], world.tags(source), source["VolumeId"], source["OwnerId"])
    assert record
    ec2.modify_volume(VolumeId=record.volume, Size=2)
    world.sandbox.advance(20)  # EC2 wants 15 s between two snapshots of a volume
    grown = ec2.create_snapshot(
        VolumeId=record.volume,
        Description=describe(replace(record, taken_at=record.taken_at + timedelta(seconds=1))),
        TagSpecifications=[
            {
                "ResourceType": "snapshot",
                "Tags": [{"Key": "Earmarking", "Value": "production"}],
            }
        ],
    )
    return str(grown["SnapshotId"])


GPT = {"device": "/dev/sda1", "size": 2, "partitioned": True}
BTRFS = {**DATA, "device": "/dev/sdh", "mount_point": "/btrfs", "filesystem": "btrfs"}
LVM = {"device": "/dev/sdi", "size": 1}
# The label that pvcreate wrote: there is no device-mapper here to do more with it.
WRITE = r"""
for folder in /etc/it\'s /data /more /btrfs; do
    mkdir -p $folder; echo $folder >$folder/"a b"; ln $folder/"a b" $folder/hard
done
base64 -d <<END | gunzip | dd of=/dev/nvme4n1 seek=1 status=none
H4sIAAAAAAACA/NxdHL18fdzZWSAAGWlXQcVgLRPmK+RgoGBYZl3WWBOlXeaW1pguGGAoZuXsZNjqZGXf5S/p0F6UpIRUCkL
RKcAA14Ak/7Aj1WaCYgZGUYBvQEA0HhduQACAAA=
END
head -c 9M /dev/urandom | dd of=/dev/nvme4n1 bs=1M seek=64 conv=fsync status=none
sync
"""
TELL = r"""
findmnt -no SOURCE /; sfdisk --dump /dev/nvme0n1
blkid -p -s TYPE -s UUID /dev/nvme[0-4]n1*
for folder in /etc /data /more /btrfs; do cd $folder || exit
    find . -printf '%P %y %m %U %G %n %l\n' | sort; sha256sum */"a b" "a b" 2>/dev/null
done
head -c 100M /dev/nvme4n1 | sha256sum
"""
NOT_KNOWN = "; ".join(f"{number} by blocks (nothing known on it)" for number in (14, 15))


def test_an_instance_with_volumes_of_all_kinds_is_replicated_and_boots(lay_out, sandbox, world):
    """One pair of helpers serves all volumes, several at a time; what they made then boots."""
    volumes = [GPT, DATA, MORE, BTRFS, LVM]
    fleet = lay_out(settings=into(world), us_east_1=[instance("web", volumes=volumes)])
    fleet.shell(WRITE)
    holds = fleet.shell(TELL)
    fleet.back_up()
    ended = fleet.fab(*LEG, "--json")
    assert ended.code == 0, ended.err
    assert sorted(item["how"] for item in ended.document["items"]) == [
        "btrfs by rsync (made anew)",
        "by blocks (LVM2_member on it)",
        "ext4 by rsync (made anew)",
        "gpt; 1 ext4 by rsync (made anew); " + NOT_KNOWN,
        "xfs by rsync (made anew)",
    ]
    assert len(sandbox.calls("RunInstances")) == 2
    fleet.demand(5)
    web_id = fleet.ids[EAST]["web"]["instance_id"]
    world.ec2().terminate_instances(InstanceIds=[web_id])
    restored = fleet.fab(
        "restore_instance", "--instance-id", web_id, "--region-name", WEST, "--json"
    )
    assert restored.code == 0, restored.err
    code, said, complaint = sandbox.hosts.run(restored.document["items"][0]["made"], TELL)
    assert code == 0, complaint
    assert said == holds
    assert said.startswith("/dev/nvme0n1p1\n")
