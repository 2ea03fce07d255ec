"""Somebody's own question in SQL: one reading statement, with a time limit and a row limit.

What keeps it from doing harm: the database itself is shut to files, extensions and settings (see
:mod:`~control_room.history.database`), only a ``SELECT`` is taken, and it runs in a transaction
that cannot write. A single value that is made huge (``repeat('x', 1e9)``) is not held back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from control_room.history.extra import extra
from control_room.history.queries import Cursor
from control_room.history.schema import TABLES


class SqlRefused(ValueError):
    """The question cannot be asked, or has no answer. The message is for the one who asked."""


@dataclass(frozen=True, slots=True)
class SqlAnswer:
    """Rows as an Arrow table; ``cut`` when there were more than were wanted."""

    table: Any
    cut: bool
    seconds: float


def ask(cursor: Cursor, text: str, *, timeout_s: float, max_rows: int) -> SqlAnswer:
    """The answer to one ``SELECT`` (also ``FROM``, ``WITH``, ``DESCRIBE``, ``SUMMARIZE``).

    The cursor must be for this question alone. Raises :class:`SqlRefused`.
    """
    duckdb = extra("duckdb")
    started = time.perf_counter()
    try:
        statement = _only_select(cursor, text)
        with _reading(cursor), _time_limit(cursor, timeout_s):
            table = cursor.sql(statement).limit(max_rows + 1).to_arrow_table()
    except duckdb.InterruptException:
        raise SqlRefused(
            f"The question took longer than {timeout_s:g} s and was stopped. Ask for fewer rows, "
            "or raise history.sql_timeout_s."
        ) from None
    except duckdb.Error as error:
        raise SqlRefused(str(error)) from None
    return SqlAnswer(
        table.slice(0, max_rows), table.num_rows > max_rows, time.perf_counter() - started
    )


def _only_select(cursor: Cursor, text: str) -> str:
    statements = cursor.extract_statements(text)
    if len(statements) != 1:
        raise SqlRefused("Ask one question at a time: one statement, without a second after it.")
    statement = statements[0]
    if statement.type != extra("duckdb").StatementType.SELECT:
        raise SqlRefused(
            f"{statement.type.name} is refused: the history is only read here, by SELECT."
        )
    return str(statement.query)


@contextmanager
def _reading(cursor: Cursor) -> Iterator[None]:
    cursor.execute("BEGIN TRANSACTION READ ONLY")
    try:
        yield
    finally:
        cursor.execute("ROLLBACK")


@contextmanager
def _time_limit(cursor: Cursor, seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, cursor.interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # so that it cannot interrupt what comes next


# What a question may be about: the records, and the lines that are none.
ASKED_TABLES = (*(table.name for table in TABLES.values()), "rejects")


def schema_of(cursor: Cursor) -> dict[str, dict[str, str]]:
    """The columns of each of :data:`ASKED_TABLES`, with their SQL types."""
    query = (
        "SELECT table_name, column_name, data_type FROM duckdb_columns() "
        "WHERE table_name IN (SELECT unnest(?)) ORDER BY column_index"
    )
    tables: dict[str, dict[str, str]] = {name: {} for name in ASKED_TABLES}
    for table, column, kind in cursor.execute(query, [list(ASKED_TABLES)]).fetchall():
        tables[table][column] = kind
    return tables
