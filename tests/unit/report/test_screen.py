"""The screen: what is said where."""

from __future__ import annotations

import pytest

from snapback.report.screen import Screen


@pytest.mark.parametrize(("quiet", "as_json", "said"), [(True, False, "ssh x\n"), (True, True, "")])
def test_what_was_asked_for_is_said_whatever_quiet_says(
    capsys: pytest.CaptureFixture[str], quiet: bool, as_json: bool, said: str
) -> None:
    Screen(quiet=quiet, as_json=as_json).result("ssh x")
    assert capsys.readouterr().out == said
