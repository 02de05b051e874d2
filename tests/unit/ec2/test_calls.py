"""Which calls are repeated, and what their failures are called."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore import exceptions as aws
from botocore.parsers import EC2QueryParser, ResponseParserError

from snapback.ec2.calls import (
    LONGEST_THROTTLED_S,
    MOST_REPEATED,
    AtOncePolicy,
    RetryPolicy,
    in_our_words,
)
from snapback.ec2.pace import Pace
from snapback.errors import (
    ApiError,
    CredentialsError,
    Interrupted,
    LostAnswer,
    NetworkError,
    UsageError,
)

CREATIONS = ["CreateSnapshot", "CreateSnapshots", "CopySnapshot"]
URL = "https://ec2"
CLOSED = aws.ConnectionClosedError(endpoint_url=URL)
UNREACHABLE = aws.EndpointConnectionError(endpoint_url=URL)


def answer(code: str, status: int) -> tuple[Any, dict[str, Any]]:
    return SimpleNamespace(status_code=status), {"Error": {"Code": code}}


class Client:
    """What botocore does around a call, as far as a policy is told of it. Waiting takes no time."""

    def __init__(self) -> None:
        self.waited: list[float] = []
        self.pace = Pace(lambda: sum(self.waited))
        self.policy = RetryPolicy(self.wait, self.wait, lambda _: self.pace)

    def wait(self, seconds: float) -> None:
        if seconds:
            self.waited.append(seconds)

    def attempts(self, action: str, **ended: Any) -> int:
        """How often a call is made that always ends so."""
        made, operation, context = 1, SimpleNamespace(name=action), dict[str, Any]()
        self.policy.before(model=operation, context=context)
        asked: Any = {"operation": operation, "request_dict": {"context": context}, **ended}
        while self.policy.again(attempts=made, **asked) is not None:
            made += 1
        self.policy.after(context=context)
        assert context == {}
        return made


def attempts(action: str, **ended: Any) -> int:
    """How often a call is made that always ends so."""
    client = Client()
    made = client.attempts(action, **ended)
    assert len(client.waited) == made - 1
    assert all(0 < wait_s <= 20 for wait_s in client.waited)
    return made


@pytest.mark.parametrize("action", ["DescribeSnapshots", "DeleteSnapshot", *CREATIONS])
def test_a_throttled_call_never_took_effect_and_is_repeated_for_long(action: str) -> None:
    client = Client()
    made = client.attempts(action, response=answer("RequestLimitExceeded", 503))
    assert LONGEST_THROTTLED_S < sum(client.waited) < LONGEST_THROTTLED_S + 30
    assert 30 < made < 100


@pytest.mark.parametrize("action", ["DescribeSnapshots", "DeleteSnapshot", *CREATIONS])
def test_a_call_that_never_connected_is_repeated(action: str) -> None:
    assert attempts(action, caught_exception=UNREACHABLE) == MOST_REPEATED


@pytest.mark.parametrize(
    "ended",
    [
        {"caught_exception": CLOSED},
        {"caught_exception": aws.ReadTimeoutError(endpoint_url=URL)},
        {"response": answer("InternalError", 500)},
        {"response": answer("Unavailable", 503)},
    ],
)
def test_what_may_have_taken_effect_is_repeated_only_where_that_is_harmless(
    ended: dict[str, Any],
) -> None:
    assert attempts("DescribeSnapshots", **ended) == MOST_REPEATED
    assert attempts("DeleteSnapshot", **ended) == MOST_REPEATED
    assert [attempts(action, **ended) for action in CREATIONS] == [1, 1, 1]


def test_a_refusal_and_a_success_are_final() -> None:
    assert attempts("DeleteSnapshot", response=answer("InvalidSnapshot.InUse", 400)) == 1
    assert attempts("DeleteSnapshot", response=(SimpleNamespace(status_code=200), {})) == 1


def test_tags_wait_until_what_was_just_made_is_seen() -> None:
    assert attempts("CreateTags", response=answer("InvalidSnapshot.NotFound", 400)) > 1
    assert attempts("DeleteSnapshot", response=answer("InvalidSnapshot.NotFound", 400)) == 1


def stopping(_: float) -> None:
    raise Interrupted("stop")


def test_a_run_that_stops_gives_up_what_is_not_begun_and_finishes_the_rest() -> None:
    client = Client()
    client.policy = RetryPolicy(stopping, client.wait, lambda _: client.pace)
    for action in (*CREATIONS, "DeleteSnapshot"):
        with pytest.raises(Interrupted):
            client.attempts(action, response=answer("RequestLimitExceeded", 503))
    assert client.waited == []
    client.attempts("CreateTags", response=answer("RequestLimitExceeded", 503))
    assert client.waited


def test_at_once_is_one_attempt_without_a_pause_that_the_pace_learns_from() -> None:
    client = Client()
    policy, operation = AtOncePolicy(lambda _: client.pace), SimpleNamespace(name="CreateSnapshots")
    context: dict[str, Any] = {}
    with client.pace.turn(client.wait):
        policy.before(model=operation, context=context)
        policy.again(
            request_dict={"context": context}, response=answer("RequestLimitExceeded", 503)
        )
    assert client.waited == []
    with client.pace.turn(client.wait):
        assert client.waited == [pytest.approx(0.2)]


def client_error(code: str, status: int = 400, message: str = "so it is") -> aws.ClientError:
    said = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return aws.ClientError(said, "DeleteSnapshot")  # type: ignore[arg-type]


def quoted(body: bytes) -> ResponseParserError:
    """Return the error that botocore raises where a body isn't XML."""
    try:
        EC2QueryParser()._parse_xml_string_to_dom(body)
    except ResponseParserError as error:
        return error
    raise AssertionError("it is XML")


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (aws.NoCredentialsError(), CredentialsError, "no usable AWS credentials"),
        (aws.ProfileNotFound(profile="x"), CredentialsError, "run 'aws configure'"),
        (aws.ConfigParseError(path="/c"), CredentialsError, "no usable AWS credentials"),
        (aws.InvalidRegionError(region_name="us east"), UsageError, "see AWS_DEFAULT_REGION"),
        (ValueError("Invalid endpoint: x"), UsageError, "Invalid endpoint: x: see AWS_"),
        (aws.UnauthorizedSSOTokenError(), CredentialsError, "run 'aws sso login'"),
        (client_error("RequestExpired"), CredentialsError, "have expired"),
        (client_error("AuthFailure", 401), CredentialsError, "doesn't accept the credentials"),
        (client_error("OptInRequired", 401), UsageError, "isn't enabled for this account"),
        (UNREACHABLE, NetworkError, "can't be reached"),
        (CLOSED, LostAnswer, "the answer was lost"),
        (ResponseParserError("<html>\nno"), LostAnswer, "<html> no"),
        (
            quoted(b"<!DOCTYPE html>\n<title>Hotel &amp; \x27Spa\x27</title><p>"),
            LostAnswer,
            """an HTML page titled "Hotel & 'Spa'": is there a proxy""",
        ),
        (quoted(b"<html>" + b"\x80\xff\\" * 9000), LostAnswer, "an HTML page without a title"),
        (quoted(b"/n"), LostAnswer, "it isn't AWS's, but what begins with \"/n\""),
        (quoted(b""), LostAnswer, "but nothing"),
        (
            client_error("403", 403, message="<html>\n<title>Blocked</title>"),
            ApiError,
            'an HTML page titled "Blocked"',
        ),
        (client_error("InternalError", 500), LostAnswer, "the answer was lost"),
        (client_error("RequestLimitExceeded", 503), ApiError, "RequestLimitExceeded"),
        (client_error("UnauthorizedOperation", 403), ApiError, "not allowed to call ec2:Delete"),
        (client_error("X", message=""), ApiError, "EC2 gives no reason"),
        (aws.ParamValidationError(report="bad"), ApiError, "ParamValidationError"),
    ],
)
def test_failures_in_our_words(error: Exception, kind: type[Exception], says: str) -> None:
    found = in_our_words(error, "DeleteSnapshot", "us-east-1")
    assert type(found) is kind
    assert says in str(found)
    assert "\n" not in str(found)
    assert "b'" not in str(found)
    assert len(str(found)) < 700
