"""Carrying a plan out: what is ready at once, what is pending once it completes, what came of it.

What a step ends with is one outcome: its snapshot, and where it went.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

from snapback.core.model import Identity, Place, Snapshot
from snapback.core.model.outcome import Outcome, word_for
from snapback.core.replication.replication_plan import (
    Known,
    PassedOver,
    Present,
    ReplicationPlan,
    Step,
    Waiting,
)
from snapback.ec2.snapshots import snapshots_by_id
from snapback.errors import SnapbackError, SnapshotTimeout
from snapback.replication.engine import Opener, Options
from snapback.run import Run, fanout
from snapback.run.waiting import looks
from snapback.words import Word

log = logging.getLogger(__name__)


Replicated = fanout.Result[Step, Snapshot]


def carry_out(run: Run, plan: ReplicationPlan, opener: Opener, options: Options) -> list[Outcome]:
    """Replicate what a plan says; answer what became of each snapshot in it.

    :raises SnapbackError: the engine could not be opened; nothing was replicated.
    """
    outcomes = _told_before(plan)
    if not plan.steps and not plan.waiting:
        return outcomes
    coming = _Coming(run, plan)
    with opener(run, plan.source, plan.destination, options) as engine:
        results = fanout.stream(
            coming.batches(),
            lambda step: engine.replicate(run, step),
            workers=engine.workers,
            stop=run.stop,
            on_done=lambda _: run.progress.done(),
        )
    made = [result.value for result in results if result.value]
    seen, unseen = _watch(run, plan.destination, made, options.synchronously)
    for result in results:
        became = _became(result, seen, unseen, options.synchronously)
        more = engine.facts.get(result.item.source.snapshot_id, {})
        outcomes.append(replace(became, facts=became.facts | more))
    return [*outcomes, *coming.outcomes, *engine.outcomes]


class _Coming:
    """The steps of a plan as they become ready.

    :ivar outcomes: what became of those that never did.
    """

    def __init__(self, run: Run, plan: ReplicationPlan) -> None:
        self.outcomes: list[Outcome] = []
        self._run = run
        self._plan = plan
        self._given: set[Identity] = set()

    def batches(self) -> Iterator[Sequence[Step]]:
        """Answer what is ready at once, then what completes, or is to be done in its stead."""
        yield self._fresh(self._plan.steps)
        if not self._plan.waiting:
            return
        waiting = list(self._plan.waiting)
        try:
            for ended, steps in self._until_they_end(waiting):
                waiting.remove(ended)
                yield self._fresh(steps)
        except SnapbackError as error:
            for one in waiting:
                self._end(one, error)

    def _until_they_end(
        self, waiting: Sequence[Waiting]
    ) -> Iterator[tuple[Waiting, Sequence[Step]]]:
        """Answer each of those that are waited for as it ends, with what is to be done then."""
        place, minutes = self._plan.source, self._run.settings.minutes_for_snap
        left = list(waiting)
        attempts = looks(self._run, minutes)
        while left:
            late = next(attempts)
            ids = [step.source.snapshot_id for one in left for step in one.pending]
            seen = snapshots_by_id(self._run.conn(place), place, ids)
            self._run.progress.waiting(place, list(seen.values()))
            for one in list(left):
                steps = self._look(one, seen, late)
                if steps is not None:
                    left.remove(one)
                    yield one, steps

    def _look(self, one: Waiting, seen: dict[str, Snapshot], late: bool) -> Sequence[Step] | None:
        """Answer what is to be done of a set now, or ``None`` to go on waiting."""
        now = [seen.get(step.source.snapshot_id) for step in one.pending]
        if all(snapshot and snapshot.state == "completed" for snapshot in now):
            return one.pending
        failed = [s for s in now if s and s.state == "error"]
        if failed or None in now:
            why = f"the snapshot ended in error: {failed[0].state_message}" if failed else "deleted"
            self._end(one, SnapbackError(f"never completed: {why}"))
            return one.instead
        if late:
            minutes = self._run.settings.minutes_for_snap
            self._end(one, SnapshotTimeout(f"still pending after {minutes:g} minutes"))
            return one.instead
        return None

    def _end(self, one: Waiting, error: SnapbackError) -> None:
        self.outcomes += [_outcome(step, word_for(error), str(error)) for step in one.pending]

    def _fresh(self, steps: Sequence[Step]) -> list[Step]:
        """Answer the steps that weren't given yet."""
        fresh = [step for step in steps if step.record.identity not in self._given]
        self._given |= {step.record.identity for step in fresh}
        self._run.progress.expect(len(fresh), f"replicating into {self._plan.destination}")
        return fresh


def _watch(
    run: Run, place: Place, made: Sequence[Snapshot], synchronously: bool
) -> tuple[dict[str, Snapshot], SnapbackError | None]:
    """Look at replicas once, or until none is pending; answer them by id as last seen.

    :returns: and what kept us from looking on, if anything did.
    """
    seen = {snapshot.snapshot_id: snapshot for snapshot in made}
    attempts = looks(run, run.settings.minutes_for_snap)
    try:
        while pending := [s.snapshot_id for s in seen.values() if s.state == "pending"]:
            late = next(attempts)
            seen |= snapshots_by_id(run.conn(place), place, pending)
            run.progress.waiting(place, list(seen.values()))
            if late or not synchronously:
                break
    except SnapbackError as error:
        return seen, error
    return seen, None


def _became(
    result: Replicated,
    seen: dict[str, Snapshot],
    unseen: SnapbackError | None,
    synchronously: bool,
) -> Outcome:
    if result.error or not result.value:
        error = result.error or SnapbackError("nothing came of it")
        return _outcome(result.item, word_for(error), str(error))
    replica = seen[result.value.snapshot_id]
    if replica.state == "completed":
        return _outcome(result.item, Word.DONE, "", replica)
    if replica.state == "error":
        why = replica.state_message or "EC2 gives no reason"
        return _outcome(
            result.item, Word.FAILED, f"{replica.snapshot_id} ended in error: {why}", replica
        )
    if unseen:
        why = f"begun, but not seen to be completed: {unseen}"
        return _outcome(result.item, word_for(unseen), why, replica)
    if synchronously:
        why = f"{replica.snapshot_id} is still pending ({replica.progress or '0%'}); not deleted"
        return _outcome(result.item, Word.TIMED_OUT, why, replica)
    return _outcome(result.item, Word.BEGUN, f"pending ({replica.progress or '0%'})", replica)


def _told_before(plan: ReplicationPlan) -> list[Outcome]:
    """Return what is told of a plan whether it is carried out or not."""
    return [
        *(_known(known, plan) for known in plan.known),
        *(_archived(one, plan) for one in plan.archived),
        *(_broken(snapshot, plan) for snapshot in plan.broken),
    ]


def _archived(one: PassedOver, plan: ReplicationPlan) -> Outcome:
    step = Step(source=one.source, destination=plan.destination)
    return _outcome(step, Word.ARCHIVED, one.why)


def _known(known: Known, plan: ReplicationPlan) -> Outcome:
    step, reason = Step(source=known.source, destination=plan.destination), known.reason
    is_pending = reason.kind is Present.PENDING
    word = Word.BEING_REPLICATED if is_pending else Word.ALREADY_REPLICATED
    return _outcome(step, word, reason.text, known.replica)


def _broken(replica: Snapshot, plan: ReplicationPlan) -> Outcome:
    """Answer that an earlier replica failed: its cause is likely to be there still."""
    why = replica.state_message or "EC2 gives no reason"
    return Outcome(
        subject=replica.snapshot_id,
        word=Word.FAILED,
        explanation=f"an earlier replica ended in error: {why}; it doesn't count, and "
        "delete_broken_snapshots deletes it",
        place=plan.destination,
        facts=facts_of(Step(source=replica, destination=plan.destination), replica)
        | {"source": replica.source_id, "source_region": plan.source.region},
    )


def would(run: Run, plan: ReplicationPlan, options: Options) -> list[Outcome]:
    """Return what carrying a plan out would do, of each snapshot in it."""
    minutes = run.settings.minutes_for_snap
    outcomes = _told_before(plan)
    outcomes += [_outcome(step, Word.WOULD, _how(step, options)) for step in plan.steps]
    for one in plan.waiting:
        instead = ", ".join(step.source.snapshot_id for step in one.instead)
        why = f"once it is completed; after {minutes:g} minutes " + (
            f"{instead} instead" if instead else "it fails"
        )
        outcomes += [
            _outcome(step, Word.WOULD, f"{_how(step, options)}, {why}") for step in one.pending
        ]
    return outcomes


def _how(step: Step, options: Options) -> str:
    if not step.base or (options.engine == "copy" and not step.is_base_newest):
        return "in full"
    return f"changes since {step.base.snapshot_id}"


def _outcome(step: Step, word: Word, explanation: str, replica: Snapshot | None = None) -> Outcome:
    return Outcome(
        subject=step.source.snapshot_id,
        word=word,
        explanation=explanation,
        place=step.destination,
        facts=facts_of(step, replica),
    )


def facts_of(step: Step, replica: Snapshot | None) -> dict[str, object]:
    """Answer what is known of a step, for the table and for ``--json``."""
    return {
        "source": step.source.snapshot_id,
        "source_region": step.source.place.region,
        "region": step.destination.region,
        "name": step.source.tags.get("Name", ""),
        "instance": step.record.instance,
        "volume": step.record.volume,
        "taken_at": step.record.taken_at.isoformat(),
        "set": step.source.set_id,
        "size_gib": step.source.size_gib,
        "replica": replica.snapshot_id if replica else None,
    }
