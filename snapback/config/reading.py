"""Read the configuration, and name every problem in it."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from snapback.config.fields import Strict
from snapback.config.finding import Choice, Source
from snapback.config.notifications import Hooks, Logging
from snapback.config.settings import Settings
from snapback.core.text import printable
from snapback.errors import ConfigError

QUIET_VARIABLE = "SNAPBACK_QUIET"

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"", "0", "false", "no", "off"}


class Loaded(Strict):
    """The settings in force and where they came from.

    :ivar source: where they came from; of settings that a program has made, the program.
    :ivar quiet_by_environment: whether ``$SNAPBACK_QUIET`` decided about ``quiet``.
    """

    settings: Settings
    source: Source = Source(choice=Choice.GIVEN)
    quiet_by_environment: bool = False

    @property
    def path(self) -> Path | None:
        """The file that the settings were read from, or ``None``."""
        return self.source.path

    def to_hand_out(self) -> Loaded:
        """Answer what another machine needs of this: not whom to tell, which may be secret."""
        settings = self.settings.model_copy(update={"hooks": Hooks()})
        return self.model_copy(update={"settings": settings})


def load(source: Source) -> Loaded:
    """Read and validate the settings.

    :raises ConfigError: names every problem with its path.
    """
    path = source.path
    said = _read(path) if path else {}
    quiet = os.environ.get(QUIET_VARIABLE)
    if quiet is not None:
        if quiet.lower() not in _TRUE | _FALSE:
            raise ConfigError(f"{QUIET_VARIABLE}={quiet}: expected 1 or 0")
        said = {**said, "quiet": quiet.lower() in _TRUE}
    try:
        settings = Settings.model_validate(said)
    except ValidationError as error:
        raise ConfigError(_in_words(error, path)) from None
    return Loaded(settings=settings, source=source, quiet_by_environment=quiet is not None)


def salvage(path: Path | None) -> Settings:
    """Answer what can be read of whom to tell, and of the log, of a file that is refused.

    Each option of these by itself: one that is wrong doesn't hide the others.
    """
    try:
        said = _read(path) if path else {}
    except ConfigError:
        return Settings()
    return Settings(
        hooks=Hooks(**_valid_options(Hooks, said.get("hooks"))),
        logging=Logging(**_valid_options(Logging, said.get("logging"))),
    )


def _valid_options(model: type[Strict], said: Any) -> dict[str, Any]:
    """Answer the options of a section that are valid, as read."""
    found = {}
    for name, value in said.items() if isinstance(said, dict) else ():
        try:
            found[name] = getattr(model.model_validate({name: value}), name)
        except (ValidationError, TypeError, AttributeError):
            continue
    return found


def _read(path: Path) -> Mapping[str, Any]:
    try:
        said = yaml.load(path.read_text(encoding="utf-8"), Loader=_NoDuplicates)  # noqa: S506
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: can't be read: {error}") from None
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{path}: isn't YAML: {_marked(error)}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: isn't YAML: {' '.join(str(error).split())}") from None
    if said is None:
        return {}
    if not isinstance(said, dict):
        raise ConfigError(f"{path}: expected settings (name: value), found {_noun(said)}")
    return said


def _marked(error: yaml.MarkedYAMLError) -> str:
    """Answer what is wrong and where, without the line itself, which may hold a secret."""
    mark = error.problem_mark or error.context_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{where}{error.problem or error.context}"


def _noun(said: Any) -> str:
    return "a list" if isinstance(said, list) else "no names"


class _NoDuplicates(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice, of which PyYAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                problem = f"the key {key.value!r} is given twice"
                raise yaml.MarkedYAMLError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _in_words(error: ValidationError, path: Path | None) -> str:
    """Answer every problem, each with its path, a line each."""
    where = path or f"${QUIET_VARIABLE}"
    return "\n".join(
        printable(f"{where}: {_key_path(problem['loc'])}: {_problem(problem)}")
        for problem in error.errors()
    )


def _key_path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location if part != "[key]") or "(the file)"


def _problem(problem: Any) -> str:
    kind, given = problem["type"], problem["input"]
    if kind == "extra_forbidden":
        return "there is no such setting"
    advice = ""
    if kind == "string_type" and isinstance(given, (bool, int, float)):
        advice = "; put it in quotes"
    message = problem["msg"][0].lower() + problem["msg"][1:]
    if problem["loc"][0] == "hooks":  # addresses of pings are secret, and commands may hold some
        return f"{message}{advice}"
    return f"{message}, is {given!r:.60}{advice}"
