"""The documents of the project, taken apart: what they set as code, and where each piece stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt

from tests.support import ROOT

GENERATED = ROOT / "docs" / "API.md"  # held by its own test; it names fields of answers alone
DOCUMENTS = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if path != GENERATED),
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some code in a document: a span in its text, or a block with its language."""

    document: Path
    line: int
    text: str
    language: str | None = None  # None: a span

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}: {self.text.splitlines()[0]}"


@cache
def pieces() -> tuple[Piece, ...]:
    return tuple(piece for path in DOCUMENTS for piece in _pieces(path))


def spans() -> list[Piece]:
    """Every `span` of every document."""
    return [piece for piece in pieces() if piece.language is None]


def blocks(language: str) -> list[Piece]:
    """Every fenced block in this language."""
    return [piece for piece in pieces() if piece.language == language]


def text_of(*names: str) -> str:
    """Documents by their names, after each other."""
    return "\n".join((ROOT / name).read_text(encoding="utf-8") for name in names)


def section(document: str, heading: str) -> str:
    """The text below one heading, up to the next of the same level or a higher one."""
    text = text_of(document)
    level = len(heading) - len(heading.lstrip("#"))
    pattern = rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{level}}} |\Z)"
    match = re.search(pattern, text, re.M | re.S)
    assert match is not None, f"{document} has no {heading!r}"
    return match[1]


def _pieces(path: Path) -> Iterator[Piece]:
    parser = MarkdownIt().enable("table")
    line = 0
    for token in parser.parse(path.read_text(encoding="utf-8")):
        line = token.map[0] + 1 if token.map else line
        if token.type == "fence":
            yield Piece(path, line, token.content, token.info or "text")
        for child in token.children or ():
            if child.type == "code_inline":
                yield Piece(path, line, child.content)
