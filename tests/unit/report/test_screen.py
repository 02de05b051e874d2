"""The screen: what is said where, and how."""

from __future__ import annotations

import pytest

from snapback.core.model import Place
from snapback.core.model.outcome import Outcome
from snapback.report.report import Column, Report
from snapback.report.screen import Screen
from snapback.words import Word

HOSTILE = "a\x1b[31m\r\n\x9b2J\u202e\u200b\u2028\ud800\tb"
SHOWN = r"a\x1b[31m\r\n\x9b2J\u202e\u200b\u2028\ud800\tb"


@pytest.mark.parametrize(("quiet", "as_json", "said"), [(True, False, "ssh x\n"), (True, True, "")])
def test_what_was_asked_for_is_said_whatever_quiet_says(
    capsys: pytest.CaptureFixture[str], quiet: bool, as_json: bool, said: str
) -> None:
    Screen(quiet=quiet, as_json=as_json).result("ssh x")
    assert capsys.readouterr().out == said


def test_all_that_is_said_is_printable_and_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(quiet=False, as_json=False)
    Screen(quiet=True, as_json=False).result(HOSTILE)
    screen.line(HOSTILE)
    screen.progress.plan([HOSTILE])
    screen.problem(HOSTILE)
    screen.progress.alarm(HOSTILE)
    said = capsys.readouterr()
    assert said.out == f"{SHOWN}\n" * 3
    assert said.err == f"{SHOWN}\n" * 2


def test_a_report_is_printable_and_a_problem_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(subject=HOSTILE, word=Word.FAILED, explanation=HOSTILE, place=Place("x"))
    columns = [Column("what", lambda one: one.subject), Column("why", lambda one: one.explanation)]
    report = Report(outcomes=[outcome], columns=columns, summary=[HOSTILE])
    Screen(quiet=False, as_json=False).report(report)
    said = capsys.readouterr()
    assert said.out.splitlines()[1:] == [f"{SHOWN}  {SHOWN}", SHOWN]
    assert said.err == f"{SHOWN} in x: failed: {SHOWN}\n"


def test_a_table_that_can_not_be_shown_hides_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(subject="a", word=Word.FAILED, explanation="why", place=Place("x"))
    broken = [Column("what", lambda one: str(one.facts["missing"]))]
    report = Report(outcomes=[outcome], columns=broken, summary=["0 of 1"])
    with pytest.raises(KeyError):
        Screen(quiet=False, as_json=False).report(report)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("0 of 1\n", "a in x: failed: why\n")
