"""Texts in HTML and SVG: names may hold any character."""

from __future__ import annotations

from html import escape

from snapback.core.text import printable


def markup(text: str) -> str:
    """Return a text as markup has it, without what would change the direction or hide others.

    Its newlines stay.
    """
    return escape("\n".join(map(printable, text.split("\n"))))
