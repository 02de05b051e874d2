"""Restoring one volume: read, decide, show, act."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from snapback.core.leases.lease import Kind
from snapback.core.model import Instance, Snapshot, record_of
from snapback.core.model.backup_sets import unfit
from snapback.core.model.outcome import Outcome
from snapback.core.model.times import in_both, in_utc
from snapback.core.restore.volume_plan import VolumePlan, plan_volume
from snapback.ec2.instances import check_id, instance_by_id
from snapback.ec2.restoring import attach_volume, create_volume, wait_for_volume
from snapback.errors import SnapbackError, UsageError
from snapback.restore.common import (
    Restoration,
    in_words,
    lender,
    marked,
    outcome,
    word_for,
)
from snapback.run import Run
from snapback.snapshots.search import as_meant, moment, snapshot_by_id, snapshot_of_volume
from snapback.words import Word


def restore_one_volume(
    run: Run,
    snapshot_id: str | None = None,
    volume_id: str | None = None,
    at: str | datetime | None = None,
    region_name: str | None = None,
    *,
    zone: str = "",
    volume_type: str = "",
    attach: str = "",
    device: str = "",
    dry_run: bool = False,
) -> Restoration:
    """Make a volume of a snapshot; see :func:`snapback.restore_volume`."""
    snapshot, newer = _meant(run, snapshot_id, volume_id, at, region_name)
    plan = _plan(run, snapshot, zone, volume_type, attach, device)
    record = record_of(plan.snapshot)
    taken = f"{record.volume} as of {in_both(record.taken_at)}, {plan.snapshot.size_gib} GiB"
    meant = (
        *as_meant(at),
        f"{plan.snapshot.snapshot_id} in {plan.snapshot.place}: {taken}",
        *(
            f"passed over: {s.snapshot_id} of {in_utc(record_of(s).taken_at)}, which {unfit(s)}"
            for s in newer
        ),
    )
    notes = (*meant, *map(str, plan.reasons))
    if plan.problems:
        return Restoration((_outcome(plan, Word.REFUSED, in_words((), plan.problems)),), meant)
    if dry_run:
        return Restoration((_outcome(plan, Word.WOULD, in_words(plan.reasons, ())),), notes)
    run.progress.plan(notes)
    return Restoration((make_volume(run, plan),), notes)


def _meant(
    run: Run,
    snapshot_id: str | None,
    volume_id: str | None,
    at: str | datetime | None,
    region_name: str | None,
) -> tuple[Snapshot, Sequence[Snapshot]]:
    """Answer the snapshot that is meant, and newer ones that are passed over."""
    if (snapshot_id is None) == (volume_id is None):
        raise UsageError("expected exactly one of --snapshot-id and --volume-id")
    if snapshot_id is not None:
        if at is not None:
            raise UsageError("--at is for --volume-id: a snapshot is of one instant")
        return snapshot_by_id(run, region_name, snapshot_id), ()
    return snapshot_of_volume(run, region_name, volume_id or "", moment(at))


def _plan(
    run: Run, snapshot: Snapshot, zone: str, volume_type: str, attach: str, device: str
) -> VolumePlan:
    instance: Instance | None = None
    if attach:
        place = snapshot.place
        instance = instance_by_id(run.conn(place), place, check_id(attach))
    return plan_volume(
        snapshot,
        zone=zone,
        volume_type=volume_type,
        instance=instance,
        device_name=device,
        first=run.settings.first_tags,
    )


def make_volume(run: Run, plan: VolumePlan) -> Outcome:
    """Make the volume of a plan, attach it where that is wanted, and answer what became of it."""
    place = plan.snapshot.place
    conn = run.conn(place)
    made = ""
    try:
        with (
            lender(run, place) as lends,
            lends.until_kept(
                Kind.VOLUME,
                f"restored volume of {plan.snapshot.snapshot_id}",
                lambda token, marks: create_volume(conn, plan, token, marked(marks, plan.tags)),
            ) as volume_id,
        ):
            wait_for_volume(conn, place, volume_id, "available", run.pause)
            if plan.attach_to:
                attach_volume(conn, volume_id, plan.attach_to, plan.device_name)
                wait_for_volume(conn, place, volume_id, "in-use", run.pause)
            lends.keep([volume_id])
            made = volume_id
    except SnapbackError as error:
        return _outcome(plan, word_for(error), str(error), made)
    return _outcome(plan, Word.DONE, "", made)


def _outcome(plan: VolumePlan, word: Word, explanation: str, made: str = "") -> Outcome:
    record = record_of(plan.snapshot)
    facts: dict[str, Any] = {
        "name": plan.tags.get("Name", ""),
        "snapshot": plan.snapshot.snapshot_id,
        "of": record.volume,
        "taken_at": record.taken_at.isoformat(),
        "size_gib": plan.snapshot.size_gib,
        "zone": plan.zone,
        "volume_type": plan.disk.volume_type,
        "attached_to": plan.attach_to,
        "device": plan.device_name,
        "reasons": list(map(str, plan.reasons)),
        "made": made or None,
    }
    return outcome(record.volume, word, explanation, plan.snapshot.place, facts)
