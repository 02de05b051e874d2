"""Where tasks meet the person: errors become one line and an exit code, signals become a wish."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fabric import Connection

from snapback.errors import ConfigError, SnapbackError, UsageError
from snapback.tasks.executor import TaskEnded

if TYPE_CHECKING:
    from snapback.report.report import Report
    from snapback.report.screen import Screen
    from snapback.runtime import Run

log = logging.getLogger(__name__)

ABANDONED = 130
UNKNOWN = 3
NEW_OBJECTS = 50_000  # to be made before Python looks for garbage; its own default is 700


@contextmanager
def _seldom_collecting() -> Iterator[None]:
    """Look for garbage in cycles less often meanwhile: a sixth of a large run's time went there."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@_seldom_collecting()
def perform(
    context: Any,
    task: str,
    body: Callable[[Run, Screen, bool], Report],
    *,
    dry_run: bool = False,
    quiet: bool = False,
    as_json: bool = False,
    account: str | None = None,
    for_monitor: bool = False,
) -> None:
    """Run a task's body as a run of its own, and show what came of it.

    :param context: Invoke's; its ``run.dry`` (``fab --dry``) means a dry run too.
    :param body: given the run, the screen, and whether it is a dry run; answers the report.
    :param account: work in this one only.
    :param for_monitor: whatever keeps the task from its verdict is unknown, in Nagios's form.
        `quiet` in the configuration doesn't silence it.
    :raises TaskEnded: with the exit code, where it isn't 0.
    """
    from snapback import config, runtime
    from snapback.report.report import document
    from snapback.report.screen import Screen

    dry_run = dry_run or bool(context.config.run.dry)
    screen = Screen(quiet=quiet, as_json=as_json)
    report, run, code, said, ends_chain = None, None, 0, "", False
    try:
        _refuse_hosts(context)
        loaded = config.load(config.find(_fabfile_folder(context)))
        silent = quiet or (loaded.settings.quiet and not for_monitor)
        screen = Screen(quiet=silent, as_json=as_json)
        run = runtime.Run(loaded, progress=screen.progress, account=account)
        with runtime.use(run), _stopped_by_signals(run.stop, screen):
            report = body(run, screen, dry_run)
            code = report.exit_code
            screen.report(report)
    except SnapbackError as error:
        code, said = error.exit_code, str(error)
        ends_chain = isinstance(error, UsageError | ConfigError)
    except Exception as error:
        log.debug("unexpected", exc_info=True)
        code, said = 1, f"unexpected {type(error).__name__}: {error} (a defect: please report it)"
    finally:
        screen.close()
    if said and for_monitor:
        code, ends_chain = UNKNOWN, False
        screen.line(f"SNAPBACK UNKNOWN - {'; '.join(said.splitlines())}".replace("|", "/"))
    elif said:
        screen.problem(f"{task}: {said}")
    screen.document(document(task, run.run_id if run else "", dry_run, report, code, said))
    if run and run.stop.is_set():
        ends_chain = True
    if code or ends_chain:
        raise TaskEnded(code or 1, ends_chain)


def _refuse_hosts(context: Any) -> None:
    """Refuse ``-H``, which would run the task once for every host.

    :raises UsageError: it was given.
    """
    if isinstance(context, Connection):
        raise UsageError("-H is not for these tasks: they find their instances by tag or by id")


def _fabfile_folder(context: Any) -> Path | None:
    """Answer the folder of the fabfile, where there is one."""
    folder = getattr(context.config, "_project_prefix", None)
    return Path(folder) if folder else None


@contextmanager
def _stopped_by_signals(stop: threading.Event, screen: Screen) -> Iterator[None]:
    """Take Ctrl-C and SIGTERM as the wish to stop; the second time, abandon everything at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(*_: Any) -> None:
        if stop.is_set():
            screen.close()
            sys.stderr.write("abandoned: what was in flight may have been done or not\n")
            sys.stderr.flush()
            os._exit(ABANDONED)
        stop.set()
        screen.problem("stopping: what is in flight is finished first; once more to abandon it")

    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, on_signal) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
