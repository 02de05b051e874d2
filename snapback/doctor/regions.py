"""What the doctor sees at a place: instances, snapshots, what launches, what protects."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from snapback.core.doctor import checkup
from snapback.core.doctor.checkup import Line, not_examined
from snapback.core.doctor.key_checkup import judge_key
from snapback.core.doctor.permission_probes import Things
from snapback.core.doctor.retention_rules import judge_bin, judge_temporary_volumes
from snapback.core.leases import lease
from snapback.core.model import Instance, Place, Snapshot
from snapback.core.model.tags import SET
from snapback.ec2 import recycle_bin
from snapback.ec2.checkup import encryption, groups_by_id
from snapback.ec2.instances import instances_by_tag
from snapback.ec2.kms import key_facts
from snapback.ec2.launching import newest_image, subnets_for
from snapback.errors import SnapbackError
from snapback.run import Run, fanout
from snapback.snapshots.catalog import all_snapshots

OF_EBS = "alias/aws/ebs"

Value = TypeVar("Value")


@dataclass
class Sight:
    """What was seen at a place.

    :ivar lines: what was judged of it, and a line for each thing that could not be read.
    :ivar instances: those that would be backed up.
    :ivar ours: the completed snapshots that are ours.
    :ivar things: what there is to try permissions on; ``None``: it was not looked at closely.
    """

    place: Place
    lines: list[Line] = field(default_factory=list)
    instances: Sequence[Instance] = ()
    ours: Sequence[Snapshot] = ()
    things: Things | None = None

    def read(self, check: str, look: Callable[[], Value]) -> Value | None:
        """Answer what there is to be read; ``None``, and a line, where it can't be."""
        try:
            return look()
        except SnapbackError as error:
            self.lines.append(not_examined(check, str(self.place), error, self.place))
            return None


def look_everywhere(
    run: Run, places: Sequence[Place], *, named: Collection[str], helpers: bool
) -> list[Sight]:
    """Look at all places, closely where there is something of ours.

    :param named: the regions that are looked at closely all the same.
    :param helpers: judge what temporary instances are launched with, too.
    :raises Refused: nothing could be read anywhere.

    Source: DescribeInstances, DescribeSnapshots, DescribeImages, DescribeSubnets,
    DescribeSecurityGroups, GetEbsEncryptionByDefault, GetEbsDefaultKmsKeyId; rbin ListRules,
    GetRule; kms DescribeKey.
    """
    results = fanout.each(
        places,
        lambda place: _look(run, place, closely=place.region in named, helpers=helpers),
        stop=run.stop,
    )
    fanout.refuse_if_all_refused(results)
    sights = []
    for result in results:
        if result.value:
            sights.append(result.value)
            continue
        if result.error:
            why = not_examined("region", str(result.item), result.error, result.item)
            sights.append(Sight(result.item, [why]))
    return sights


def _look(run: Run, place: Place, *, closely: bool, helpers: bool) -> Sight:
    conn, settings, sight = run.conn(place), run.settings, Sight(place)
    sight.instances = (
        sight.read(
            "instances",
            lambda: instances_by_tag(conn, place, settings.tag_name, settings.tag_value),
        )
        or []
    )
    found = sight.read("snapshots", lambda: all_snapshots(run, place)) or []
    sight.ours = [one for one in found if one.record and one.state == "completed"]
    if not (closely or sight.instances or sight.ours or sight.lines):
        return sight
    things = _things(place, sight.instances, sight.ours)
    launching = Sight(place)
    sight.things = _with_what_launches(run, launching, things)
    sight.lines += launching.lines if helpers else []
    _look_at_encryption(run, sight)
    _look_at_the_bin(run, sight)
    return sight


def _things(place: Place, instances: Sequence[Instance], ours: Sequence[Snapshot]) -> Things:
    newest = sorted(ours, key=lambda one: one.started_at, reverse=True)
    with_volumes = [one for one in instances if one.devices]
    one = next((one for one in with_volumes if one.state == "running"), None)
    one = one or next(iter(with_volumes), None)
    return Things(
        place=place,
        instance_id=one.instance_id if one else "",
        volume_id=next(iter(one.devices.values())) if one else "",
        snapshot_id=next((s.snapshot_id for s in newest if SET in s.tags), ""),
        untagged_id=next((s.snapshot_id for s in newest if SET not in s.tags), ""),
    )


def _with_what_launches(run: Run, sight: Sight, things: Things) -> Things:
    """Look at what temporary instances are launched with."""
    place, wanted = sight.place, run.settings.temporary
    conn, region = run.conn(place), place.region
    image, subnets = None, []
    try:
        image = newest_image(
            conn, place, wanted.image_owner, wanted.image_name, wanted.architecture
        )
        sight.lines.append(checkup.judge_image(place, f"{image.name} ({image.image_id})", ""))
    except SnapbackError as error:
        sight.lines.append(checkup.judge_image(place, "", str(error)))
    try:
        subnets = subnets_for(conn, place, wanted.subnets.get(region, ()))
        zones = [subnet.zone for subnet in subnets]
        sight.lines.append(checkup.judge_subnets(place, zones, ""))
    except SnapbackError as error:
        sight.lines.append(checkup.judge_subnets(place, [], str(error)))
    _look_at_groups(run, sight)
    return replace(
        things,
        image_id=image.image_id if image else "",
        instance_type=wanted.instance_types[0],
        subnet_id=subnets[0].subnet_id if subnets else "",
        vpc_id=subnets[0].vpc_id if subnets else "",
        zone=subnets[0].zone if subnets else "",
    )


def _look_at_groups(run: Run, sight: Sight) -> None:
    region, wanted = sight.place.region, run.settings.temporary
    ids = wanted.security_groups.get(region, [])
    found = sight.read(
        "security group", lambda: groups_by_id(run.conn(sight.place), ids) if ids else []
    )
    if found is not None:
        sight.lines.append(checkup.judge_groups(sight.place, ids, found, wanted.source_cidr))


def _look_at_encryption(run: Run, sight: Sight) -> None:
    region = sight.place.region
    found = sight.read("encryption", lambda: encryption(run.conn(sight.place)))
    if not found:
        return
    configured = run.settings.replication.kms_keys.get(region, "")
    sight.lines.append(checkup.judge_encryption(sight.place, *found, configured))
    for key in dict.fromkeys(one for one in (found[1], configured) if one):
        if not key.endswith(OF_EBS):
            _look_at_a_key(run, sight, key)


def _look_at_a_key(run: Run, sight: Sight, key: str) -> None:
    caller = run.connections.caller(sight.place.account)
    with run.connections.other("kms", sight.place) as conn:
        facts = sight.read("KMS key", lambda: key_facts(conn, key, caller))
    if facts:
        sight.lines.append(judge_key(sight.place, key, facts))


def _look_at_the_bin(run: Run, sight: Sight) -> None:
    with run.connections.other("rbin", sight.place) as conn:
        of_snapshots = sight.read(
            "recycle bin", lambda: recycle_bin.retention_rules(conn, recycle_bin.SNAPSHOTS)
        )
        of_volumes = sight.read(
            "temporary volumes", lambda: recycle_bin.retention_rules(conn, recycle_bin.VOLUMES)
        )
    if of_snapshots is not None:
        tags = {run.settings.tag_name: run.settings.tag_value, SET: ""}
        ours = [snapshot.tags for snapshot in sight.ours] or [tags]
        sight.lines.append(judge_bin(sight.place, of_snapshots, ours))
    temporary = lease.marks(run.run_id, "blank volume", "a token", run.now(sight.place))
    sight.lines += judge_temporary_volumes(sight.place, of_volumes or (), [temporary])
