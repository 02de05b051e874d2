"""Whether a volume's backups are good enough, and why not. Pure: it is given facts and limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import IntEnum
from typing import Any

from snapback.core.model import Consistency, Snapshot, taken_at
from snapback.core.model.times import age
from snapback.core.status.history import (
    History,
    Replicas,
    age_of,
    archived_since,
    best_within,
    corrupt_now,
)


class Severity(IntEnum):
    """How bad it is; more is worse."""

    OK = 0
    WARNING = 1
    UNKNOWN = 2
    CRITICAL = 3


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When a volume's backups are good enough.

    :ivar max_verified_age: how long ago one was verified at most; ``None``: none has to be.
    :ivar consistency: what a snapshot of the last ``max_age`` has to be at least.
    """

    max_age: timedelta = timedelta(hours=26)
    max_replica_age: timedelta = timedelta(hours=26)
    max_pending: timedelta = timedelta(hours=24)
    min_kept: int = 1
    consistency: Consistency = Consistency.CRASH
    max_verified_age: timedelta | None = None

    def changed(self, **others: Any) -> Limits:
        """Answer these limits with some others in place of their own."""
        return replace(self, **others)


@dataclass(frozen=True)
class Finding:
    """One thing that isn't as it should be, in words."""

    severity: Severity
    text: str


def judge(history: History, limits: Limits, *, root_is_frozen: bool = True) -> list[Finding]:
    """Answer what is wrong with the backups of a volume that should have some; the worst first.

    :param root_is_frozen: whether the configuration lets roots be frozen: where it doesn't, no
        consistency is demanded of them.
    """
    demanded = limits.consistency
    if history.is_root and not root_is_frozen:
        demanded = Consistency.CRASH
    findings = [
        *_freshness(history, limits),
        *_consistency(history, limits, demanded),
        *_numbers(history, limits),
        *_stuck(history, history.pending, limits, "a snapshot"),
        *_verification(history, limits),
    ]
    for replicas in history.replicas:
        findings += _replication(history, replicas, limits)
    return sorted(findings, key=lambda finding: -finding.severity)


def judge_leftover(history: History, limits: Limits) -> list[Finding]:
    """Return what is wrong with the backups of a volume of which no more are taken.

    Nothing new is demanded. But what ended in ``error``, or never ends, is no backup: a warning.
    """
    findings = [
        *_broken(history.broken, history.last, ""),
        *_stuck(history, history.pending, limits, "a snapshot"),
    ]
    for replicas in history.replicas:
        findings += _ended_badly(history, replicas, limits)
    return [Finding(Severity.WARNING, finding.text) for finding in findings]


def worst(findings: list[Finding]) -> Severity:
    """Answer the gravest of some findings; ``OK`` where there are none."""
    return max((finding.severity for finding in findings), default=Severity.OK)


def _freshness(history: History, limits: Limits) -> Iterator[Finding]:
    if history.last is None:
        pending = "; one is pending" if history.pending else ""
        yield Finding(Severity.CRITICAL, f"no snapshot{_all_archived(history.completed)}{pending}")
    elif history.age(history.last) > limits.max_age:
        newer = _but_archived(history.last, history.completed)
        yield _too_old("last snapshot", history.age(history.last), limits.max_age, newer)
    yield from _broken(history.broken, history.last, "")


def _consistency(history: History, limits: Limits, demanded: Consistency) -> Iterator[Finding]:
    best = best_within(history, limits.max_age)
    if best is not None and best < demanded:
        yield Finding(
            Severity.CRITICAL,
            f"{best.name.lower()}-consistent at best, {demanded.name.lower()} is required",
        )


def _verification(history: History, limits: Limits) -> Iterator[Finding]:
    for snapshot, verdict in corrupt_now(history.completed):
        yield Finding(
            Severity.CRITICAL, f"{snapshot.snapshot_id} was found corrupt: {verdict.evidence}"
        )
    for replicas in history.replicas:
        for snapshot, verdict in corrupt_now(replicas.completed):
            where = replicas.place.region
            yield Finding(
                Severity.CRITICAL,
                f"{snapshot.snapshot_id} in {where} was found corrupt: {verdict.evidence}",
            )
    if limits.max_verified_age is None or not history.completed:
        return
    found = history.verified
    if found is None:
        yield Finding(Severity.CRITICAL, "no snapshot was ever verified")
    elif history.now - found[1].at > limits.max_verified_age:
        yield _too_old("last verification", history.now - found[1].at, limits.max_verified_age)


def _numbers(history: History, limits: Limits) -> Iterator[Finding]:
    if history.completed and len(history.completed) < limits.min_kept:
        yield Finding(
            Severity.WARNING, f"{len(history.completed)} kept, at least {limits.min_kept} wanted"
        )


def _replication(history: History, replicas: Replicas, limits: Limits) -> Iterator[Finding]:
    where = replicas.place.region
    if replicas.wanted and not replicas.read:
        yield Finding(Severity.UNKNOWN, f"replicas in {where} unknown: it could not be read")
    elif replicas.wanted and replicas.last is None:
        pending = "; being replicated" if replicas.pending else ""
        archived = _all_archived(replicas.completed)
        yield Finding(Severity.CRITICAL, f"no replica in {where}{archived}{pending}")
    elif replicas.wanted and replicas.last:
        old = history.age(replicas.last)
        if old > limits.max_replica_age:
            newer = _but_archived(replicas.last, replicas.completed)
            yield _too_old(f"replica in {where}", old, limits.max_replica_age, newer)
    yield from _ended_badly(history, replicas, limits)


def _ended_badly(history: History, replicas: Replicas, limits: Limits) -> Iterator[Finding]:
    """Yield what is wrong with the replicas at a place, whether any are wanted there or not."""
    where = replicas.place.region
    many = "replica" if len(replicas.broken) == 1 else "replicas"
    yield from _broken(replicas.broken, replicas.last, f"{many} in {where} ")
    yield from _stuck(history, replicas.pending, limits, f"a replica in {where}")


def _broken(snapshots: tuple[Snapshot, ...], last: Snapshot | None, what: str) -> Iterator[Finding]:
    """Yield that there are snapshots in ``error``.

    :param last: the newest good one at their place.
    """
    if not snapshots:
        return
    newest = snapshots[-1]
    newer_is_good = last is not None and taken_at(last) > taken_at(newest)
    why = newest.state_message or "EC2 gives no reason"
    yield Finding(
        Severity.WARNING if newer_is_good else Severity.CRITICAL,
        f"{len(snapshots)} {what}in error ({newest.snapshot_id}: {why})",
    )


def _stuck(
    history: History, pending: tuple[Snapshot, ...], limits: Limits, what: str
) -> Iterator[Finding]:
    for snapshot in pending:
        old = age_of(snapshot, history.now)
        if old > limits.max_pending:
            yield Finding(
                Severity.WARNING,
                f"{what} is stuck: {snapshot.snapshot_id} pending for {age(old)} "
                f"({snapshot.progress or '0%'})",
            )


def _all_archived(completed: Sequence[Snapshot]) -> str:
    """Return that there are archived snapshots only, where there are any, in words."""
    return f" that can be restored at once: {len(completed)} archived" if completed else ""


def _but_archived(last: Snapshot, completed: Sequence[Snapshot]) -> str:
    """Return which snapshots are newer than the last that can be restored at once, in words."""
    newer = archived_since(last, completed)
    return f"; {newer[-1].snapshot_id} is newer, but archived" if newer else ""


def _too_old(what: str, old: timedelta, limit: timedelta, newer: str = "") -> Finding:
    much = f"over {age(limit)}" if age(old) == age(limit) else age(old)
    return Finding(Severity.CRITICAL, f"{what} is {much} old, at most {age(limit)} allowed{newer}")
