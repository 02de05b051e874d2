"""Multi-Attach volumes: which of its instances a volume counts to, and what that costs. Pure.

EC2 answers instances and attachments in any order, so nothing here goes by it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from snapback.core.model import Instance, Volume

#: The types of volumes that can be Multi-Attach; ``""``: the type isn't known.
SHAREABLE_TYPES = ("io1", "io2", "")


def in_charge(instances: Iterable[Instance], tag: tuple[str, str]) -> Instance:
    """Return the instance to which a volume counts: the first by its id.

    :param instances: all that have the volume. Those with the tag go first.
    :param tag: the earmark and its value.
    """
    return min(instances, key=lambda one: (one.tags.get(tag[0]) != tag[1], one.instance_id))


def takers(instances: Iterable[Instance]) -> dict[str, str]:
    """Return whose set takes each shared volume, so that one run takes it once.

    It is the first instance by its id: so each night the sets of the same instance have the volume.

    :param instances: all that the run backs up at a place.
    :returns: volume id -> instance id, of the volumes that several of them have.
    """
    owners: dict[str, set[str]] = defaultdict(set)
    for instance in instances:
        for volume_id in instance.devices.values():
            owners[volume_id].add(instance.instance_id)
    return {volume_id: min(ids) for volume_id, ids in owners.items() if len(ids) > 1}


def written_by_others(volumes: Iterable[Volume], instance_id: str) -> dict[str, str]:
    """Return the volumes to which other instances may write: volume id -> by which, in words.

    Nothing that one instance does, being stopped included, holds the others.

    :param instance_id: the instance that is held still.
    """
    found = {}
    for volume in volumes:
        if others := sorted(volume.attachments.keys() - {instance_id}):
            several = "other instances" if len(others) > 1 else "another instance"
            found[volume.volume_id] = f"{several}, {' and '.join(others)}, may write to it"
    return found
