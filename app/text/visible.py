"""Texts from outside as a person can look at them: bounded, and nothing in them hidden.

Models write what they like: characters that turn the line around, that have no shape, or that pile
up by the thousand and keep a browser busy for minutes. What is normal in a language stays as it is.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from itertools import groupby
from unicodedata import category

TEXT_CHARS = 20_000  # of one text on a page
CELL_CHARS = 500  # of one cell of a table
LINE_CHARS = 1_000  # of the plain view of a whole text, and between places where one may end
MOST_MARKS = 8  # in a row, on one letter

# Without a shape, or changing how others stand. Tabs and line ends stay as they are, and so do the
# marks of direction that Arabic and Hebrew are written with (U+200E, U+200F, U+061C): <bdi> holds
# them.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u180e\u200b\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff]|[\U000e0000-\U000e007f]+|[\u200c\u200d]"
    "|[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,}"
)
_JOINED_FROM = "\u02b0"  # letters before it are never joined
_FLAG = "\U0001f3f4"  # the tags after it choose the flag
_MAYBE_MARKS = re.compile(f"[\u0300-\U0010ffff]{{{MOST_MARKS + 1},}}")
# Nothing that belongs to the letter before begins a part.
_PIECE = re.compile(f".{{1,{LINE_CHARS}}}[\u0300-\u036f\u200c\u200d\ufe00-\ufe0f]*", re.DOTALL)
# What is written from right to left.
_FROM_RIGHT = re.compile(
    "[\u0590-\u08ff\u200e\u200f\ufb1d-\ufdff\ufe70-\ufefc"
    "\U00010800-\U00010fff\U0001e800-\U0001efff]"
)


def visible(text: str) -> str:
    """``text`` with what hides in it written out: ``␛``, ``⟨U+202E⟩``, ``⟨292 more marks⟩``."""
    shown = _HIDDEN.sub(_named, text.replace("\r\n", "\n"))
    return shown if shown.isascii() else _MAYBE_MARKS.sub(_few_marks, shown)


def shown(text: str, most: int = TEXT_CHARS) -> str:
    """:func:`visible`, of no more than ``most`` characters of it; what is left out is told."""
    if len(text) <= most:
        return visible(text)
    return f"{visible(text[:most])}… ({most:,} of {len(text):,} characters)"


def cell(text: str) -> str:
    """:func:`shown`, as short as a table wants it."""
    return shown(text, CELL_CHARS)


def pieces(text: str) -> list[str]:
    """The text in parts between which a browser may end a line.

    Where the letters of one long line join, each part takes it less time than all of them together.
    """
    return [text] if text.isascii() or len(text) <= LINE_CHARS else _PIECE.findall(text)


def needs_isolation(text: str) -> bool:
    """Whether it may change the order of what stands beside it."""
    return _FROM_RIGHT.search(text) is not None


def visible_chunks(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """:func:`visible` for a text in UTF-8 that comes in pieces, to be looked at in a browser.

    Lines end after :data:`LINE_CHARS`: some writing on one long line keeps a browser busy for
    minutes.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    column = 0
    for chunk in chunks:
        lines = visible(decoder.decode(chunk)).split("\n")
        for place, line in enumerate(lines):
            column = 0 if place else column
            lines[place], column = _wrapped(line, column)
        yield "\n".join(lines).encode("utf-8", "replace")


def _wrapped(line: str, column: int) -> tuple[str, int]:
    """The line, ended where it is too long, and how long its last part is."""
    first = LINE_CHARS - column
    if len(line) <= first:
        return line, column + len(line)
    parts = [line[:first], *(line[p : p + LINE_CHARS] for p in range(first, len(line), LINE_CHARS))]
    return "\n".join(parts), len(parts[-1])


def _named(found: re.Match[str]) -> str:
    hidden, text = found[0], found.string
    before, after = text[: found.start()][-1:], text[found.end() :][:1]
    if hidden in "\u200c\u200d" and _joins(before, after):
        return hidden
    if hidden[0] >= "\U000e0000" and before == _FLAG and hidden[-1] == "\U000e007f":
        return hidden if len(hidden) <= MOST_MARKS else _code(hidden)
    return "".join(map(_code, hidden)) if len(hidden) <= MOST_MARKS else _many(hidden)


def _code(hidden: str) -> str:
    number = ord(hidden[0])
    if number < 0x20:
        return chr(0x2400 + number)
    return "␡" if number == 0x7F else f"⟨U+{number:04X}⟩"


def _many(hidden: str) -> str:
    return f"{_code(hidden)}⟨{len(hidden) - 1:,} more⟩"


def _joins(before: str, after: str) -> bool:
    """Whether a joiner between them is how such letters, or emoji, are written."""
    if before < _JOINED_FROM or before in "\u200c\u200d":
        return False
    return after >= _JOINED_FROM or category(before) in ("Mn", "Mc")


def _few_marks(found: re.Match[str]) -> str:
    parts = []
    for is_mark, run in groupby(found[0], key=lambda each: category(each) in ("Mn", "Me")):
        own = "".join(run)
        if is_mark and len(own) > MOST_MARKS:
            own = f"{own[:MOST_MARKS]}⟨{len(own) - MOST_MARKS:,} more marks⟩"
        parts.append(own)
    return "".join(parts)
