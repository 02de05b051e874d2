"""The Recycle Bin: its retention rules, what lies in it, and how it is restored.

Source: https://docs.aws.amazon.com/ebs/latest/userguide/recycle-bin.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from snapback.core.doctor.retention_rules import Rule
from snapback.core.model import Place
from snapback.core.undelete.undelete_plan import RecycledSnapshot
from snapback.ec2.calls import call, pages
from snapback.errors import ApiError

SNAPSHOTS, VOLUMES = "EBS_SNAPSHOT", "EBS_VOLUME"
# What EC2 answers where a snapshot is not in the bin isn't documented: it was restored already,
# or it has left the bin.
_NOT_IN_THE_BIN = {"InvalidSnapshot.NotFound", "IncorrectState"}


def recycled_snapshots(conn: Any, place: Place) -> list[RecycledSnapshot]:
    """Return the snapshots in the Recycle Bin of a place. Source: ListSnapshotsInRecycleBin."""
    return [
        RecycledSnapshot(
            place=place,
            snapshot_id=said["SnapshotId"],
            volume_id=said.get("VolumeId", ""),
            description=said.get("Description", ""),
            entered_at=said["RecycleBinEnterTime"].astimezone(UTC),
            exits_at=said["RecycleBinExitTime"].astimezone(UTC),
        )
        for said in pages(conn, "list_snapshots_in_recycle_bin", "Snapshots")
    ]


def restore(conn: Any, snapshot_id: str) -> bool:
    """Restore a snapshot from the Recycle Bin; return whether it was in there.

    A call whose answer is lost is repeated. So a snapshot that is not in the bin may have been
    restored by the call before.

    Source: RestoreSnapshotFromRecycleBin.
    """
    try:
        call(conn, "restore_snapshot_from_recycle_bin", SnapshotId=snapshot_id)
    except ApiError as error:
        if error.code in _NOT_IN_THE_BIN:
            return False
        raise
    return True


def retention_rules(conn: Any, resource_type: str) -> list[Rule]:
    """Return the retention rules for snapshots or for volumes. Source: rbin ListRules, GetRule.

    :param conn: a client of ``rbin``.
    :param resource_type: :data:`SNAPSHOTS` or :data:`VOLUMES`.
    """
    rules: list[Rule] = []
    token: dict[str, str] = {}
    while True:
        answer = call(conn, "list_rules", ResourceType=resource_type, **token)
        for listed in answer["Rules"]:
            said = call(conn, "get_rule", Identifier=listed["Identifier"])
            rules.append(
                Rule(
                    rule_id=listed["Identifier"],
                    days=said["RetentionPeriod"]["RetentionPeriodValue"],
                    tags=_tags(said.get("ResourceTags", ())),
                    exclude_tags=_tags(said.get("ExcludeResourceTags", ())),
                    is_available=said.get("Status") == "available",
                    is_locked=said.get("LockState", "unlocked") != "unlocked",
                )
            )
        if not answer.get("NextToken"):
            return rules
        token = {"NextToken": answer["NextToken"]}


def _tags(said: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {tag["ResourceTagKey"]: tag.get("ResourceTagValue", "") for tag in said}
