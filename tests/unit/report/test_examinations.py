"""What doctor found, as a report."""

from __future__ import annotations

import json

from snapback.core.doctor.permissions import Need
from snapback.report.examinations import examination_report


def test_the_statements_to_be_added_are_lines_of_the_summary() -> None:
    needs = [
        Need(f"ec2:{name}", {"Sid": name, "Action": [f"ec2:{name}"], "Resource": "*"}, "a_policy")
        for name in ("A", "B")
    ]
    report = examination_report([], needs)
    first, *lines, _ = report.summary
    assert first == "to be added to the policy:"
    assert json.loads("[" + "\n".join(lines) + "]") == report.facts["statements"]
    assert all("\n" not in line for line in report.summary)
