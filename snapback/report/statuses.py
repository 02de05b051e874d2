"""The state of all backups, as a table and as JSON; and `check`'s one line."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from snapback.core.model import Snapshot, taken_at
from snapback.core.model.outcome import Outcome
from snapback.core.model.times import age
from snapback.core.secrets import redact
from snapback.core.status.health import Severity
from snapback.core.status.history import History, Replicas, Standing, age_of
from snapback.core.status.survey import Temporary
from snapback.core.text import printable
from snapback.report.provenance import unproven_in_words
from snapback.report.report import Column, Report, fact, in_words
from snapback.status import Judged, Status, bare_finding
from snapback.words import Word

WORDS = {
    Severity.OK: Word.OK,
    Severity.WARNING: Word.WARNING,
    Severity.UNKNOWN: Word.UNKNOWN,
    Severity.CRITICAL: Word.CRITICAL,
}
NAGIOS = {Severity.OK: 0, Severity.WARNING: 1, Severity.CRITICAL: 2, Severity.UNKNOWN: 3}
MOST_NAMED = 5

_COLUMNS = (
    Column("region", lambda outcome: outcome.place.region),
    Column("instance", fact("instance")),
    Column("name", fact("name")),
    Column("volume", fact("volume")),
    Column("GiB", fact("size_gib")),
    Column("last", lambda outcome: _last(outcome.facts)),
    Column("kept", fact("kept")),
    Column("oldest", lambda outcome: _aged(outcome.facts.get("oldest"))),
    Column("verified", lambda outcome: _proved(outcome.facts)),
    Column("replicas", lambda outcome: _replicas(outcome.facts)),
    Column("under way", lambda outcome: _under_way(outcome.facts)),
    Column("state", in_words),
)


def status_report(status: Status) -> Report:
    """Answer the report of the state of all backups: what wants to be looked at comes first."""
    outcomes = list(_outcomes(status))
    return Report(
        outcomes=outcomes,
        columns=_COLUMNS,
        summary=_summary(status),
    )


def check_report(status: Status) -> Report:
    """Answer what a monitor wants to know, in Nagios's form: a line, and the exit code."""
    line = check_line(status)
    return Report(
        outcomes=_outcomes(status),
        columns=(),
        summary=[line],
        facts={"state": status.severity.name, "line": line},
        verdict=NAGIOS[status.severity],
    )


def check_line(status: Status) -> str:
    """Answer `check`'s one line, with performance data.

    Source: https://nagios-plugins.org/doc/guidelines.html
    """
    problems = _problems(status)
    if problems:
        more = f"; and {len(problems) - MOST_NAMED} more" if len(problems) > MOST_NAMED else ""
        said = "; ".join(map(redact, problems[:MOST_NAMED])) + more
    else:
        said = f"{many(len(status.earmarked), 'volume')} backed up, all as it should be"
    said = printable(said.replace("|", "/"))
    return f"SNAPBACK {status.severity.name} - {said} | {_performance(status)}"


def _problems(status: Status) -> list[str]:
    """Answer what is wrong, a volume each, the gravest first."""
    if not status.earmarked and not status.survey.bare and not status.survey.unread:
        return ["no instance has the earmark: nothing is backed up"]
    found = [
        (one.severity, f"{whose(one.history)}: {_findings(one)}")
        for one in status.judged
        if one.findings
    ]
    found += [
        (Severity.UNKNOWN, f"{place} could not be read: {why}")
        for place, why in status.survey.unread.items()
    ]
    for instance in status.survey.bare:
        finding = bare_finding(instance)
        found.append((finding.severity, f"{instance.name or instance.instance_id}: {finding.text}"))
    return [text for _, text in sorted(found, key=lambda item: -item[0])]


def _findings(judged: Judged) -> str:
    return ", ".join(finding.text for finding in judged.findings)


def whose(history: History) -> str:
    """Answer a volume as people know it: ``db /dev/sdf (vol-…, us-east-1)``."""
    known = " ".join(filter(None, (history.name or history.instance_id, history.device_name)))
    return f"{known} ({history.volume_id}, {history.place})".lstrip()


def _performance(status: Status) -> str:
    """Answer Nagios's performance data: ``label=value;warn;crit;min`` with ranges as limits.

    An age comes with the limit of the very volume that has it, since limits differ by tags.
    """
    bad = Counter(one.severity for one in status.earmarked)
    ages = [
        (_seconds(one.history.age(one.history.last)), _seconds(one.limits.max_age))
        for one in status.earmarked
        if one.history.last
    ]
    replica_ages = [
        (_seconds(one.history.age(r.last)), _seconds(one.limits.max_replica_age))
        for one in status.earmarked
        for r in one.history.replicas
        if r.wanted and r.last
    ]
    unknown = bad[Severity.UNKNOWN] + len(status.survey.unread)
    data = {
        "volumes": f"{len(status.earmarked)};;1:;0",
        "critical": f"{bad[Severity.CRITICAL]};;0;0",
        "warning": f"{bad[Severity.WARNING]};0;;0",
        "unknown": f"{unknown};;;0",
        "oldest_backup": _oldest(ages),
        "oldest_replica": _oldest(replica_ages),
        "pending": f"{sum(len(one.history.pending) for one in status.earmarked)};;;0",
        "errors": f"{sum(len(one.history.all_broken) for one in status.judged)};;;0",
    }
    return " ".join(f"{name}={value}" for name, value in data.items())


def _oldest(ages: list[tuple[int, int]]) -> str:
    """Answer the greatest age with its limit; ``U``, unknown, where there is none."""
    if not ages:
        return "U"
    age_s, limit_s = max(ages)
    return f"{age_s}s;;{limit_s};0"


def _outcomes(status: Status) -> list[Outcome]:
    """Answer a row for each volume, the orphans of a region in one; see the order of the survey."""
    missing = [o for o in status.judged if o.history.last is None and _is(o, Standing.EARMARKED)]
    in_use = [o for o in status.judged if o.history.last and _is(o, Standing.EARMARKED)]
    return [
        *(Outcome.of_failed(place, error) for place, error in status.survey.unread.items()),
        *map(_outcome, missing),
        *map(_bare, status.survey.bare),
        *(_outcome(o) for o in status.judged if _is(o, Standing.NO_LONGER)),
        *_orphans(status),
        *map(_temporary, status.survey.temporary),
        *_unproven(status),
        *map(_outcome, in_use),
    ]


def _is(one: Judged, standing: Standing) -> bool:
    return one.history.standing is standing


def _outcome(judged: Judged) -> Outcome:
    history = judged.history
    word, explanation = WORDS[judged.severity], _findings(judged)
    if history.standing is Standing.NO_LONGER:
        former = f"{history.standing.value}: {history.why_no_longer}"
        word, explanation = Word.WARNING, "; ".join(filter(None, (former, explanation)))
    return Outcome(
        subject=history.volume_id,
        word=word,
        explanation=explanation,
        place=history.place,
        facts=facts_of(history),
    )


def facts_of(history: History) -> dict[str, Any]:
    """Answer what is known of a volume's backups, as JSON's values."""
    return {
        "standing": history.standing.value,
        "instance": history.instance_id,
        "name": history.name,
        "volume": history.volume_id,
        "device": history.device_name,
        "size_gib": history.size_gib,
        "last": _dated(history.last, history),
        "oldest": _dated(history.completed[0] if history.completed else None, history),
        "kept": len(history.completed),
        "archived": sum(one.is_archived for one in history.completed),
        "pending": [_under_way_of(s, history.now) for s in history.pending],
        "in_error": [_in_error(s) for s in history.broken],
        "verified": _verified(history),
        "replicas": [_replicas_of(replicas, history) for replicas in history.replicas],
    }


def _verified(history: History) -> dict[str, Any] | None:
    """Answer which snapshot was verified last, and how that ended."""
    if history.verified is None:
        return None
    snapshot, verdict = history.verified
    return {
        "snapshot": snapshot.snapshot_id,
        "at": verdict.at.isoformat(),
        "age_s": _seconds(history.now - verdict.at),
        "verdict": verdict.word,
        "evidence": verdict.evidence,
    }


def _replicas_of(replicas: Replicas, history: History) -> dict[str, Any]:
    return {
        "region": replicas.place.region,
        "wanted": replicas.wanted,
        "last": _dated(replicas.last, history),
        "kept": len(replicas.completed),
        "archived": sum(one.is_archived for one in replicas.completed),
        "being_replicated": [_under_way_of(s, history.now) for s in replicas.pending],
        "in_error": [_in_error(s) for s in replicas.broken],
    }


def _dated(snapshot: Snapshot | None, history: History) -> dict[str, Any] | None:
    if snapshot is None:
        return None
    return {
        "snapshot": snapshot.snapshot_id,
        "taken_at": taken_at(snapshot).isoformat(),
        "age_s": _seconds(history.age(snapshot)),
        "consistency": snapshot.consistency.name.lower(),
    }


def _under_way_of(snapshot: Snapshot, now: datetime) -> dict[str, Any]:
    return {
        "snapshot": snapshot.snapshot_id,
        "progress": snapshot.progress or "0%",
        "since_s": _seconds(age_of(snapshot, now)),
    }


def _in_error(snapshot: Snapshot) -> dict[str, Any]:
    return {"snapshot": snapshot.snapshot_id, "reason": snapshot.state_message}


def _seconds(span: timedelta) -> int:
    return max(0, int(span.total_seconds()))


def _bare(instance: Any) -> Outcome:
    finding = bare_finding(instance)
    return Outcome(
        subject=instance.instance_id,
        word=WORDS[finding.severity],
        explanation=finding.text,
        place=instance.place,
        facts={
            "instance": instance.instance_id,
            "name": instance.name,
        },
    )


def _orphans(status: Status) -> list[Outcome]:
    outcomes = []
    for place in status.places:
        gone = [o for o in status.judged if _is(o, Standing.ORPHAN) and o.history.place == place]
        here = [one.history for one in gone]
        if not here:
            continue
        snapshots = [s for h in here for s in _all(h)]
        wrong = [f"{one.history.volume_id}: {_findings(one)}" for one in gone if one.findings]
        size = sum(snapshot.size_gib for snapshot in snapshots)
        left = (
            f"{many(len(here), 'volume')} gone: {many(len(snapshots), 'snapshot')} and replicas "
            f"left, {size} GiB at most"
        )
        outcomes.append(
            Outcome(
                subject="volumes that are gone",
                word=Word.WARNING if wrong else Word.OK,
                explanation="; ".join((left, *wrong)),
                place=place,
                facts={
                    "standing": Standing.ORPHAN.value,
                    "volumes": sorted(h.volume_id for h in here),
                    "snapshots": len(snapshots),
                    "size_gib": size,
                    "in_error": [_in_error(s) for h in here for s in h.all_broken],
                },
            )
        )
    return outcomes


def _unproven(status: Status) -> list[Outcome]:
    outcomes = []
    for place in status.places:
        unproven = status.survey.unproven_at(place)
        if unproven:
            outcomes.append(
                Outcome(
                    subject="unproven snapshots",
                    word=Word.UNPROVEN,
                    explanation=unproven_in_words(unproven),
                    place=place,
                    facts={"unproven": unproven},
                )
            )
    return outcomes


def _all(history: History) -> list[Snapshot]:
    """Answer a volume's completed snapshots and replicas."""
    return [*history.completed, *(s for r in history.replicas for s in r.completed)]


def _temporary(one: Temporary) -> Outcome:
    thing = one.thing
    return Outcome(
        subject=thing.resource_id,
        word=Word.WARNING if one.has_expired else Word.OK,
        explanation=one.about,
        place=thing.place,
        facts={
            "temporary": thing.resource_id,
            "run_id": thing.run_id,
            "since": one.since.isoformat() if one.since else None,
        },
    )


def _summary(status: Status) -> list[str]:
    counted = Counter(one.severity for one in status.earmarked)
    bad = ", ".join(
        f"{counted[severity]} {severity.name.lower()}"
        for severity in sorted(Severity, reverse=True)
        if severity and counted[severity]
    )
    lines = [f"{many(len(status.earmarked), 'volume')} to back up: {bad or 'all is well'}"]
    if status.leftover:
        lines.append(
            f"{many(len(status.leftover), 'volume')} no longer backed up: what is left needs "
            "attention"
        )
    if status.survey.excluded:
        lines.append(f"{many(status.survey.excluded, 'volume')} left out by the tag")
    return lines


def many(count: int, noun: str) -> str:
    """Answer a count with its noun: ``1 volume``, ``3 volumes``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _last(facts: dict[str, Any]) -> str:
    last = facts.get("last")
    return f"{_aged(last)}, {last['consistency']}" if last else ""


def _proved(facts: dict[str, Any]) -> str:
    found = facts.get("verified")
    return f"{_aged(found)}, {found['verdict']}" if found else ""


def _aged(dated: dict[str, Any] | None) -> str:
    return age(timedelta(seconds=dated["age_s"])) if dated else ""


def _replicas(facts: dict[str, Any]) -> str:
    return "; ".join(
        f"{r['region']} {_aged(r['last']) or 'none'}" for r in facts.get("replicas", ())
    )


def _under_way(facts: dict[str, Any]) -> str:
    said = [f"pending {one['progress']}" for one in facts.get("pending", ())]
    said += [
        f"replicating to {r['region']} {one['progress']}"
        for r in facts.get("replicas", ())
        for one in r["being_replicated"]
    ]
    if broken := facts.get("in_error"):
        said.append(f"{len(broken)} in error")
    said += [
        f"{len(r['in_error'])} in error in {r['region']}"
        for r in facts.get("replicas", ())
        if r["in_error"]
    ]
    return "; ".join(said)
