"""Restoring whole instances: one, or all of a region from their replicas."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from snapback.core.leases.lease import Kind
from snapback.core.model import Instance, Place, Snapshot, by_age, record_of
from snapback.core.model import tags as our_tags
from snapback.core.model.backup_sets import BackupSet, Choice, choose, sets_of
from snapback.core.model.outcome import Outcome
from snapback.core.model.reasons import Reason
from snapback.core.model.times import in_utc
from snapback.core.restore.image_plan import plan_image
from snapback.core.restore.restore_plan import (
    Given,
    InstancePlan,
    Maps,
    plan_instance,
    told_left_out,
    wanted_there,
)
from snapback.core.restore.restored import restored_original
from snapback.ec2.launching import wait_until_running
from snapback.ec2.restoring import (
    look_there,
    register_image,
    restored_before,
    run_instance,
    set_ending,
    set_shutdown,
    wait_for_image,
)
from snapback.ec2.tags import create_tags
from snapback.ec2.temporary import Lender
from snapback.errors import LeftBehind, SnapbackError, UsageError
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

LATELY = timedelta(days=7)


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
    if dry_run:
        return Restoration((outcome_of(plan, Word.WOULD, in_words(plan.reasons, ())),), notes)
    run.progress.plan(notes)
    return Restoration(((make or make_instance)(run, plan),), notes)


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


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which instances are restored from their replicas.

    :ivar source_region: only those of this region; empty: of every other.
    :ivar within: only those last backed up within such a time before the last of all: others are
        likely to have been given up.
    """

    tag_name: str | None = None
    tag_value: str | None = None
    source_region: str = ""
    at: datetime | None = None
    within: timedelta = LATELY
    incomplete: bool = False


@dataclass(frozen=True, kw_only=True)
class Found:
    """What there is to restore at a place.

    :ivar lost: instance id -> why it can't be or isn't restored.
    """

    choices: dict[str, Choice] = field(default_factory=dict)
    lost: dict[str, tuple[Word, str]] = field(default_factory=dict)


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
    before = restored_before(run.conn(place), place)
    there = {restored_original(one.tags)[0]: one for one in before}
    again = {i: there[i] for i in found.choices if i in there}
    choices = [choice for i, choice in found.choices.items() if i not in again]
    into = maps_into(run, place, *maps)
    plans = _plans(run, place, [choice.chosen for choice in choices], given, into)
    names = {record_of(s).instance: s.tags.get("Name", "") for s in sorted(snapshots, key=by_age)}
    outcomes = [
        *(_already(place, i, one, found.choices[i].chosen) for i, one in again.items()),
        *(
            outcome(i, word, why, place, {"of": i, "name": names.get(i, "")})
            for i, (word, why) in found.lost.items()
        ),
        *_all(run, plans, dry_run),
    ]
    notes = [line for c in choices for line in about(c)]
    return Restoration(tuple(outcomes), tuple(notes))


def select(snapshots: Sequence[Snapshot], selection: Selection) -> Found:
    """Decide which instances are restored from replicas, and from which sets.

    :param snapshots: those at one place. An instance that has natives among them lives there.
    """
    at_home = {record_of(snapshot).instance for snapshot in snapshots if snapshot.is_native}
    of: dict[str, list[Snapshot]] = defaultdict(list)
    for snapshot in snapshots:
        record = record_of(snapshot)
        wanted = selection.source_region in ("", record.region)
        if wanted and record.instance and record.instance not in at_home:
            of[record.instance].append(snapshot)
    sets = {instance_id: sets_of(some, instance_id) for instance_id, some in of.items()}
    sets = {
        i: [one for one in some if selection.at is None or one.taken_at <= selection.at]
        for i, some in sets.items()
    }
    lasts = {i: some[0].taken_at for i, some in sets.items() if some}
    newest = max(lasts.values(), default=datetime.min.replace(tzinfo=UTC))
    choices: dict[str, Choice] = {}
    lost: dict[str, tuple[Word, str]] = {}
    for instance_id in sorted(of):
        if instance_id not in lasts:
            lost[instance_id] = Word.EXCLUDED, f"has no set of {in_utc(selection.at or newest)}"
            continue
        if newest - lasts[instance_id] > selection.within:
            lost[instance_id] = (
                Word.EXCLUDED,
                f"last backed up {in_utc(lasts[instance_id])}: given up since? Or give --within",
            )
            continue
        choice = choose(sets[instance_id], selection.at, selection.incomplete)
        if isinstance(choice, Reason):
            lost[instance_id] = Word.FAILED, str(choice)
        else:
            choices[instance_id] = choice
    return Found(choices=choices, lost=lost)


def _all(run: Run, plans: Sequence[InstancePlan], dry_run: bool) -> list[Outcome]:
    refused = [
        outcome_of(plan, Word.REFUSED, in_words((), plan.problems))
        for plan in plans
        if plan.problems
    ]
    good = [plan for plan in plans if not plan.problems]
    if dry_run:
        would = [outcome_of(p, Word.WOULD, in_words(p.reasons, ())) for p in good]
        return [*would, *refused]
    run.progress.expect(len(good), "restoring instances")
    results = fanout.each(
        good,
        lambda plan: make_instance(run, plan),
        workers=run.settings.workers,
        stop=run.stop,
        on_done=lambda _: run.progress.done(),
    )
    made = [
        result.value
        or outcome_of(result.item, word_for(result.error or SnapbackError()), str(result.error))
        for result in results
    ]
    return [*made, *refused]


def _already(place: Place, instance_id: str, there: Instance, source: BackupSet) -> Outcome:
    why = f"{there.instance_id} is {there.state}: {there.tags[our_tags.RESTORED]}"
    facts = {
        **facts_of(source),
        "name": there.name,
        "made": there.instance_id,
        "volumes": dict(there.devices),
    }
    return outcome(instance_id, Word.ALREADY_RESTORED, why, place, facts)


def make_instance(run: Run, plan: InstancePlan) -> Outcome:
    """Launch the instance of a plan, for good, and answer what became of it."""
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
                    conn, plan, image_id, token, marked(marks, plan.tags), marked(marks, {})
                ),
            ) as instance_id:
                instance = wait_until_running(conn, place, instance_id, run.pause)
                _finish(conn, lends, plan, instance)
                made = instance
    except LeftBehind as error:
        return outcome_of(plan, Word.LEFT_BEHIND, str(error), made)
    except SnapbackError as error:
        return outcome_of(plan, word_for(error), str(error), made)
    return outcome_of(plan, Word.DONE, in_words(told_left_out(plan.left_out), ()), made)


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
        "reasons": list(map(str, plan.reasons)),
        "made": made.instance_id if made else None,
        "address": (made.public_dns_name or made.private_ip_address) if made else None,
        "volumes": dict(made.devices) if made else {},
    }
    return outcome(plan.source.instance_id, word, explanation, plan.source.place, facts)
