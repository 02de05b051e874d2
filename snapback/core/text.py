"""How texts are shown: names may hold any character, and are told as people would."""

from __future__ import annotations

import html
import re

from snapback.core.secrets import redact

LONGEST_SAID = 500
"""Characters, of what a program said, that are told."""

_GAP = " ... "
_LONGEST_READ = 1 << 16
_PAGE = re.compile(r"\s*(?:<\?xml[^>]*>\s*)?<(?:!doctype html|html|head|body)\b", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>([^<]*)", re.IGNORECASE)
_LONGEST_QUOTED = 100


def printable(text: str) -> str:
    """Return a text on one line, with escapes for what would move the cursor or turn the text."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def abridged(text: str, most: int = LONGEST_SAID) -> str:
    """Return a text on one line: its beginning and its end, where it has too many characters.

    What went wrong may stand at either end. Secrets are hidden before anything is cut: half of one
    would not be known for a secret any more.
    """
    if len(text) > 2 * _LONGEST_READ:  # a host may print 64 MiB, and redacting takes its time
        text = f"{text[:_LONGEST_READ]}{_GAP}{text[-_LONGEST_READ:]}"
    said = redact(" ".join(text.split()))
    if len(said) <= most:
        return said
    room = most - len(_GAP)
    begin, end = said[: room - room // 2], said[len(said) - room // 2 :]
    return f"{_without_last_word(begin)}{_GAP}{_without_first_word(end)}"


def is_page(body: str) -> bool:
    """Return whether a text is an HTML page."""
    return bool(_PAGE.match(body))


def plain_body(body: str) -> str:
    """Return what came instead of an answer, in plain words: an HTML page is told by its title."""
    if not body.strip():
        return "nothing"
    if is_page(body):
        title = _TITLE.search(body[:_LONGEST_READ])
        said = abridged(html.unescape(title[1]), _LONGEST_QUOTED) if title else ""
        return f'an HTML page titled "{said}"' if said else "an HTML page without a title"
    return f'what begins with "{abridged(body[:_LONGEST_QUOTED])}"'


def _without_last_word(begin: str) -> str:
    """Return a text without the word at which it was cut, unless that is most of it."""
    whole = begin.rpartition(" ")[0]
    return whole if len(whole) > len(begin) // 2 else begin


def _without_first_word(end: str) -> str:
    """Return a text without the word at which it was cut, unless that is most of it."""
    whole = end.partition(" ")[2]
    return whole if len(whole) > len(end) // 2 else end
