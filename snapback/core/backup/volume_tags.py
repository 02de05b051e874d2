"""Which tags volumes get from their instances. Pure: decided here, shown or set elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from snapback.core.model import Instance, Place, Tags, Volume
from snapback.core.model.tags import MOST_TAGS, may_be_cloned

MOST_IN_A_CALL = 1000


@dataclass(frozen=True, kw_only=True)
class VolumeTags:
    """What one volume gets.

    :ivar instances: those that it is attached to; several, where it is shared.
    :ivar tags: what is to be set: new keys, and keys with another value than now.
    :ivar no_room: the keys that don't fit into the 50 that a volume can have.
    :ivar contested: the keys on whose value its instances don't agree.
    """

    volume: Volume
    instances: tuple[Instance, ...]
    tags: Mapping[str, str] = field(default_factory=dict)
    no_room: tuple[str, ...] = ()
    contested: tuple[str, ...] = ()

    @property
    def shortcomings(self) -> str:
        """What it doesn't get, and why, in words; or nothing."""
        said = []
        if self.no_room:
            said.append(f"no room among its {MOST_TAGS} tags for {', '.join(self.no_room)}")
        if self.contested:
            names = ", ".join(one.instance_id for one in self.instances)
            said.append(f"{names} don't agree on {', '.join(self.contested)}")
        return "; ".join(said)


@dataclass(frozen=True)
class Setting:
    """One CreateTags call: the same tags on some volumes of one place."""

    place: Place
    volume_ids: tuple[str, ...]
    tags: Mapping[str, str]


def plan_volume_tags(
    instances: Iterable[Instance],
    volumes: Mapping[str, Volume],
    *,
    first: Sequence[str],
    exclude_tag: str,
) -> list[VolumeTags]:
    """Answer what each volume of some instances gets, in the instances' order.

    The instance's value goes before the volume's. Never cloned are tags of AWS, DLM and snapback,
    the pin and the exclusion: see :func:`~snapback.core.model.tags.may_be_cloned`.

    :param volumes: by id; one that isn't among them is left alone.
    :param first: the keys that go in first where not all find room.
    """
    of_volume: dict[str, list[Instance]] = {}
    for instance in instances:
        for volume_id in instance.devices.values():
            if volume_id in volumes:
                of_volume.setdefault(volume_id, []).append(instance)
    return [
        _plan(volumes[volume_id], tuple(owners), first, exclude_tag)
        for volume_id, owners in of_volume.items()
    ]


def _plan(
    volume: Volume, instances: tuple[Instance, ...], first: Sequence[str], exclude_tag: str
) -> VolumeTags:
    keys = {key for one in instances for key in one.tags if may_be_cloned(key, exclude_tag)}
    values = {key: {one.tags[key] for one in instances if key in one.tags} for key in keys}
    contested = sorted(key for key in keys if len(values[key]) > 1)
    wanted = {key: next(iter(values[key])) for key in keys.difference(contested)}
    changed = {k: value for k, value in wanted.items() if volume.tags.get(k) != value}
    new = [key for key in changed if key not in volume.tags]
    new.sort(key=lambda key: (first.index(key) if key in first else len(first), key))
    no_room = new[_room(volume.tags) :]
    return VolumeTags(
        volume=volume,
        instances=instances,
        tags={key: changed[key] for key in sorted(changed) if key not in no_room},
        no_room=tuple(no_room),
        contested=tuple(contested),
    )


def _room(tags: Tags) -> int:
    """Answer how many more tags a resource can have; those of AWS don't count."""
    return max(0, MOST_TAGS - sum(not key.startswith("aws:") for key in tags))


def settings_for(plans: Iterable[VolumeTags]) -> list[Setting]:
    """Answer the calls: one for each distinct set of tags at a place, a thousand volumes each."""
    groups: dict[tuple[Place, tuple[tuple[str, str], ...]], list[str]] = {}
    for plan in plans:
        if plan.tags:
            key = plan.volume.place, tuple(sorted(plan.tags.items()))
            groups.setdefault(key, []).append(plan.volume.volume_id)
    return [
        Setting(place, tuple(volume_ids[at : at + MOST_IN_A_CALL]), dict(tags))
        for (place, tags), volume_ids in groups.items()
        for at in range(0, len(volume_ids), MOST_IN_A_CALL)
    ]
