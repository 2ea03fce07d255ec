"""Previews as CSV or Parquet, in chunks: however many there are, little is held at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from control_room.history.extra import extra
from control_room.history.filters import PreviewFilter
from control_room.history.queries import Cursor
from control_room.history.schema import TABLES

# Of the table, looked through at a time: seq has no gaps, so this bounds what is held.
_WINDOW_ROWS = 10_000

_COLUMNS = (*TABLES["preview"].columns, "file", "line")
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
_CSV_VALUES = {
    name: f"to_json({_JSON_VALUES.get(name, name)})::VARCHAR"
    for name, sql in TABLES["preview"].columns.items()
    if "[" in sql or "(" in sql
} | {"ts": _TIME}


def csv_chunks(cursor: Cursor, wanted: PreviewFilter) -> Iterator[bytes]:
    """All previews that match as CSV (RFC 4180, UTF-8, with a header), oldest first.

    ``ts`` is ISO 8601 in UTC, ``contract_status`` and ``token_log_probs`` are JSON, and what is not
    known is an empty field.
    """
    chosen = ", ".join(f"{_CSV_VALUES.get(name, name)} AS {name}" for name in _COLUMNS)
    return _chunks(cursor, wanted, chosen, extra("pyarrow.csv").CSVWriter)


def jsonl_chunks(cursor: Cursor, wanted: PreviewFilter) -> Iterator[bytes]:
    """All previews that match as JSON lines (UTF-8), oldest first; NaN is null."""
    pairs = ", ".join(f"{name} := {_JSON_VALUES.get(name, name)}" for name in _COLUMNS)
    with _snapshot(cursor):
        for table in _windows(cursor, wanted, f"to_json(struct_pack({pairs})) AS line"):
            lines = table.column("line").to_pylist()
            yield "".join(f"{line}\n" for line in lines).encode()


def parquet_chunks(cursor: Cursor, wanted: PreviewFilter) -> Iterator[bytes]:
    """All previews that match as one Parquet file, oldest first; ``ts`` is UTC."""
    return _chunks(cursor, wanted, ", ".join(_COLUMNS), extra("pyarrow.parquet").ParquetWriter)


def _chunks(
    cursor: Cursor, wanted: PreviewFilter, chosen: str, writer: Callable[[Any, Any], Any]
) -> Iterator[bytes]:
    sink = _Sink()
    with _snapshot(cursor):
        tables = _windows(cursor, wanted, chosen)
        first = next(tables)
        with writer(sink, first.schema) as out:
            out.write_table(first)
            yield sink.taken()
            for table in tables:
                if table.num_rows:
                    out.write_table(table)
                    yield sink.taken()
    yield sink.taken()


@contextmanager
def _snapshot(cursor: Cursor) -> Iterator[None]:
    """The tables as they are now, whatever is written meanwhile."""
    cursor.begin()
    try:
        yield
    finally:
        cursor.rollback()


def _windows(cursor: Cursor, wanted: PreviewFilter, chosen: str) -> Iterator[Any]:
    where, values = wanted.where()
    newest = cursor.execute("SELECT coalesce(max(seq), 0) FROM previews").fetchall()[0][0]
    query = f"SELECT {chosen} FROM previews WHERE seq > ? AND seq <= ? AND {where} ORDER BY seq"
    for start in range(0, max(newest, 1), _WINDOW_ROWS):
        bounds = [start, start + _WINDOW_ROWS]
        yield cursor.sql(query, params=[*bounds, *values]).to_arrow_table()


class _Sink:
    """A file that is only written to, and handed on piece by piece."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._size += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """What was written stays to be taken."""

    def taken(self) -> bytes:
        """What was written since the last time."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data
