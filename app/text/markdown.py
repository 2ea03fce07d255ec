"""Texts from outside in elements that read Markdown: shown as they are, and nothing is loaded."""

from __future__ import annotations

import re

# Any of them may be escaped (CommonMark 2.4); Streamlit's own marks begin with one as well.
_MARKS = re.compile(r"([!-/:-@\[-`{-~])")


def plain(text: str) -> str:
    """``text`` such that Markdown shows it as it is, on lines of its own."""
    return _MARKS.sub(r"\\\1", text).replace("\n", "  \n")
