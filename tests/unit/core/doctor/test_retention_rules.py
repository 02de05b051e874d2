"""What the rules of the Recycle Bin keep: our snapshots, and temporary volumes."""

from __future__ import annotations

from typing import Any

import pytest

from snapback.core.doctor.checkup import Level
from snapback.core.doctor.retention_rules import Rule, judge_bin, judge_temporary_volumes
from snapback.core.leases.lease import marks
from snapback.core.model import Place
from tests.unit.builders import at

HERE = Place("us-east-1")
OURS = {"Earmarking": "production", "snapback:set": "set-1"}
TEMPORARY = marks("run-1", "blank volume", "token", at("2026-11-24T03:00"))


def rule(days: int = 7, **more: Any) -> Rule:
    return Rule(**{"days": days, "tags": {}, "exclude_tags": {}, "rule_id": "0123abcdefg", **more})


@pytest.mark.parametrize(
    ("rules", "days"),
    [
        ([], 0),
        ([rule()], 7),
        ([rule(3), rule(9)], 9),
        ([rule(tags={"Earmarking": "production"})], 7),
        ([rule(tags={"Earmarking": ""})], 7),
        ([rule(tags={"other": "", "snapback:set": ""})], 7),
        ([rule(tags={"Earmarking": "test"})], 0),
        ([rule(exclude_tags={"Earmarking": "production"})], 0),
        ([rule(exclude_tags={"other": ""})], 7),
        ([rule(5, exclude_tags={"Earmarking": ""}), rule(2, tags={"snapback:set": ""})], 2),
        ([rule(is_available=False)], 0),
        ([rule(9, is_available=False), rule(2)], 2),
    ],
)
def test_a_rule_keeps_what_has_its_tags(rules: list[Rule], days: int) -> None:
    line = judge_bin(HERE, rules, [OURS])
    assert line.facts["days"] == days
    assert line.level is (Level.OK if days else Level.WARNING)
    assert (f"{days} days" in line.text) is bool(days)


def test_each_snapshot_has_to_be_kept() -> None:
    rules = [rule(9, tags={"Earmarking": ""}), rule(3, tags={"Name": "db"})]
    both = judge_bin(HERE, rules, [OURS, {"Name": "db"}])
    assert (both.level, both.facts["days"]) == (Level.OK, 3)
    one = judge_bin(HERE, rules, [OURS, {"Name": "web"}])
    assert one.level is Level.WARNING
    assert "no rule keeps 1 of our 2 snapshots" in one.text


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        (rule(), "add the exclusion tag snapback:expires to the rule"),
        (rule(is_locked=True), "unlock the rule, and add the exclusion tag snapback:expires"),
        (rule(exclude_tags={"Name": "x"}), "add the exclusion tag snapback:expires"),
        (rule(tags={"snapback:run": "", "Name": "x"}), "take snapback:run out of the tags"),
        (rule(tags={"Name": "snapback blank volume"}), "take Name out of the tags"),
        (rule(exclude_tags={"snapback:expires": ""}), ""),
        (rule(exclude_tags={"Name": "snapback blank volume"}), ""),
        (rule(tags={"Earmarking": "production"}), ""),
        (rule(tags={"snapback:run": "run-0"}), ""),
        (rule(is_available=False), ""),
    ],
)
def test_a_rule_that_keeps_temporary_volumes_is_a_warning(given: Rule, advice: str) -> None:
    lines = judge_temporary_volumes(HERE, [given], [TEMPORARY])
    assert len(lines) == bool(advice)
    for line in lines:
        assert line.level is Level.WARNING
        assert "0123abcdefg" in line.text
        assert "7 days" in line.text
        assert line.advice.startswith(advice)
