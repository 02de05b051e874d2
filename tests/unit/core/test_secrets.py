"""What must not be told isn't, in whatever it is wrapped."""

from __future__ import annotations

import base64
import json

import pytest

from snapback.core import secrets
from snapback.core.leases.cloud_config import cloud_config
from snapback.core.secrets import HIDDEN, keep, keep_address, keep_encoded, redact, redact_json

KEY = (
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
    "-----END OPENSSH PRIVATE KEY-----\n"
)
BODY = "b3BlbnNzaC1rZXktdjE"
SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY12"


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_known", ())


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
        KEY.replace("\n", "\r\n"),
        KEY.replace("\n", "\n    "),
        json.dumps(KEY.splitlines()),
        KEY.replace("\n", "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AB0123\n\n", 1),
        KEY.replace("\n", "%0A"),
        f"{KEY}{KEY}",
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
        f"https://backup:p@{SECRET}@proxy.example.com:3128/",
        f"password: {SECRET}",
        f"password = '{SECRET}",
        f'password="{SECRET}',
        f"password: 'it\\'s {SECRET}'",
        f'"password": "a \\" {SECRET}"',
        json.dumps(json.dumps({"password": SECRET})),
        f"db_password={SECRET}",
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


# What a person chose may be any word. What AWS generates is none, so there advice can be told.


@pytest.mark.parametrize(
    "text",
    [
        "no AWS credentials: missing: AWS_SECRET_ACCESS_KEY: run 'aws configure', or use a role",
        "AWS_SESSION_TOKEN: renew it",
        "Signature: The request signature does not match",
        "SecretAccessKey: required (see the documentation)",
    ],
)
def test_advice_behind_the_name_of_a_generated_secret_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("password: hunter2", "password: (hidden)"),
        ("password: swordfish", "password: (hidden)"),
        ("password: swordfish is wrong", "password: (hidden) is wrong"),
        ("passphrase: run 'ssh-add'", "passphrase: (hidden) 'ssh-add'"),
        ("passphrase: 'correct horse'", "passphrase: (hidden)"),
        ("aws_secret_access_key: minioadmin", "aws_secret_access_key: (hidden)"),
        ("secret_access_key: minioadmin\nnext line", "secret_access_key: (hidden)\nnext line"),
        ("aws_secret_access_key=run away", "aws_secret_access_key=(hidden) away"),
        ("aws_secret_access_key = run away", "aws_secret_access_key = (hidden) away"),
        ("'SecretAccessKey': run away", "'SecretAccessKey': (hidden) away"),
        ("session_token: r2d2 and more", "session_token: (hidden) and more"),
        ("session_token: abcdefghijklmnop and more", "session_token: (hidden) and more"),
        (f"session_token: {SECRET} and more", "session_token: (hidden) and more"),
        ("secret_key: django and more", "secret_key: (hidden) and more"),
    ],
)
def test_what_may_be_a_secret_is_hidden_and_the_words_behind_it_stay(text: str, told: str) -> None:
    assert redact(text) == told
    assert redact(told) == told


# Names are hostile: they hide themselves at most.


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("it's password: 'x\nweb: it's gone", "it's password: (hidden)\nweb: it's gone"),
        ('password="x; db: failed', "password=(hidden); db: failed"),
        ("password:\nweb: failed", "password:\nweb: failed"),
        ("password: \r\n'web': failed", "password: \r\n'web': failed"),
        (
            "-----BEGIN PRIVATE KEY----- in us-east-1: no; web: no -----END PRIVATE KEY-----",
            "(hidden) in us-east-1: no; web: no -----END PRIVATE KEY-----",
        ),
        ("://a: web failed, b@c", "://a: web failed, b@c"),
        ("://a:/web/failed?b@c", "://a:/web/failed?b@c"),
    ],
)
def test_a_name_hides_nothing_of_others(text: str, told: str) -> None:
    assert redact(text) == told


HOSTILE = [
    "it's password: 'x", 'password="x', "-----BEGIN PRIVATE KEY-----", "\ud800\0\x1b[2J", "$(id)",
]  # fmt: skip


def test_each_string_of_a_document_is_redacted_by_itself() -> None:
    items = [
        {"subject": name, "explanation": f"failed {number}", "size": number, "ok": None}
        for number, name in enumerate([*HOSTILE, "it's web", 'web "2"'])
    ]
    told = json.loads(json.dumps(redact_json({"items": tuple(items), 1: True})))
    assert told["1"] is True
    assert [item.pop("subject") for item in told["items"]] == [
        "it's password: (hidden)", "password=(hidden)", HIDDEN, *HOSTILE[3:], "it's web", 'web "2"',
    ]  # fmt: skip
    for item in items:
        del item["subject"]
    assert told["items"] == items


def test_what_a_key_calls_a_secret_is_hidden_and_no_key_takes_the_place_of_another() -> None:
    told = redact_json(
        {
            "DB_Password": "hunter2", "external_id": {"value": ["acme"]}, "user_data": None,
            "passwords": "2", "password: a": 1, "password: b": 2, f"password: {HIDDEN}": 3,
        }
    )  # fmt: skip
    assert told == {
        "DB_Password": HIDDEN, "external_id": HIDDEN, "user_data": None, "passwords": "2",
        "password: (hidden)": 1, "password: (hidden) 5": 2, "password: (hidden) 6": 3,
    }  # fmt: skip


UNITS = [
    "a.", "a", " ", "\n", "'", "\\", "://a:", "://", "@", "b'", "password", "password: ",
    "password=\"'", "password\\\\", "secret_access_key: run ", "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN ", "PRIVATE KEY", "-----BEGIN PRIVATE KEY-----'" + "a" * 16, "a" * 16 + "\n",
]  # fmt: skip


@pytest.mark.parametrize("before", ["", "password='", "://a:", "-----BEGIN PRIVATE KEY-----"])
def test_the_time_is_linear_in_the_length(before: str) -> None:
    """With the square of the length, each of them would take ten minutes."""
    for unit in UNITS:
        assert redact(before + unit * (300_000 // len(unit)))
