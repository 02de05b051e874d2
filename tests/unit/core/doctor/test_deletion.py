"""Who may delete snapshots."""

from __future__ import annotations

from typing import Any

import pytest

from snapback.core.doctor.deletion import judge_principals, who_may_delete


def statement(action: Any = "ec2:*", effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": "*", **more}


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def role(name: str, *statements: dict[str, Any]) -> dict[str, Any]:
    policy = {"PolicyName": "inline", "PolicyDocument": document(*statements)}
    return {"RoleName": name, "RolePolicyList": [policy], "AttachedManagedPolicies": []}


def deleters(*roles: dict[str, Any], **more: Any) -> list[str]:
    return [str(one) for one in who_may_delete([{"RoleDetailList": roles, **more}])]


@pytest.mark.parametrize(
    ("statements", "may"),
    [
        ([statement("*")], True),
        ([statement("ec2:*")], True),
        ([statement("ec2:Delete*")], True),
        ([statement(["s3:*", "EC2:deletesnapshot"])], True),
        ([statement("ec2:Describe*")], False),
        ([statement("ec2:DeleteSnapshot", "Deny"), statement("*")], False),
        ([{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], True),
        ([{"Effect": "Allow", "NotAction": "ec2:*", "Resource": "*"}], False),
        ([statement(Resource="arn:aws:ec2:*::snapshot/*")], True),
        ([statement(Resource="arn:aws:ec2:eu-west-1::snapshot/*")], True),
        ([statement(Resource="arn:aws:ec2:*:*:volume/*")], False),
        ([statement(Resource="arn:aws:s3:::bucket")], False),
        ([], False),
    ],
)
def test_who_may_delete_by_its_statements(statements: list[dict[str, Any]], may: bool) -> None:
    assert deleters(role("x", *statements)) == (["role x"] if may else [])


def test_conditions_are_told_and_not_judged() -> None:
    limited = statement(Condition={"Null": {"aws:ResourceTag/snapback:set": "false"}})
    assert deleters(role("trim", limited)) == ["role trim (on conditions)"]
    denied = statement("*", "Deny", Condition={"Bool": {"aws:MultiFactorAuthPresent": "false"}})
    assert deleters(role("admin", statement("*"), denied)) == ["role admin (on conditions)"]
    assert deleters(role("both", statement("*"), limited)) == ["role both"]


def test_managed_policies_and_groups_count() -> None:
    managed = {
        "Arn": "arn:aws:iam::aws:policy/AdministratorAccess",
        "PolicyVersionList": [
            {"IsDefaultVersion": True, "Document": document(statement("*"))},
            {"IsDefaultVersion": False, "Document": document()},
        ],
    }
    attached = [{"PolicyName": "x", "PolicyArn": managed["Arn"]}]
    group = {"GroupName": "ops", "GroupPolicyList": [], "AttachedManagedPolicies": attached}
    users = [
        {"UserName": "alice", "GroupList": ["ops"]},
        {"UserName": "bob", "GroupList": []},
        {"UserName": "carol", "AttachedManagedPolicies": attached},
    ]
    found = deleters(Policies=[managed], GroupDetailList=[group], UserDetailList=users)
    assert found == ["user alice", "user carol"]


def test_a_single_statement_needs_no_list() -> None:
    policy = {"PolicyName": "x", "PolicyDocument": {"Statement": statement("*")}}
    assert deleters({"RoleName": "x", "RolePolicyList": [policy]}) == ["role x"]


def test_the_line_names_them_all_or_says_how_many_more() -> None:
    found = who_may_delete([{"RoleDetailList": [role(f"r{n:02}", statement()) for n in range(20)]}])
    line = judge_principals(found, "123456789012")
    assert "role r00, role r01" in line.text
    assert "and 8 more" in line.text
    assert len(line.facts["principals"]) == 20
    assert "nobody but the root user" in judge_principals([], "1").text
