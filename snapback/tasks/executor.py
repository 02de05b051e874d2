"""Chains: ``fab backup_instances_by_tag trim_snapshots`` runs every task, and ends with the worst.

Invoke by itself stops at the first task that fails. Named in ``fabric.yaml``
(``tasks: {executor_class: snapback.tasks.executor.ChainExecutor}``), this runs the rest all the
same; only wrong usage, a broken configuration and Ctrl-C end the chain.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence
from inspect import signature
from typing import Any

from fabric.executor import Executor
from invoke.exceptions import Exit

from snapback.words import Word, worst_of

UNKNOWN = 3
REFUSED = 2
NO_DRY_RUN = {"mount_snapshot"}  # of those that change something; --dry is refused


class TaskEnded(Exit):
    """A task of ours has ended, not with 0 or not so that the chain goes on; all was said already.

    :ivar task_code: the task's exit code: 0 where it was asked to stop, and had done all by then.
    :ivar ends_chain: whether the tasks behind it must not run either.
    """

    def __init__(self, code: int, ends_chain: bool = False) -> None:
        # Invoke's own executor ends with this code, and can't tell whether it leaves tasks undone.
        super().__init__(code=code or 1)
        self.task_code = code
        self.ends_chain = ends_chain


class ChainExecutor(Executor):  # type: ignore[misc]
    """Runs every task of a chain, whatever one of ours meets; exits with the worst code."""

    def execute(self, *tasks: Any) -> dict[Any, Any]:
        """Run the tasks.

        :raises TaskEnded: not all ended with 0; with the worst code.
        :raises Exit: the chain is a dry run in part only; no task has run.
        """
        self._refuse_half_dry(tasks)
        results: dict[Any, Any] = {}
        codes = []
        left = self._distinct(tasks)
        while left:
            name, arguments = left.pop(0)
            try:
                results |= super().execute((name, arguments))
            except TaskEnded as ended:
                codes.append(ended.task_code)
                if ended.ends_chain:
                    codes += _not_begun(left, ended.task_code)
                    break
        _end_of_signals()
        if any(codes):
            raise TaskEnded(worst_of(codes))
        return results

    def _refuse_half_dry(self, tasks: tuple[Any, ...]) -> None:
        """Refuse a chain in which some tasks are dry runs, and others would change something.

        ``trim_snapshots backup_instances_by_tag --dry-run`` gives the option to the last task only,
        and whoever types it means both.

        :raises Exit: it is one.
        """
        changing = [call for call in self.expand_calls(self.normalize(tasks)) if _changes(call)]
        dry = [call.task.body.__name__ for call in changing if self._is_dry(call)]
        wet = [call.task.body.__name__ for call in changing if not self._is_dry(call)]
        if not (dry and wet):
            return
        undryable = sorted(NO_DRY_RUN.intersection(wet))
        advice = (
            f"leave out {undryable[0]}, which has none"
            if undryable
            else "give --dry-run to each of them, or --dry before the first, which holds for all"
        )
        raise Exit(
            f"nothing was done: {_names(dry)} would be a dry run, but {_names(wet)} would not: "
            f"{advice}",
            code=REFUSED,
        )

    def _is_dry(self, call: Any) -> bool:
        """Return whether a call is a dry run, with the settings that Invoke will run it with."""
        if call.task.body.__name__ in NO_DRY_RUN:
            return False
        self.config.load_collection(self.collection.configuration(call.called_as))
        self.config.load_shell_env()
        return bool(call.kwargs.get("dry_run") or self.config.run.dry)

    def _distinct(self, tasks: tuple[Any, ...]) -> list[tuple[str, dict[str, Any]]]:
        """Answer the calls asked for, each once where Invoke would run it once."""
        calls = [(call.called_as, dict(call.kwargs)) for call in self.normalize(tasks)]
        if not self.config.tasks.get("dedupe", True):
            return calls
        return [call for number, call in enumerate(calls) if call not in calls[:number]]


def _not_begun(left: Sequence[tuple[str, Any]], code: int) -> list[int]:
    """Say which tasks of a chain were not begun; return the exit code of that, where it counts.

    :param code: that of the task that ended the chain: if it isn't 0, it says why it did.
    """
    if not left:
        return []
    sys.stderr.write(f"not begun: {_names([name for name, _ in left])}\n")
    return [] if code else [Word.NOT_DONE.exit_code]


def _end_of_signals() -> None:
    """Let no signal change the exit code once all tasks have ended; a second one ends at once."""
    if threading.current_thread() is not threading.main_thread():
        return

    def ignore_once(number: int, _: Any) -> None:
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, ignore_once)


def _changes(call: Any) -> bool:
    """Return whether a call is of a task of ours that changes something, unless it is a dry run."""
    body = call.task.body
    if not getattr(body, "__module__", "").startswith("snapback.tasks."):
        return False
    return body.__name__ in NO_DRY_RUN or "dry_run" in signature(body).parameters


def _names(names: list[str]) -> str:
    return ", ".join(dict.fromkeys(names))
