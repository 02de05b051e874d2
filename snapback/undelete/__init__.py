"""Undeleting: restore snapshots of ours from the Recycle Bin. Read, decide, show, act."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from snapback.core.model import Place, Snapshot
from snapback.core.model.outcome import Outcome
from snapback.core.undelete.deletions import Deletion
from snapback.core.undelete.undelete_plan import By, Selection, Verdict, plan_undelete
from snapback.ec2 import recycle_bin
from snapback.ec2.instances import check_id as check_instance
from snapback.ec2.snapshots import snapshots_by_id
from snapback.ec2.volumes import check_id as check_volume
from snapback.errors import ConfigError, UsageError
from snapback.run import Run, current, fanout
from snapback.snapshots.catalog import snapshots_of_instance, snapshots_of_volume
from snapback.snapshots.deletion_history import deletions_meant
from snapback.undelete.execute import carry_out, shown
from snapback.words import Word

Logged = Mapping[Place, Mapping[str, Deletion]]

_RUN_ID = re.compile(r"run-[0-9A-Za-z-]+\Z")
_NOTHING = {Word.NOT_IN_BIN, Word.NOT_OURS}


@dataclass(frozen=True)
class Undeletion:
    """What became of the deleted snapshots that were meant; in a dry run, what would.

    :ivar notes: what else the person should know.
    """

    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...] = ()


def undelete_snapshots(
    region_name: str | None = None,
    *,
    volume_id: str | None = None,
    instance_id: str | None = None,
    run_id: str | None = None,
    dry_run: bool = False,
    account: str | None = None,
) -> Undeletion:
    """Restore deleted snapshots of ours from the Recycle Bin, and keep them from being trimmed.

    Each gets the tag ``snapback:keep``, which stops the trimming of its timeline until you remove
    the tag. Give one of ``volume_id``, ``instance_id`` and ``run_id``.

    :param region_name: may be contracted; ``None``: all regions in use.
    :param volume_id: restore the snapshots whose record names this volume, replicas too.
    :param instance_id: restore the snapshots whose record names this instance.
    :param run_id: restore what this run deleted, as this machine's deletion log tells.
    :param dry_run: return what would be restored, change nothing.
    :param account: the account's name in the configuration; ``None``: all of them.
    :raises UsageError: not just one of the three is given, or the log doesn't know the run.
    :raises ItemsFailed: not all went well, or nothing is in the Recycle Bin; its ``outcomes`` say
        what became of each.

    Source: ListSnapshotsInRecycleBin, DescribeSnapshots, RestoreSnapshotFromRecycleBin, CreateTags.
    """
    selection = selection_of(volume_id, instance_id, run_id)
    undeletion = run_undelete_snapshots(
        current().only(account), selection, region_name, dry_run=dry_run
    )
    return fanout.or_raise(undeletion)


def selection_of(volume_id: str | None, instance_id: str | None, run_id: str | None) -> Selection:
    """Return which snapshots are meant.

    :raises UsageError: not just one of the three is given, or it can't be such an id.
    """
    given = {By.VOLUME: volume_id, By.INSTANCE: instance_id, By.RUN: run_id}
    selections = [Selection(by, value) for by, value in given.items() if value is not None]
    if len(selections) != 1:
        raise UsageError(
            "which snapshots? give one of --volume-id, --instance-id and --run-id (the run that "
            "deleted them)"
        )
    (selection,) = selections
    if selection.by is By.VOLUME:
        check_volume(selection.value)
    elif selection.by is By.INSTANCE:
        check_instance(selection.value)
    elif not _RUN_ID.match(selection.value):
        raise UsageError(
            f"{selection.value!r} is no run id: expected one like run-20261125T030000-0123ab"
        )
    return selection


def run_undelete_snapshots(
    run: Run, selection: Selection, region_name: str | None = None, *, dry_run: bool = False
) -> Undeletion:
    """Undelete; see :func:`undelete_snapshots`."""
    logged, notes = _logged(run, selection)
    places, elsewhere = _places(run, selection, region_name, logged)
    results = fanout.each(
        places, lambda place: _plan_place(run, place, selection, logged), stop=run.stop
    )
    fanout.refuse_if_all_refused(results)
    failures = [Outcome.of_failed(result.item, result.error) for result in results if result.error]
    verdicts = [verdict for result in results for verdict in result.value or ()]
    outcomes = [shown(verdict) for verdict in verdicts] if dry_run else carry_out(run, verdicts)
    outcomes += [*elsewhere, *failures]
    if all(outcome.word in _NOTHING for outcome in outcomes):
        outcomes.append(_nothing(selection, places))
    return Undeletion(tuple(outcomes), tuple(notes))


def _logged(run: Run, selection: Selection) -> tuple[Logged, list[str]]:
    """Return what the deletion log tells of the snapshots meant, and a note where it can't be read.

    :raises UsageError: only the log could tell which they are, and it can't.
    """
    try:
        logged = deletions_meant(run, selection.means)
    except ConfigError as error:
        if selection.by is By.RUN:
            raise UsageError(
                f"{error}, and only that tells what a run has deleted: run this on the machine "
                "that trimmed, or give --volume-id or --instance-id"
            ) from None
        return {}, [f"{error}: found are only snapshots whose description names their volume"]
    if selection.by is By.RUN and not logged:
        raise UsageError(
            f"{run.settings.deletion_log} tells of no snapshot that {selection.value} deleted: run "
            "this on the machine that trimmed, or give --volume-id or --instance-id"
        )
    return logged, []


def _places(
    run: Run, selection: Selection, region_name: str | None, logged: Logged
) -> tuple[list[Place], list[Outcome]]:
    """Return where to look; and what a run deleted where this configuration doesn't look."""
    places = run.places(region_name)
    if selection.by is not By.RUN:
        return places, []
    accounts = {place.account for place in logged}
    chosen = [p for p in places if p in logged or (not p.region and p.account in accounts)]
    closed = {place.account for place in chosen if not place.region}
    missing = [] if region_name or run.account else sorted(set(logged) - set(places))
    return chosen, [
        Outcome(
            subject=str(place),
            word=Word.FAILED,
            explanation=f"{len(logged[place])} snapshots were deleted there, and it is not in use "
            "by this configuration: see `accounts` and `regions`, or name it with --region-name",
            place=place,
        )
        for place in missing
        if place.account not in closed
    ]


def _plan_place(run: Run, place: Place, selection: Selection, logged: Logged) -> list[Verdict]:
    conn = run.conn(place)
    recycled = recycle_bin.recycled_snapshots(conn, place)
    deletions = logged.get(place, {})
    others = deletions.keys() - {one.snapshot_id for one in recycled}
    present: dict[str, Snapshot] = {}
    if others and selection.by is By.RUN:
        present = snapshots_by_id(conn, place, sorted(others))
    elif others:
        find = snapshots_of_volume if selection.by is By.VOLUME else snapshots_of_instance
        present = {s.snapshot_id: s for s in find(run, place, selection.value)}
    return plan_undelete(place, selection, recycled, deletions, present)


def _nothing(selection: Selection, places: Sequence[Place]) -> Outcome:
    where = ", ".join(map(str, places)) or "the region and the account that were named"
    what = "what it deleted" if selection.by is By.RUN else "its snapshots"
    return Outcome(
        subject=selection.value,
        word=Word.FAILED,
        explanation=f"nothing to restore: the Recycle Bin of {where} has none of {what}",
    )
