"""How texts are shown: names may hold any character, and are told as people would."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return a text on one line, with escapes for what would move the cursor or turn the text."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
