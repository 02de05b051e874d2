"""Chains: ``fab backup_instances_by_tag trim_snapshots`` runs every task, and ends with the worst.

Invoke by itself stops at the first task that fails. Named in ``fabric.yaml``
(``tasks: {executor_class: snapback.tasks.executor.ChainExecutor}``), this runs the rest all the
same; only wrong usage, a broken configuration and Ctrl-C end the chain.
"""

from __future__ import annotations

from typing import Any

from fabric.executor import Executor
from invoke.exceptions import Exit

from snapback.errors import worst_of

UNKNOWN = 3


class TaskEnded(Exit):
    """A task of ours has ended with an exit code other than 0; all was said already.

    :ivar ends_chain: whether the tasks behind it must not run either.
    """

    def __init__(self, code: int, ends_chain: bool = False) -> None:
        super().__init__(code=code)
        self.ends_chain = ends_chain


class ChainExecutor(Executor):  # type: ignore[misc]
    """Runs every task of a chain, whatever one of ours meets; exits with the worst code."""

    def execute(self, *tasks: Any) -> dict[Any, Any]:
        """Run the tasks.

        :raises TaskEnded: not all ended with 0; with the worst code.
        """
        results: dict[Any, Any] = {}
        codes = []
        for name, arguments in self._distinct(tasks):
            try:
                results |= super().execute((name, arguments))
            except TaskEnded as ended:
                codes.append(ended.code)
                if ended.ends_chain:
                    break
        if any(codes):
            raise TaskEnded(worst_of(codes))
        return results

    def _distinct(self, tasks: tuple[Any, ...]) -> list[tuple[str, dict[str, Any]]]:
        """Answer the calls asked for, each once where Invoke would run it once."""
        calls = [(call.called_as, dict(call.kwargs)) for call in self.normalize(tasks)]
        if not self.config.tasks.get("dedupe", True):
            return calls
        return [call for number, call in enumerate(calls) if call not in calls[:number]]
