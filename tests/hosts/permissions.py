"""What tasks call that take real hosts, in all their ways: see tests/sandbox/permissions.py."""

from __future__ import annotations

from collections.abc import Callable

from tests.hosts.replicas import DATA, ROOT
from tests.sandbox.conftest import instance
from tests.sandbox.permissions import Kit
from tests.sandbox.replicas import EAST, WEST


def rsync_mountpoints(kit: Kit) -> None:
    kit.configure()
    regions = {
        region: {"instances": [instance(name, volumes=[ROOT, DATA])]}
        for region, name in ((EAST, "from"), (WEST, "to"))
    }
    placed = kit.load(**regions)
    words = [
        word
        for ids in (placed[EAST]["from"], placed[WEST]["to"])
        for word in (ids["instance_id"], ids["volumes"]["/dev/sdf"], "/data")
    ]
    with kit.way("console"):
        kit.fab(*words)


def doctor(kit: Kit) -> None:
    kit.load(instance("web", volumes=[ROOT, DATA]))
    group = kit.world.ec2().describe_security_groups()["SecurityGroups"][0]["GroupId"]
    kit.configure(temporary={"security_groups": {"us-east-1": [group]}})
    kit.sandbox.configure(recycle_bin={"us-east-1": [{"days": 7}]})
    with kit.way("console"):
        kit.fab("--hosts", codes=[0, 1])


WAYS_ON_HOSTS: dict[str, Callable[[Kit], None]] = {
    "doctor": doctor,
    "rsync_mountpoints": rsync_mountpoints,
}
