"""Cloning tags from instances to their volumes. Read, decide, show, act."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from snapback.backup.changes import earmark
from snapback.core.backup.volume_tags import Setting, VolumeTags, plan_volume_tags, settings_for
from snapback.core.model import Place
from snapback.core.model.outcome import Outcome
from snapback.ec2.instances import all_instances, instances_by_tag
from snapback.ec2.tags import create_tags
from snapback.ec2.volumes import all_volumes, in_batches, volumes_of
from snapback.errors import ApiError, Interrupted, SnapbackError, UsageError
from snapback.run import Run, current, fanout
from snapback.words import Word

MOST_BATCHES = 5


def update_volumes_tags(
    region_name: str | None = None,
    tag_name: str | None = None,
    tag_value: str | None = None,
    all_instances: bool = False,
    dry_run: bool = False,
    account: str | None = None,
) -> list[Outcome]:
    """Clone the tags of instances to their volumes; answer what became of each volume.

    The instance's value goes before the volume's. Tags of AWS (``aws:``), DLM (``dlm:``) and
    snapback (``snapback:``), the pin ``preserve_snapshot`` and the exclusion tag are not cloned; no
    tag is taken away.

    :param region_name: may be contracted; ``None``: all regions in use.
    :param tag_name: the tag that selects the instances; ``None``: the configured earmark.
    :param tag_value: its value; ``None``: the configured one.
    :param all_instances: take all instances, whatever their tags.
    :param dry_run: answer what would be set; change nothing.
    :param account: the account's name in the configuration; ``None``: all of them.
    :raises ItemsFailed: not all tags were set, or found room; its ``outcomes`` say what became of
        every volume.
    :raises CredentialsError: and other refusals: nothing was done.

    Source: DescribeInstances, DescribeVolumes, CreateTags: one call for each distinct set of tags.
    """
    run = current().only(account)
    outcomes = clone_tags(run, region_name, tag_name, tag_value, all_instances, dry_run)
    fanout.raise_if_any_failed(outcomes)
    return outcomes


def clone_tags(
    run: Run,
    region_name: str | None = None,
    tag_name: str | None = None,
    tag_value: str | None = None,
    every: bool = False,
    dry_run: bool = False,
) -> list[Outcome]:
    """Clone tags, regions side by side; see :func:`update_volumes_tags`.

    :raises Refused: nothing was done.
    """
    if every and (tag_name is not None or tag_value is not None):
        raise UsageError("--all-instances and a tag: give one of them")
    name = run.settings.tag_name if tag_name is None else tag_name
    value = run.settings.tag_value if tag_value is None else tag_value
    if not name:
        raise UsageError("the tag's name is empty: expected one like Earmarking")
    places = run.places(region_name)
    results = fanout.each(
        places,
        lambda place: _plan(run, place, None if every else (name, value)),
        stop=run.stop,
    )
    fanout.refuse_if_all_refused(results)
    plans = [plan for result in results for plan in result.value or ()]
    failures = [Outcome.of_failed(result.item, result.error) for result in results if result.error]
    errors = {} if dry_run else _set(run, settings_for(plans))
    outcomes = [*(_outcome(plan, errors, dry_run) for plan in plans), *failures]
    return outcomes or [_nothing(places, "" if every else f"{name}={value}")]


def _plan(run: Run, place: Place, tag: tuple[str, str] | None) -> list[VolumeTags]:
    """Answer what each volume at a place is to get."""
    conn = run.conn(place)
    instances = instances_by_tag(conn, place, *tag) if tag else all_instances(conn, place)
    instances.sort(key=lambda instance: (instance.name, instance.instance_id))
    batches = list(in_batches(instances))
    if len(batches) > MOST_BATCHES:
        volumes = all_volumes(conn, place)
    else:
        volumes = {
            v.volume_id: v for some in batches for v in volumes_of(conn, place, some).values()
        }
    tags = earmark(run)
    return plan_volume_tags(instances, volumes, first=tags.first, exclude_tag=tags.exclude_tag)


def _set(run: Run, settings: Sequence[Setting]) -> Mapping[tuple[Place, str], SnapbackError | None]:
    """Make the calls; answer the volumes that they were not good for, and why; ``None``: gone."""
    run.progress.expect(len(settings), "tagging volumes")
    results = fanout.each(
        settings,
        lambda setting: _set_one(run, setting),
        workers=run.settings.workers,
        stop=run.stop,
        on_done=lambda _: run.progress.done(),
    )
    return {
        (result.item.place, volume_id): result.error
        for result in results
        for volume_id in (result.item.volume_ids if result.error else result.value or ())
    }


def _set_one(run: Run, setting: Setting) -> Sequence[str]:
    """Make one call, and once more without the volumes that are gone by now; answer those."""
    conn = run.conn(setting.place)
    try:
        create_tags(conn, setting.volume_ids, setting.tags)
    except ApiError as error:
        if not error.code.endswith(".NotFound"):
            raise
        there = all_volumes(conn, setting.place)
        left = [volume_id for volume_id in setting.volume_ids if volume_id in there]
        if left:
            create_tags(conn, left, setting.tags)
        return [volume_id for volume_id in setting.volume_ids if volume_id not in there]
    return ()


def _outcome(
    plan: VolumeTags, errors: Mapping[tuple[Place, str], SnapbackError | None], dry_run: bool
) -> Outcome:
    volume = plan.volume
    key = volume.place, volume.volume_id
    said = "; ".join(filter(None, [_changes(plan), plan.shortcomings]))
    error = errors.get(key)
    if error:
        word = Word.NOT_DONE if isinstance(error, Interrupted) else Word.FAILED
        said = str(error)
    elif key in errors:
        word, said = Word.ALREADY_GONE, ""
    elif plan.shortcomings:
        word = Word.PARTIAL
    elif not plan.tags:
        word = Word.OK
    else:
        word = Word.WOULD if dry_run else Word.DONE
    return Outcome(
        subject=volume.volume_id,
        word=word,
        explanation=said,
        place=volume.place,
        facts={
            "volume": volume.volume_id,
            "instances": [instance.instance_id for instance in plan.instances],
            "name": plan.instances[0].name,
            "tags": dict(plan.tags),
            "instead_of": {key: volume.tags[key] for key in plan.tags if key in volume.tags},
            "left_out": [*plan.no_room, *plan.contested],
        },
    )


def _changes(plan: VolumeTags) -> str:
    """Answer what is set, in words."""
    before = plan.volume.tags
    return ", ".join(
        f"{key}={value}" + (f" instead of {before[key]}" if key in before else "")
        for key, value in plan.tags.items()
    )


def _nothing(places: Sequence[Place], tag: str) -> Outcome:
    regions = ", ".join(str(place) for place in places)
    has = f"the tag {tag} and an EBS volume" if tag else "an EBS volume"
    return Outcome(
        subject=tag or "all instances",
        word=Word.FAILED,
        explanation=f"no instance in {regions} has {has}",
    )
