"""KMS keys, as far as EBS looks at them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence

_KEY = re.compile(r"(?:mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|alias/[\w/-]+)")
_ARN = re.compile(r"arn:aws[\w-]*:kms:(?P<region>[\w-]+):\d{12}:(?:key/)?(?P<key>.+)")


def default_key(region: str, account: str) -> str:
    """Answers the ARN of a region's default key for EBS."""
    key = uuid.uuid5(uuid.NAMESPACE_URL, f"{region}/{account}/aws/ebs")
    return f"arn:aws:kms:{region}:{account}:key/{key}"


def key_problem(key: str, region: str, known: Sequence[str] | None) -> str | None:
    """Answers the StateMessage of a snapshot whose key can't be used; None when it can.

    :param known: the keys there are; None for any that is well-formed and of the region
    """
    arn = _ARN.fullmatch(key)
    well_formed = bool(_KEY.fullmatch(arn["key"] if arn else key))
    here = arn is None or arn["region"] == region
    if well_formed and here and (known is None or key in known):
        return None
    return "Given key ID is not accessible"
