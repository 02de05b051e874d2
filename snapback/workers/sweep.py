"""Sweeping: removes what a killed run left: what was lent for a moment, and has expired."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from snapback.core.leases.lease import Fate, Kind, Lent, Verdict, plan_sweep
from snapback.core.model import Place
from snapback.core.model.outcome import Outcome
from snapback.core.model.tags import EXPIRES
from snapback.ec2.removal import lent_things, take_back, with_its_end
from snapback.ec2.temporary import Lender
from snapback.errors import Interrupted, SnapbackError
from snapback.run import Run, fanout
from snapback.run.fanout import Result
from snapback.words import Word


def lender_at(run: Run, place: Place, shortest_lease: timedelta = timedelta()) -> Lender:
    """Answer who lends things at a place for a run.

    :param shortest_lease: how long they are lent at least, whatever the settings say.
    """
    return Lender(
        run.conn(place),
        place,
        run.run_id,
        now=lambda: run.now(place),
        patience=run.patience,
        lease=max(timedelta(minutes=run.settings.temporary.lease_minutes), shortest_lease),
        detach_s=60 * run.settings.minutes_for_detach,
    )


def sweep(
    run: Run,
    region_name: str | None = None,
    *,
    run_id: str | None = None,
    dry_run: bool = False,
) -> list[Outcome]:
    """Remove what has expired, or all that a run lent; answer what became of each thing.

    Only what bears our tags, was created by us as far as EC2 tells, and is not in use, is touched.
    Instances go first, then volumes, key pairs and security groups, since those are in use while
    these run.

    :param region_name: may be contracted; ``None``: all regions in use.
    :param run_id: the run whose things go at once, expired or not.
    :param dry_run: answer what would go, and what is in use.

    Source: DescribeInstances, DescribeImages, DescribeVolumes, DescribeKeyPairs,
    DescribeSecurityGroups, DescribeInstanceAttribute, TerminateInstances, DeregisterImage,
    DetachVolume, DeleteVolume, DeleteKeyPair, DeleteSecurityGroup.
    """
    return sweep_places(run, run.places(region_name), run_id=run_id, dry_run=dry_run)


def sweep_places(
    run: Run, places: Sequence[Place], *, run_id: str | None = None, dry_run: bool = False
) -> list[Outcome]:
    """Do as :func:`sweep` at some places."""
    results = fanout.each(places, lambda place: _plan(run, place, run_id), stop=run.stop)
    fanout.refuse_if_all_refused(results)
    verdicts = [verdict for result in results for verdict in result.value or ()]
    unread = [_unread(result) for result in results if result.error]
    stay = [*_told(verdicts, Fate.NOT_OURS), *_told(verdicts, Fate.STAYS)]
    if dry_run:
        return [*_told(verdicts, Fate.GOES), *_told(verdicts, Fate.IN_USE), *stay, *unread]
    go = [verdict for verdict in verdicts if verdict.reason.kind is Fate.GOES]
    return [*_take_all_back(run, go), *stay, *unread]


_WORDS = {
    Fate.GOES: Word.WOULD,
    Fate.IN_USE: Word.IN_USE,
    Fate.NOT_OURS: Word.NOT_OURS,
    Fate.STAYS: Word.LEFT_BEHIND,
}


def _told(verdicts: Sequence[Verdict], fate: Fate) -> list[Outcome]:
    """Return the outcomes of the things of one fate, which are not touched."""
    return [
        _outcome(verdict.thing, _WORDS[fate], str(verdict.reason))
        for verdict in verdicts
        if verdict.reason.kind is fate
    ]


def _plan(run: Run, place: Place, run_id: str | None) -> list[Verdict]:
    conn = run.conn(place)
    things = [with_its_end(conn, thing) for thing in lent_things(conn, place, {"tag-key": EXPIRES})]
    return plan_sweep(things, run.now(place), run_id)


def _take_all_back(run: Run, verdicts: Sequence[Verdict]) -> list[Outcome]:
    """Take things back, one kind after the other, side by side in each."""
    patience_s = 60 * run.settings.minutes_for_detach
    outcomes = []
    for kind in Kind:
        results = fanout.each(
            [verdict for verdict in verdicts if verdict.thing.kind is kind],
            lambda verdict: take_back(
                run.conn(verdict.thing.place), verdict.thing, run.pause, patience_s
            ),
            workers=run.settings.workers,
            stop=run.stop,
        )
        outcomes += [_swept(result) for result in results]
    return outcomes


def _swept(result: Result[Verdict, None]) -> Outcome:
    verdict = result.item
    if result.error is None:
        return _outcome(verdict.thing, Word.DELETED, str(verdict.reason))
    word = Word.NOT_DONE if isinstance(result.error, Interrupted) else Word.LEFT_BEHIND
    return _outcome(verdict.thing, word, str(result.error))


def left_behind(thing: Lent, why: str) -> Outcome:
    """Answer that a thing could not be taken down."""
    return _outcome(thing, Word.LEFT_BEHIND, why)


def _outcome(thing: Lent, word: Word, explanation: str) -> Outcome:
    until = thing.expires_at
    return Outcome(
        subject=thing.resource_id,
        word=word,
        explanation=explanation,
        place=thing.place,
        facts={
            "kind": str(thing.kind),
            "run": thing.run_id,
            "purpose": thing.purpose,
            "expires_at": until.isoformat() if until else "",
        },
    )


def _unread(result: Result[Place, list[Verdict]]) -> Outcome:
    error: SnapbackError | None = result.error
    word = Word.NOT_DONE if isinstance(error, Interrupted) else Word.FAILED
    place = result.item
    return Outcome(
        subject=str(place),
        word=word,
        explanation=str(error),
        place=place,
    )
