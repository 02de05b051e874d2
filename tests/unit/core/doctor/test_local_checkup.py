"""What `doctor` says of the configuration that is in force."""

from __future__ import annotations

from snapback.core.doctor.checkup import Level
from snapback.core.doctor.local_checkup import judge_configuration

PATH = "/srv/snapback.yaml"


def test_a_file_that_was_named_is_ok() -> None:
    line = judge_configuration("named", PATH, found_here=False, is_meant=True, doubts=())
    assert (line.level, line.subject, line.text, line.advice) == (Level.OK, PATH, "named", "")


def test_defaults_on_purpose_are_ok() -> None:
    line = judge_configuration("none", "", found_here=False, is_meant=True, doubts=())
    assert (line.level, line.subject) == (Level.OK, "none")


def test_without_a_file_one_is_to_be_written() -> None:
    line = judge_configuration("the defaults", "", found_here=False, is_meant=False, doubts=())
    assert line.level is Level.WARNING
    assert "SNAPBACK_CONFIG" in line.advice


def test_a_file_in_the_current_folder_is_to_be_named() -> None:
    line = judge_configuration("found", PATH, found_here=True, is_meant=True, doubts=())
    assert line.level is Level.WARNING
    assert f"SNAPBACK_CONFIG={PATH}" in line.advice


def test_every_doubt_is_told() -> None:
    doubts = ("everybody may write to it", "its folder /srv belongs to ann")
    line = judge_configuration("named", PATH, found_here=False, is_meant=True, doubts=doubts)
    assert line.level is Level.WARNING
    assert line.text == f"named; {doubts[0]}; {doubts[1]}"
    assert "nobody but root" in line.advice
