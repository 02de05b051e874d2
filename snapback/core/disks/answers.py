"""The forms of what a host's programs print: what lacks them is refused; pure.

What the source prints becomes arguments of programs that root runs on the destination.
"""

from __future__ import annotations

import re

_NUMBER = re.compile(r"[0-9]{1,18}")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_LONGEST_LABEL = 255
NO_UUID = frozenset({"", "<none>"})


def number(text: str, least: int = 0) -> int:
    """Return a decimal number.

    :raises ValueError: it is none, or is less than another one.
    """
    if not _NUMBER.fullmatch(text) or int(text) < least:
        raise ValueError(f"no such number: {text[:100]!r}")
    return int(text)


def uuid(text: str) -> str:
    """Return a UUID as it is.

    :raises ValueError: it is none.
    """
    return _demand(_UUID, text, "UUID")


def word(text: str) -> str:
    """Return a word of letters, digits, ``_`` and ``-`` that can't be an option.

    :raises ValueError: it is none.
    """
    return _demand(_WORD, text, "word")


def label(text: str) -> str:
    """Return the label of a file system: any text that one can have, and no longer.

    :raises ValueError: no file system has such a label.
    """
    if len(text.encode("utf-8", "surrogateescape")) > _LONGEST_LABEL or "\0" in text:
        raise ValueError(f"no such label: {text[:100]!r}")
    return text


def _demand(form: re.Pattern[str], text: str, name: str) -> str:
    if not form.fullmatch(text):
        raise ValueError(f"no such {name}: {text[:100]!r}")
    return text
