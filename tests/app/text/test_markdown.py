"""What came from outside is no Markdown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from app.text.markdown import plain

HOSTILE = (
    "![x](http://example.org/x.png)",
    "[x](javascript:alert(1))",
    "<img src=http://example.org/x.png>",
    "http://example.org/x",
    ":red[x] :material/home: $x$ `x` **x** # x",
    "- x\n1. x\n> x\n| a | b |\n|---|---|",
)


def shown(text: str) -> str:
    """The text of what Markdown makes of it; fails where that holds more than paragraphs."""
    parts = []
    for token in MarkdownIt("js-default", {"linkify": False}).parse(plain(text)):
        assert token.type in ("paragraph_open", "inline", "paragraph_close"), token
        for child in token.children or ():
            assert child.type in ("text", "text_special", "softbreak", "hardbreak"), child
            parts.append("\n" if child.type.endswith("break") else child.content)
    return "".join(parts)


def test_it_stands_there_as_it_is() -> None:
    for text in HOSTILE:
        assert shown(text) == text


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=60))
def test_so_does_any_line(text: str) -> None:
    assert shown(f"x{text}x") == f"x{text}x"
