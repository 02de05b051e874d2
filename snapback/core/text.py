"""How texts are shown: names may hold any character, and are told as people would."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return a text on one line, with escapes for whatever moves a cursor or reorders letters."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
