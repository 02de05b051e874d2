"""What the tests of replication share: regions, histories, and how to read what is there."""

from __future__ import annotations

from collections import Counter

from snapback import rsync_region
from snapback.core.model.record import parse
from tests.sandbox.histories import SET_RECORD

EAST, WEST, SOUTH = "us-east-1", "eu-west-1", "ap-southeast-1"
BY_COPY = ("--engine", "copy")


def sets(days: int = 1, **more):
    """Past sets as snapback makes them: one a day."""
    return {
        "every": "1d",
        "from": f"{days}d",
        "until": "1h",
        "description": SET_RECORD,
        "tags": {
            "Earmarking": "production",
            "Name": "$instance_name",
            "snapback:set": "$set_id",
            "snapback:devices": "$device_map",
            "snapback:run": "run-x",
            "snapback:consistency": "filesystem",
            **more.pop("tags", {}),
        },
        **more,
    }


def records(world, region: str):
    """The records of what is in a region, by snapshot id; each has one."""
    found = {
        s["SnapshotId"]: parse(s["Description"], world.tags(s), s["VolumeId"], s["OwnerId"])
        for s in world.snapshots(region)
    }
    assert all(found.values())
    return found


def latest(records_by_id):
    """The newest of each timeline."""
    found = {}
    for record in records_by_id.values():
        if record.timeline not in found or found[record.timeline].taken_at < record.taken_at:
            found[record.timeline] = record
    return set(found.values())


def by_copy(source: str = EAST, destination: str = WEST, **more):
    return rsync_region(source, destination, engine="copy", **more)


def words(replication) -> Counter[str]:
    return Counter(outcome.word.text for outcome in replication.outcomes)
