"""Pages that can't drift: what they say is read from the code while they are built.

A line ``% generated: tasks`` in a page is replaced by the tasks, as their own docstrings and help
tell them; ``% generated: settings`` by the settings, as their pydantic model tells them;
``% generated: permissions`` by which IAM policies each task needs.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from snapback import config
from snapback.core.doctor.permissions import table
from snapback.tasks import ns

if TYPE_CHECKING:
    from sphinx.application import Sphinx

MARK = "% generated: "


def tasks() -> str:
    """Answer the tasks in Markdown: usage, docstring and options of each."""
    return "\n".join(line for name in sorted(ns.tasks) for line in _task(name, ns.tasks[name]))


def _task(name: str, task: Any) -> Iterator[str]:
    arguments = deepcopy(task).get_arguments()  # of a copy, since this takes the help away
    positional = "".join(f" {a.name.upper()}" for a in arguments if a.positional)
    yield f"## `{name}`\n"
    yield f"```sh\nfab {name}{positional} [options]\n```\n"
    yield inspect.getdoc(task) or ""
    yield "\n| option | meaning |\n|---|---|"
    for argument in arguments:
        yield f"| `{_option(argument)}` | {argument.help or ''} |"
    yield ""


def _option(argument: Any) -> str:
    """Answer an argument as it is typed; its first name may be the one with underscores."""
    if argument.positional:
        return str(argument.name).upper()
    flag = "--" + argument.name.replace("_", "-")
    return flag if argument.kind is bool else f"{flag}=…"


def settings() -> str:
    """Answer the settings in Markdown: a table of each model, the whole first."""
    models = (
        config.Settings,
        config.Retention,
        config.Region,
        config.Account,
        config.Check,
        config.CheckOverride,
        config.Ssh,
        config.Override,
        config.Freeze,
        config.Replication,
        config.Temporary,
        config.Hooks,
        config.TaskHooks,
        config.Logging,
        config.Verify,
        config.Restore,
        config.RestoreInto,
    )
    return "\n".join(line for model in models for line in _model(model))


def _model(model: type[BaseModel]) -> Iterator[str]:
    schema = model.model_json_schema()
    yield f"## {TITLES[model.__name__]}\n"
    yield " ".join((inspect.getdoc(model) or "").split()) + "\n"
    yield "| option | value | default | meaning |\n|---|---|---|---|"
    for name, field in model.model_fields.items():
        words = kind(schema["properties"][name])
        yield f"| `{name}` | {words} | {_default(field)} | {field.description} |"
    yield ""


TITLES = {
    "Settings": "All options",
    "Retention": "Options of a retention",
    "Region": "Options of a region",
    "Account": "Options of an account",
    "Ssh": "Options of ssh",
    "Override": "Options of an override",
    "Freeze": "Options of freeze",
    "Replication": "Options of replication",
    "Check": "Options of check",
    "CheckOverride": "Options of an override of check",
    "Temporary": "Options of temporary instances",
    "Hooks": "Options of hooks",
    "TaskHooks": "Options of the hooks of a task",
    "Logging": "Options of logging",
    "Verify": "Options of verify",
    "Restore": "Options of restore",
    "RestoreInto": "Options of restore into a region",
}


def _default(field: Any) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or value is None:
        return ""
    if isinstance(value, BaseModel):
        title = TITLES[type(value).__name__]
        return f"[of its options](#{title.lower().replace(' ', '-')})"
    return f"`{json.dumps(value)}`"


def kind(schema: dict[str, Any]) -> str:
    """Answer in words what values a piece of JSON schema allows."""
    if "anyOf" in schema:
        return kind(next(one for one in schema["anyOf"] if one.get("type") != "null"))
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return "a " + re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema["type"] == "array":
        return f"a list, each {kind(schema['items'])}"
    if schema["type"] == "object":
        of_each = schema.get("patternProperties", {"": schema.get("additionalProperties")})
        return f"names, each with {kind(next(iter(of_each.values())))}"
    if schema["type"] == "boolean":
        return "`true` or `false`"
    return NOUNS[schema["type"]] + _limits(schema)


NOUNS = {"string": "text", "integer": "whole number", "number": "number"}


def _limits(schema: dict[str, Any]) -> str:
    if "exclusiveMinimum" in schema:
        upper = f", {schema['maximum']} at most" if "maximum" in schema else ""
        return f" over {schema['exclusiveMinimum']}{upper}"
    if "minimum" in schema:
        return f", {schema['minimum']} to {schema['maximum']}"
    if "maxLength" in schema:
        return f", {schema.get('minLength', 0)} to {schema['maxLength']} characters"
    return ", not empty" if schema.get("minLength") else ""


PIECES: dict[str, Callable[[], str]] = {
    "tasks": tasks,
    "settings": settings,
    "permissions": lambda: table(ns.tasks),
}


def fill_in(app: Sphinx, _: str, content: list[str]) -> None:
    """Put the generated pieces into a page that has just been read."""
    for name, generate in PIECES.items():
        mark = f"{MARK}{name}\n"
        if mark in content[0]:
            content[0] = content[0].replace(mark, generate())
            for module in [m for n, m in sys.modules.items() if n.startswith("snapback")]:
                if module.__file__:
                    app.env.note_dependency(module.__file__)


def setup(app: Sphinx) -> dict[str, Any]:
    """Hook into Sphinx."""
    app.connect("source-read", fill_in)
    return {"version": "1", "parallel_read_safe": True}
