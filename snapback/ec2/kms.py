"""What KMS tells of a key, by reading it and by dry runs."""

from __future__ import annotations

from typing import Any

from snapback.core.doctor.key_checkup import ENABLED, KeyFacts
from snapback.core.doctor.probe_results import REFUSED
from snapback.ec2.calls import call
from snapback.ec2.checkup import dry_run
from snapback.errors import ApiError

_NONE_SUCH = ("NotFoundException", "InvalidArnException")
_WOULD_BE_DONE = ("DryRunOperation", "DryRunOperationException")


def key_facts(conn: Any, key: str, caller: str) -> KeyFacts:
    """Answer what can be seen of a key, and whether the caller may use it.

    The first dry run does no harm where it isn't taken as one; only behind it the second is made.

    :param conn: a client of ``kms``.
    :param key: its id, ARN or alias.
    :param caller: our own ARN.
    :raises SnapbackError: it may not be read.

    Source: kms DescribeKey; dry runs of GenerateDataKeyWithoutPlaintext, CreateGrant.
    """
    try:
        said = call(conn, "describe_key", KeyId=key)["KeyMetadata"]
    except ApiError as error:
        if error.code not in _NONE_SUCH:
            raise
        return KeyFacts(problem=f"there is no such key: {error.reason}")
    state, is_of_aws = said["KeyState"], said.get("KeyManager") == "AWS"
    if state != ENABLED or is_of_aws:
        return KeyFacts(state=state, is_of_aws=is_of_aws)
    grant = {"GranteePrincipal": caller, "Operations": ["Decrypt"]}
    tries: list[tuple[str, dict[str, Any]]] = [
        ("GenerateDataKeyWithoutPlaintext", {"KeySpec": "AES_256"}),
        ("CreateGrant", grant),
    ]
    allowed: list[str] = []
    denied: list[str] = []
    untold: list[str] = []
    for action, more in tries:
        code, _ = dry_run(conn, action, {"KeyId": key, **more})
        kind = allowed if code in _WOULD_BE_DONE else denied if code in REFUSED else untold
        kind.append(f"kms:{action}")
        if not code:
            break
    return KeyFacts(allowed=tuple(allowed), denied=tuple(denied), untold=tuple(untold))
