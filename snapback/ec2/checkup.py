"""What the doctor asks: what the caller may do, by dry runs, and who may delete snapshots."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from snapback.core.doctor.checkup import Group
from snapback.core.doctor.permission_probes import Trial
from snapback.core.doctor.probe_results import ALLOWED, State, Verdict, verdict_of
from snapback.ec2.calls import call, pages
from snapback.errors import ApiError

_WORD = re.compile(r"(?<!^)(?=[A-Z])")
_TAGS = "ec2:CreateTags"
_READS = ("DescribeRegions", "DescribeVolumes", "DescribeInstances", "DescribeKeyPairs")


def honours_dry_runs(conn: Any) -> bool | None:
    """Answer whether a dry run is one there, seen by calls that only read; ``None``: can't be told.

    An EC2 that isn't AWS's may take no notice of DryRun, and do what it was to be asked about.
    """
    for action in _READS:
        code, _ = dry_run(conn, action, {})
        if code in ("", ALLOWED):
            return code == ALLOWED
    return None


def try_it(conn: Any, trial: Trial) -> Verdict:
    """Try a permission by a dry run. Source: the parameter DryRun of each action.

    Of a trial that gives tags, whether these are allowed. A refusal that doesn't say what is
    lacking there is told apart by a second dry run, without them.
    """
    action = f"ec2:{trial.action}"
    if trial.tagged is None:
        return verdict_of(action, *dry_run(conn, trial.action, trial.parameters))
    found = verdict_of(_TAGS, *dry_run(conn, trial.action, {**trial.parameters, **trial.tagged}))
    if found.state is State.MISSING and not found.why:
        plain = verdict_of(action, *dry_run(conn, trial.action, trial.parameters))
        if plain.state is not State.ALLOWED:
            return Verdict(State.UNTRIED, f"{action} is not allowed, which goes before")
    return found


def dry_run(conn: Any, action: str, parameters: Mapping[str, Any]) -> tuple[str, str]:
    """Answer the code and the reason that EC2 answers a dry run with."""
    operation = _WORD.sub("_", action).lower()
    try:
        call(conn, operation, DryRun=True, **parameters)
    except ApiError as error:
        return error.code, error.reason
    return "", ""


def groups_by_id(conn: Any, group_ids: Sequence[str]) -> list[Group]:
    """Answer those of some security groups that are there. Source: DescribeSecurityGroups."""
    filters = [{"Name": "group-id", "Values": list(group_ids)}]
    found = pages(conn, "describe_security_groups", "SecurityGroups", Filters=filters)
    return [Group(said["GroupId"], said.get("IpPermissions", ())) for said in found]


def encryption(conn: Any) -> tuple[bool, str]:
    """Answer whether new volumes are encrypted by default, and the region's default key.

    Source: GetEbsEncryptionByDefault, GetEbsDefaultKmsKeyId.
    """
    by_default = call(conn, "get_ebs_encryption_by_default")["EbsEncryptionByDefault"]
    return bool(by_default), str(call(conn, "get_ebs_default_kms_key_id")["KmsKeyId"])


def authorization_details(conn: Any) -> list[dict[str, Any]]:
    """Answer the account's users, groups, roles and policies, in pages.

    :param conn: a client of ``iam``.

    Source: GetAccountAuthorizationDetails.
    """
    answers = [call(conn, "get_account_authorization_details")]
    while answers[-1].get("IsTruncated"):
        marker = answers[-1]["Marker"]
        answers.append(call(conn, "get_account_authorization_details", Marker=marker))
    return answers
