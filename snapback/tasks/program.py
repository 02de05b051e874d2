"""The command ``snapback``: Fabric's, with our tasks and executor, and with our ``--config``."""

from __future__ import annotations

import sys
from typing import Any

from fabric.config import Config
from fabric.main import Fab
from invoke.collection import Collection
from invoke.exceptions import Exit, ParseError

from snapback.core.text import printable
from snapback.report.streams import make_safe, take_losses
from snapback.tasks.context import NAMED
from snapback.tasks.executor import UNKNOWN, ChainExecutor
from snapback.tasks.status import check

_HELP = {
    "config": "snapback's configuration file, or `none`: the defaults. Wins over SNAPBACK_CONFIG.",
    "dry": "Make a dry run of every task: show what it would do and why; change nothing.",
}


class _Config(Config):  # type: ignore[misc]
    """Fabric's configuration, with task names as they are written: with underscores."""

    @staticmethod
    def global_defaults() -> dict[str, Any]:
        """Return Fabric's defaults with ours."""
        defaults: dict[str, Any] = Config.global_defaults()
        defaults["tasks"]["auto_dash_names"] = False
        return defaults


class _Program(Fab):  # type: ignore[misc]
    """Fabric's command, with snapback's configuration for ``--config``.

    Of `check` it says in Nagios's way what the parser refuses; ``fab`` can't be taught that.
    """

    def run(self, *arguments: Any, **options: Any) -> None:
        """Run the tasks; fail where all went well, and something could not be written."""
        make_safe()
        try:
            super().run(*arguments, **options)
        except SystemExit as ended:
            if ended.code:
                raise
        for loss in take_losses():
            if loss.wanted:
                sys.exit(f"{self.binary}: {loss.stream} can't be written ({loss.reason})")

    def core_args(self) -> list[Any]:
        """Return Fabric's options, with our words for those that mean something else here."""
        arguments: list[Any] = super().core_args()
        for argument in arguments:
            argument.help = _HELP.get(argument.name, argument.help)
        return arguments

    def parse_tasks(self) -> None:
        """Parse the tasks and their options."""
        before = self.args.config.value
        try:
            super().parse_tasks()
        except ParseError as error:
            if not (error.context and error.context.name == check.name):
                raise
            said = printable(str(error)).replace("|", "/")
            sys.stdout.write(f"SNAPBACK UNKNOWN - {said}\n")
            raise Exit(code=UNKNOWN) from error
        if before not in (None, self.args.config.value):
            raise Exit("--config is given twice: one file holds for the whole chain", code=2)

    def update_config(self) -> None:
        """Hand ``--config`` to the tasks. Invoke would read a file of its own settings there."""
        named = self.args.config.value
        self.args.config.set_value(None, cast=False)
        super().update_config()
        self.config._set(**{NAMED: named})

    def print_version(self) -> None:
        """Print the versions, ours among them, which takes a while to look up."""
        from importlib.metadata import version

        self.version = version("snapback")
        super().print_version()


def make_program(tasks: Collection) -> Fab:
    """Return the command ``snapback`` with these tasks."""
    return _Program(
        name="snapback",
        binary="snapback",
        namespace=tasks,
        executor_class=ChainExecutor,
        config_class=_Config,
    )
