"""Sets that came late: made by calls whose answers were lost, beside those that the run tells of.

The calls that may take effect still are in :attr:`~snapback.run.Run.lost_calls`. Where there is
none, nothing is looked for, and nothing waited for. Nothing is deleted here: which of two
sets is the better one is for retention to decide, by the same rules as ever.
"""

from __future__ import annotations

import copy
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from snapback.core.model import Place, Snapshot
from snapback.core.model import tags as our_tags
from snapback.core.model.outcome import Outcome
from snapback.ec2.lost_calls import LostCalls
from snapback.ec2.snapshots import own_snapshots
from snapback.errors import Interrupted, SnapbackError
from snapback.run import Run
from snapback.words import Word

log = logging.getLogger(__name__)

LATE_S = 60.0
"""How long after its answer was lost a call may take effect and be seen: as long again as a client
waits for an answer."""
_MOST_SETS = 200


def apart(run: Run) -> Run:
    """Return a run with a record of lost calls of its own, for one task at one place."""
    found = copy.copy(run)
    found.lost_calls = LostCalls(run.clock)
    return found


def told(run: Run, place: Place, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return what became of the instances at a place, with the sets that came late.

    Source: DescribeSnapshots.
    """
    known = {one for outcome in outcomes for one in outcome.facts.get("snapshots", ())}
    try:
        late = find(run, place, known)
    except SnapbackError as error:
        why = f"whether a call whose answer was lost took effect late can't be seen: {error}"
        return [*outcomes, Outcome.of_failed(place, SnapbackError(why))]
    of_instance: dict[str, list[Snapshot]] = defaultdict(list)
    for snapshots in late.values():
        named = {one.record.instance for one in snapshots if one.record}
        of_instance[next(iter(named), "")] += snapshots
    found = [_with(outcome, of_instance.pop(outcome.subject, ())) for outcome in outcomes]
    for snapshots in of_instance.values():
        ids = [one.snapshot_id for one in snapshots]
        found.append(
            Outcome(
                subject=", ".join(ids),
                word=Word.TAKEN_TWICE,
                explanation=in_words(snapshots),
                place=place,
                facts={"late": ids},
            )
        )
    return found


def _with(outcome: Outcome, late: Sequence[Snapshot]) -> Outcome:
    if not late:
        return outcome
    return replace(
        outcome,
        word=outcome.word if outcome.exit_code else Word.TAKEN_TWICE,
        explanation="; ".join(filter(None, [outcome.explanation, in_words(late)])),
        facts={**outcome.facts, "late": [one.snapshot_id for one in late]},
    )


def in_words(late: Iterable[Snapshot]) -> str:
    """Return what is said of snapshots that came late."""
    ids = ", ".join(sorted(one.snapshot_id for one in late))
    return f"a call whose answer was lost took effect late, and made {ids}"


def find(run: Run, place: Place, known: Iterable[str]) -> Mapping[str, Sequence[Snapshot]]:
    """Wait until no call can take effect any more, and return what came late: set id -> members.

    A run that is asked to stop looks at once.

    :param known: the ids of the snapshots that are told of anyway.
    :raises SnapbackError: EC2 can't be asked.

    Source: DescribeSnapshots.
    """
    lost = run.lost_calls.all()
    if lost:
        _wait(run, place, max(one.at for one in lost.values()) + LATE_S - run.clock())
    found: list[Snapshot] = []
    for filters in _filters(run, list(lost)):
        found += own_snapshots(run.conn(place), place, filters)
    of_set: dict[str, list[Snapshot]] = defaultdict(list)
    seen = set(known)
    for one in found:
        if one.snapshot_id not in seen and not one.source_id:
            of_set[one.set_id].append(one)
    return of_set


def _filters(run: Run, sets: Sequence[str]) -> Iterable[Mapping[str, Iterable[str]]]:
    """Return the filters of the calls that find all that a run has taken for some sets.

    Of a run whose work may have been begun by a process that was lost, whatever bears its id is
    looked for: nobody knows which calls that process had made.
    """
    there = {"status": ["pending", "completed"]}
    if run.once:
        return [{f"tag:{our_tags.RUN}": [run.run_id], **there}]
    parts = (sets[at : at + _MOST_SETS] for at in range(0, len(sets), _MOST_SETS))
    return [{f"tag:{our_tags.SET}": part, **there} for part in parts]


def _wait(run: Run, place: Place, seconds: float) -> None:
    if seconds <= 0:
        return
    log.info("%s: answers were lost: waiting %.0f s for what takes effect late", place, seconds)
    try:
        run.pause(seconds)
    except Interrupted:
        log.info("%s: not waited for: the run is asked to stop", place)
