"""Where tasks meet the person: errors become one line and an exit code, signals become a wish."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from fabric import Connection  # noqa: TID251 (to know it where -H was given, not to connect)

from snapback.errors import UsageError
from snapback.report.streams import make_safe
from snapback.tasks.context import find_source
from snapback.tasks.executor import NO_DRY_RUN, TaskEnded

if TYPE_CHECKING:
    from snapback.report.report import Report
    from snapback.report.screen import Screen
    from snapback.run import Run
    from snapback.tasks.performance import Performance

ABANDONED = 130
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
    verbose: bool = False,
    as_json: bool = False,
    account: str | None = None,
    hands_out: bool = False,
    executor: str | None = None,
    for_monitor: bool = False,
    only_looks: bool = False,
    lends: bool = False,
) -> None:
    """Run a task's body as a run of its own, tell of it, and show what came of it.

    :param context: Invoke's; its ``run.dry`` (``fab --dry``) means a dry run too.
    :param body: given the run, the screen, and whether it is a dry run; answers the report.
    :param account: work in this one only.
    :param hands_out: whether its work can be handed out to other machines...
    :param executor: ...by this Dask scheduler; ``None``: as configured.
    :param for_monitor: whatever keeps the task from its verdict is unknown, in Nagios's form.
        `quiet` in the configuration doesn't silence it.
    :param only_looks: that it goes well says nothing of the backups, so it doesn't ping a URL that
        it shares with other tasks.
    :param lends: whether it lends temporary things: then it first says which run it is.
    :raises TaskEnded: with the exit code, where it isn't 0, or the tasks behind it must not run.
    """
    from snapback.tasks.performance import Performance

    make_safe()
    stop = threading.Event()
    dry = dry_run or bool(context.config.run.dry)

    def check_usage() -> None:
        _refuse_hosts(context)
        if dry and task in NO_DRY_RUN:
            raise UsageError("there is no dry run of this task: leave --dry out, or the task")

    performance = Performance(
        task=task,
        body=body,
        dry_run=dry,
        quiet=quiet,
        verbose=verbose,
        as_json=as_json,
        account=account,
        hands_out=hands_out,
        executor=executor,
        for_monitor=for_monitor,
        only_looks=only_looks,
        lends=lends,
        stop=stop,
        find_source=partial(find_source, context),
        check_usage=check_usage,
    )
    with _stopped_by_signals(stop, performance):
        code, ends_chain = performance.perform()
    if code or ends_chain:
        raise TaskEnded(code, ends_chain)


def _refuse_hosts(context: Any) -> None:
    """Refuse ``-H``, which would run the task once for every host.

    :raises UsageError: it was given.
    """
    if isinstance(context, Connection):
        raise UsageError("-H is not for these tasks: they find their instances by tag or by id")


@contextmanager
def _stopped_by_signals(stop: threading.Event, performance: Performance) -> Iterator[None]:
    """Take Ctrl-C and SIGTERM as the wish to stop; the second time, abandon everything at once.

    That the terminal has gone is that wish too, however often it is told; unless nohup ignores it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(*_: Any) -> None:
        if stop.is_set():
            performance.say_at_once("abandoned: what was in flight may have been done or not")
            os._exit(ABANDONED)
        stop.set()
        performance.screen.problem(
            "stopping: what is in flight is finished first; once more to abandon it"
        )

    def on_hangup(*_: Any) -> None:
        if not stop.is_set():
            on_signal()

    handlers = dict.fromkeys((signal.SIGINT, signal.SIGTERM), on_signal)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handlers[signal.SIGHUP] = on_hangup
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
