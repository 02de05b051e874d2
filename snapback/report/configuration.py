"""The settings in force, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from snapback.config import QUIET_VARIABLE, Loaded
from snapback.core.model import taken_at
from snapback.core.secrets import HIDDEN
from snapback.core.trim.periods import Kind
from snapback.core.trim.policy import Policy
from snapback.core.trim.reach import Reach
from snapback.core.trim.reasons import TrimReason
from snapback.report.report import Report
from snapback.report.screen import Screen
from snapback.report.statuses import many
from snapback.trim.reach import VolumeReach


def config_report(loaded: Loaded, screen: Screen) -> Report:
    """Show the settings and answer them for ``--json``."""
    rows = list(_rows(loaded))
    width = max(len(name) for name, _, _ in rows)
    screen.line(f"configuration: {loaded.source}")
    for name, value, source in rows:
        screen.line(f"  {name.ljust(width)}  {value!s}  ({source})")
    policies = _policies(loaded)
    for title, policy in policies.items():
        screen.line("")
        screen.line(f"{title}:")
        for text in reach_in_words(policy):
            screen.line(f"  {text}")
    return Report(
        outcomes=(),
        columns=(),
        facts={
            "file": str(loaded.path) if loaded.path else None,
            "settings": {name: {"value": value, "from": source} for name, value, source in rows},
            "retention": {title: reach_in_words(policy) for title, policy in policies.items()},
        },
    )


def reach_in_words(policy: Policy) -> list[str]:
    """Return in words how far back each count of a policy reaches."""
    counts = policy.counts()
    if not counts:
        return ["all counts are 0: nothing is ever deleted"]
    return [_count_in_words(policy, kind, count) for kind, count in counts]


def _count_in_words(policy: Policy, kind: Kind, count: int) -> str:
    which = (
        f"each of the last {count} {kind.noun}s that have"
        if count > 1
        else f"the last {kind.noun} that has"
    )
    text = f"{kind.name} {count}: one for {which} a snapshot"
    if kind.reason is TrimReason.HOUR:
        text += f", within the newest {policy.days_of_hours} days that have one"
    return text


def with_reach(report: Report, reaches: Sequence[VolumeReach], screen: Screen) -> Report:
    """Show how far back the retention reaches for a volume, and return the report with it."""
    for one in reaches:
        screen.line("")
        screen.line(_volume_in_words(one))
        for reach in one.reaches:
            screen.line(f"  {_reach_in_words(reach)}")
    return replace(report, facts={**report.facts, "reach": [_volume_as_facts(r) for r in reaches]})


def _volume_in_words(one: VolumeReach) -> str:
    counted = (
        "counted back from now, since it has faded"
        if one.faded
        else f"counted back from the newest, of {taken_at(one.newest):%Y-%m-%d %H:%M} UTC"
    )
    text = f"{one.timeline.volume} in {one.place}: {many(one.snapshots, 'completed snapshot')}"
    if isinstance(one.policy, str):
        return f"{text}, all of them kept: {one.policy}"
    if not one.reaches:
        return f"{text}, all of them kept: all counts are 0"
    return f"{text}, {counted}:"


def _reach_in_words(reach: Reach) -> str:
    kept = f"{reach.kind.name} {reach.count}: {many(len(reach.members), reach.kind.noun)}"
    return f"{kept}, back to {reach.begins_at:%Y-%m-%d %H:%M} UTC" if reach.begins_at else kept


def _volume_as_facts(one: VolumeReach) -> dict[str, Any]:
    return {
        "volume": one.timeline.volume,
        "region": one.place.region,
        "account": one.place.account,
        "snapshots": one.snapshots,
        "newest": taken_at(one.newest).isoformat(),
        "faded": one.faded,
        "policy": one.policy if isinstance(one.policy, str) else None,
        "kinds": {
            reach.kind.name: {
                "count": reach.count,
                "periods": len(reach.members),
                "from": reach.begins_at.isoformat() if reach.begins_at else None,
            }
            for reach in one.reaches
        },
    }


def _policies(loaded: Loaded) -> dict[str, Policy]:
    settings = loaded.settings
    found: dict[str, Policy | str] = {"retention": settings.policy("")}
    for region, particular in (settings.regions or {}).items():
        if particular.retention.model_fields_set:
            found[f"retention in {region}"] = settings.policy(region)
    for name in settings.retentions:
        found[f"retention {name!r}"] = settings.policy("", name)
    return {title: policy for title, policy in found.items() if isinstance(policy, Policy)}


def _rows(loaded: Loaded) -> Iterator[tuple[str, Any, str]]:
    """Answer every setting: its path, its value and where that comes from."""
    for path, value, given in _leaves(loaded.settings, ""):
        source = str(loaded.path) if given else "default"
        if path == "quiet" and loaded.quiet_by_environment:
            source = f"${QUIET_VARIABLE}"
        yield path, value, source


def _leaves(model: BaseModel, prefix: str) -> Iterator[tuple[str, Any, bool]]:
    for name, field in type(model).model_fields.items():
        value = _shown(field, getattr(model, name))
        yield from _leaf(value, f"{prefix}{name}", name in model.model_fields_set)


def _leaf(value: Any, path: str, given: bool) -> Iterator[tuple[str, Any, bool]]:
    if isinstance(value, BaseModel):
        yield from _leaves(value, f"{path}.")
    elif isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaf(item, f"{path}.{key}", given)
    elif isinstance(value, list):
        yield path, [_plain(item) for item in value], given
    else:
        yield path, value, given


def _shown(field: FieldInfo, value: Any) -> Any:
    """Answer a value as it is shown: of an address that is secret only whose it is."""
    extra = field.json_schema_extra
    if isinstance(value, str) and isinstance(extra, dict) and extra.get("secret"):
        parts = urlsplit(value)
        return f"{parts.scheme}://{parts.hostname}/{HIDDEN}" if parts.hostname else value
    return value


def _plain(item: Any) -> Any:
    """Answer an item of a list as it was given."""
    return item.model_dump(exclude_unset=True) if isinstance(item, BaseModel) else item
