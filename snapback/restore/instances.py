"""Restoring whole instances: one, or all of a region from their replicas."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from snapback.core.leases.lease import Kind, Lent
from snapback.core.model import Instance, Place, by_age, record_of
from snapback.core.model.backup_sets import BackupSet
from snapback.core.model.outcome import Outcome
from snapback.core.restore.image_plan import plan_image
from snapback.core.restore.options_plan import lost_in, told_not_restored
from snapback.core.restore.restore_plan import (
    Given,
    InstancePlan,
    Maps,
    plan_instance,
    told_left_out,
    wanted_there,
)
from snapback.core.restore.restored import read_origin
from snapback.core.restore.selection import Selection, select
from snapback.ec2.launching import wait_until_running
from snapback.ec2.restoring import (
    look_there,
    register_image,
    restored_before,
    restored_of,
    run_instance,
    set_ending,
    set_shutdown,
    set_source_dest_check,
    wait_for_image,
)
from snapback.ec2.tags import create_tags
from snapback.ec2.temporary import Lender
from snapback.errors import Collision, LeftBehind, SnapbackError, UsageError
from snapback.restore import claims
from snapback.restore.claims import Rivals
from snapback.restore.common import (
    Restoration,
    in_words,
    lender,
    maps_into,
    marked,
    outcome,
    word_for,
)
from snapback.restore.images import about, facts_of
from snapback.run import Run, fanout
from snapback.snapshots.catalog import snapshots_with_tag
from snapback.snapshots.search import as_meant, moment, set_of_instance
from snapback.words import Word


def restore_one_instance(
    run: Run,
    instance_id: str,
    at: str | datetime | None = None,
    region_name: str | None = None,
    *,
    given: Given | None = None,
    incomplete: bool = False,
    dry_run: bool = False,
    make: Callable[[Run, InstancePlan], Outcome] | None = None,
) -> Restoration:
    """Restore one instance; see :func:`snapback.restore_instance`.

    :param make: what is done with the plan, where it isn't to be launched for good.
    """
    plan, notes = plan_one(run, instance_id, at, region_name, given or Given(), incomplete)
    if plan.problems:
        return Restoration((outcome_of(plan, Word.REFUSED, in_words((), plan.problems)),), notes)
    if make:
        if dry_run:
            return Restoration((_would(plan, (), Rivals()),), notes)
        run.progress.plan(notes)
        return Restoration((make(run, plan),), notes)
    place = plan.source.place
    there = restored_of(run.conn(place), place, instance_id)
    others = claims.under_way(run, place)
    beside = claims.others_in_words(plan.source, there, others)
    notes = (*notes, *beside)
    rivals = Rivals(known=frozenset(one.instance_id for one in there))
    if dry_run:
        return Restoration((_would(plan, others, rivals, beside),), notes)
    run.progress.plan(notes)
    return Restoration(make_instance(run, plan, rivals, beside), notes)


def plan_one(
    run: Run,
    instance_id: str,
    at: str | datetime | None,
    region_name: str | None,
    given: Given,
    incomplete: bool,
) -> tuple[InstancePlan, tuple[str, ...]]:
    """Answer the plan for one instance, and what is to be told of it.

    :raises UsageError: there is no set to restore.
    """
    choice = set_of_instance(run, region_name, instance_id, moment(at), incomplete)
    place = choice.chosen.place
    (plan,) = _plans(run, place, [choice.chosen], given, maps_into(run, place))
    return plan, (*as_meant(at), *about(choice), *map(str, plan.reasons))


def _plans(
    run: Run, place: Place, sets: Sequence[BackupSet], given: Given, maps: Maps
) -> list[InstancePlan]:
    first = run.settings.first_tags
    wanted = [wanted_there(one, given, maps) for one in sets]
    there = look_there(run.conn(place), wanted)
    return [
        plan_instance(plan_image(one, first), given, wants, there, first)
        for one, wants in zip(sets, wanted, strict=True)
    ]


def restore_by_tag(
    run: Run,
    region_name: str,
    selection: Selection,
    *,
    subnets: Mapping[str, str] | None = None,
    security_groups: Mapping[str, str] | None = None,
    given: Given | None = None,
    dry_run: bool = False,
) -> Restoration:
    """Restore all instances of other regions; see :func:`snapback.restore_instances_by_tag`."""
    if not region_name:
        raise UsageError("expected the region in which the replicas lie: --region-name")
    places = run.places(region_name)
    if not dry_run:
        run.progress.plan(as_meant(selection.at))
    maps = (subnets or {}, security_groups or {})
    results = fanout.each(
        places,
        lambda place: _restore_place(run, place, selection, maps, given or Given(), dry_run),
        stop=run.stop,
    )
    fanout.refuse_if_all_refused(results)
    done = [result.value for result in results if result.value]
    failed = [
        Outcome.of_failed(result.item, result.error, refusal=Word.REFUSED)
        for result in results
        if result.error
    ]
    return Restoration(
        (*(one for some in done for one in some.outcomes), *failed),
        (*as_meant(selection.at), *(note for some in done for note in some.notes)),
    )


def _restore_place(
    run: Run,
    place: Place,
    selection: Selection,
    maps: tuple[Mapping[str, str], Mapping[str, str]],
    given: Given,
    dry_run: bool,
) -> Restoration:
    """Restore the instances whose replicas lie at a place."""
    name = selection.tag_name or run.settings.tag_name
    value = selection.tag_value or run.settings.tag_value
    snapshots = snapshots_with_tag(run, place, name, value)
    found = select(snapshots, selection)
    if not found.choices and not found.lost:
        why = f"no replica in {place} has the tag {name}={value} and a record"
        return Restoration((outcome(f"{name}={value}", Word.FAILED, why, place, {}),))
    there: dict[str, list[Instance]] = defaultdict(list)
    for one in restored_before(run.conn(place), place):
        if origin := read_origin(one.tags):
            there[origin.original].append(one)
    again = {i: there[i] for i in found.choices if i in there}
    choices = [choice for i, choice in found.choices.items() if i not in again]
    into = maps_into(run, place, *maps)
    plans = _plans(run, place, [choice.chosen for choice in choices], given, into)
    names = {record_of(s).instance: s.tags.get("Name", "") for s in sorted(snapshots, key=by_age)}
    outcomes = [
        *(row for i, some in again.items() for row in _already(some, found.choices[i].chosen)),
        *(
            outcome(i, word, why, place, {"of": i, "name": names.get(i, "")})
            for i, (word, why) in found.lost.items()
        ),
        *_all(run, place, plans, dry_run),
    ]
    notes = [line for c in choices for line in about(c)]
    return Restoration(tuple(outcomes), tuple(notes))


def _all(run: Run, place: Place, plans: Sequence[InstancePlan], dry_run: bool) -> list[Outcome]:
    refused = [
        outcome_of(plan, Word.REFUSED, in_words((), plan.problems))
        for plan in plans
        if plan.problems
    ]
    good = [plan for plan in plans if not plan.problems]
    rivals = Rivals(any_instant=True)
    if dry_run:
        others = claims.under_way(run, place) if good else []
        return [*(_would(plan, others, rivals) for plan in good), *refused]
    run.progress.expect(len(good), "restoring instances")
    results = fanout.each(
        good,
        lambda plan: make_instance(run, plan, rivals),
        workers=run.settings.workers,
        stop=run.stop,
        on_done=lambda _: run.progress.done(),
    )
    made = [
        result.value
        or [outcome_of(result.item, word_for(result.error or SnapbackError()), str(result.error))]
        for result in results
    ]
    return [*(row for rows in made for row in rows), *refused]


def _would(
    plan: InstancePlan, others: Sequence[Lent], rivals: Rivals, beside: Sequence[str] = ()
) -> Outcome:
    """Return what would become of an instance, given the claims of others."""
    try:
        claims.refuse_if_under_way(plan.source, others, rivals)
    except Collision as error:
        return outcome_of(plan, word_for(error), str(error))
    return outcome_of(plan, Word.WOULD, "; ".join([*map(str, plan.reasons), *beside]))


def _already(there: Sequence[Instance], source: BackupSet) -> Iterator[Outcome]:
    """Yield what is to be told of an original of which there are restored instances."""
    one = there[0]
    why = "; ".join(claims.others_in_words(source, there, ()))
    facts = {
        **facts_of(source),
        "name": one.name,
        "made": one.instance_id,
        "volumes": dict(one.devices),
    }
    yield outcome(source.instance_id, Word.ALREADY_RESTORED, why, source.place, facts)
    of_instant = defaultdict(list)
    for instance in there:
        if origin := read_origin(instance.tags):
            of_instant[origin.as_of].append(instance.instance_id)
    for ids in of_instant.values():
        if len(ids) > 1:
            yield claims.restored_twice(source, ids)


def make_instance(
    run: Run, plan: InstancePlan, rivals: Rivals, beside: Sequence[str] = ()
) -> tuple[Outcome, ...]:
    """Launch the instance of a plan, for good, while nobody else does; return what became of it.

    :param beside: what else was restored of its original, in words.
    """
    told, rows = list(beside), list[Outcome]()
    try:
        with claims.held(run, plan.source, rivals, rows) as unclaimed:
            made = _launch(run, plan)
            made.facts["unclaimed"] = unclaimed
            told.append(unclaimed)
            if instance_id := made.facts["made"]:
                rows += claims.doubles_of(run, plan.source, rivals, instance_id, told)
    except SnapbackError as error:
        return (outcome_of(plan, word_for(error), str(error)), *rows)
    return (replace(made, explanation="; ".join(filter(None, [made.explanation, *told]))), *rows)


def _launch(run: Run, plan: InstancePlan) -> Outcome:
    """Launch the instance of a plan, for good, and return what became of it."""
    place = plan.source.place
    conn = run.conn(place)
    made: Instance | None = None
    try:
        with lender(run, place) as lends, image_of(run, lends, plan) as image_id:
            purpose = f"restored instance of {plan.source.instance_id}"
            with lends.until_kept(
                Kind.INSTANCE,
                purpose,
                lambda token, marks: run_instance(
                    conn,
                    plan,
                    image_id,
                    token,
                    marked(marks, plan.tags),
                    marked(marks, {}),
                    plan.settings.options,
                ),
            ) as instance_id:
                instance = wait_until_running(conn, place, instance_id, run.pause)
                _finish(conn, lends, plan, instance)
                made = instance
    except LeftBehind as error:
        return outcome_of(plan, Word.LEFT_BEHIND, str(error), made)
    except SnapbackError as error:
        return outcome_of(plan, word_for(error), str(error), made)
    lost = lost_in(plan.settings, instance.options)
    plan = replace(plan, settings=replace(plan.settings, not_restored=lost))
    why = in_words([*told_left_out(plan.left_out), *told_not_restored(lost)], ())
    return outcome_of(plan, Word.DONE, why, made)


@contextmanager
def image_of(run: Run, lends: Lender, plan: InstancePlan) -> Iterator[str]:
    """Register the AMI of a plan for the time of a launch; its id once it is available."""
    conn, place = run.conn(plan.source.place), plan.source.place
    with lends.until_kept(
        Kind.IMAGE,
        f"image of {plan.source.instance_id}",
        lambda token, marks: register_image(
            conn, plan.image, f"{token} {plan.source.instance_id}", marks
        ),
    ) as image_id:
        wait_for_image(conn, place, image_id, run.pause)
        yield image_id


def _finish(conn: Any, lends: Lender, plan: InstancePlan, instance: Instance) -> None:
    """Give the volumes their tags, and make all of it stay.

    From :func:`set_shutdown` on EC2 tells that the instance is whole, which no tag can deny.
    """
    missing = plan.volume_tags.keys() - instance.devices.keys()
    if missing:
        raise SnapbackError(
            f"{instance.instance_id} came up without {', '.join(sorted(missing))}: taken down"
        )
    if plan.settings.options.get("source_dest_check") is False:
        set_source_dest_check(conn, instance.instance_id, enabled=False)
    for device, tags in plan.volume_tags.items():
        create_tags(conn, [instance.devices[device]], tags)
    staying = [one.device_name for one in plan.image.volumes if not one.ends_with_instance]
    try:
        if staying:
            set_ending(conn, instance.instance_id, staying, ends=False)
        set_shutdown(conn, instance.instance_id, terminates=False)
        lends.keep([instance.instance_id, *instance.devices.values()])
    except SnapbackError:
        set_shutdown(conn, instance.instance_id, terminates=True)
        if staying:
            set_ending(conn, instance.instance_id, staying, ends=True)
        raise


def outcome_of(
    plan: InstancePlan, word: Word, explanation: str, made: Instance | None = None
) -> Outcome:
    """Answer what became of an instance."""
    facts = facts_of(plan.source) | {
        "name": plan.tags.get("Name", ""),
        "instance_type": plan.instance_type,
        "subnet": plan.subnet_id,
        "zone": plan.zone,
        "security_groups": list(plan.security_group_ids),
        "key_name": plan.key_name,
        "instance_profile": plan.instance_profile,
        "left_out": dict(plan.left_out),
        "options": dict(plan.settings.options),
        "not_restored": dict(plan.settings.not_restored),
        "reasons": list(map(str, plan.reasons)),
        "made": made.instance_id if made else None,
        "address": (made.public_dns_name or made.private_ip_address) if made else None,
        "volumes": dict(made.devices) if made else {},
        "unclaimed": "",
    }
    return outcome(plan.source.instance_id, word, explanation, plan.source.place, facts)
