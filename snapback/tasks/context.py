"""Read from Invoke's context which configuration is meant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from snapback.errors import ConfigError

if TYPE_CHECKING:
    from snapback.config import Source

NAMED = "_snapback_configuration"
SECTION = "snapback"
_FILES = ("runtime", "project", "user", "system")  # Invoke's, the one that wins first

_WAY_OUT = (
    "snapback's settings have a file of their own: put them into a snapback.yaml, and name it with "
    "SNAPBACK_CONFIG"
)


def find_source(context: Any) -> Source:
    """Return where a task's settings are to be read from.

    :raises ConfigError: the configuration that was named isn't there, or one of Fabric's own files
        has settings that are meant for snapback.
    """
    from snapback import config

    for level in _FILES:
        _refuse_ours(context.config, level, set(config.Settings.model_fields))
    if SECTION in context.config:
        raise ConfigError(f"the fabfile's settings: {SECTION}: isn't read; {_WAY_OUT}")
    return config.find(_fabfile_folder(context), getattr(context.config, NAMED, None))


def _refuse_ours(fabric_config: Any, level: str, ours: set[str]) -> None:
    """Refuse a file of Fabric's that has settings for snapback, which would have no effect.

    :raises ConfigError: it has a section ``snapback``; or ``fab --config`` names a file that has
        nothing but settings of snapback.
    """
    path = getattr(fabric_config, f"_{level}_path", None)
    settings = getattr(fabric_config, f"_{level}", None) or {}
    if SECTION in settings:
        raise ConfigError(f"{path}: {SECTION}: isn't read; {_WAY_OUT}")
    if level == "runtime" and settings and set(settings) <= ours:
        raise ConfigError(
            f"{path}: {', '.join(sorted(settings))}: isn't read, since `fab --config` names a file "
            f"with settings of Fabric; name snapback's with SNAPBACK_CONFIG={path}"
        )


def _fabfile_folder(context: Any) -> Path | None:
    """Return the folder of the fabfile, where there is one."""
    folder = getattr(context.config, "_project_prefix", None)
    return Path(folder) if folder else None
