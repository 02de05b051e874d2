"""The settings of several AWS accounts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Annotated

from pydantic import Field

from snapback.config.fields import RegionName, Strict

AccountName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
RoleArn = Annotated[
    str, Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$")
]
ExternalId = Annotated[
    str, Field(min_length=2, max_length=1224, pattern=r"^[A-Za-z0-9_+=,.@:/-]+$")
]


class Account(Strict):
    """An account, and the role that gives access to it. Docs: "Several accounts"."""

    name: AccountName = Field(description="what it is called here, in tables, and by `--account`")
    role_arn: RoleArn | None = Field(
        None,
        description="the role to assume there; left out: it is the account of the AWS chain's own "
        "credentials",
    )
    external_id: ExternalId | None = Field(
        None, description="the external id that the role's trust policy demands"
    )
    regions: list[RegionName] | None = Field(
        None,
        min_length=1,
        description="its regions in use; left out: those of `regions`, or else all that are "
        "enabled for it",
    )

    @property
    def account_id(self) -> str:
        """The number of the account, as far as it is known from the role; or ``""``."""
        return self.role_arn.split(":")[4] if self.role_arn else ""


def all_differ(accounts: Sequence[Account]) -> Sequence[Account]:
    """Answer the accounts, if nothing would be done twice.

    :raises ValueError: two have one name, or are the same account in the same region.
    """
    for one, other in combinations(accounts, 2):
        if one.name == other.name:
            raise ValueError(f"two accounts are called {one.name}")
        if one.account_id == other.account_id and _overlap(one, other):
            which = one.account_id or "that of the AWS chain's own credentials"
            raise ValueError(f"{one.name} and {other.name} are one account, {which}")
    for one in accounts:
        if one.external_id and not one.role_arn:
            raise ValueError(f"{one.name} has an external_id and no role_arn")
        if one.regions and len(set(one.regions)) < len(one.regions):
            raise ValueError(f"{one.name} names a region twice")
    return accounts


def _overlap(one: Account, other: Account) -> bool:
    if one.regions is None or other.regions is None:
        return True
    return bool(set(one.regions) & set(other.regions))
