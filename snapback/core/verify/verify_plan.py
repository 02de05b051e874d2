"""Which snapshots of a region are verified: decided here, shown or done elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from snapback.core.model import Place, Snapshot, record_of
from snapback.core.model.backup_sets import BackupSet, NotRestorable, sets_of, unusable
from snapback.core.model.verdicts import verdict_of

NEVER = datetime.min.replace(tzinfo=UTC)
_SAMPLE = re.compile(r"(\d+(?:\.\d+)?)(%?)\Z", re.ASCII)


@dataclass(frozen=True)
class Sample:
    """How many are verified: so many, or so many percent, at least one."""

    number: float
    is_percent: bool = False

    def of(self, total: int) -> int:
        """Answer how many that are."""
        wanted = -(-total * self.number // 100) if self.is_percent else self.number
        return min(total, max(1, int(wanted))) if total else 0


ALL = Sample(100, is_percent=True)


def read_sample(text: str) -> Sample:
    """Answer what ``5%`` or ``20`` means.

    :raises ValueError: it means nothing.
    """
    found = _SAMPLE.match(str(text).strip())
    percent = bool(found and found[2])
    if not found or float(found[1]) <= 0 or (percent and float(found[1]) > 100):
        raise ValueError(f"--sample: expected a percentage like 5%, or a number, got {text!r}")
    if not percent and not found[1].isdigit():
        raise ValueError(f"--sample: expected a whole number, got {text!r}")
    return Sample(float(found[1]), percent)


@dataclass(frozen=True, kw_only=True)
class VerifyPlan:
    """What is verified at a place.

    :ivar chosen: in the order in which it is begun.
    :ivar total: how many there are to choose from.
    :ivar archived: how many there are besides that can't be read, since they are archived.
    :ivar gaps: sets, each with a member among those chosen, from which a volume is missing.
    :ivar around: all that is known there of the same volumes and sets.
    """

    place: Place
    chosen: tuple[Snapshot, ...]
    total: int
    archived: int = 0
    gaps: tuple[BackupSet, ...] = ()
    around: tuple[Snapshot, ...] = ()

    @property
    def size_gib(self) -> int:
        """The size of all that is chosen."""
        return sum(snapshot.size_gib for snapshot in self.chosen)


def plan_verification(
    place: Place, snapshots: Iterable[Snapshot], sample: Sample, *, replicas: bool
) -> VerifyPlan:
    """Decide which snapshots are verified: those first whose last verification is longest ago.

    Of those never verified the newest data come first.

    :param snapshots: all at the place.
    :param replicas: whether replicas are, or only what was taken there.
    """
    everything = [snapshot for snapshot in snapshots if snapshot.record]
    asked = [s for s in everything if s.state == "completed" and (replicas or s.is_native)]
    fit = [snapshot for snapshot in asked if not snapshot.is_archived]
    fit.sort(key=_order)
    chosen = fit[: sample.of(len(fit))]
    return VerifyPlan(
        place=place,
        chosen=tuple(chosen),
        total=len(fit),
        archived=len(asked) - len(fit),
        gaps=tuple(gaps(everything, chosen)),
        around=tuple(everything),
    )


def _order(snapshot: Snapshot) -> tuple[datetime, float, str]:
    verdict = verdict_of(snapshot.tags)
    taken_at = record_of(snapshot).taken_at
    return verdict.at if verdict else NEVER, -taken_at.timestamp(), snapshot.snapshot_id


def gaps(everything: Sequence[Snapshot], chosen: Sequence[Snapshot]) -> list[BackupSet]:
    """Answer the sets of some snapshots from which a volume is missing for good.

    What is still pending isn't missing, nor is a root volume that backups leave out by its tag.
    """
    found: list[BackupSet] = []
    ids = {snapshot.snapshot_id for snapshot in chosen}
    for instance_id in sorted({record_of(s).instance for s in chosen} - {""}):
        for one in sets_of(everything, instance_id):
            lacking = [
                volume
                for volume, why in one.missing.items()
                if why.kind in (NotRestorable.NO_SNAPSHOT, NotRestorable.IN_ERROR)
            ]
            if one.set_id and lacking and ids & {m.snapshot_id for m in one.members}:
                found.append(one)
    return found


def companions(snapshot: Snapshot, around: Iterable[Snapshot]) -> list[Snapshot]:
    """Return the other members of a snapshot's set that something can be restored from."""
    for one in sets_of(around, record_of(snapshot).instance):
        others = [m for m in one.members if m.snapshot_id != snapshot.snapshot_id]
        if one.set_id and len(others) < len(one.members):
            return [other for other in others if not unusable(other)]
    return []
