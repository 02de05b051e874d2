"""One task at work: its settings, its log, its hooks, its report, its exit code."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from snapback import config
from snapback.config import Choice, Loaded, Source
from snapback.core.log_context import about
from snapback.core.model.outcome import Outcome
from snapback.core.secrets import redact
from snapback.core.text import printable
from snapback.errors import ConfigError, SnapbackError, UsageError
from snapback.report.report import Report, document, in_words
from snapback.report.screen import Screen, one_line
from snapback.report.streams import take_losses
from snapback.run import Run, hooks, logs, use
from snapback.tasks.executor import UNKNOWN
from snapback.words import Word

log = logging.getLogger(__name__)
_MADE = ("snapshots", "replica", "made")
_warned_of: set[Path | None] = set()  # by a task of this chain
_LEVELS = {Word.CRITICAL: logging.ERROR, Word.WARNING: logging.WARNING, Word.OK: logging.DEBUG}


@dataclass
class _Ending:
    """How a task has ended; until it has, as one that was broken off.

    :ivar reasons: why it failed or was refused as a whole, a line each, without secrets.
    :ivar ends_chain: whether the tasks behind it must not run.
    :ivar lost: the streams that could not take all that the task said.
    """

    report: Report | None = None
    code: int = 1
    reasons: list[str] = field(default_factory=list)
    ends_chain: bool = False
    lost: set[str] = field(default_factory=set)


@dataclass(kw_only=True)
class Performance:
    """One task at work; see :func:`snapback.tasks.boundary.perform` for what isn't told here.

    :ivar stop: set when the run is asked to stop.
    :ivar find_source: returns where the settings are to be read from; raises ConfigError.
    :ivar check_usage: raises UsageError where the task was called in a way that it can't be.
    """

    task: str
    body: Callable[[Run, Screen, bool], Report]
    dry_run: bool
    quiet: bool
    verbose: bool
    as_json: bool
    account: str | None
    hands_out: bool
    executor: str | None
    for_monitor: bool
    only_looks: bool
    lends: bool
    stop: threading.Event
    find_source: Callable[[], Source]
    check_usage: Callable[[], None]
    screen: Screen = field(init=False)

    def __post_init__(self) -> None:
        self.screen = Screen(quiet=self.quiet, as_json=self.as_json, plain=self.verbose)

    def say_at_once(self, text: str) -> None:
        """Say what can't wait."""
        self.screen.close()
        self.screen.problem(text)

    def perform(self) -> tuple[int, bool]:
        """Do it all; answer the exit code, and whether the chain ends here."""
        loaded, refusal = self._load()
        silent = self.quiet or (loaded.settings.quiet and not self.for_monitor)
        self.screen = Screen(quiet=silent, as_json=self.as_json, plain=self.verbose)
        run = Run(loaded, stop=self.stop, progress=self.screen.progress, account=self.account)
        tell = self.screen.problem if self.verbose else None
        with (
            about(task=self.task, run=run.run_id),
            logs.kept(loaded.settings.logging, warn=self._warn, tell=tell),
        ):
            return self._with_hooks(run, refusal)

    def _load(self) -> tuple[Loaded, SnapbackError | None]:
        """Answer the settings, or of broken ones what can be read of telling, and why."""
        source = Source(choice=Choice.REFUSED)
        try:
            source = self.find_source()
            loaded = config.load(source)
        except ConfigError as error:
            return Loaded(settings=config.salvage(source.path), source=source), error
        try:
            self.check_usage()
            if self.quiet and self.verbose:
                raise UsageError("--quiet and --verbose: give one of them")
            _check_tasks(loaded)
        except SnapbackError as error:
            return loaded, error
        return loaded, None

    def _with_hooks(self, run: Run, refusal: SnapbackError | None) -> tuple[int, bool]:
        bell = self._bell(run)
        began = time.monotonic()
        log.info(
            "snapback %s (configuration: %s) begins%s",
            version("snapback"),
            run.loaded.source,
            ", a dry run" if self.dry_run else "",
        )
        self._warn_of_doubts(run)
        ending = _Ending()
        try:
            if refusal:
                self._refuse(ending, refusal)
            else:
                if bell:
                    self._ring(bell.started)
                self._do(run, ending)
            self._conclude(run, ending)
        finally:
            log.info("ended with %d after %.1f s", ending.code, time.monotonic() - began)
            if bell:
                self._ring(lambda: bell.ended(self._told(run, ending)))
        return ending.code, ending.ends_chain or self.stop.is_set()

    def _warn_of_doubts(self, run: Run) -> None:
        """Warn of a configuration that others may have written; a chain is told once."""
        source = run.loaded.source
        if not source.doubts:
            return
        warning = f"{source.path}: {'; '.join(source.doubts)}"
        shown = not (self.quiet or run.settings.quiet or source.path in _warned_of)
        log.warning("%s", warning, extra={"shown": shown})
        if shown:
            _warned_of.add(source.path)
            self._warn(warning)

    def _bell(self, run: Run) -> hooks.Bell | None:
        if self.dry_run or hooks.runs_in_a_hook():
            return None
        configured = run.settings.hooks
        return hooks.Bell(
            hooks=configured.of(self.task, only_looks=self.only_looks),
            timeout_s=configured.timeout_s,
            task=self.task,
            run_id=run.run_id,
            warn=self._warn,
            configuration=run.loaded.source.name,
        )

    def _do(self, run: Run, ending: _Ending) -> None:
        """Do the task's work, and show its report.

        First say which run this is, by which it can be swept should it be killed.
        """
        if self.lends and not self.dry_run:
            self.screen.line(f"this is {run.run_id}")
        try:
            address = self.executor or run.settings.executor if self.hands_out else None
            with use(run), _handed(run, address):
                report = self.body(run, self.screen, self.dry_run)
            ending.report, ending.code = report, report.exit_code
            for outcome in report.outcomes:
                _log(outcome)
            self.screen.report(report)
        except SnapbackError as error:
            self._refuse(ending, error)
        except (Exception, SystemExit) as error:
            log.exception("unexpected", extra={"shown": True})
            self._fail(ending, _unexpected(error))
        finally:
            self.screen.close()

    def _refuse(self, ending: _Ending, error: SnapbackError) -> None:
        ending.code = error.exit_code
        ending.ends_chain = isinstance(error, UsageError | ConfigError)
        said = str(error)  # that of a configuration has a line for each of its problems
        self._fail(ending, *(said.split("\n") if isinstance(error, ConfigError) else [said]))

    def _fail(self, ending: _Ending, *reasons: str) -> None:
        """Make the task one that failed as a whole, and say why; to a monitor in Nagios's form."""
        told = [printable(redact(reason)) for reason in reasons]
        ending.reasons += told
        log.error("%s", "; ".join(told), extra={"shown": True})
        if self.for_monitor:
            ending.code, ending.ends_chain = UNKNOWN, False
            self.screen.line(f"SNAPBACK UNKNOWN - {'; '.join(told)}".replace("|", "/"))
            return
        ending.code = ending.code or 1
        self.screen.problem(f"{self.task}: {told[0]}")
        for line in told[1:]:
            self.screen.problem(line)

    def _conclude(self, run: Run, ending: _Ending) -> None:
        """Print the document, and settle the exit code."""
        self._fail_for_losses(ending)
        try:
            self.screen.document(partial(self._document, run, ending))
        except Exception as error:
            log.exception("unexpected", extra={"shown": True})
            self._fail(ending, _unexpected(error))
        self._fail_for_losses(ending)

    def _fail_for_losses(self, ending: _Ending) -> None:
        """Make the task one that failed where a stream could not take all that it said.

        Of a monitor's task the line on stdout is all there is, so its loss counts also where nobody
        wanted it, and nothing else does.
        """
        while losses := [
            loss
            for loss in take_losses()
            if loss.stream not in ending.lost
            and (loss.stream == "stdout" if self.for_monitor else loss.wanted)
        ]:
            for stream, reason, _ in losses:
                ending.lost.add(stream)
                self._fail(ending, f"{stream} can't be written ({reason}): output was lost")

    def _document(self, run: Run, ending: _Ending) -> dict[str, Any]:
        return document(
            self.task, run, self.dry_run, ending.report, ending.code, "\n".join(ending.reasons)
        )

    def _ring(self, ring: Callable[[], None]) -> None:
        """Call the hooks; a defect in that is a warning, as a hook that fails."""
        try:
            ring()
        except Exception as error:
            log.exception("unexpected", extra={"shown": True})
            self._warn(f"hooks: {_unexpected(error)}")

    def _told(self, run: Run, ending: _Ending) -> hooks.Ended:
        """Return what hooks are told."""
        report = ending.report
        outcomes = report.outcomes if report else ()
        return hooks.Ended(
            exit_code=ending.code,
            error="; ".join(ending.reasons),
            problems=[one_line(outcome) for outcome in outcomes if outcome.exit_code],
            summary=report.summary if report else (),
            document=partial(self._document, run, ending),
        )

    def _warn(self, text: str) -> None:
        self.say_at_once(f"{self.task}: warning: {text}")


@contextmanager
def _handed(run: Run, address: str | None) -> Iterator[None]:
    """Hand the run's work out, where a scheduler is named.

    :raises UsageError: none answers there.
    """
    if not address:
        yield
        return
    from snapback.run.dask import opened

    with opened(address) as run.executor:
        yield


def _check_tasks(loaded: Loaded) -> None:
    """See that hooks are meant for tasks that there are.

    :raises ConfigError: one isn't.
    """
    from snapback.tasks import ns

    for name in loaded.settings.hooks.tasks:
        if name not in ns.tasks:
            raise ConfigError(f"{loaded.path}: hooks.tasks.{name}: there is no such task")


def _unexpected(error: BaseException) -> str:
    """Return a defect in words."""
    return f"unexpected {type(error).__name__}: {error} (a defect: please report it)"


def _log(outcome: Outcome) -> None:
    """Write down what became of an item, unless that was done when it happened."""
    if outcome.logged:
        return
    level = _LEVELS.get(outcome.word, logging.ERROR if outcome.exit_code else logging.INFO)
    with about(
        account=outcome.place.account, region=outcome.place.region, resource=outcome.subject
    ):
        log.log(level, "%s", _with_what_was_made(outcome), extra={"shown": True})


def _with_what_was_made(outcome: Outcome) -> str:
    """Answer what became of an item, in words, with the ids of what was made of it."""
    found = (outcome.facts.get(name) for name in _MADE)
    made = [one for some in found for one in (some if isinstance(some, list) else [some])]
    ids = ", ".join(one for one in made if isinstance(one, str) and one)
    return f"{in_words(outcome)} ({ids})" if ids else in_words(outcome)
