"""Previews as CSV, JSON lines or Parquet, in chunks: however many and long, little is held.

What is held is bounded by bytes, not by rows: a text that is longer than a window is taken out of
the database piece by piece. Parquet alone cannot be written without having a value whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from control_room.extra import load_extra
from control_room.history.filters import PreviewFilter
from control_room.history.long_texts import Text, texts_of
from control_room.history.queries import Cursor
from control_room.history.sink import Sink
from control_room.history.windows import Window, condition_in, windows
from control_room.logs.schema import LONG_TEXTS, TABLES
from control_room.security.spreadsheets import FORMULA

_WINDOW_BYTES = 4 * 2**20
_ROW_GROUP_BYTES = 8 * 2**20  # of Parquet: all groups are told at its end, so they are not small
_LINES = 500  # of JSON, handed on at once

_COLUMNS = (*TABLES["preview"].columns, "file", "line")
_TEXTS = tuple(n for n in _COLUMNS if TABLES["preview"].all_columns[n] == "VARCHAR")
_OFTEN_THE_SAME = [name for name in _COLUMNS if name not in LONG_TEXTS]
_NESTED = tuple(n for n, sql in TABLES["preview"].columns.items() if "[" in sql or "(" in sql)
_UNBOUNDED = (*_TEXTS, *_NESTED)
_FINITE = {  # by SQL type: JSON has no NaN
    "DOUBLE": "CASE WHEN isfinite({0}) THEN {0} END",
    "DOUBLE[]": "list_transform({0}, lambda each: CASE WHEN isfinite(each) THEN each END)",
}
_TIME = "strftime(ts, '%Y-%m-%dT%H:%M:%S.%fZ')"
_JSON_VALUES = {
    name: _FINITE[sql].format(name)
    for name, sql in TABLES["preview"].columns.items()
    if sql in _FINITE
} | {"ts": _TIME}
_AS_JSON = {name: f"to_json({_JSON_VALUES.get(name, name)})::VARCHAR" for name in _COLUMNS}
_RAW_VALUES = {name: _AS_JSON[name] for name in _NESTED} | {"ts": _TIME}
_FORMULA = f"'{FORMULA.replace(chr(39), chr(39) * 2)}'"
_MARK = "CASE WHEN regexp_matches({0}, {1}) THEN '''' ELSE '' END"
_CSV_VALUES = _RAW_VALUES | {name: f"{_MARK.format(name, _FORMULA)} || {name}" for name in _TEXTS}


def csv_chunks(cursor: Cursor, wanted: PreviewFilter, *, raw: bool = False) -> Iterator[bytes]:
    """All previews that match as CSV (RFC 4180, UTF-8, with a header), oldest first.

    ``ts`` is ISO 8601 in UTC, ``contract_status`` and ``token_log_probs`` are JSON, and what is not
    known is an empty field. A text that a spreadsheet would run has an apostrophe in front, unless
    ``raw`` (see :mod:`control_room.security.spreadsheets`).
    """
    values = _RAW_VALUES if raw else _CSV_VALUES
    sink = Sink()
    with _snapshot(cursor):
        chosen = ", ".join(f"{values.get(name, name)} AS {name}" for name in _COLUMNS)
        header = cursor.sql(f"SELECT {chosen} FROM previews LIMIT 0").to_arrow_table()
        load_extra("pyarrow.csv").write_csv(header, sink)
        for window in windows(cursor, wanted, most_bytes=_WINDOW_BYTES):
            if window.size_bytes <= _WINDOW_BYTES:
                _write_csv(_rows(cursor, window, wanted, chosen), sink)
                yield sink.taken()
            elif _matches(cursor, window, wanted):
                yield sink.taken()
                yield from _long_csv_row(cursor, window.first, raw=raw)
    yield sink.taken()


def jsonl_chunks(cursor: Cursor, wanted: PreviewFilter) -> Iterator[bytes]:
    """All previews that match as JSON lines (UTF-8), oldest first; NaN is null."""
    binary = load_extra("pyarrow").binary()
    pairs = ", ".join(f"{name} := {_JSON_VALUES.get(name, name)}" for name in _COLUMNS)
    with _snapshot(cursor):
        for window in windows(cursor, wanted, most_bytes=_WINDOW_BYTES):
            if window.size_bytes <= _WINDOW_BYTES:
                table = _rows(cursor, window, wanted, f"to_json(struct_pack({pairs})) AS line")
                # Not as str: one emoji makes a text of it take four times the room.
                for batch in table.column("line").cast(binary).chunks:
                    for start in range(0, len(batch), _LINES):
                        lines = batch.slice(start, _LINES).to_pylist()
                        yield b"\n".join([*lines, b""])
            elif _matches(cursor, window, wanted):
                yield from _long_json_line(cursor, window.first)


def parquet_chunks(cursor: Cursor, wanted: PreviewFilter) -> Iterator[bytes]:
    """All previews that match as one Parquet file, oldest first; ``ts`` is UTC."""
    sink = Sink()
    chosen = ", ".join(_COLUMNS)
    short = [name for name in _COLUMNS if name not in _TEXTS]
    with _snapshot(cursor):
        schema = cursor.sql(f"SELECT {chosen} FROM previews LIMIT 0").to_arrow_table().schema
        writer = load_extra("pyarrow.parquet").ParquetWriter
        with writer(sink, schema, use_dictionary=_OFTEN_THE_SAME, write_statistics=short) as out:
            for window in windows(cursor, wanted, most_bytes=_ROW_GROUP_BYTES):
                table = _rows(cursor, window, wanted, chosen)
                if table.num_rows:
                    out.write_table(table)
                    del table  # what is handed on is held long enough
                    yield from sink.pieces()
    yield sink.taken()


@contextmanager
def _snapshot(cursor: Cursor) -> Iterator[None]:
    """The tables as they are now, whatever is written meanwhile."""
    cursor.begin()
    try:
        yield
    finally:
        cursor.rollback()


def _rows(cursor: Cursor, window: Window, wanted: PreviewFilter, chosen: str) -> Any:
    condition, values = condition_in(window, wanted)
    query = f"SELECT {chosen} FROM previews WHERE {condition} ORDER BY seq"
    return cursor.sql(query, params=values).to_arrow_table()


def _matches(cursor: Cursor, window: Window, wanted: PreviewFilter) -> bool:
    """Whether the row of a window matches: of the others it is known that they do."""
    condition, values = condition_in(window, wanted)
    query = f"SELECT count(*) FROM previews WHERE {condition}"
    return bool(cursor.execute(query, values).fetchall()[0][0])


def _write_csv(table: Any, sink: Sink) -> None:
    csv = load_extra("pyarrow.csv")
    csv.write_csv(table, sink, csv.WriteOptions(include_header=False))


def _long_csv_row(cursor: Cursor, seq: int, *, raw: bool) -> Iterator[bytes]:
    """One row as :func:`_write_csv` writes it, its long texts piece by piece."""
    values = _RAW_VALUES if raw else _CSV_VALUES
    long = _long_texts(cursor, seq, {name: _RAW_VALUES.get(name, name) for name in _UNBOUNDED})
    # Of a long text only what comes before it, in quotes; it follows between them.
    marks = {n: "''" if raw or n in _NESTED else _MARK.format(n, _FORMULA) for n in long}
    chosen = ", ".join(f"{({**values, **marks}).get(name, name)} AS {name}" for name in _COLUMNS)
    query = f"SELECT {chosen} FROM previews WHERE seq = ?"
    row, sink = cursor.sql(query, params=[seq]).to_arrow_table(), Sink()
    for place, name in enumerate(_COLUMNS):
        _write_csv(row.select([name]), sink)
        value = sink.taken().removesuffix(b"\n")
        yield b"," if place else b""
        yield value.removesuffix(b'"') if name in long else value
        if name in long:
            for piece in long[name].pieces(cursor):
                yield piece.replace(b'"', b'""')
            yield b'"'
    yield b"\n"


def _long_json_line(cursor: Cursor, seq: int) -> Iterator[bytes]:
    """One line as ``to_json`` makes it, its long texts piece by piece."""
    long = _long_texts(cursor, seq, {n: _AS_JSON[n] if n in _NESTED else n for n in _UNBOUNDED})
    short = ", ".join(
        "''" if name in long else f"coalesce({_AS_JSON[name]}, 'null')" for name in _COLUMNS
    )
    query = f"SELECT {short} FROM previews WHERE seq = ?"
    (values,) = cursor.execute(query, [seq]).fetchall()
    for place, (name, value) in enumerate(zip(_COLUMNS, values, strict=True)):
        yield f'{"," if place else "{"}"{name}":{value}'.encode()
        if name in _NESTED and name in long:
            yield from long[name].pieces(cursor)
        elif name in long:
            yield b'"'
            for piece in long[name].pieces(cursor, "to_json({0})::VARCHAR"):
                yield piece[1:-1]
            yield b'"'
    yield b"}\n"


def _long_texts(cursor: Cursor, seq: int, expressions: Mapping[str, str]) -> dict[str, Text]:
    """What is to be read in pieces, by its column."""
    found = texts_of(cursor, seq, expressions)
    return {name: text for name, text in found.items() if text.is_long}
