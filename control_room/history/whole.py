"""One preview in full, however long its texts are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from control_room.history.long_texts import Text, texts_of

if TYPE_CHECKING:
    import duckdb


def text_chunks(cursor: duckdb.DuckDBPyConnection, seq: int, name: str) -> Iterator[bytes] | None:
    """A text of the preview at ``seq`` in UTF-8, in pieces; None where it has none."""
    text = texts_of(cursor, seq, {name: name}).get(name)
    return None if text is None else text.pieces(cursor)


def json_chunks(
    cursor: duckdb.DuckDBPyConnection, seq: int, short: str, marks: dict[str, str]
) -> Iterator[bytes]:
    """``short``, a JSON text, with texts of the preview at ``seq`` in place of its marks.

    ``marks`` are by name of the text, and stand as JSON texts in ``short`` in their order.
    """
    for name, mark in marks.items():
        before, _, short = short.partition(f'"{mark}"')
        yield before.encode()
        yield from _as_json(cursor, texts_of(cursor, seq, {name: name}).get(name))
    yield short.encode()


def _as_json(cursor: duckdb.DuckDBPyConnection, text: Text | None) -> Iterator[bytes]:
    if text is None:
        yield b"null"
        return
    yield b'"'
    for piece in text.pieces(cursor):
        yield json.dumps(piece.decode(), ensure_ascii=False)[1:-1].encode()
    yield b'"'
