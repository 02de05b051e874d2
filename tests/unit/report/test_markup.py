"""Texts in HTML and SVG."""

from __future__ import annotations

import pytest

from snapback.report.markup import markup


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("zażółć <b> & \"x\" 'y'", "zażółć &lt;b&gt; &amp; &quot;x&quot; &#x27;y&#x27;"),
        ("two\nlines", "two\nlines"),
        ("\u202egpj.exe\u200b\x1b[2J\r\ud800", r"\u202egpj.exe\u200b\x1b[2J\r\ud800"),
    ],
)
def test_a_text_is_escaped_and_what_hides_or_turns_others_is_shown(text: str, shown: str) -> None:
    assert markup(text) == shown
