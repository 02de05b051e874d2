"""Sessions: the AWS chain's, and those of roles, assumed when needed and anew in time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from botocore import exceptions as aws
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialResolver,
    DeferredRefreshableCredentials,
)
from botocore.parsers import ResponseParserError, ResponseParserFactory
from botocore.session import Session
from botocore.utils import parse_timestamp

from snapback.core.secrets import keep
from snapback.ec2.calls import in_our_words
from snapback.errors import CredentialsError, SnapbackError

LONG = 1 << 20  # bytes of an answer


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


class _Parsers(ResponseParserFactory):
    """botocore's own parsers; of long answers they parse one after the other.

    A page of a thousand instances takes 40 MiB while it is parsed, and each region may have one.
    """

    def create_parser(self, protocol_name: str) -> Any:
        parser: Any = super().create_parser(protocol_name)
        parser.parse = partial(_parse, parser.parse)
        return parser


_long_one = threading.Lock()


def _parse(parse: Callable[..., Any], response: Mapping[str, Any], shape: Any) -> Any:
    if len(response["body"]) < LONG:
        return parse(response, shape)
    with _long_one:
        return parse(response, shape)


def new_session() -> Session:
    """Answer a session that reads times as quickly as Python can: most of an answer are times."""
    session = Session()
    parsers = _Parsers()
    parsers.set_parser_defaults(timestamp_parser=read_time)
    session.register_component("response_parser_factory", parsers)
    return session


def read_time(text: Any) -> datetime:
    """Answer the time that an answer says, aware; EC2 writes ``2026-11-24T03:00:00.000Z``.

    :raises ValueError: it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return parse_timestamp(text)  # seconds since 1970, RFC 822, and what else there is
    return found if found.tzinfo else found.replace(tzinfo=UTC)


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
        keep(role.external_id)
    fetcher = AssumeRoleCredentialFetcher(make_sts, credentials, role.arn, asked)

    def assume() -> dict[str, Any]:
        try:
            found: dict[str, Any] = fetcher.fetch_credentials()
        except (aws.BotoCoreError, aws.ClientError, ResponseParserError) as error:
            raise _refusal(role, error) from error
        if read_time(found["expiry_time"]) <= datetime.now(UTC):
            raise CredentialsError(
                f"the credentials of the role {role.arn} have expired as soon as they were given: "
                "see that this machine's clock is right"
            )
        return found

    session = new_session()
    session.register_component("data_loader", source.get_component("data_loader"))  # read once
    given = _Given(DeferredRefreshableCredentials(assume, "assume-role"))
    session.register_component("credential_provider", given)
    return session


def _is_servers_fault(error: aws.ClientError) -> bool:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500


def _refusal(role: Role, error: Exception) -> SnapbackError:
    """Answer why a role can't be assumed, in our words."""
    if isinstance(error, aws.ClientError) and not _is_servers_fault(error):
        said = error.response["Error"]
        reason = f"{said.get('Code', '')}: {' '.join(said.get('Message', '').split())}"
        return CredentialsError(
            f"the role {role.arn} of the account {role.account} can't be assumed ({reason}): see "
            "its trust policy, its external id, and whether these credentials may assume it"
        )
    return in_our_words(error, "AssumeRole", f"the account {role.account}")
