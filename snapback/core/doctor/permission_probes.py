"""How a permission is tried without doing anything, and on what. Pure.

A dry run looks at the resources that are named, and at their tags: so what is limited by tags can
be tried only on something that carries them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from snapback.core.doctor.permissions import Need
from snapback.core.model import Place
from snapback.core.model.tags import CONSISTENCY, EXPIRES, SET

Parameters = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Things:
    """What there is at a place to try permissions on; ``""`` where there is none.

    :ivar snapshot_id: one of ours, with our tags.
    :ivar untagged_id: one of ours, without.
    :ivar source: region and id of one of ours in another region.
    """

    place: Place
    instance_id: str = ""
    volume_id: str = ""
    snapshot_id: str = ""
    untagged_id: str = ""
    source: tuple[str, str] = ("", "")
    image_id: str = ""
    instance_type: str = ""
    subnet_id: str = ""
    vpc_id: str = ""
    zone: str = ""


@dataclass(frozen=True)
class Untried:
    """A permission can't be tried.

    :ivar later: whether it can be once there are backups.
    """

    why: str
    later: bool = False


@dataclass(frozen=True)
class Trial:
    """A call that is made as a dry run.

    What changes something is tried only where dry runs were seen to be honoured.

    :ivar tagged: the parameters that give tags to what the call makes; these take CreateTags.
    """

    action: str
    parameters: Parameters
    tagged: Parameters | None = None

    @property
    def only_reads(self) -> bool:
        """Whether it would do no harm if it were carried out."""
        return self.action.startswith(("Describe", "Get", "List"))


_ONLY_TEMPORARY = Untried("on temporary things only, of which there are none now")
_NO_INSTANCE = Untried("no instance has the earmark", later=True)
_NO_SNAPSHOT = Untried("there is no snapshot of ours yet", later=True)
_NO_LEGACY = Untried("there is no snapshot that django-fabfile left")
_NO_SOURCE = Untried("there is no snapshot of ours in another region yet", later=True)
_NOT_IN_THE_BIN = Untried("on snapshots in the Recycle Bin only")
_NOWHERE = Untried("there is no image or subnet to launch with")
UNKNOWN = Untried("doctor knows no way to try it")


def trials_of(need: Need, at: Things) -> list[Trial] | Untried:
    """Answer how to try a permission at a place, or why it can't be.

    Each of the trials has to be allowed.
    """
    if need.is_for_temporary:
        return _ONLY_TEMPORARY
    if need.when_created:
        made = [_tagging(action, at) for action in need.when_created]
        return next((one for one in made if isinstance(one, Untried)), None) or [
            one for one in made if isinstance(one, Trial)
        ]
    action = need.action.removeprefix("ec2:")
    given = _parameters(action, need, at)
    if isinstance(given, Untried):
        return given
    # What is lent may be created only with its tag, so a dry run without would be refused.
    return [Trial(action, {**given, **_tags(action)} if action in _LENT else given)]


def _tagging(action: str, at: Things) -> Trial | Untried:
    given = _WAYS[action](at)
    if isinstance(given, Untried):
        return given
    return Trial(action, given, _tags(action))


def _tags(action: str) -> Parameters:
    """Return the parameter that gives our tag to all that an action creates."""
    kinds = {"RunInstances": ["instance", "volume"]}.get(action, [_MADE[action]])
    tags = [{"Key": EXPIRES if action in _LENT else SET, "Value": "doctor"}]
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": tags} for kind in kinds]}


def _parameters(action: str, need: Need, at: Things) -> Parameters | Untried:
    if action == "DeleteSnapshot" and "Condition" not in need.statement:
        return {"SnapshotId": at.untagged_id} if at.untagged_id else _NO_LEGACY
    if action == "CreateTags" and ":volume/" in str(need.statement["Resource"]):
        return _tag_volume(at)
    if action == "CreateTags":
        only = need.statement.get("Condition", {}).get("ForAllValues:StringEquals", {})
        for key in only.get("aws:TagKeys", ()):
            return _write_tag(at, key)
    if action in _WAYS:
        return _WAYS[action](at)
    if action.startswith(("Describe", "GetEbs")):
        return {}
    return UNKNOWN


def _create_snapshots(at: Things) -> Parameters | Untried:
    if not at.instance_id:
        return _NO_INSTANCE
    return {"InstanceSpecification": {"InstanceId": at.instance_id}}


def _create_snapshot(at: Things) -> Parameters | Untried:
    return {"VolumeId": at.volume_id} if at.volume_id else _NO_INSTANCE


def _console(at: Things) -> Parameters | Untried:
    return {"InstanceId": at.instance_id} if at.instance_id else _NO_INSTANCE


def _delete_snapshot(at: Things) -> Parameters | Untried:
    return {"SnapshotId": at.snapshot_id} if at.snapshot_id else _NO_SNAPSHOT


def _copy_snapshot(at: Things) -> Parameters | Untried:
    region, snapshot_id = at.source
    if not snapshot_id:
        return _NO_SOURCE
    return {"SourceRegion": region, "SourceSnapshotId": snapshot_id}


def _create_tags(at: Things) -> Parameters | Untried:
    if not at.snapshot_id:
        return _NO_SNAPSHOT
    tags = [{"Key": CONSISTENCY, "Value": "crash"}]
    return {"Resources": [at.snapshot_id], "Tags": tags}


def _tag_volume(at: Things) -> Parameters | Untried:
    if not at.volume_id:
        return _NO_INSTANCE
    return {"Resources": [at.volume_id], "Tags": [{"Key": "Name", "Value": "a dry run"}]}


def _write_tag(at: Things, key: str) -> Parameters | Untried:
    if not at.snapshot_id:
        return _NO_SNAPSHOT
    return {"Resources": [at.snapshot_id], "Tags": [{"Key": key, "Value": "doctor"}]}


def _run_instances(at: Things) -> Parameters | Untried:
    if not (at.image_id and at.subnet_id and at.instance_type):
        return _NOWHERE
    return {
        "ImageId": at.image_id,
        "InstanceType": at.instance_type,
        "SubnetId": at.subnet_id,
        "MinCount": 1,
        "MaxCount": 1,
    }


def _create_volume(at: Things) -> Parameters | Untried:
    if not at.zone:
        return _NOWHERE
    return {"AvailabilityZone": at.zone, "Size": 1, "VolumeType": "gp3"}


def _create_group(at: Things) -> Parameters | Untried:
    if not at.vpc_id:
        return _NOWHERE
    return {"GroupName": "snapback-doctor", "Description": "a dry run", "VpcId": at.vpc_id}


def _register_image(at: Things) -> Parameters | Untried:
    if not at.snapshot_id:
        return _NO_SNAPSHOT
    root = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": at.snapshot_id}}
    return {
        "Name": "snapback-doctor",
        "RootDeviceName": "/dev/sda1",
        "BlockDeviceMappings": [root],
    }


_WAYS: dict[str, Callable[[Things], Parameters | Untried]] = {
    "AttachVolume": lambda _: _ONLY_TEMPORARY,
    "CopySnapshot": _copy_snapshot,
    "CreateKeyPair": lambda _: {"KeyName": "snapback-claim-doctor", "KeyType": "ed25519"},
    "CreateSecurityGroup": _create_group,
    "CreateSnapshot": _create_snapshot,
    "CreateSnapshots": _create_snapshots,
    "CreateTags": _create_tags,
    "CreateVolume": _create_volume,
    "DeleteSnapshot": _delete_snapshot,
    "DetachVolume": lambda _: _ONLY_TEMPORARY,
    "GetConsoleOutput": _console,
    "ListSnapshotsInRecycleBin": lambda _: {},
    "ModifyInstanceAttribute": lambda _: _ONLY_TEMPORARY,
    "RegisterImage": _register_image,
    "RestoreSnapshotFromRecycleBin": lambda _: _NOT_IN_THE_BIN,
    "RunInstances": _run_instances,
}
_LENT = {"CreateKeyPair", "CreateSecurityGroup", "CreateVolume", "RegisterImage", "RunInstances"}
_MADE = {
    "CopySnapshot": "snapshot",
    "CreateKeyPair": "key-pair",
    "CreateSecurityGroup": "security-group",
    "CreateSnapshot": "snapshot",
    "CreateSnapshots": "snapshot",
    "CreateVolume": "volume",
    "RegisterImage": "image",
    "RunInstances": "instance",
}
