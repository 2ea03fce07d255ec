"""A closed day as Parquet: every line as it was, beside the record's short fields as typed columns.

The column ``raw`` holds the lines, newlines included, so nothing is lost; the others make the file
useful to DuckDB and pandas without parsing. Long texts stand in ``raw`` alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from control_room.extra import load_extra
from control_room.logs.arrow_columns import arrow_type
from control_room.logs.schema import LONG_TEXTS, TABLES
from control_room.recording.records import Record, parse_line
from control_room.rundir import LogKind

SUFFIX = ".parquet"

_GROUP_BYTES = 16 * 2**20  # of lines, in one row group


def pack(source: IO[bytes], target: IO[bytes], kind: LogKind) -> None:
    """Write the lines of ``source``. Raises ``OSError``, and ``MissingExtra`` without pyarrow."""
    arrow = load_extra("pyarrow")
    parquet = load_extra("pyarrow.parquet")
    schema = arrow.schema(
        [("raw", arrow.binary()), *((name, _type(arrow, sql)) for name, sql in _columns(kind))]
    )
    with parquet.ParquetWriter(_place(target), schema, compression="zstd") as writer:
        while lines := source.readlines(_GROUP_BYTES):
            writer.write_table(_table(arrow, schema, lines, kind))


def pieces(packed: Path | IO[bytes]) -> Iterator[bytes]:
    """The lines, in pieces. Raises ``OSError`` for a file that is damaged or none."""
    arrow = load_extra("pyarrow")
    parquet = load_extra("pyarrow.parquet")
    try:
        with parquet.ParquetFile(_place(packed)) as file:
            for batch in file.iter_batches(batch_size=4096, columns=["raw"]):
                yield b"".join(batch.column(0).to_pylist())
    except (arrow.ArrowException, KeyError) as error:
        raise OSError(f"no day that was packed here: {error}") from None


def _place(file: Path | IO[bytes]) -> str:
    """Where Arrow opens a file that is open already.

    It reads it itself: a Python file it would call from threads of its own, which need the lock
    that Python holds.
    """
    return str(file) if isinstance(file, Path) else f"/dev/fd/{file.fileno()}"


def _columns(kind: LogKind) -> list[tuple[str, str]]:
    if kind not in TABLES:
        return []  # what was refused: its lines alone
    columns = TABLES[kind].columns.items()
    return [(name, sql) for name, sql in columns if name not in LONG_TEXTS]


def _table(arrow: Any, schema: Any, lines: Sequence[bytes], kind: LogKind) -> Any:
    columns: dict[str, list[Any]] = {name: [] for name in schema.names}
    for line in lines:
        record: Record | None = None
        with suppress(ValueError):  # its line is kept all the same
            record = parse_line(TABLES[kind].record, line) if kind in TABLES else None
        for name, values in columns.items():
            value = line if name == "raw" else getattr(record, name, None)
            values.append(list(value.items()) if isinstance(value, dict) else value)
    return arrow.table(columns, schema=schema)


def _type(arrow: Any, sql: str) -> Any:
    # Unlike the index, a file that leaves this place says in which zone its times are.
    return arrow.timestamp("us", tz="UTC") if sql == "TIMESTAMP" else arrow_type(arrow, sql)
