"""What is known of each volume's backups, put together from what was read in all regions. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from snapback.core.leases.lease import Kind, Lent
from snapback.core.model import Instance, Place, Snapshot, Volume, taken_at
from snapback.core.model import tags as our_tags
from snapback.core.model.provenance import objections
from snapback.core.model.sharing import in_charge
from snapback.core.model.times import age
from snapback.core.status.history import History, Replicas, Standing
from snapback.errors import SnapbackError

_Volume = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """All that was read at one place.

    :ivar now: EC2's time there.
    :ivar instances: all, but for those being terminated.
    :ivar volumes: all, by id.
    :ivar snapshots: all that the account owns.
    :ivar lent: what else was lent for a moment: images, key pairs, security groups.
    """

    place: Place
    now: datetime
    instances: Sequence[Instance]
    volumes: Mapping[str, Volume]
    snapshots: Sequence[Snapshot]
    lent: Sequence[Lent] = ()


@dataclass(frozen=True, kw_only=True)
class Temporary:
    """What was lent for a moment, and is still there.

    :ivar since: since when; of what doesn't say so, since its run began.
    """

    thing: Lent
    since: datetime | None
    now: datetime

    @property
    def has_expired(self) -> bool:
        """Whether no run needs it any more."""
        return self.thing.has_expired(self.now)

    @property
    def about(self) -> str:
        """What it is for and how old it is, in words."""
        old = f", {age(self.now - self.since)} old" if self.since else ""
        what = (
            f"{self.thing.purpose or 'something'} of {self.thing.run_id or 'an unknown run'}{old}"
        )
        if self.has_expired:
            return f"{what}, has expired: run fab sweep"
        return f"{what}, in use"


@dataclass(frozen=True, kw_only=True)
class Survey:
    """The state of a fleet's backups.

    :ivar histories: a volume each; the order is that in which they want to be looked at.
    :ivar bare: instances with the earmark that have no volume to back up.
    :ivar excluded: how many volumes are left out by their tag.
    :ivar unproven: snapshots whose records aren't believed, since EC2 says otherwise.
    :ivar unread: place -> why it could not be read.
    """

    histories: tuple[History, ...]
    bare: tuple[Instance, ...] = ()
    excluded: int = 0
    temporary: tuple[Temporary, ...] = ()
    unproven: tuple[Snapshot, ...] = ()
    unread: Mapping[Place, SnapbackError] = field(default_factory=dict)

    def of(self, standing: Standing) -> list[History]:
        """Answer the histories of one standing, in their order."""
        return [history for history in self.histories if history.standing is standing]

    def unproven_at(self, place: Place) -> dict[str, str]:
        """Return the unproven snapshots at a place: snapshot id -> what EC2 says, in words."""
        return objections(s for s in self.unproven if s.place == place)

    def at(self, places: Collection[Place]) -> Survey:
        """Answer the part that is about some places; what could not be read stays."""
        return replace(
            self,
            histories=tuple(h for h in self.histories if h.place in places),
            bare=tuple(i for i in self.bare if i.place in places),
            temporary=tuple(t for t in self.temporary if t.thing.place in places),
            unproven=tuple(s for s in self.unproven if s.place in places),
        )


def survey(
    seen: Sequence[Seen],
    *,
    tag: tuple[str, str],
    exclude_tag: str,
    destinations: Mapping[str, Sequence[str]],
    unread: Mapping[Place, SnapbackError] | None = None,
) -> Survey:
    """Put together what was read.

    :param tag: the earmark and its value.
    :param destinations: region -> the regions in which its volumes should have replicas.
    :param unread: place -> why it could not be read.
    """
    unread = unread or {}
    found = _by_timeline(seen)
    histories: list[History] = []
    bare: list[Instance] = []
    excluded = 0
    for place in seen:
        of_place, bare_here, excluded_here = _of_place(place, found, tag, exclude_tag)
        histories += of_place
        bare += bare_here
        excluded += excluded_here
    read = {place.place for place in seen}
    return Survey(
        histories=tuple(
            sorted(
                (
                    replace(history, replicas=_replicas(history, found, destinations, read))
                    for history in histories
                ),
                key=_order,
            )
        ),
        bare=tuple(bare),
        excluded=excluded,
        temporary=tuple(one for place in seen for one in _temporary(place)),
        unproven=tuple(s for place in seen for s in place.snapshots if s.unproven),
        unread=unread,
    )


def _by_timeline(seen: Iterable[Seen]) -> dict[_Volume, list[Snapshot]]:
    """Answer the snapshots of ours: (account, region, volume) -> wherever they lie, oldest first.

    One in ``error`` may have lost its record with its data; its VolumeId then says what it was of.
    """
    found: dict[_Volume, list[Snapshot]] = defaultdict(list)
    for place in seen:
        for snapshot in place.snapshots:
            if our_tags.manager_of(snapshot.tags) or snapshot.unproven:
                continue
            record = snapshot.record
            if record and record.account == snapshot.owner_id and record.taken_at <= place.now:
                found[place.place.account, record.region, record.volume].append(snapshot)
            elif snapshot.state == "error" and our_tags.is_ours(snapshot.tags):
                key = place.place.account, place.place.region, snapshot.volume_id
                found[key].append(snapshot)
    for snapshots in found.values():
        snapshots.sort(key=lambda s: (taken_at(s), s.started_at, s.snapshot_id))
    return found


def _of_place(
    seen: Seen, found: Mapping[_Volume, list[Snapshot]], tag: tuple[str, str], exclude_tag: str
) -> tuple[list[History], list[Instance], int]:
    """Answer the histories of a place, its instances with nothing to back up, and exclusions."""
    instances_of = _instances_of(seen.instances)
    instance_of = {volume_id: in_charge(some, tag) for volume_id, some in instances_of.items()}
    earmarked = {volume_id for volume_id, one in instance_of.items() if _has(one, tag)}
    excluded = {
        volume_id
        for volume_id in instance_of
        if our_tags.is_excluded(_tags(seen, volume_id), exclude_tag)
    }
    wanted = earmarked - excluded
    histories = [
        _history(seen, volume_id, Standing.EARMARKED, instance_of, found) for volume_id in wanted
    ]
    for account, region, volume_id in found:
        if (account, region) != (seen.place.account, seen.place.region) or volume_id in wanted:
            continue
        there = volume_id in seen.volumes or volume_id in instance_of
        standing = Standing.NO_LONGER if there else Standing.ORPHAN
        history = _history(seen, volume_id, standing, instance_of, found)
        why = _why_no_longer(volume_id, instances_of, excluded, exclude_tag, tag) if there else ""
        histories.append(replace(history, why_no_longer=why))
    bare = [
        instance
        for instance in seen.instances
        if _has(instance, tag) and not wanted & set(instance.devices.values())
    ]
    return histories, bare, len(excluded & earmarked)


def _instances_of(instances: Iterable[Instance]) -> dict[str, list[Instance]]:
    """Return volume id -> the instances that have it."""
    found: dict[str, list[Instance]] = defaultdict(list)
    for instance in instances:
        for volume_id in instance.devices.values():
            found[volume_id].append(instance)
    return found


def _history(
    seen: Seen,
    volume_id: str,
    standing: Standing,
    instance_of: Mapping[str, Instance],
    found: Mapping[_Volume, list[Snapshot]],
) -> History:
    everywhere = found.get((seen.place.account, seen.place.region, volume_id), [])
    native = [s for s in everywhere if s.place == seen.place]
    record = next((s.record for s in reversed(everywhere) if s.record), None)
    instance = instance_of.get(volume_id)
    devices = instance.devices if instance else {}
    device = next((name for name, of in devices.items() if of == volume_id), "")
    volume = seen.volumes.get(volume_id)
    size = volume.size_gib if volume else max((s.size_gib for s in everywhere), default=0)
    return History(
        place=seen.place,
        volume_id=volume_id,
        now=seen.now,
        standing=standing,
        size_gib=size,
        device_name=device or (record.device if record else ""),
        is_root=bool(instance and instance.root_volume_id == volume_id),
        instance_id=instance.instance_id if instance else record.instance if record else "",
        name=instance.name if instance else _name_once(everywhere),
        tags=instance.tags if instance else {},
        completed=_in_state(native, "completed"),
        pending=_in_state(native, "pending"),
        broken=_in_state(native, "error"),
    )


def _replicas(
    history: History,
    found: Mapping[_Volume, list[Snapshot]],
    destinations: Mapping[str, Sequence[str]],
    read: set[Place],
) -> tuple[Replicas, ...]:
    """Answer a volume's replicas, by place: those that there should be, and those that there are.

    An orphan's are what they are.
    """
    home = history.place
    everywhere = found.get((home.account, home.region, history.volume_id), [])
    wanted = {
        Place(region, home.account)
        for region in destinations.get(home.region, ())
        if history.standing is Standing.EARMARKED and region != home.region
    }
    places = wanted | {s.place for s in everywhere if s.place != home}
    answers = []
    for place in sorted(places):
        there = [s for s in everywhere if s.place == place]
        answers.append(
            Replicas(
                place=place,
                wanted=place in wanted,
                read=place in read,
                completed=_in_state(there, "completed"),
                pending=_in_state(there, "pending"),
                broken=_in_state(there, "error"),
            )
        )
    return tuple(answers)


def _why_no_longer(
    volume_id: str,
    instances_of: Mapping[str, Sequence[Instance]],
    excluded: set[str],
    exclude_tag: str,
    tag: tuple[str, str],
) -> str:
    if volume_id not in instances_of:
        return "the volume isn't attached"
    if volume_id in excluded:
        return f"left out by the tag {exclude_tag}"
    who = "its instance has" if len(instances_of[volume_id]) == 1 else "its instances have"
    return f"{who} no tag {tag[0]}={tag[1]}"


def _temporary(seen: Seen) -> list[Temporary]:
    """Answer what is lent for a moment: what bears an expiry; of claims those that have expired."""
    candidates = [
        *((Kind.INSTANCE, i.instance_id, i.tags, i.launched_at) for i in seen.instances),
        *((Kind.VOLUME, v.volume_id, v.tags, v.created_at) for v in seen.volumes.values()),
    ]
    bodies = [
        (Lent(place=seen.place, kind=kind, resource_id=resource_id, tags=tags), since)
        for kind, resource_id, tags, since in candidates
        if our_tags.EXPIRES in tags
    ]
    others = [
        (thing, thing.run_began_at)
        for thing in seen.lent
        if not thing.is_ending and (thing.kind is not Kind.KEY_PAIR or thing.has_expired(seen.now))
    ]
    return [Temporary(thing=t, since=since, now=seen.now) for t, since in (*bodies, *others)]


def _has(instance: Instance, tag: tuple[str, str]) -> bool:
    return instance.tags.get(tag[0]) == tag[1]


def _tags(seen: Seen, volume_id: str) -> Mapping[str, str]:
    volume = seen.volumes.get(volume_id)
    return volume.tags if volume else {}


def _name_once(snapshots: Sequence[Snapshot]) -> str:
    """Answer the name that a gone instance had, from the tags cloned to its snapshots."""
    return next((s.tags["Name"] for s in reversed(snapshots) if s.tags.get("Name")), "")


def _in_state(snapshots: Iterable[Snapshot], state: str) -> tuple[Snapshot, ...]:
    return tuple(snapshot for snapshot in snapshots if snapshot.state == state)


_STANDINGS = list(Standing)


def _order(history: History) -> tuple[object, ...]:
    """Tagged ones without any snapshot first; then those no longer tagged; orphans; the others."""
    missing = history.standing is Standing.EARMARKED and history.last is None
    rank = 0 if missing else _STANDINGS.index(history.standing) or len(_STANDINGS)
    return rank, history.place, history.name, history.instance_id, history.device_name
