"""The pages there are: the state of all backups, and what a trimming would delete."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from snapback.core.model import Consistency, Snapshot, Timeline, taken_at
from snapback.core.model.times import age
from snapback.core.status.health import Severity
from snapback.core.status.history import History, Replicas, Standing, age_of
from snapback.core.trim.retention import Verdict
from snapback.core.trim.trim_plan import TrimPlan
from snapback.report.page import Page, Row
from snapback.report.picture import Lane, Mark
from snapback.report.provenance import unproven_in_words
from snapback.report.statuses import many
from snapback.report.trims import stopped_in_words
from snapback.status import Judged, Status, bare_finding

_STANDINGS = {Standing.NO_LONGER: ("former", "no longer"), Standing.ORPHAN: ("gone", "gone")}
Verdicts = Mapping[tuple[str, str], Verdict]


def page_of_status(status: Status, read_at: datetime) -> Page:
    """Answer the page that shows the state of all backups."""
    verdicts = _verdicts(status.trim_plans)
    rows = [_row_of(one, verdicts) for one in status.judged]
    counted = {s: sum(one.severity is s for one in status.earmarked) for s in Severity}
    going = sum(not verdict.keep for verdict in verdicts.values())
    orphans = status.survey.of(Standing.ORPHAN)
    numbers = [
        (str(len(status.earmarked)), "to back up", ""),
        (str(counted[Severity.CRITICAL]), "critical", _coloured(counted, Severity.CRITICAL)),
        (str(counted[Severity.UNKNOWN]), "unknown", _coloured(counted, Severity.UNKNOWN)),
        (str(counted[Severity.WARNING]), "warning", _coloured(counted, Severity.WARNING)),
        (str(counted[Severity.OK]), "ok", "ok"),
        (str(len(status.survey.of(Standing.NO_LONGER))), "no longer backed up", ""),
        (str(len(orphans)), "volumes gone", ""),
        (str(going), "snapshots to trim", "trim" if going else ""),
    ]
    return Page(
        title="Backups",
        verdict=_verdict(status),
        state=status.severity.name.lower(),
        read_at=read_at,
        numbers=[number for number in numbers if number[0] != "0" or number[1] == "critical"],
        rows=rows,
        notes=_notes(status),
    )


def page_of_trimming(plans: Sequence[TrimPlan], read_at: datetime) -> Page:
    """Answer the page that shows what a trimming would delete, and why."""
    by_volume: dict[Timeline, list[Verdict]] = defaultdict(list)
    for plan in plans:
        for verdict in plan.verdicts:
            if verdict.snapshot.record:
                by_volume[verdict.snapshot.record.timeline].append(verdict)
    rows = [_row_of_trimming(verdicts, read_at) for verdicts in by_volume.values()]
    rows.sort(key=lambda row: (row.state != "trim", row.region, row.name, row.device))
    going = [v for plan in plans for v in plan.deletions]
    kept = sum(len(plan.verdicts) for plan in plans) - len(going)
    broken = sum(one.ours for plan in plans for one in plan.broken)
    return Page(
        title="Trimming, a dry run",
        verdict=f"{many(len(going), 'snapshot')} would go, {kept} would stay",
        state="trim" if going else "ok",
        read_at=read_at,
        numbers=[
            (str(len(going)), "would go", "trim"),
            (f"{sum(v.snapshot.size_gib for v in going):,}", "GiB of theirs at most", ""),
            (str(kept), "would stay", ""),
            (str(broken), "in error would go too", "critical" if broken else ""),
        ],
        rows=rows,
        notes=[
            f"{plan.place}: the brake keeps {stopped_in_words(one)}"
            for plan in plans
            for one in plan.stopped
        ]
        + [f"{plan.place}: {unproven_in_words(plan.unproven)}" for plan in plans if plan.unproven],
    )


def _row_of(judged: Judged, verdicts: Verdicts) -> Row:
    history = judged.history
    severity = judged.severity.name.lower()
    state, word = _STANDINGS.get(history.standing, (severity, severity))
    last = history.last
    in_use = history.standing is Standing.EARMARKED
    return Row(
        state=severity if judged.findings else state,
        word=word,
        name=history.name,
        instance_id=history.instance_id,
        device=history.device_name,
        volume_id=history.volume_id,
        region=str(history.place),
        size_gib=history.size_gib,
        last=age(history.age(last)) if last else "",
        last_s=int(history.age(last).total_seconds()) if last else None,
        last_more=last.consistency.name.lower() if last else "",
        kept=len(history.completed),
        kept_more=f"over {age(history.age(history.completed[0]))}" if last else "",
        why="; ".join(filter(None, (history.why_no_longer, *(f.text for f in judged.findings)))),
        lanes=(
            Lane(
                str(history.place),
                _marks(history, (*history.completed, *history.pending, *history.broken), verdicts),
                judged.limits.max_age if in_use else None,
            ),
            *(
                Lane(
                    f"→ {replicas.place}",
                    _marks(history, _all_of(replicas), verdicts),
                    judged.limits.max_replica_age if replicas.wanted else None,
                )
                for replicas in history.replicas
            ),
        ),
    )


def _all_of(replicas: Replicas) -> tuple[Snapshot, ...]:
    return (*replicas.completed, *replicas.pending, *replicas.broken)


def _marks(history: History, snapshots: Iterable[Snapshot], verdicts: Verdicts) -> tuple[Mark, ...]:
    return tuple(_mark(s, verdicts.get(_key(s)), history.now) for s in snapshots)


def _mark(snapshot: Snapshot, verdict: Verdict | None, now: datetime) -> Mark:
    """Answer a snapshot in the picture, at the time of its data."""
    at = taken_at(snapshot)
    old = now - at
    kind = _kind(snapshot, verdict)
    lines = [
        f"{at:%Y-%m-%d %H:%M} UTC, {age(old)} ago",
        f"{snapshot.snapshot_id}, {snapshot.consistency.name.lower()}-consistent",
    ]
    if snapshot.state == "pending":
        waited = age(age_of(snapshot, now))
        lines.append(f"pending for {waited}: {snapshot.progress or '0%'}")
    elif snapshot.state == "error":
        lines.append(f"in error: {snapshot.state_message or 'EC2 gives no reason'}")
    elif verdict:
        what = "kept" if verdict.keep else "the next trim deletes it"
        lines.append(f"{what}: {', '.join(map(str, verdict.reasons))}")
    return Mark(old, kind, "\n".join(lines))


def _kind(snapshot: Snapshot, verdict: Verdict | None) -> str:
    if snapshot.state in ("pending", "error"):
        return "pending" if snapshot.state == "pending" else "broken"
    if verdict and not verdict.keep:
        return "going"
    return "better" if snapshot.consistency > Consistency.CRASH else "kept"


def _row_of_trimming(verdicts: Sequence[Verdict], now: datetime) -> Row:
    """Answer the row of one volume, with all places where there are snapshots of it."""
    newest = verdicts[-1].snapshot
    record = newest.record
    assert record is not None
    going = [verdict for verdict in verdicts if not verdict.keep]
    places = sorted({v.snapshot.place for v in verdicts}, key=lambda p: p.region != record.region)
    old = now - max(taken_at(v.snapshot) for v in verdicts)
    return Row(
        state="trim" if going else "ok",
        word=f"{len(going)} would go" if going else "all stay",
        name=newest.tags.get("Name", ""),
        instance_id=record.instance,
        device=record.device,
        volume_id=record.volume,
        region=str(replace(newest.place, region=record.region)),
        size_gib=newest.size_gib,
        last=age(old),
        last_s=int(old / timedelta(seconds=1)),
        last_more=newest.consistency.name.lower(),
        kept=len(verdicts) - len(going),
        kept_more=f"of {len(verdicts)}",
        lanes=tuple(
            Lane(
                str(place) if place.region == record.region else f"→ {place}",
                tuple(_mark(v.snapshot, v, now) for v in verdicts if v.snapshot.place == place),
            )
            for place in places
        ),
    )


def _verdicts(plans: Iterable[TrimPlan]) -> dict[tuple[str, str], Verdict]:
    return {_key(verdict.snapshot): verdict for plan in plans for verdict in plan.verdicts}


def _key(snapshot: Snapshot) -> tuple[str, str]:
    return str(snapshot.place), snapshot.snapshot_id


def _verdict(status: Status) -> str:
    """Answer the fleet's state in a few words."""
    bad = sum(one.severity is not Severity.OK for one in status.earmarked)
    if not status.earmarked:
        return "nothing is backed up"
    if not bad:
        unread = ", as far as could be read" if status.survey.unread else ""
        rest = ", but not all that is left of others" if status.leftover else ""
        return f"all {len(status.earmarked)} volumes are well{unread}{rest}"
    verb = "needs" if bad == 1 else "need"
    return f"{bad} of {many(len(status.earmarked), 'volume')} {verb} attention"


def _notes(status: Status) -> list[str]:
    survey = status.survey
    notes = [f"{place} could not be read: {why}" for place, why in survey.unread.items()]
    notes += [
        f"{one.name or one.instance_id} in {one.place}: {bare_finding(one).text}"
        for one in survey.bare
    ]
    notes += [f"{one.thing} in {one.thing.place}: {one.about}" for one in survey.temporary]
    notes += [
        f"{place}: {unproven_in_words(unproven)}"
        for place in status.places
        if (unproven := survey.unproven_at(place))
    ]
    if survey.excluded:
        notes.append(f"{many(survey.excluded, 'volume')} left out by the tag")
    notes += [
        f"{plan.place}: the brake would keep {stopped_in_words(one)}"
        for plan in status.trim_plans
        for one in plan.stopped
    ]
    return notes


def _coloured(counted: Mapping[Severity, int], severity: Severity) -> str:
    return severity.name.lower() if counted[severity] else ""
