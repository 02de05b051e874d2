"""What must not be told isn't, in whatever it is wrapped."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest

from snapback.core import secrets
from snapback.core.leases.cloud_config import cloud_config
from snapback.core.secrets import HIDDEN, keep, keep_address, keep_encoded, redact

KEY = (
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
    "-----END OPENSSH PRIVATE KEY-----\n"
)
BODY = "b3BlbnNzaC1rZXktdjE"
SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY12"


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    before = set(secrets._known)
    yield
    secrets._known.clear()
    secrets._known.update(before)


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        repr(KEY),
        json.dumps({"key": KEY}),
        cloud_config(KEY, "ssh-ed25519 AAAA", "ssh-ed25519 AAAA", 60),
        KEY[: KEY.index("-----END")],
        KEY.replace("OPENSSH ", ""),
        KEY.replace("OPENSSH", "RSA"),
    ],
)
def test_private_keys_are_never_told(text: str) -> None:
    told = redact(f"before {text} after")
    assert told.startswith("before ")
    assert HIDDEN in told
    assert BODY not in told


@pytest.mark.parametrize(
    "text",
    [
        f"x-amz-security-token:{SECRET}",
        f"'X-Amz-Security-Token': b'{SECRET}'",
        f"AWS4-HMAC-SHA256 Credential=AKIA/2026, SignedHeaders=host, Signature={SECRET}",
        f"aws_secret_access_key = {SECRET}",
        f'{{"SecretAccessKey": "{SECRET}", "Expiration": "2026"}}',
        f"SecretAccessKey={SECRET}&Version=1",
        f"'UserData': '{SECRET}', 'MinCount': 1",
        f"MinCount=1&UserData={SECRET}&Version=2016",
        f"Action=AssumeRole&ExternalId={SECRET}&Version=2011",
        f"https://backup:{SECRET}@proxy.example.com:3128/",
    ],
)
def test_what_looks_like_a_secret_is_hidden_and_the_rest_is_told(text: str) -> None:
    told = redact(f"before {text} after")
    assert SECRET not in told
    assert told.startswith("before ")
    assert told.endswith(" after")
    assert HIDDEN in told


def test_what_is_known_to_be_secret_is_hidden_wherever_it_stands() -> None:
    keep(SECRET, None, "", "short")
    assert redact(f"a{SECRET}b short") == f"a{HIDDEN}b short"


def test_user_data_is_hidden_as_ec2_is_sent_it() -> None:
    text = cloud_config(KEY, "ssh-ed25519 AAAA", "ssh-ed25519 AAAA", 60)
    keep_encoded(text)
    encoded = base64.b64encode(text.encode()).decode()
    assert redact(f"sent {encoded}.") == f"sent {HIDDEN}."


@pytest.mark.parametrize("url", [
    "https://hc-ping.com/0b4f4d2e-8d4c-4c8e-9b60-3f6b6d1c2a55/fail",
    "https://hc-ping.com/VaNqkIGAkDbhcRLQvxQGYQ/backup",
    "https://status.example.com/api/push/VaNqkIGAkDbhcRLQ?status=up",
])  # fmt: skip
def test_the_address_of_a_ping_is_hidden_its_host_is_not(url: str) -> None:
    keep_address(url)
    told = redact(f"{url} and GET {url.partition('.com')[2]} HTTP/1.1 of hc-ping.com")
    assert "hc-ping.com" in told
    for secret in ("0b4f4d2e", "VaNqkIGAkDbhcRLQ"):
        assert secret not in told


def test_the_words_in_an_address_are_none() -> None:
    keep_address("https://hc-ping.com/VaNqkIGAkDbhcRLQvxQGYQ/backup_instances_by_tag")
    assert redact("backup_instances_by_tag begins") == "backup_instances_by_tag begins"


@pytest.mark.parametrize(
    "text",
    [
        "snap-0123456789abcdef0 in us-east-1: completed 100%",
        "the password is asked for: use a key",
        "not allowed to call ec2:CreateTags in us-east-1: add it to the policy",
        "https://ec2.us-east-1.amazonaws.com/",
        "signature of the key didn't match",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert redact(text) == text
