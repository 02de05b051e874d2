"""How texts are shown: names may hold any character, and are told as people would."""

from __future__ import annotations


def printable(text: str) -> str:
    """Answer a text without what would move the cursor, or begin a line: it is on one line."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
