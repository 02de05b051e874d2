"""How calls are repeated, and what their failures are called.

botocore's own retries are off (their defaults change between releases). One policy, hooked into
every client, decides instead, for snapback's calls and for those that a caller of
``get_region_conn`` makes:

- throttled (``RequestLimitExceeded``): the call never took effect; repeated, each time when the
  pace of that action at that place (:mod:`snapback.ec2.pace`) has a turn for it;
- never connected: repeated a few times;
- answer lost, or an error of the server: repeated a few times, unless a repetition could do the
  thing twice: CreateSnapshot, CreateSnapshots and CopySnapshot take no ClientToken, so
  :class:`~snapback.errors.LostAnswer` is raised, and who called looks before calling again.

Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/query-api-troubleshooting.html
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

from botocore import exceptions as aws
from botocore.parsers import ResponseParserError

from snapback.core.secrets import redact
from snapback.core.text import abridged, is_page, plain_body
from snapback.ec2.pace import Pace, Turn, Wait
from snapback.errors import (
    ApiError,
    CredentialsError,
    LostAnswer,
    NetworkError,
    SnapbackError,
    UsageError,
)

NOT_REPEATABLE = {"CreateSnapshot", "CreateSnapshots", "CopySnapshot"}
NEW_WORK = NOT_REPEATABLE | {"DeleteSnapshot"}
THROTTLED = {
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "Throttling",
    "ThrottlingException",
}
LONGEST_THROTTLED_S = 15 * 60.0
MOST_REPEATED = 5
LONGEST_PAUSE_S = 20.0
FIRST_PAUSE_S = 0.25

_QUOTED_BODY = re.compile(
    r"""succeed:\nb(['"])((?:[^\\'"\n]|\\.|(?!\1)['"]){0,8192}+)""", re.DOTALL
)
_CUT_ESCAPE = re.compile(r"((?:\\\\)*)\\(?:x[0-9a-f]?)?\Z")

_TURN = "snapback_turn"
_LOST = "snapback_answer_lost"

_NEVER_CONNECTED = (
    aws.ConnectTimeoutError,
    aws.EndpointConnectionError,
    aws.ProxyConnectionError,
    aws.SSLError,
)
_LOST_ON_THE_WAY = (aws.HTTPClientError, aws.ConnectionError, ResponseParserError)
_NO_CREDENTIALS = (
    aws.ConfigParseError,
    aws.CredentialRetrievalError,
    aws.InvalidConfigError,
    aws.NoAuthTokenError,
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
    aws.ProfileNotFound,
    aws.SSOError,
    aws.TokenRetrievalError,
)
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_NOT_ACCEPTED = {
    "AuthFailure",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "MissingAuthenticationToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}


class RetryPolicy:
    """Decides when a call is made, and whether again; hooked to the events of one place's client.

    A run that is asked to stop gives up calls that begin something; those that finish what is in
    flight are still made and repeated.

    :param pause: waits for so many seconds, or raises :class:`~snapback.errors.Interrupted`.
    :param sleep: waits in any case.
    :param pace_of: answers the pace of an action at this place.
    """

    def __init__(self, pause: Wait, sleep: Wait, pace_of: Callable[[str], Pace]) -> None:
        self._pause = pause
        self._sleep = sleep
        self._pace_of = pace_of

    def hook(self, events: Any, service: str) -> None:
        """Have this policy in force for a client."""
        events.register(f"before-call.{service}", self.before)
        events.register(f"needs-retry.{service}", self.again)
        events.register(f"after-call.{service}", self.after)
        events.register(f"after-call-error.{service}", self.after)

    def before(self, model: Any, context: dict[str, Any], **_: Any) -> None:
        """Wait for the call's turn."""
        turn = self._pace_of(model.name).begin(self._wait_of(model.name))
        context[_TURN] = turn

    def after(
        self, context: dict[str, Any], parsed: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """Record that the call is over, and in its answer whether an earlier one was lost."""
        context.pop(_TURN).end()
        if context.pop(_LOST, False) and parsed:
            parsed.setdefault("ResponseMetadata", {})[_LOST] = True

    def again(
        self,
        attempts: int,
        operation: Any,
        request_dict: dict[str, Any],
        response: tuple[Any, dict[str, Any]] | None = None,
        caught_exception: Exception | None = None,
        **_: Any,
    ) -> float | None:
        """Answer 0 to have the call repeated, after having waited; ``None`` to let it be."""
        turn: Turn = request_dict["context"][_TURN]
        wait = self._wait_of(operation.name)
        if _note(turn, response):
            if turn.waited_s > LONGEST_THROTTLED_S:
                return None
        elif attempts >= _most_attempts(operation.name, response, caught_exception):
            return None
        else:
            if _may_have_succeeded(response, caught_exception):
                request_dict["context"][_LOST] = True
            pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(attempts, 10))
            wait(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 (jitter, not a secret)
        turn.wait(wait)
        return 0

    def _wait_of(self, action: str) -> Wait:
        return self._pause if action in NEW_WORK else self._sleep


class AtOncePolicy:
    """Never has a call wait or be repeated; who calls it has a turn for it already.

    :param pace_of: answers the pace of an action at this place.
    """

    def __init__(self, pace_of: Callable[[str], Pace]) -> None:
        self._pace_of = pace_of

    def hook(self, events: Any, service: str) -> None:
        """Have this policy in force for a client."""
        events.register(f"before-call.{service}", self.before)
        events.register(f"needs-retry.{service}", self.again)

    def before(self, model: Any, context: dict[str, Any], **_: Any) -> None:
        """Take note of when the call is sent."""
        context[_TURN] = Turn(self._pace_of(model.name))

    def again(
        self,
        request_dict: dict[str, Any],
        response: tuple[Any, dict[str, Any]] | None = None,
        **_: Any,
    ) -> None:
        """Take note of what EC2 said, and let it be."""
        _note(request_dict["context"][_TURN], response)


def _note(turn: Turn, response: tuple[Any, dict[str, Any]] | None) -> bool:
    """Tell the pace what EC2 said; answer whether it refused the call for its rate."""
    throttled = _code(response) in THROTTLED
    if throttled:
        turn.refused()
    elif response:
        turn.served()
    return throttled


def _most_attempts(
    action: str, response: tuple[Any, dict[str, Any]] | None, error: Exception | None
) -> int:
    """Answer how often a call is made at most, given how it ended this time."""
    code = _code(response)
    if isinstance(error, _NEVER_CONNECTED):
        return MOST_REPEATED
    if action == "CreateTags" and code.endswith(".NotFound"):
        return MOST_REPEATED + 2  # what was made a moment ago may not be seen everywhere yet
    if _may_have_succeeded(response, error) and action not in NOT_REPEATABLE:
        return MOST_REPEATED
    return 1


def _may_have_succeeded(
    response: tuple[Any, dict[str, Any]] | None, error: Exception | None
) -> bool:
    """Return whether a call's answer was lost, so that it may have taken effect."""
    if isinstance(error, _NEVER_CONNECTED):
        return False
    return isinstance(error, _LOST_ON_THE_WAY) or _status(response) >= 500


def _code(response: tuple[Any, dict[str, Any]] | None) -> str:
    return str(response[1].get("Error", {}).get("Code", "")) if response else ""


def _status(response: tuple[Any, dict[str, Any]] | None) -> int:
    return int(response[0].status_code) if response else 0


def call(conn: Any, operation: str, **parameters: Any) -> dict[str, Any]:
    """Call an API operation and answer its answer.

    :param conn: a boto3 client.
    :param operation: boto3's name of it, ``"describe_snapshots"``.
    :raises SnapbackError: whatever went wrong, in our words: see :mod:`snapback.errors`.
    """
    action = conn.meta.method_to_api_mapping[operation]
    try:
        answer: dict[str, Any] = getattr(conn, operation)(**parameters)
    except (aws.BotoCoreError, aws.ClientError, ResponseParserError) as error:
        raise in_our_words(error, action, conn.meta.region_name) from error
    return answer


def pages(
    conn: Any, operation: str, key: str, *, page_size: int = 1000, **parameters: Any
) -> Iterator[dict[str, Any]]:
    """Yield the items of a paged call, over as many full pages as there are."""
    token: dict[str, str] = {}
    while True:
        answer = call(conn, operation, MaxResults=page_size, **parameters, **token)
        yield from answer[key]
        if not answer.get("NextToken"):
            return
        token = {"NextToken": answer["NextToken"]}


def may_have_succeeded_before(error: ApiError) -> bool:
    """Return whether a call that EC2 refused was a repetition of one whose answer was lost."""
    refusal = error.__cause__
    if not isinstance(refusal, aws.ClientError):
        return False
    return _LOST in refusal.response.get("ResponseMetadata", {})


def in_our_words(error: Exception, action: str, region: str) -> SnapbackError:
    """Answer the error of ours that says the same as one of botocore's."""
    if isinstance(error, aws.ClientError):
        return _refusal(error, action, region)
    body = _body_of(error)
    reason = abridged(str(error)) if body is None else _not_awss(body)
    if isinstance(error, aws.UnauthorizedSSOTokenError | aws.SSOTokenLoadError):
        return CredentialsError(f"the AWS sign-in has expired: run 'aws sso login' ({reason})")
    if isinstance(error, _NO_CREDENTIALS):
        return CredentialsError(
            f"no usable AWS credentials: {reason}: run 'aws configure', or set AWS_PROFILE, or use "
            "a role"
        )
    if isinstance(error, ValueError):  # aws.InvalidRegionError is one
        return UsageError(
            f"{reason.rstrip('.')}: see AWS_DEFAULT_REGION, AWS_REGION, AWS_ENDPOINT_URL and the "
            "AWS profile"
        )
    if isinstance(error, _NEVER_CONNECTED):
        return NetworkError(action, region, type(error).__name__, reason)
    if isinstance(error, _LOST_ON_THE_WAY):
        return LostAnswer(action, region, type(error).__name__, reason)
    return ApiError(action, region, type(error).__name__, reason)


def _not_awss(body: str) -> str:
    return f"it isn't AWS's, but {plain_body(body)}: is there a proxy, or a sign-in page, between?"


def _body_of(error: Exception) -> str | None:
    """Return what came instead of XML: botocore quotes it, as Python writes bytes."""
    found = _QUOTED_BODY.search(str(error)) if isinstance(error, ResponseParserError) else None
    if not found:
        return None
    quote, inside = found[1], _CUT_ESCAPE.sub(r"\1", found[2])
    return bytes(ast.literal_eval(f"b{quote}{inside}{quote}")).decode(errors="replace")


def _refusal(error: aws.ClientError, action: str, region: str) -> SnapbackError:
    code = error.response["Error"].get("Code", "")
    said = error.response["Error"].get("Message", "")
    reason = _not_awss(said) if is_page(said) else redact(said or "EC2 gives no reason")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _EXPIRED:
        return CredentialsError(
            f"the AWS credentials have expired ({reason}): renew them, and see that this machine's "
            "clock is right"
        )
    if code == "OptInRequired":
        return UsageError(f"the region {region} isn't enabled for this account ({reason})")
    if code in _NOT_ACCEPTED:
        return CredentialsError(
            f"AWS doesn't accept the credentials in {region} ({code}): check them with 'aws sts "
            "get-caller-identity'; a region that isn't enabled for the account answers so too"
        )
    if status >= 500 and code not in THROTTLED:
        return LostAnswer(action, region, code, reason)
    return ApiError(action, region, code, reason)
