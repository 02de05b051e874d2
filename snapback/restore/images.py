"""Registering an AMI of a set, and the set that is meant."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from snapback.core.model import record_of
from snapback.core.model.backup_sets import BackupSet, Choice
from snapback.core.model.outcome import Outcome
from snapback.core.model.times import in_both, in_utc
from snapback.core.restore.image_plan import ImagePlan, plan_image
from snapback.ec2.restoring import image_named, register_image, wait_for_image
from snapback.errors import SnapbackError, UsageError
from snapback.restore.common import Restoration, in_words, outcome, word_for
from snapback.run import Run
from snapback.snapshots.search import as_meant, moment, set_of_instance, set_of_snapshot
from snapback.words import Word


def create_one_ami(
    run: Run,
    snapshot_id: str | None = None,
    instance_id: str | None = None,
    at: str | datetime | None = None,
    region_name: str | None = None,
    *,
    name: str = "",
    incomplete: bool = False,
    dry_run: bool = False,
) -> Restoration:
    """Register an AMI of a set; see :func:`snapback.create_ami`."""
    if (snapshot_id is None) == (instance_id is None):
        raise UsageError("expected exactly one of --snapshot-id and --instance-id")
    if snapshot_id is not None:
        if at is not None:
            raise UsageError("--at is for --instance-id: a snapshot is of one instant")
        choice = Choice(set_of_snapshot(run, region_name, snapshot_id, incomplete))
    else:
        choice = set_of_instance(run, region_name, instance_id or "", moment(at), incomplete)
    chosen = choice.chosen
    plan = plan_image(chosen, run.settings.first_tags)
    title = name or f"{chosen.instance_id} {chosen.taken_at.astimezone(UTC):%Y-%m-%dT%H%M%SZ}"
    notes = (*as_meant(at), *about(choice), *map(str, plan.reasons))
    if plan.problems:
        return Restoration((_outcome(plan, title, Word.REFUSED, in_words((), plan.problems)),))
    if there := image_named(run.conn(plan.place), title):
        why = f"{there} is called {title!r} already: give another --name"
        return Restoration((_outcome(plan, title, Word.REFUSED, why),), notes)
    if dry_run:
        return Restoration((_outcome(plan, title, Word.WOULD, in_words(plan.reasons, ())),), notes)
    run.progress.plan(notes)
    return Restoration((_register(run, plan, title),), notes)


def about(choice: Choice) -> list[str]:
    """Return which set is meant, and which newer ones aren't, in words."""
    chosen = choice.chosen
    unrelated = (
        "none of its volumes is in an older set: were all of them replaced, or is it forged?"
        if choice.is_unrelated
        else ""
    )
    taken = f"{chosen.instance_id} as of {in_both(chosen.taken_at)}"
    return [
        f"{chosen} in {chosen.place}: {taken}, {len(chosen.members)} volumes",
        *filter(None, [unrelated]),
        *(
            f"passed over: {one} of {in_utc(one.taken_at)}, which isn't whole: {one.shortcoming}"
            for one in choice.passed_over
        ),
    ]


def _register(run: Run, plan: ImagePlan, title: str) -> Outcome:
    conn, made = run.conn(plan.place), ""
    try:
        made = register_image(conn, plan, title, plan.tags)
        wait_for_image(conn, plan.place, made, run.pause)
    except SnapbackError as error:
        return _outcome(plan, title, word_for(error), str(error), made)
    return _outcome(plan, title, Word.DONE, "", made)


def facts_of(chosen: BackupSet) -> dict[str, Any]:
    """Answer what is known of a set, for the table and for ``--json``."""
    return {
        "set": chosen.set_id,
        "of": chosen.instance_id,
        "taken_at": chosen.taken_at.isoformat(),
        "size_gib": sum(member.size_gib for member in chosen.members),
        "snapshots": {record_of(m).device: m.snapshot_id for m in chosen.members},
    }


def _outcome(plan: ImagePlan, title: str, word: Word, explanation: str, made: str = "") -> Outcome:
    facts = facts_of(plan.source) | {
        "name": title,
        "reasons": list(map(str, plan.reasons)),
        "made": made or None,
    }
    return outcome(plan.source.instance_id, word, explanation, plan.place, facts)
