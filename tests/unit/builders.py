"""Short ways to say what a test is about. What isn't said is ordinary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any

from snapback.core.leases.lease import Lent
from snapback.core.model import Consistency, Instance, Place, Record, Snapshot, Timeline, Volume
from snapback.core.model.reasons import Reason
from snapback.core.model.verdicts import VerdictKind, Verified, write_verdict
from snapback.core.status.health import Limits
from snapback.core.status.survey import Seen, survey
from snapback.core.trim import retention
from snapback.core.trim.policy import Policy
from snapback.core.trim.retention import Protection, Verdict
from snapback.errors import SnapbackError
from snapback.status import Status, judge_all

REGION = "us-east-1"
NOTHING = {"hourly": 0, "daily": 0, "weekly": 0, "monthly": 0, "quarterly": 0, "yearly": 0}

_numbers = count(1)


def at(text: str) -> datetime:
    """Answer the instant that an ISO text without a zone says: ``at("2026-11-24T03:00")``."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def vol(letter: str) -> str:
    """Answer a proper volume id that is known by one letter, from ``a`` to ``f``."""
    return f"vol-{letter * 17}"


def timeline(letter: str = "a", region: str = REGION, account: str = "") -> Timeline:
    """Return the timeline of the volume known by a letter."""
    return Timeline(account, region, vol(letter))


def record(
    taken: str = "2026-11-24T03:00", volume: str = "a", region: str = REGION, **others: str
) -> Record:
    """Answer a record."""
    return Record(region=region, volume=vol(volume), taken_at=at(taken), **others)


def snapshot(
    taken: str | datetime = "2026-11-24T03:00",
    *,
    volume: str = "a",
    name: str = "",
    region: str = REGION,
    **others: Any,
) -> Snapshot:
    """Answer a completed snapshot of ours, native, of the volume known by a letter.

    :param name: its id, where the test speaks of it.
    """
    taken_at = at(taken) if isinstance(taken, str) else taken
    fields: dict[str, Any] = {
        "place": Place(region),
        "snapshot_id": name or f"snap-{next(_numbers):017x}",
        "volume_id": vol(volume),
        "started_at": taken_at,
        "record": Record(region=region, volume=vol(volume), taken_at=taken_at),
        "consistency": Consistency.CRASH,
    }
    return Snapshot(**{**fields, **others})


def policy(fade_after_days: float | None = None, **counts: int) -> Policy:
    """Answer a policy in which only the kinds that are named are switched on."""
    return Policy(**{**NOTHING, **counts}, fade_after_days=fade_after_days)


def judged(
    snapshots: Iterable[Snapshot],
    by: Policy | str,
    now: str = "2030-01-01T00:00",
    protection: Protection | None = None,
) -> dict[str, Verdict]:
    """Answer the verdicts by snapshot id, all timelines under one policy."""
    verdicts = retention.plan(snapshots, lambda _: by, at(now), protection)
    return {verdict.snapshot.snapshot_id: verdict for verdict in verdicts}


def kept(
    snapshots: Iterable[Snapshot],
    by: Policy | str,
    now: str = "2030-01-01T00:00",
    protection: Protection | None = None,
) -> list[str]:
    """Answer the ids of the snapshots that are kept, oldest first."""
    verdicts = judged(snapshots, by, now, protection)
    return [snapshot_id for snapshot_id, verdict in verdicts.items() if verdict.keep]


def kept_instants(instants: Iterable[str], by: Policy, now: str = "2030-01-01T00:00") -> list[str]:
    """Answer which of a volume's snapshots, each named by its instant, are kept."""
    return kept([snapshot(instant, name=instant) for instant in instants], by, now)


def instance(tags: Mapping[str, str] | None = None, **others: Any) -> Instance:
    """Answer an instance."""
    fields: dict[str, Any] = {
        "place": Place(REGION),
        "instance_id": "i-0123456789abcdef0",
        "tags": dict(tags or {}),
    }
    return Instance(**{**fields, **others})


def volume(letter: str = "a", tags: Mapping[str, str] | None = None) -> Volume:
    """Answer a volume known by a letter."""
    return Volume(place=Place(REGION), volume_id=vol(letter), tags=dict(tags or {}))


def an_instance(name: str, *letters: str, region: str = REGION, **others: Any) -> Instance:
    """Answer an instance with the earmark, whose volumes are known by letters; the first is its
    root.
    """
    devices = {
        f"/dev/sd{'a1' if n == 0 else chr(ord('e') + n)}": vol(x) for n, x in enumerate(letters)
    }
    fields: dict[str, Any] = {
        "place": Place(region),
        "instance_id": f"i-{name}",
        "root_device_name": "/dev/sda1",
        "devices": devices,
        "tags": {"Name": name, "Earmarking": "production"},
    }
    return Instance(**{**fields, **others})


def seen(
    instances: Iterable[Instance] = (),
    snapshots: Iterable[Snapshot] = (),
    *,
    now: str = "2026-11-24T12:00",
    region: str = REGION,
    volumes: Iterable[Volume] = (),
    lent: Iterable[Lent] = (),
) -> Seen:
    """Answer what was read at a place: the instances with their volumes, and others."""
    instances = list(instances)
    attached = [
        Volume(place=Place(region), volume_id=volume_id, size_gib=8)
        for one in instances
        for volume_id in one.devices.values()
    ]
    return Seen(
        place=Place(region),
        now=at(now),
        instances=instances,
        volumes={v.volume_id: v for v in (*attached, *volumes)},
        snapshots=list(snapshots),
        lent=list(lent),
    )


def status_of(
    *places: Seen,
    destinations: Mapping[str, list[str]] | None = None,
    unread: Mapping[Place, SnapbackError] | None = None,
    limits: Limits | None = None,
) -> Status:
    """Answer the status of what was read, judged by the default limits."""
    found = survey(
        places,
        tag=("Earmarking", "production"),
        exclude_tag="snapback:exclude",
        destinations=destinations or {},
        unread=unread,
    )
    return Status(
        places=tuple(place.place for place in places),
        survey=found,
        judged=tuple(judge_all(found.histories, lambda _: limits or Limits())),
    )


def words(verdict: Verdict) -> tuple[str, ...]:
    """The reasons of a verdict, in words."""
    return tuple(map(str, verdict.reasons))


def verified(word: str, when: str = "2026-11-25T03:00", evidence: str = "x") -> dict[str, str]:
    """The tag of a verdict."""
    return write_verdict(Verified(at=at(when), reason=Reason(VerdictKind(word), evidence)))


def shot(taken: str, word: str = "", when: str = "2026-11-25T03:00", **more: Any) -> Snapshot:
    """A snapshot named by its time, verified with some verdict where a word is given."""
    tags = verified(word, when) if word else {}
    return snapshot(taken, name=f"snap-{taken}", tags=tags, **more)
