"""Hide secrets: values known to be secret, and what looks like one. Pure but for a memory.

Whoever creates or meets a secret calls :func:`keep`. Whatever goes to a log, a monitor or a hook
goes through :func:`redact` or :func:`redact_json` first. Values shorter than :data:`SHORTEST` are
not looked for: they would be found in the midst of other words.

Each string is redacted by itself, before strings are joined or serialized: a name may hold quotes,
and would hide what stands behind it. All patterns take a time linear in the length of the text.
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

SHORTEST = 16
HIDDEN = "(hidden)"

_lock = threading.Lock()
_known: tuple[str, ...] = ()  # the longest first, since one secret may hold another

# A private key's end may be cut off. So the block is what can be a key's content, and not all that
# follows: a name that says BEGIN would hide the rest of its line.
_KEYS = re.compile(
    r"""(?x)
    -----BEGIN\ [A-Z0-9 ]{0,30}PRIVATE\ KEY-----
    (?: (?: \s | \\+[nrt] | ["',] )*+
        (?: [A-Za-z0-9+/=%]{16,}+ | (?: Proc-Type | DEK-Info ):\ [A-Z0-9,-]++ ) )*+
    (?: (?: \s | \\+[nrt] | ["',] )*+ (?: [A-Za-z0-9+/=]{1,15} (?: \s | \\+[nrt] | ["',] )++ )?
        -----END\ [A-Z0-9 ]{0,30}PRIVATE\ KEY----- )?
    """
)

# What AWS generates is never a word of a few letters. So such a word behind a colon, with more
# words behind it, is prose ("missing: AWS_SECRET_ACCESS_KEY: run 'aws configure'"). What people
# choose may be any word.
_GENERATED = r"security-token | \bsignature | secret_?access_?key | session_?token | key_?material"
_CHOSEN = r"user_?data | external_?id | secret_?key | passphrase | password"
_NAME = re.compile(rf"(?ix) (?: {_GENERATED} | {_CHOSEN} ) \Z")
_NAMED = re.compile(
    rf"""(?ix)
    (?P<before>
        (?= [ekpsu] )  # the names' first letters: five times as fast
        (?: (?P<generated> {_GENERATED} ) | {_CHOSEN} )
        (?(generated) (?! : [ \t]+ [a-z]{{1,{SHORTEST - 1}}} [ \t]+ [a-z'"(] ) )
        (?: \\*['"] )? [^\S\r\n]*+ [=:] [^\S\r\n]*+ )
    b?
    (?: ' (?: [^'\\\r\n] | \\[^\r\n] )*+ '
      | " (?: [^"\\\r\n] | \\[^\r\n] )*+ "
      | [\\'"]* [^\s,;&'"}}\]]++ )
    """
)
_IN_ADDRESSES = re.compile(r"(?P<before>://[^\s/:@]*+:)[^\s/?#]+(?=@)")
_WORDS = re.compile(r"[a-z_-]*")


def keep(*secrets: str | None) -> None:
    """Record values that must not be told; those that are empty or short are passed over."""
    global _known
    found = {secret for secret in secrets if secret and len(secret) >= SHORTEST}
    with _lock:
        if not found.issubset(_known):
            _known = tuple(sorted(found.union(_known), key=len, reverse=True))


def keep_encoded(text: str) -> None:
    """Record a text that EC2 is sent in base64: user data."""
    encoded = base64.b64encode(text.encode()).decode()
    keep(text, encoded, quote(encoded, safe=""))


def keep_address(url: str) -> None:
    """Record a URL whose path is a secret, as a ping's; a part that is words is none."""
    parts = urlsplit(url)
    keep(url, f"{parts.path}?{parts.query}", parts.path, parts.query)
    keep(*(piece for piece in parts.path.split("/") if not _WORDS.fullmatch(piece)))


def redact(text: str) -> str:
    """Return a text without secrets."""
    text = _KEYS.sub(HIDDEN, text)
    for secret in _known:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    text = _NAMED.sub(rf"\g<before>{HIDDEN}", text)
    return _IN_ADDRESSES.sub(rf"\g<before>{HIDDEN}", text)


def redact_json(value: Any) -> Any:
    """Return a value as JSON has them without secrets: each string, and each key, by itself.

    What a key calls a secret is hidden as a whole. Keys that are alike once they are redacted get
    a number, so that none takes another's place.
    """
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list | tuple):
        return [redact_json(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    told: dict[Any, Any] = {}
    for key, item in value.items():
        name = redact(key) if isinstance(key, str) else key
        while name in told:
            name = f"{name} {len(told)}"
        secret = isinstance(key, str) and _NAME.search(key)
        told[name] = HIDDEN if secret and item else redact_json(item)
    return told
