"""Finds the answer to one question in SQL, within bounds, in values that can be shown.

:mod:`~control_room.history.sql.child` loads it by its path; it imports nothing of Control Room.
"""

from __future__ import annotations

import re
import time
from typing import Any

_BATCH_ROWS = 2_048
_DAY_S = 86_400
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # 0001-01-01 and 9999-12-31
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
# These reach Arrow changed, or as what no table shows; they are written as DuckDB writes them.
_AS_TEXT = re.compile(
    r"\b(UHUGEINT|BIGNUM|BIT|BLOB|GEOMETRY|VARIANT|INTERVAL|UNION|TIME WITH TIME ZONE)\b"
)
_QUOTED = re.compile(r"\"(?:[^\"]|\"\")*\"|'(?:[^']|'')*'")


class Refused(ValueError):
    """The question is none that is answered."""


def warm(connection: Any) -> None:
    """Ask something, so that the first question finds loaded and mapped what it needs."""
    import pyarrow

    connection.execute("ATTACH ':memory:' AS warm; USE warm; USE memory; DETACH warm")
    connection.execute("BEGIN TRANSACTION READ ONLY")
    relation = connection.sql(
        "SELECT a, count(*) AS n FROM (VALUES ('x'), ('y')) AS t(a) GROUP BY 1"
    )
    table = _shown(relation.limit(10)).to_arrow_reader(_BATCH_ROWS).read_all()
    connection.execute("ROLLBACK")
    _told_whole(connection, table)
    with pyarrow.ipc.new_stream(pyarrow.BufferOutputStream(), table.schema) as writer:
        writer.write_table(table)


def answer(
    connection: Any, question: dict[str, str], *, max_rows: int, max_bytes: int
) -> tuple[Any, dict[str, Any]]:
    """The rows, and what is told of them."""
    started = time.perf_counter()
    path = question["database"].replace("'", "''")
    connection.execute(f"ATTACH '{path}' AS history (READ_ONLY)")
    connection.execute("USE history")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    statement = _only_select(connection, question["text"])
    connection.execute("BEGIN TRANSACTION READ ONLY")
    relation = connection.sql(statement).limit(max_rows + 1)
    table, cut_bytes = _within(_shown(relation).to_arrow_reader(_BATCH_ROWS), max_bytes)
    rows = min(table.num_rows, max_rows)
    cut_rows = table.num_rows > rows
    table = _told_whole(connection, table.slice(0, rows))
    seconds = time.perf_counter() - started
    return table, {"cut": cut_rows or cut_bytes, "large": cut_bytes, "seconds": seconds}


def _only_select(connection: Any, text: str) -> str:
    import duckdb

    statements = connection.extract_statements(text)
    if len(statements) != 1:
        raise Refused("Ask one question at a time: one statement, without a second after it.")
    statement = statements[0]
    if statement.type != duckdb.StatementType.SELECT:
        raise Refused(
            f"{statement.type.name} is refused: the history is only read here, by SELECT."
        )
    return str(statement.query)


def _shown(relation: Any) -> Any:
    """The relation, with text for the types that Arrow does not take as they are."""
    kinds = [_QUOTED.sub("", str(kind)) for kind in relation.types]
    if not any(map(_AS_TEXT.search, kinds)):
        return relation
    columns = []
    for name, kind in zip(relation.columns, kinds, strict=True):
        quoted = '"' + name.replace('"', '""') + '"'
        cast = f"CAST({quoted} AS VARCHAR) AS {quoted}"
        columns.append(cast if _AS_TEXT.search(kind) else quoted)
    return relation.project(", ".join(columns))


def _within(reader: Any, max_bytes: int) -> tuple[Any, bool]:
    """The rows that take no more than so much, and whether there are more."""
    import pyarrow

    batches: list[Any] = []
    left = max_bytes
    for batch in reader:
        if batch.nbytes > left:
            fitting = _fitting(batch, left)
            if not fitting and not batches:
                raise Refused(
                    f"The first row of the answer takes more than {max_bytes // 2**20} MB "
                    "(history.sql_answer_mb). Ask for less of it, as with left(…, 1000)."
                )
            batches.append(batch.slice(0, fitting))
            return pyarrow.Table.from_batches(batches, reader.schema), True
        batches.append(batch)
        left -= batch.nbytes
    return pyarrow.Table.from_batches(batches, reader.schema), False


def _fitting(batch: Any, size: int) -> int:
    """How many rows from the first take no more than ``size`` bytes."""
    low, high = 0, batch.num_rows
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if batch.slice(0, middle).nbytes <= size else (low, middle - 1)
    return low


def _told_whole(connection: Any, table: Any) -> Any:
    """The rows, with text for columns that hold what no Python value can be."""
    import pyarrow

    for place, field in enumerate(table.schema):
        column = table.column(place)
        if _can_be_told(column):
            continue
        connection.register("told", pyarrow.table({"x": column}))
        text = connection.sql("SELECT CAST(x AS VARCHAR) AS x FROM told").to_arrow_table()
        connection.unregister("told")
        table = table.set_column(place, field.name, text.column("x"))
    return table


def _can_be_told(column: Any) -> bool:
    """Whether its values are within what Python (and so a page, a chart, a file) can tell."""
    import pyarrow

    kind, types = column.type, pyarrow.types
    if types.is_nested(kind):
        try:
            column.to_pylist()
        except (ValueError, OverflowError, pyarrow.ArrowException):
            return False
        return True
    if types.is_decimal(kind):
        try:
            column.validate(full=True)
        except pyarrow.ArrowInvalid:
            return False
        return True
    if types.is_date32(kind):
        return _are_between(column.cast(pyarrow.int32()), _FIRST_DAY, _LAST_DAY)
    if types.is_timestamp(kind):
        per_day = _DAY_S * _PER_SECOND[kind.unit]
        # Of another zone it may be a day earlier or later.
        first, last = (_FIRST_DAY + 1, _LAST_DAY) if kind.tz else (_FIRST_DAY, _LAST_DAY + 1)
        return _are_between(column.cast(pyarrow.int64()), first * per_day, last * per_day - 1)
    if types.is_time64(kind):
        return _are_between(column.cast(pyarrow.int64()), 0, _DAY_S * _PER_SECOND[kind.unit] - 1)
    return True


def _are_between(numbers: Any, low: int, high: int) -> bool:
    import pyarrow.compute

    found = pyarrow.compute.min_max(numbers).as_py()
    return found["min"] is None or low <= found["min"] <= found["max"] <= high
