"""Sessions: the AWS chain's, and those of roles, assumed when needed and anew in time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore import exceptions as aws
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialResolver,
    DeferredRefreshableCredentials,
)
from botocore.session import Session

from snapback.ec2.answers import Answers
from snapback.ec2.calls import in_our_words
from snapback.errors import CredentialsError, SnapbackError


@dataclass(frozen=True)
class Role:
    """A role that gives access to an account.

    :ivar account: the account's name in the configuration.
    :ivar arn: the role's.
    :ivar external_id: what its trust policy demands, or ``""``.
    :ivar session_name: by which CloudTrail there knows who came.
    """

    account: str
    arn: str
    external_id: str
    session_name: str


def new_session() -> Session:
    """Answer a session whose clients read answers quickly."""
    session = Session()
    session.register_component("response_parser_factory", Answers())
    return session


class _Given(CredentialResolver):
    """Answers some credentials, wherever they were found."""

    def __init__(self, credentials: DeferredRefreshableCredentials) -> None:
        super().__init__([])
        self._credentials = credentials

    def load_credentials(self) -> DeferredRefreshableCredentials:
        return self._credentials


def session_in(role: Role, source: Session, make_sts: Callable[..., Any]) -> Session:
    """Answer a session that works in a role's account. Calls nothing yet.

    botocore itself assumes the role when a call has to be signed, and once more where less than 15
    minutes are left of its credentials.

    :param source: whose credentials may assume the role.
    :param make_sts: makes an STS client, given ``"sts"`` and the credentials.
    :raises CredentialsError: the source has none.

    Source: STS AssumeRole.
    """
    credentials = source.get_credentials()
    if credentials is None:
        raise in_our_words(aws.NoCredentialsError(), "AssumeRole", "")
    asked = {"RoleSessionName": role.session_name}
    if role.external_id:
        asked["ExternalId"] = role.external_id
    fetcher = AssumeRoleCredentialFetcher(make_sts, credentials, role.arn, asked)

    def assume() -> dict[str, Any]:
        try:
            found: dict[str, Any] = fetcher.fetch_credentials()
        except (aws.BotoCoreError, aws.ClientError) as error:
            raise _refusal(role, error) from error
        return found

    session = new_session()
    session.register_component("data_loader", source.get_component("data_loader"))  # read once
    given = _Given(DeferredRefreshableCredentials(assume, "assume-role"))
    session.register_component("credential_provider", given)
    return session


def _refusal(role: Role, error: Exception) -> SnapbackError:
    """Answer why a role can't be assumed, in our words."""
    if isinstance(error, aws.ClientError):
        said = error.response["Error"]
        reason = f"{said.get('Code', '')}: {' '.join(said.get('Message', '').split())}"
        return CredentialsError(
            f"the role {role.arn} of the account {role.account} can't be assumed ({reason}): see "
            "its trust policy, its external id, and whether these credentials may assume it"
        )
    return in_our_words(error, "AssumeRole", f"the account {role.account}")
