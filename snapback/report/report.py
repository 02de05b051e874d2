"""A task's report: the same facts for the terminal, for plain lines and for ``--json``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from snapback.core.model.outcome import Outcome
from snapback.words import Word, worst_of

if TYPE_CHECKING:
    from snapback.run import Run


@dataclass(frozen=True)
class Column:
    """A column of the table: its title, and how to read its cell off an outcome."""

    title: str
    cell: Callable[[Outcome], str]


ACCOUNT = Column("account", lambda outcome: outcome.place.account)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a task has to say at its end.

    :ivar outcomes: what became of every item; a row and a JSON item each.
    :ivar summary: lines below the table.
    :ivar facts: what else goes into the JSON document.
    :ivar verdict: the exit code, where it isn't the worst of the outcomes'.
    """

    outcomes: Sequence[Outcome]
    columns: Sequence[Column]
    summary: Sequence[str] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    verdict: int | None = None

    @property
    def shown(self) -> tuple[Column, ...]:
        """The columns of the table: that of the accounts first, where any is named."""
        named = any(outcome.place.account for outcome in self.outcomes)
        return (ACCOUNT, *self.columns) if named and self.columns else tuple(self.columns)

    @property
    def exit_code(self) -> int:
        """The verdict, or else the worst of the outcomes'."""
        if self.verdict is not None:
            return self.verdict
        return worst_of(outcome.exit_code for outcome in self.outcomes)


def fact(name: str) -> Callable[[Outcome], str]:
    """Answer the cell that shows a fact; a list shows its items."""

    def cell(outcome: Outcome) -> str:
        found = outcome.facts.get(name, "")
        return ", ".join(map(str, found)) if isinstance(found, list) else str(found)

    return cell


def count(name: str) -> Callable[[Outcome], str]:
    """Answer the cell that shows how many items a fact lists."""
    return lambda outcome: str(len(outcome.facts[name])) if name in outcome.facts else ""


def tally(outcomes: Iterable[Outcome], *, but: Collection[Word] = ()) -> list[str]:
    """Return how many outcomes there are of each word, as ``2 failed``.

    :param but: the words that are told otherwise.
    """
    found = Counter(outcome.word for outcome in outcomes)
    return [f"{found[word]} {word}" for word in Word if found[word] and word not in but]


def in_words(outcome: Outcome) -> str:
    """Answer the outcome's word with its explanation."""
    return f"{outcome.word}: {outcome.explanation}" if outcome.explanation else str(outcome.word)


def document(
    task: str, run: Run, dry_run: bool, report: Report | None, exit_code: int, error: str = ""
) -> dict[str, Any]:
    """Return the JSON document of a task. Docs: "JSON output"."""
    source = run.loaded.source
    items = [
        {
            "outcome": outcome.word.text,
            "explanation": outcome.explanation,
            "subject": outcome.subject,
            "region": outcome.place.region,
            "account": outcome.place.account,
            **outcome.facts,
        }
        for outcome in (report.outcomes if report else ())
    ]
    return {
        "task": task,
        "run": run.run_id,
        "dry_run": dry_run,
        "config": str(source.path) if source.path else None,
        "config_choice": source.choice.value,
        "exit_code": exit_code,
        "error": error or None,
        "items": items,
        **(report.facts if report else {}),
    }
