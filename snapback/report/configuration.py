"""The settings in force, in words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from snapback.config import QUIET_VARIABLE, Loaded
from snapback.core.secrets import HIDDEN
from snapback.core.trim.retention import Policy
from snapback.report.report import Report
from snapback.report.screen import Screen


def config_report(loaded: Loaded, screen: Screen) -> Report:
    """Show the settings and answer them for ``--json``."""
    rows = list(_rows(loaded))
    width = max(len(name) for name, _, _ in rows)
    screen.line(f"configuration: {loaded.source}")
    for name, value, source in rows:
        screen.line(f"  {name.ljust(width)}  {value!s}  ({source})")
    now = datetime.now(UTC)
    policies = _policies(loaded)
    for title, policy in policies.items():
        screen.line("")
        screen.line(f"{title}, for a volume whose newest snapshot is of now:")
        for text in reach_in_words(policy, now):
            screen.line(f"  {text}")
    return Report(
        outcomes=(),
        columns=(),
        facts={
            "file": str(loaded.path) if loaded.path else None,
            "settings": {name: {"value": value, "from": source} for name, value, source in rows},
            "retention": {title: reach_in_words(policy, now) for title, policy in policies.items()},
        },
    )


def reach_in_words(policy: Policy, now: datetime) -> list[str]:
    """Answer in words how far back each count of a policy reaches."""
    reach = policy.reach(now)
    if not reach:
        return ["all counts are 0: nothing is ever deleted"]
    return [
        f"{kind.name} {count}: one for each of the last {count} {kind.noun}s, "
        f"back to {first:%Y-%m-%d %H:%M} UTC"
        for kind, count, first in reach
    ]


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
