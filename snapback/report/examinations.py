"""The report of an examination: a line each, and the statements that are to be added."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from snapback.core.doctor.checkup import Level, Line
from snapback.core.doctor.permissions import Need, merged
from snapback.core.model.outcome import Outcome
from snapback.report.report import Column, Report, fact
from snapback.words import Word

WORDS = {Level.OK: Word.OK, Level.WARNING: Word.WARNING, Level.FAILURE: Word.FAILED}
COLUMNS = (
    Column("check", fact("check")),
    Column("of", lambda outcome: outcome.subject),
    Column("state", lambda outcome: str(outcome.word)),
    Column("what was found", lambda outcome: outcome.explanation),
)


def examination_report(lines: Sequence[Line], lacking: Sequence[Need]) -> Report:
    """Answer the report of what was found."""
    statements = merged(lacking)
    return Report(
        outcomes=[_outcome(line) for line in lines],
        columns=COLUMNS,
        summary=[*_statements(statements), _count(lines)],
        facts={"statements": statements},
    )


def _outcome(line: Line) -> Outcome:
    return Outcome(
        subject=line.subject,
        word=WORDS[line.level],
        explanation=f"{line.text}: {line.advice}" if line.advice else line.text,
        place=line.place,
        facts={"check": line.check, "found": line.text, "advice": line.advice, **line.facts},
    )


def _statements(statements: Sequence[dict[str, object]]) -> list[str]:
    if not statements:
        return []
    told = [json.dumps(statement, indent=2) for statement in statements]
    return ["to be added to the policy:", *",\n".join(told).split("\n")]


def _count(lines: Sequence[Line]) -> str:
    found = Counter(line.level for line in lines)
    return f"{found[Level.OK]} ok, {found[Level.WARNING]} to be looked at, " + (
        f"{found[Level.FAILURE]} to be mended" if found[Level.FAILURE] else "nothing to be mended"
    )
