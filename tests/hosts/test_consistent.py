"""What a consistent snapshot holds, and one that isn't: seen without replaying its journal."""

from __future__ import annotations

from typing import Any

import pytest
from ec2_sandbox import Sandbox

from tests.hosts.helpers import moment_of, records_in, writing
from tests.sandbox.conftest import instance

UNREPLAYED = {
    "ext4": "ro,norecovery",
    "xfs": "ro,norecovery,nouuid",
    "btrfs": "ro,rescue=nologreplay",
}
ROOT_VOLUME = {"device": "/dev/sda1", "size": 4}


def data_volume(filesystem: str, device: str = "/dev/sdf", mount: str = "/data") -> dict[str, Any]:
    return {"device": device, "size": 2, "filesystem": filesystem, "mount_point": mount}


CASES = {
    "ext4 on Nitro": ("m5.large", [data_volume("ext4")]),
    "xfs on Nitro": ("m5.large", [data_volume("xfs")]),
    "btrfs on Nitro": ("m5.large", [data_volume("btrfs")]),
    "ext4 on Xen": ("t2.small", [data_volume("ext4")]),
    "/ alone": ("m5.large", []),
    "a set of several": (
        "m5.large",
        [data_volume("ext4"), data_volume("xfs", "/dev/sdg", "/srv/a b$(c)'\"")],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_every_acknowledged_record_is_in_a_consistent_snapshot_and_in_no_other(
    sandbox: Sandbox, load, fab, world, reachable, case
):
    reachable(freeze={"pre_freeze": "true", "post_thaw": "true"})  # which earns nothing more
    kind, volumes = CASES[case]
    ids = load(instance("web", type=kind, volumes=[ROOT_VOLUME, *volumes]))["web"]
    places = {
        ids["volumes"][volume["device"]]: volume.get("mount_point", "/var/tmp")
        for volume in (volumes or [ROOT_VOLUME])
    }
    kinds = {
        ids["volumes"][v["device"]]: v.get("filesystem", "ext4") for v in [ROOT_VOLUME, *volumes]
    }

    def back_up(*options: str) -> tuple[dict[str, list[int]], int]:
        name = f"records{len(options)}"
        logs = [f"{folder}/{name}" for folder in places.values()]
        with writing(sandbox, ids["instance_id"], *logs) as writer:
            known = world.snapshot_ids()
            ended = fab("backup_instances_by_tag", *options, "--json")
            assert ended.code == 0, ended
            acknowledged = writer.acknowledged(moment_of(sandbox, "CreateSnapshots"))
            taken = [s for s in world.snapshots() if s["SnapshotId"] not in known]
        tags = {world.tags(one)["snapback:consistency"] for one in taken}
        assert tags == {"filesystem" if options else "crash"}
        held = {}
        for one in taken:
            volume = one["VolumeId"]
            if volume in places:
                path = ("/var/tmp" if places[volume] == "/var/tmp" else "") + f"/{name}"
                held[volume] = records_in(
                    sandbox, one["SnapshotId"], UNREPLAYED[kinds[volume]], path
                )
        return held, acknowledged

    held, acknowledged = back_up("--consistent")
    assert acknowledged > 0
    assert len(held) == len(places)
    for records in held.values():
        assert records[:acknowledged] == list(range(1, acknowledged + 1))
    held, acknowledged = back_up()
    assert any(len(records) < acknowledged for records in held.values())
