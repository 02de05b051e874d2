"""Key pairs, of which EC2 makes only one of a name: what two machines can't both create."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snapback.ec2.calls import call
from snapback.ec2.tags import write_tags
from snapback.errors import ApiError

_DUPLICATE = "InvalidKeyPair.Duplicate"


def create_key_pair(conn: Any, key_name: str, tags: Mapping[str, str]) -> str | None:
    """Make a key pair, forget its private key, answer its id; ``None`` where the name is taken.

    Source: CreateKeyPair.
    """
    specification = [{"ResourceType": "key-pair", "Tags": write_tags(tags)}]
    try:
        answer = call(
            conn,
            "create_key_pair",
            KeyName=key_name,
            KeyType="ed25519",
            TagSpecifications=specification,
        )
    except ApiError as error:
        if error.code == _DUPLICATE:
            return None
        raise
    return str(answer["KeyPairId"])


def delete_key_pair(conn: Any, key_pair_id: str) -> None:
    """Delete a key pair; that it is gone already is as well. Source: DeleteKeyPair.

    By its id: one of the same name that somebody has made since is another.
    """
    try:
        call(conn, "delete_key_pair", KeyPairId=key_pair_id)
    except ApiError as error:
        if not error.code.startswith("InvalidKeyPair"):
            raise
