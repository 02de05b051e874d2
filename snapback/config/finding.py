"""Find the configuration file: the one that was named, or the first that is there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from snapback.config.fields import Strict
from snapback.config.ownership import doubts_about
from snapback.errors import ConfigError

VARIABLE = "SNAPBACK_CONFIG"
DEFAULTS = "none"
OPTION = "--config"
FILE_NAME = "snapback.yaml"

_NAME_IT = (
    f"name it with {VARIABLE}=FILE or `snapback {OPTION} FILE`; "
    f"`{DEFAULTS}` in place of FILE says that the defaults are meant"
)


class Choice(StrEnum):
    """How the configuration was chosen; the values are the words of ``--json``."""

    NAMED = "named"
    FOUND = "found"
    FOUND_HERE = "found here"  # in the current folder, which another run needn't begin in
    NONE = "none"  # the defaults, on purpose
    NOT_FOUND = "by the defaults"
    GIVEN = "given"  # settings made by a program, not read
    REFUSED = "refused"


class Source(Strict):
    """Where the settings come from.

    :ivar path: the file, absolute; ``None``: there is none.
    :ivar named_by: ``--config`` or ``SNAPBACK_CONFIG``, where the choice was made by name.
    :ivar places: the files that were looked for, in order, where nothing was named.
    :ivar doubts: why others than root and the caller may have written the file.
    """

    choice: Choice
    path: Path | None = None
    named_by: str = ""
    places: tuple[Path, ...] = ()
    doubts: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the file and how it was chosen, in words."""
        return {
            Choice.NAMED: f"{self.path}, named by {self.named_by}",
            Choice.FOUND: f"{self.path}, found there",
            Choice.FOUND_HERE: f"{self.path}, found in the current folder",
            Choice.NONE: f"the defaults, on purpose: {self.named_by} is {DEFAULTS}",
            Choice.NOT_FOUND: f"the defaults: no file was found; {_looked_for(self.places)}",
            Choice.GIVEN: "settings made by the program, from no file",
            Choice.REFUSED: "refused",
        }[self.choice]

    @property
    def name(self) -> str | None:
        """What ``SNAPBACK_CONFIG`` has to be for a program that is called to use the same.

        ``None``: nothing was named, so it looks for itself.
        """
        if self.choice is Choice.NONE:
            return DEFAULTS
        return str(self.path) if self.choice is Choice.NAMED else None

    @property
    def is_meant(self) -> bool:
        """Whether somebody has decided for these settings: by a file, or by ``none``."""
        return self.choice not in (Choice.NOT_FOUND, Choice.REFUSED)

    def by_the_defaults(self) -> str:
        """Return the line for a run that goes on without a file, though none was meant to be."""
        return f"by the defaults: no configuration was found; {self._what_to_do()}"

    def refuse_to_delete(self) -> None:
        """Refuse to delete by defaults that nobody has asked for.

        :raises ConfigError: no configuration was found, and ``none`` wasn't said.
        """
        if not self.is_meant:
            raise ConfigError(
                f"no configuration was found, so nothing was deleted; {self._what_to_do()}"
            )

    def _what_to_do(self) -> str:
        return f"{_looked_for(self.places)}; {_NAME_IT}"


def _looked_for(places: tuple[Path, ...]) -> str:
    return f"looked for {', '.join(map(str, places))}"


def find(fabfile_folder: Path | None = None, named: str | None = None) -> Source:
    """Return where the settings are to be read from.

    :param fabfile_folder: where there is a fabfile, its folder.
    :param named: what ``--config`` says; ``None``: the option wasn't given.
    :raises ConfigError: a file that was named can't be used; one that was found can't be seen, or
        is one that somebody else may have put there.
    """
    if named is not None:
        return _named(named, OPTION, f"{OPTION} {named}")
    if variable := os.environ.get(VARIABLE):
        return _named(variable, VARIABLE, f"{VARIABLE}={variable}")
    local = [*_local_places(fabfile_folder)]
    places = (*local, *_common_places())
    path = next((path for path in places if _is_there(path)), None)
    if path is None:
        return Source(choice=Choice.NOT_FOUND, places=places)
    doubts = doubts_about(path)
    if path in local and doubts:
        raise ConfigError(
            f"{path}: found, not named, and {'; '.join(doubts)}: the commands in its hooks would "
            f"run as you. If you trust it, {VARIABLE}={path} says so; else mend that, or remove it"
        )
    here = _current_folder()
    choice = Choice.FOUND_HERE if path in local and path.parent == here else Choice.FOUND
    return Source(choice=choice, path=path, places=places, doubts=doubts)


def named_file(path: Path) -> Source:
    """Return the source of settings in a file that a program names."""
    return Source(choice=Choice.NAMED, path=path, named_by="the program")


def _named(name: str, named_by: str, said: str) -> Source:
    if name == DEFAULTS:
        return Source(choice=Choice.NONE, named_by=named_by)
    if not name:
        raise ConfigError(f"{OPTION}: the name of the file is empty; {_NAME_IT}")
    path = _at_home(name)
    problem = _problem_of(path) if path else "there is no such home"
    if problem or path is None:
        raise ConfigError(f"{said}: {problem}; {_NAME_IT}")
    path = path.absolute()
    return Source(choice=Choice.NAMED, path=path, named_by=named_by, doubts=doubts_about(path))


def _local_places(fabfile_folder: Path | None) -> Iterator[Path]:
    folders = (fabfile_folder and fabfile_folder.absolute(), _current_folder())
    yield from dict.fromkeys(folder / FILE_NAME for folder in folders if folder)


def _common_places() -> Iterator[Path]:
    home = _at_home(os.environ.get("XDG_CONFIG_HOME") or "~/.config")
    if home:
        yield home / "snapback" / "config.yaml"
    yield Path("/etc/snapback/config.yaml")


def _current_folder() -> Path | None:
    """Return the current folder; ``None`` where it was removed meanwhile."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


def _at_home(path: str) -> Path | None:
    """Return a path with its ``~`` written out; ``None`` where there is no such home."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return None


def _is_there(path: Path) -> bool:
    """Return whether there is a configuration at a place.

    :raises ConfigError: something is there that can't be read. To pass over it would be to delete
        by other settings than those that were meant.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise ConfigError(f"{path}: can't be looked for: {error.strerror}") from None
    if problem := _problem_of(path):
        raise ConfigError(f"{path}: {problem}")
    return True


def _problem_of(path: Path) -> str:
    """Return why a path can't be read as a configuration, or ``""``."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return "that is a folder"
        # A pipe can be read once, and the second task of a chain would take its end for defaults.
        if not stat.S_ISREG(mode):
            return "that isn't a regular file"
        path.open("rb").close()
    except (FileNotFoundError, NotADirectoryError):
        return "a link to a file that isn't there" if path.is_symlink() else "there is no such file"
    except OSError as error:
        return f"can't be read: {error.strerror}"
    except ValueError as error:
        return f"that is no path: {error}"
    return ""
