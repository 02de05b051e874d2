"""What must not be told: values known to be secret, and what looks like one. Pure but for a memory.

Whoever makes or meets a secret says so with :func:`keep`. Whatever goes to a log, a monitor or a
hook goes through :func:`redact` first. Values shorter than :data:`SHORTEST` are not looked for:
they would be found in the midst of other words.
"""

from __future__ import annotations

import base64
import re
import threading
from urllib.parse import quote, urlsplit

SHORTEST = 16
HIDDEN = "(hidden)"

_lock = threading.Lock()
_known: set[str] = set()

_KEYS = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_NAMED = re.compile(
    r"""(?ix)
    (?P<name> x-amz-security-token | x-amz-signature | \bsignature | aws_?secret_?access_?key
      | secret_?access_?key | secret_?key | aws_?session_?token | session_?token | user_?data
      | key_?material | external_?id | passphrase | password )
    (?P<between> ['"]? \s* [=:] \s* )
    (?: b?'[^']*' | b?"[^"]*" | [^\s,;&'"}\]]+ )
    """
)
_IN_ADDRESSES = re.compile(
    r"(?P<before>\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)", re.IGNORECASE
)
_WORDS = re.compile(r"[a-z_-]*")


def keep(*secrets: str | None) -> None:
    """Take note of values that must not be told; those that are empty or short are passed over."""
    with _lock:
        _known.update(secret for secret in secrets if secret and len(secret) >= SHORTEST)


def keep_encoded(text: str) -> None:
    """Take note of a text that EC2 is sent in base64: user data."""
    encoded = base64.b64encode(text.encode()).decode()
    keep(text, encoded, quote(encoded, safe=""))


def keep_address(url: str) -> None:
    """Take note of a URL whose path is a secret, as a ping's; a part that is words is none."""
    parts = urlsplit(url)
    keep(url, f"{parts.path}?{parts.query}", parts.path, parts.query)
    keep(*(piece for piece in parts.path.split("/") if not _WORDS.fullmatch(piece)))


def redact(text: str) -> str:
    """Answer a text without secrets."""
    text = _KEYS.sub(HIDDEN, text)
    with _lock:
        known = sorted(_known, key=len, reverse=True)
    for secret in known:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    text = _NAMED.sub(rf"\g<name>\g<between>{HIDDEN}", text)
    return _IN_ADDRESSES.sub(rf"\g<before>{HIDDEN}", text)
