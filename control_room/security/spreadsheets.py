"""Texts in CSV that a spreadsheet must not take for formulas.

Excel, LibreOffice and others run a cell that begins with ``=``, ``+``, ``-`` or ``@``, some of them
also after white space, a quote, or where the sign is a full-width one; a formula may start programs
and send what else is in the sheet elsewhere. With an apostrophe in front it is a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from numbers import Number

_SIGNS = "=+\\-@＝＋－＠﹦﹢﹣﹫"
# Skipped, or not seen, in front of a sign: control characters, blanks, quotes, what has no width.
_SKIPPED = "\\x00-\\x20\"'\x7f-\xa0\xad\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
# Means the same to Python's re and to RE2, which DuckDB has.
FORMULA = f"\\A(?:[\\t\\r\\n]|[{_SKIPPED}]*[{_SIGNS}])"

_formula = re.compile(FORMULA)


def guarded(text: str) -> str:
    """``text``, with an apostrophe in front where a spreadsheet might run it."""
    return f"'{text}" if _formula.match(text) else text


def unguarded(text: str) -> str:
    """What :func:`guarded` was given."""
    return text[1:] if text[:1] == "'" and _formula.match(text[1:]) else text


def guarded_rows(rows: Iterable[Sequence[object]]) -> Iterable[list[object]]:
    """Rows for :class:`csv.writer`: texts guarded, numbers as they are, other objects as texts."""
    return ([_cell(value) for value in row] for row in rows)


def _cell(value: object) -> object:
    if value is None or isinstance(value, Number):
        return value
    return guarded(str(value))
