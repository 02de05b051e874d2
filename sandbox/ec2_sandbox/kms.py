"""KMS, as far as it tells of the keys of EBS: which there are, and whether they may be used.

A key may be used as the settings say (``kms_keys``, ``denied``). Data are never encrypted here, so
of what uses a key only the dry run is answered.

Source: https://docs.aws.amazon.com/kms/latest/APIReference/
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ec2_sandbox.corrections.kms import default_key, key_problem
from ec2_sandbox.errors import ApiError

OF_EBS = "alias/aws/ebs"
_USES = ("CreateGrant", "Decrypt", "GenerateDataKeyWithoutPlaintext", "ReEncrypt")


def answer(
    action: str, body: bytes, region: str, account: str, known: Sequence[str] | None
) -> dict[str, Any]:
    """Answers DescribeKey, or the dry run of what uses a key.

    :param known: the keys there are; None for any that is well-formed and of the region
    :raises ApiError: there is no such key, or no such action here; so a dry run ends, too
    """
    asked = json.loads(body or b"{}")
    key = asked.get("KeyId", "")
    of_ebs = key in (OF_EBS, default_key(region, account))
    if not of_ebs and key_problem(key, region, known):
        raise ApiError("NotFoundException", f"Key {key!r} does not exist")
    if action == "DescribeKey":
        arn = key if key.startswith("arn:") else f"arn:aws:kms:{region}:{account}:key/{key}"
        told = {
            "Arn": default_key(region, account) if of_ebs else arn,
            "KeyId": arn.rpartition("/")[2],
            "KeyManager": "AWS" if of_ebs else "CUSTOMER",
            "KeyState": "Enabled",
            "Enabled": True,
        }
        return {"KeyMetadata": told}
    if action in _USES and asked.get("DryRun"):
        raise ApiError("DryRunOperationException", "The request would have succeeded.", 412)
    raise ApiError("UnsupportedOperationException", f"{action} is not in the sandbox.")
